"""Recordings in a folder of bounded size and age, and one kind of them: what was heard in each turn and what came of
it, for debugging. They are made only when the configuration asks for them."""

import contextlib
import io
import logging
import os
import re
import time
import wave
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
import numpy as np

from edgevoice import __version__
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.errors import OutputError

log = logging.getLogger(__name__)

_OURS = re.compile(r"\d{8}T\d{6}\.\d{3}Z-[a-z_]+\.(wav|json)")
"""Names of our files. Nothing else in the folder is touched."""
_PART = re.compile(r"\..*\.part")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    folder: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[/~]")] | None,
        msgspec.Meta(
            description="Where to keep the sound and the events of every turn, also what was said in it; a whole path. "
            "null: nothing is recorded."
        ),
    ] = None
    max_megabytes: Annotated[
        int, msgspec.Meta(ge=1, le=100_000, description="The oldest are deleted when there would be more.")
    ] = 100
    max_days: Annotated[int, msgspec.Meta(ge=1, le=365, description="Older ones are deleted.")] = 7


class Bounds(Protocol):
    """Where files are kept, and how many; ``Options`` of either kind."""

    @property
    def folder(self) -> str | None: ...
    @property
    def max_megabytes(self) -> int: ...
    @property
    def max_days(self) -> int: ...


def wav(pieces: Sequence[Audio]) -> bytes:
    """A WAV file; where capture time has gaps there is silence."""
    start = pieces[0].start if pieces else 0
    samples = np.zeros(pieces[-1].end - start if pieces else 0, np.int16)
    for piece in pieces:
        samples[piece.start - start : piece.end - start] = piece.samples
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return out.getvalue()


class Ring:
    """A folder of files of bounded size and age. All methods block and are called in one thread.

    Args:
        key: of the configuration, that names the folder.
        clock: seconds since 1970.
    """

    def __init__(self, options: Bounds, key: str, clock: Callable[[], float] = time.time) -> None:
        assert options.folder is not None
        self.folder = Path(options.folder).expanduser()
        self._size = options.max_megabytes * 1_000_000
        self._age = options.max_days * 86_400
        self._key = key
        self._clock = clock

    def name(self, now: float, what: str) -> str:
        """What the files of one moment are called, without their endings."""
        return f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}.{int(now * 1000) % 1000:03}Z-{what}"

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        """Write the files of one moment, by their endings in this order, all or none, and delete the oldest of others
        where that makes too much.

        Raises:
            OSError: something cannot be written or deleted.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.tidy(room_for=sum(map(len, files.values())))
        try:
            for suffix, content in files.items():
                write(self.folder / f"{name}.{suffix}", content)
        except OSError:
            for suffix in files:
                with contextlib.suppress(OSError):
                    (self.folder / f"{name}.{suffix}").unlink(missing_ok=True)
            raise

    def tidy(self, room_for: int = 0) -> None:
        """Delete what is too old, and the oldest until all of it and ``room_for`` bytes more fit.

        Raises:
            OSError: something cannot be deleted.
        """
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if _PART.fullmatch(path.name):  # of a process that was killed
                path.unlink(missing_ok=True)
        ours = sorted(path for path in self.folder.iterdir() if _OURS.fullmatch(path.name) and path.is_file())
        moments = [[(path, path.stat()) for path in paths] for _, paths in groupby(ours, key=lambda path: path.stem)]
        total = sum(found.st_size for files in moments for _, found in files) + room_for
        oldest = self._clock() - self._age
        for files in moments:  # of a moment all files go, or none
            if total > self._size or any(found.st_mtime < oldest for _, found in files):
                for path, found in files:
                    path.unlink(missing_ok=True)
                    total -= found.st_size

    def check(self) -> None:
        """That something can be written.

        Raises:
            OutputError: it cannot.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write(probe := self.folder / ".probe", b"")
            probe.unlink()
        except OSError as error:
            raise OutputError(
                f"no recordings can be kept there: {error.strerror or error}",
                place=f"{self._key}.folder: {self.folder}",
                remedy="choose a folder that may be written to; a service may write to its state folder",
            ) from error


class Shelf(Ring):
    """The folder of turns."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options, "debug.recordings", clock)

    def keep(self, pieces: Sequence[Audio], events: Sequence[object], outcome: str) -> None:
        """Write one turn, and delete the oldest ones where that makes too much. What cannot be written is given up,
        with a warning."""
        now = self._clock()
        start = pieces[0].start if pieces else 0
        told = {
            "made": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
            "edgevoice": __version__,
            "start": start,
            "rate": RATE,
            "events": [msgspec.to_builtins(event) for event in events],
        }
        files = {"wav": wav(pieces), "json": msgspec.json.format(msgspec.json.encode(told)) + b"\n"}
        try:
            self.put(self.name(now, outcome), files)
        except OSError as error:
            log.warning("%s: a turn is not recorded: %s", self.folder, error.strerror or error)


def write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for its owner only: it is somebody's voice.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
