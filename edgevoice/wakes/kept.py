"""A kept wake: two files of one name, the sound and a line of JSON that says what came of it."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edgevoice.errors import ConfigError, EdgeVoiceError, OutputError
from edgevoice.recordings import write

KINDS = ("wake", "refused", "missed")

Label = Literal["right", "wrong"]
Kind = Literal["wake", "refused", "missed"]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

_NAME = re.compile(rf".*-({'|'.join(KINDS)})\.(json|wav)")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The line of JSON."""

    format: Literal[1] = 1
    kind: Kind
    """It woke; it was doubtful and refused; or the user says that it should have woken."""
    made: str
    """When, in ISO 8601."""
    word: str
    """Name of the wake word; empty where the user did not say which was missed."""
    score: Share | None = None
    """The smoothed score that decided, unrounded; None of a missed one."""
    confidence: Share | None = None
    """Of the recogniser; None when it was not asked."""
    accepted: bool
    threshold: Share | None = None
    """That was in force."""
    loose: Share | None = None
    """Score from which on it was kept."""
    engine: str
    model: str
    """Digest of the files that the score came from; empty when it is not known."""
    start: Annotated[int, msgspec.Meta(ge=0)]
    """Capture index of the first sample of the file."""
    at: Annotated[int, msgspec.Meta(ge=0)]
    """Capture index of the sample after the last one that decided it."""
    heard: Annotated[float, msgspec.Meta(ge=0.0)]
    """Seconds that were listened to since the one kept before, or since the start."""
    over_reply: bool = False
    """The assistant spoke meanwhile."""
    outcome: str | None = None
    """How the turn ended."""
    label: Label | None = None
    """Whether the wake word was said in it, by the user."""
    edgevoice: str


@dataclass(frozen=True, slots=True)
class Found:
    """A kept wake in a folder."""

    path: Path
    """Of the JSON."""
    kept: Kept

    @property
    def audio(self) -> Path:
        return self.path.with_suffix(".wav")


def encode(kept: Kept) -> bytes:
    return msgspec.json.encode(kept) + b"\n"


def read(path: Path) -> Kept:
    """
    Raises:
        ConfigError: it cannot be read, or is something else.
    """
    remedy = "delete it together with its .wav"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except msgspec.DecodeError as error:
        raise ConfigError(f"it does not describe a kept wake: {error}", place=str(path), remedy=remedy) from error
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror or error}", place=str(path), remedy=remedy) from error


def names(folder: Path) -> list[Path]:
    """The JSON files of all kept wakes, the oldest first, also of those that cannot be read.

    Raises:
        ConfigError: there is no such folder, or it cannot be looked into.
    """
    try:
        return sorted(
            path for path in folder.iterdir() if (name := _NAME.fullmatch(path.name)) and name.group(2) == "json"
        )
    except OSError as error:
        raise ConfigError(
            f"it cannot be looked into: {error.strerror or error}",
            place=str(folder),
            remedy="give the folder of detection.keep.folder; edgevoice makes it when it keeps the first wake",
        ) from error


def load(folder: Path) -> tuple[list[Found], list[str]]:
    """The kept wakes of a folder, the oldest first, and what is wrong with others.

    Raises:
        ConfigError: there is no such folder.
    """
    found, wrong = list[Found](), list[str]()
    for path in names(folder):
        try:
            found.append(Found(path, read(path)))
        except EdgeVoiceError as error:
            wrong.append(str(error))
    return found, wrong


def of(file: Path) -> Path:
    """The JSON that belongs to either file of a kept wake.

    Raises:
        ConfigError: it is no kept wake.
    """
    if _NAME.fullmatch(file.name) is None:
        raise ConfigError(
            "it is no kept wake",
            place=str(file),
            remedy=f"give a file of detection.keep.folder; its name ends in {', '.join('-' + kind for kind in KINDS)}",
        )
    return file.with_suffix(".json")


def mark(path: Path, label: Label, word: str | None = None) -> Kept:
    """Write a label, and a word where one is given; blocks while the disk writes.

    Args:
        path: of the JSON.

    Raises:
        ConfigError: it is none. OutputError: it cannot be written; what was there is still there.
    """
    before = read(path)
    after = msgspec.structs.replace(before, label=label, word=before.word if word is None else word)
    if after != before:
        try:
            owner = path.stat()
            write(path, encode(after))
            if os.geteuid() == 0:  # the file stays the daemon's
                os.chown(path, owner.st_uid, owner.st_gid)
        except OSError as error:
            raise OutputError(
                f"the label cannot be written: {error.strerror or error}",
                place=str(path),
                remedy="make room, or do it as the user that edgevoice runs as",
            ) from error
    return after


def told(kept: Kept) -> str:
    """One in words, by the clock of this place."""
    at = datetime.fromisoformat(kept.made).astimezone()
    return f"{kept.word or 'no word'}, {at:%Y-%m-%d %H:%M:%S}, score {_number(kept.score)}"


def _number(score: float | None) -> str:
    return "unknown" if score is None else f"{score:.3f}"
