"""Manifests: files of JSON lines, checked as a whole before anything runs."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from edgevoice.audio.wavefile import open_file
from edgevoice.engines.registry import require
from edgevoice.errors import AudioFormatError, ConfigError

_SHOWN = 20


class AudioLine(Protocol):
    @property
    def audio(self) -> str:
        """A path, relative to the manifest's folder."""


L = TypeVar("L")
A = TypeVar("A", bound=AudioLine)


def read(
    manifest: Path, type_: type[L], limit: int | None, check: Callable[[int, L], Iterable[str]]
) -> list[tuple[int, L]]:
    """The lines of a manifest with their numbers, empty ones left out; keys that the type does not have are let be.

    Args:
        limit: lines at most.
        check: what else is wrong with a line, given its number.

    Raises:
        ConfigError: with every mistake, each with file and line.
    """
    try:
        texts = manifest.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror}", place=str(manifest)) from error
    numbered = [(number, text) for number, text in enumerate(texts, 1) if text.strip()]
    found: list[tuple[int, L]] = []
    mistakes: list[str] = []
    for number, text in numbered[:limit]:
        try:
            line = msgspec.json.decode(text, type=type_)
        except msgspec.ValidationError as error:
            mistakes.append(f"{manifest}:{number}: {error}".replace("Object", "the object"))
            continue
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            mistakes.append(f"{manifest}:{number}: no JSON: {error}")
            continue
        mistakes += [f"{manifest}:{number}: {why}" for why in check(number, line)]
        found.append((number, line))
    if mistakes:
        complain(mistakes, "mistakes in the manifest")
    if not found:
        raise ConfigError("there is not a single line in it", place=str(manifest))
    return found


def read_audio(
    manifest: Path, type_: type[A], limit: int | None, check: Callable[[A, Path], Iterable[str]] = lambda line, path: ()
) -> list[tuple[int, Path, A]]:
    """The lines of a manifest of recordings: number, the recording's path (absolute), and the line.

    Args:
        check: what else is wrong with a line whose audio can be read, given the path of that.

    Raises:
        ConfigError: with every mistake, files that are no audio and those that stand there twice among them.
    """
    seen: dict[str, int] = {}

    def checked(number: int, line: A) -> Iterable[str]:
        if line.audio in seen:
            yield f"'{line.audio}' stands in line {seen[line.audio]} already"
        elif (why := unreadable(path := _path(manifest, line.audio))) is not None:
            yield why
        else:
            yield from check(line, path)
        seen.setdefault(line.audio, number)

    return [(number, _path(manifest, line.audio), line) for number, line in read(manifest, type_, limit, checked)]


def _path(manifest: Path, audio: str) -> Path:
    return (manifest.parent / audio).absolute()


def unreadable(path: Path) -> str | None:
    """Why a file is no audio."""

    async def opened() -> None:
        await open_file(path).close()

    try:
        asyncio.run(opened())
    except AudioFormatError as error:
        return str(error)
    return None


def seconds(path: Path) -> float:
    """The length of an audio file by its header; it has been found readable."""
    with path.open("rb") as file:  # not by its name, from which soundfile would guess what it is
        return float(require("soundfile").info(file).duration)


def complain(mistakes: Sequence[str], what: str) -> None:
    """
    Raises:
        ConfigError: always, with all mistakes; each begins with its place.
    """
    if len(mistakes) == 1:
        place, _, cause = mistakes[0].partition(": ")
        raise ConfigError(cause, place=place)
    more = len(mistakes) - _SHOWN
    rest = f"\nand {more} more" if more > 0 else ""
    raise ConfigError(f"{len(mistakes)} {what}\n" + "\n".join(mistakes[:_SHOWN]) + rest)
