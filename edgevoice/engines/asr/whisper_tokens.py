"""Whisper's tokens: numbers to text, and the special tokens.

A token is a run of bytes, not of characters. In files each byte is written as one printable character: GPT-2's
alphabet (Radford et al., 2019), in which the printable bytes of Latin-1 stand for themselves and the others, in
ascending order, are the characters from U+0100 on.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated

import msgspec

from edgevoice.errors import ConfigError, ModelError

_PIECES = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")
"""GPT-2's: what is never joined with its neighbours."""

_Number = Annotated[int, msgspec.Meta(ge=0)]


@cache
def byte_alphabet() -> tuple[str, ...]:
    """The character of each byte."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


@cache
def _byte_of() -> dict[str, int]:
    return {character: byte for byte, character in enumerate(byte_alphabet())}


def spell(token: str) -> bytes:
    """The bytes of a token written in the alphabet.

    Raises:
        ValueError: it holds a character that is not in the alphabet.
    """
    table = _byte_of()
    try:
        return bytes(table[character] for character in token)
    except KeyError as error:
        raise ValueError(f"'{token}' holds {error}, which stands for no byte") from error


def write(token: bytes) -> str:
    """The inverse of ``spell``."""
    alphabet = byte_alphabet()
    return "".join(alphabet[byte] for byte in token)


@dataclass(frozen=True)
class Tokens:
    texts: Sequence[str]
    """The text tokens by number, written in the alphabet."""
    start: int
    end: int
    previous: int
    no_speech: int
    no_timestamps: int
    transcribe: int
    languages: dict[str, int]
    """Empty for an English-only model."""
    suppress: Sequence[int]
    """Symbols that stand for no spoken word."""
    suppress_first: Sequence[int]
    """What a text does not begin with: a lone space, and the end."""

    def text(self, tokens: Iterable[int]) -> str:
        """The text of the tokens, special ones left out. Bytes that are no UTF-8 become U+FFFD."""
        written = "".join(self.texts[token] for token in tokens if token < len(self.texts))
        return spell(written).decode("utf-8", errors="replace")

    @cached_property
    def _numbers(self) -> dict[bytes, int]:
        return {spell(text): number for number, text in enumerate(self.texts)}

    def encode(self, text: str) -> list[int]:
        """The tokens of a text by byte pair encoding (Sennrich et al., 2016): in every piece, of all neighbours that
        make a token, the ones that make the lowest numbered are joined first."""
        numbers = self._numbers
        found = []
        for piece in _PIECES.findall(text):
            parts = [bytes([byte]) for byte in piece.encode()]
            while len(parts) > 1:
                joined = [numbers.get(left + right, len(numbers)) for left, right in itertools.pairwise(parts)]
                best = min(joined)
                if best == len(numbers):
                    break
                at = joined.index(best)
                parts[at : at + 2] = [parts[at] + parts[at + 1]]
            found += [numbers[part] for part in parts]
        return found

    def prefix(self, language: str | None) -> list[int]:
        """What every decoding begins with.

        Raises:
            ConfigError: the model does not know the language.
        """
        if not self.languages:
            if language not in (None, "en"):
                raise ConfigError(
                    f"an English-only model cannot transcribe '{language}'",
                    place="asr.whisper.language",
                    remedy="leave it out, or choose a multilingual model",
                )
            return [self.start, self.no_timestamps]
        code = language or "en"
        if code not in self.languages:
            known = ", ".join(self.languages)
            raise ConfigError(
                f"the model knows no language '{code}'", place="asr.whisper.language", remedy=f"choose one of: {known}"
            )
        return [self.start, self.languages[code], self.transcribe, self.no_timestamps]


class _Special(msgspec.Struct):
    start: _Number
    end: _Number
    previous: _Number
    no_speech: _Number
    no_timestamps: _Number
    transcribe: _Number


class _File(msgspec.Struct):
    tokens: list[str]
    special: _Special
    languages: dict[str, _Number]
    suppress: list[_Number]
    suppress_first: list[_Number]


def load(path: Path, vocabulary: int | None = None) -> Tokens:
    """Read ``tokens.json``.

    Args:
        vocabulary: how many tokens the network has, to which the numbers must belong.

    Raises:
        ModelError: it is missing, damaged, or for a network with fewer tokens.
    """
    remedy = "fetch the model again with: edgevoice models pull"
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
        spell("".join(content.tokens))
    except FileNotFoundError as error:
        raise ModelError("there is no such file", place=str(path), remedy=remedy) from error
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror or error}", place=str(path), remedy=remedy) from error
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or a field that is missing or wrong
        raise ModelError(f"these are no tokens of Whisper: {error}", place=str(path), remedy=remedy) from error
    special = content.special
    text_numbers = {*content.suppress, *content.suppress_first}
    numbers = {len(content.tokens) - 1, *msgspec.structs.astuple(special), *content.languages.values(), *text_numbers}
    if special.end < len(content.tokens) or max(text_numbers, default=0) > special.end:
        raise ModelError("the end token is not behind those of text", place=str(path), remedy=remedy)
    if vocabulary is not None and max(numbers) >= vocabulary:
        raise ModelError(
            f"it has the token {max(numbers)}, and the network's last one is {vocabulary - 1}",
            place=str(path),
            remedy=remedy,
        )
    return Tokens(
        texts=content.tokens,
        start=special.start,
        end=special.end,
        previous=special.previous,
        no_speech=special.no_speech,
        no_timestamps=special.no_timestamps,
        transcribe=special.transcribe,
        languages=content.languages,
        suppress=content.suppress,
        suppress_first=content.suppress_first,
    )
