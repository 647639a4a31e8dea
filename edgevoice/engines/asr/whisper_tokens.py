"""Whisper's tokens: numbers to text, and the special tokens.

A token is a run of bytes, not of characters. In files each byte is written as one printable character: GPT-2's
alphabet (Radford et al., 2019), in which the printable bytes of Latin-1 stand for themselves and the others, in
ascending order, are the characters from U+0100 on.
"""

import itertools
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from edgevoice.errors import ConfigError, ModelError

_PIECES = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")
"""GPT-2's: what is never joined with its neighbours."""


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


def load(path: Path) -> Tokens:
    """Read ``tokens.json``.

    Raises:
        ModelError: it is missing or damaged.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        special = content["special"]
        return Tokens(
            texts=content["tokens"],
            start=special["start"],
            end=special["end"],
            previous=special["previous"],
            no_speech=special["no_speech"],
            no_timestamps=special["no_timestamps"],
            transcribe=special["transcribe"],
            languages=content["languages"],
            suppress=content["suppress"],
            suppress_first=content["suppress_first"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"the tokens cannot be read: {type(error).__name__}: {error}",
            place=str(path),
            remedy="fetch the model again with: edgevoice models pull",
        ) from error
