"""Audio files as a source and a sink."""

import asyncio
import contextlib
import errno
import logging
import os
import re
import struct
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgevoice.audio.convert import Channel, Converter
from edgevoice.audio.pcm import RATE, Audio, Float32, Reblock, concatenate
from edgevoice.audio.source import BLOCK
from edgevoice.engines.registry import require
from edgevoice.errors import AudioFormatError, OutputError
from edgevoice.noise import without_noise

log = logging.getLogger(__name__)

READ_SECONDS = 0.5
"""How much of a file is read at a time: long enough that reading costs little, short enough to need no memory and to
hold up the event loop for less than a millisecond."""

RATES = range(1_000, 384_001)
"""Samples per second that a recording can have: below, nothing of speech is left; above, there is no hardware."""

_NOISE = re.compile(rb"\[src/libmpg123/|\s*$")
"""libmpg123 complains about the frames at the beginning of an MP3 and reads on."""

UNKNOWN_SIZES = (range(1), range(0x7FFF_0000, 0x8000_0000), range(0xFFFF_0000, 0x1_0000_0000))
"""A data chunk of 0 or nearly 2 or 4 GiB: the program that wrote it wrote to a pipe and did not know the length."""


class FileSource:
    """A WAV, FLAC or other file that libsndfile reads, of any rate, channel count and sample format.

    A recording that ends before its header says (a copy cut short, a recorder that was killed) is played as far as it
    goes, and a warning names what is missing.

    Raises:
        AudioFormatError: there is no such file, or it is empty, or no audio; or it has no such channel or rate.
    """

    lossless: ClassVar[bool] = True

    def __init__(self, path: Path, channel: Channel = "mix", *, realtime: bool = False) -> None:
        self.eager = True
        self._path = path
        self._realtime = realtime
        self._file: Any = _open(path)
        if not self._file.frames:
            self._file.close()
            raise AudioFormatError("it holds no audio", place=str(path), remedy="record it again")
        rate: int = self._file.samplerate
        if rate not in RATES:
            self._file.close()
            raise AudioFormatError(
                f"its header says {rate} samples per second, which no recording has",
                place=str(path),
                remedy="record or convert it again; the header may be damaged",
            )
        self._channels: int = self._file.channels
        if isinstance(channel, int) and channel >= self._channels:
            self._file.close()
            raise AudioFormatError(
                f"there is no channel {channel}: it has {self._channels}, counted from 0",
                place=str(path),
                remedy="choose one of them, or 'mix'",
            )
        self._converter = Converter(rate, self._channels, channel)

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        reblock = Reblock(BLOCK)
        at = 0
        began = time.monotonic()
        rest = Audio(np.zeros(0, np.int16))
        ended = False
        while not ended:
            frames = self._read()
            ended = not len(frames)
            samples = self._converter.finish() if ended else self._converter.push(frames)
            piece = Audio(samples, RATE, at)
            at += len(samples)
            rest = concatenate([rest, piece])
            for block in reblock.push(piece):
                rest = rest.since(block.end)
                # Also at file speed the rest of the program must get its turn.
                await asyncio.sleep(max(began + block.end / RATE - time.monotonic(), 0) if self._realtime else 0)
                yield block
        if len(rest):
            yield rest

    def _read(self) -> Float32:
        """The next half second, shape [n, channels]; shape [0, channels] at the end of the file."""
        if self._file is None:
            raise AudioFormatError("it was closed while it was being read", place=str(self._path))
        soundfile = require("soundfile")
        rate: int = self._file.samplerate
        try:
            at: int = self._file.tell()
            with without_noise(_NOISE) if self._file.format == "MP3" else contextlib.nullcontext():
                frames: Float32 = self._file.read(int(READ_SECONDS * rate), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioFormatError(
                f"it is damaged: {error.error_string}", place=f"{self._path} near {at / rate:.1f} s"
            ) from error
        if not len(frames) and at < self._file.frames:
            log.warning("%s: it ends after %.1f of %.1f s", self._path, at / rate, self._file.frames / rate)
        if not np.isfinite(frames).all():  # a float file may hold infinities and NaNs, which no integer can
            np.nan_to_num(frames, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
        return frames

    async def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _open(path: Path) -> Any:
    """The file as a ``soundfile.SoundFile``."""
    soundfile = require("soundfile")
    remedy = "give a WAV or FLAC file"
    try:
        # By descriptor, so that the content decides what it is and not the name.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise AudioFormatError(f"it cannot be read: {error.strerror}", place=str(path), remedy=remedy) from error
    try:
        if path.is_dir():
            raise AudioFormatError("it is a directory", place=str(path), remedy=remedy)
        if not path.is_file():
            raise AudioFormatError("it is not a file", place=str(path), remedy=remedy)
        if not path.stat().st_size:
            raise AudioFormatError("it is empty (0 bytes)", place=str(path), remedy="record or copy it again")
        _warn_if_cut_short(path)
    except BaseException:
        os.close(descriptor)
        raise
    try:
        return soundfile.SoundFile(descriptor, closefd=True)
    except soundfile.LibsndfileError as error:  # it has closed the descriptor
        raise AudioFormatError(
            f"it is no audio file that can be read: {error.error_string}", place=str(path), remedy=remedy
        ) from error


def _warn_if_cut_short(path: Path) -> None:
    """Say so when a WAV's data chunk is longer than the file; libsndfile itself corrects that without a word."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return
        at = 12
        while at + 8 <= size:
            file.seek(at)
            name, length = struct.unpack("<4sI", file.read(8))
            if name == b"data":
                if not any(length in sizes for sizes in UNKNOWN_SIZES) and at + 8 + length > size:
                    log.warning(
                        "%s: cut short: its header promises %d bytes of sound and %d are there; playing those",
                        path,
                        length,
                        size - at - 8,
                    )
                return
            at += 8 + length + length % 2


class WavSink:
    """Writes a 16-bit mono WAV file. It appears under its name when it is closed, complete and with a right header;
    until then, and after a failure, there is no such file (or still the old one).

    Args:
        path: the file.
        rate: samples per second; None takes that of the first audio.

    Raises:
        OutputError: it cannot be written.
    """

    lossless: ClassVar[bool] = True

    def __init__(self, path: Path, rate: int | None = None) -> None:
        self.volume = 100
        self._path = path
        self._rate = rate
        self._converter: Converter | None = None
        self._size = 0
        if path.exists() and not path.is_file():  # a device would be replaced by a file
            kind = "a directory" if path.is_dir() else "no regular file"
            raise OutputError(f"it is {kind}", place=str(path), remedy="name a file")
        try:
            descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        except OSError as error:
            raise _cannot_write(path, error) from error
        self._partial = Path(partial)
        self._raw = os.fdopen(descriptor, "wb")
        self._raw.write(_header(0, RATE))

    async def play(self, audio: Audio) -> None:
        if self._raw.closed:
            raise OutputError("it is already closed", place=str(self._path))
        if self._rate is None:
            self._rate = audio.rate
        if self._converter is None or self._converter.rate != audio.rate:
            self._finish_converter()
            self._converter = Converter(audio.rate, target=self._rate)
        self._write(self._converter.push(audio.samples).tobytes())
        # A synthesizer that feeds a file must leave the rest of the program its turn, too.
        await asyncio.sleep(0)

    async def drain(self) -> None:
        self._finish_converter()

    def flush(self) -> None:
        """What was written stays; a file has nothing queued but the resampler's few milliseconds."""
        self._converter = None

    async def close(self) -> None:
        if self._raw.closed:
            return
        self._finish_converter()
        try:
            self._raw.seek(0)
            self._raw.write(_header(self._size, self._rate or RATE))
            self._raw.flush()
            # mkstemp makes a private file; this one gets what any new file would.
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(self._raw.fileno(), 0o666 & ~mask)
            os.fsync(self._raw.fileno())
            self._raw.close()
            self._partial.replace(self._path)
        except OSError as error:
            raise self._failed(error) from error

    def discard(self) -> None:
        """Give up: nothing of the partial file is left, and what had the name before still has it."""
        with contextlib.suppress(OSError):  # what is buffered still may not fit
            self._raw.close()
        self._partial.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        if not data:
            return
        try:
            self._raw.write(data)
        except OSError as error:
            raise self._failed(error) from error
        self._size += len(data)

    def _finish_converter(self) -> None:
        if self._converter is not None and not self._raw.closed:
            self._write(self._converter.finish().tobytes())
            self._converter = None

    def _failed(self, error: OSError) -> OutputError:
        """The error to raise; nothing is left of the partial file."""
        self.discard()
        return _cannot_write(self._path, error)


def _cannot_write(path: Path, error: OSError) -> OutputError:
    remedy = {
        errno.ENOSPC: "make room, or choose another place for it",
        errno.EFBIG: "it grew beyond what the file system or 'ulimit -f' allows; choose another place for it",
        errno.ENOENT: "make the folder first",
        errno.EACCES: "choose a folder that you may write to",
    }.get(error.errno or 0, "choose another place for it")
    return OutputError(f"it cannot be written: {error.strerror}", place=str(path), remedy=remedy)


def _header(size: int, rate: int) -> bytes:
    """The 44 bytes before ``size`` bytes of 16-bit mono sound."""
    # A header cannot say more than 4 GiB (12 hours at 48 kHz); players then read to the end of the file.
    data, riff = min(size, 0xFFFF_FFFF - 36), min(size + 36, 0xFFFF_FFFF)
    layout = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + layout + b"data" + struct.pack("<I", data)


def open_file(path: Path, channel: Channel = "mix", realtime: bool = False) -> FileSource:
    """A file as a source; ``realtime`` paces it with the clock, for demonstrations.

    Raises:
        AudioFormatError: see ``FileSource``.
    """
    return FileSource(path, channel, realtime=realtime)
