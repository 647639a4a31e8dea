"""A Whisper model's tokens: read from any of the files they come in, and what follows from them.

Special tokens stand behind the text tokens in an order that all Whisper models share, so the number of rows of the
embedding alone tells their numbers.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevoice.engines.asr.whisper_tokens import byte_alphabet, spell
from edgevoice.errors import ModelError
from edgevoice.export.weights import ENGLISH_VOCABULARY

FILES = ("tokenizer.json", "vocab.json", "vocabulary.json", "vocabulary.txt", "gpt2.tiktoken", "multilingual.tiktoken")
"""Where tokens are looked for beside the weights, the best first."""
_TIMESTAMPS = 1501
"""0.00 to 30.00 s in steps of 20 ms."""
_LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi "
    "ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd "
    "gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)
"""In the order of their tokens; the last came with large-v3."""
_NOT_SPEECH = '"#()*+/:;<=>@[\\]^_`{|}~「」『』'
_NOT_SPEECH_RUNS = "<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪"
_MUSIC = "♩♪♫♬♭♮♯"
"""What subtitles mark noises, speakers and music with; Whisper's reference decoder never writes them either."""


@dataclass(frozen=True, slots=True)
class Special:
    """Numbers of the special tokens."""

    end: int
    start: int
    languages: dict[str, int]
    translate: int
    transcribe: int
    previous: int
    no_speech: int
    no_timestamps: int


def special(rows: int) -> Special:
    """Of a model whose embedding has so many rows."""
    multilingual = rows > ENGLISH_VOCABULARY
    start = 50258 if multilingual else 50257
    languages = rows - _TIMESTAMPS - start - 7
    after = start + 1 + languages
    return Special(
        end=start - 1,
        start=start,
        languages={code: start + 1 + at for at, code in enumerate(_LANGUAGES.split()[:languages])},
        translate=after,
        transcribe=after + 1,
        previous=after + 3,
        no_speech=after + 4,
        no_timestamps=after + 5,
    )


def find(folder: Path) -> Path:
    """The file of tokens beside the weights.

    Raises:
        ModelError: there is none.
    """
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(
        f"there is no file of tokens ({', '.join(FILES)})",
        place=str(folder),
        remedy="put the model's tokenizer.json there, or name one (--tokenizer FILE)",
    )


def read(path: Path, count: int) -> list[bytes]:
    """The first ``count`` tokens (the text tokens) of a file of tokens, by number.

    Raises:
        ModelError: the file is damaged, of another kind, or of another model.
    """
    try:
        if path.suffix == ".tiktoken":
            table = _tiktoken(path.read_bytes())
        elif path.suffix == ".txt":
            # Not splitlines(): tokens may hold other characters that Python takes for the end of a line.
            table = dict(enumerate(path.read_text(encoding="utf-8").split("\n")))
        else:
            table = _json(json.loads(path.read_text(encoding="utf-8")))
        return [spell(table[number]) for number in range(count)]
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror}", place=str(path)) from error
    except KeyError as error:
        raise ModelError(
            f"it has no token {error}", place=str(path), remedy="take the file of tokens that belongs to the weights"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"it is no file of tokens: {error}", place=str(path), remedy="fetch it again") from error


def _tiktoken(data: bytes) -> dict[int, str]:
    alphabet = byte_alphabet()
    table = {}
    for line in data.splitlines():
        if line.strip():
            token, rank = line.split()
            try:
                raw = base64.b64decode(token, validate=True)
            except binascii.Error as error:
                raise ValueError(str(error)) from error
            table[int(rank)] = "".join(alphabet[byte] for byte in raw)
    return table


def _json(content: Any) -> dict[int, str]:
    if isinstance(content, list):
        return dict(enumerate(content))
    words = content["model"]["vocab"] if "model" in content else content
    return {int(number): str(word) for word, number in words.items()}


def not_speech(tokens: list[bytes]) -> list[int]:
    """Tokens that stand for no spoken word: symbols, brackets of annotations, musical notes; in ascending order."""
    numbers = {token: number for number, token in enumerate(tokens)}
    found = {numbers[b" -"], numbers[b" '"]}  # between words they are right, at a word's start they open an annotation
    for symbol in (*_NOT_SPEECH, *_NOT_SPEECH_RUNS.split()):
        for text in (symbol, f" {symbol}"):
            if text.encode() in numbers:
                found.add(numbers[text.encode()])
    for symbol in _MUSIC:
        for text in (symbol, f" {symbol}"):
            raw = text.encode()
            found.add(next(numbers[raw[:size]] for size in range(len(raw), 0, -1) if raw[:size] in numbers))
    return sorted(found)
