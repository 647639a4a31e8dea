"""Raw PCM from a pipe as a source."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from typing import ClassVar, Literal

import numpy as np

from edgevoice.audio.convert import Channel, Converter
from edgevoice.audio.pcm import RATE, Audio, Reblock, concatenate
from edgevoice.audio.source import BLOCK
from edgevoice.errors import AudioFormatError

log = logging.getLogger(__name__)

Format = Literal["s16le"]

READ_BYTES = 65_536
"""What a pipe holds on Linux."""

CONTAINERS = {b"RIFF": "a WAV file", b"fLaC": "a FLAC file", b"OggS": "an Ogg file", b"ID3\x03": "an MP3 file"}
"""How files begin that are not raw PCM, though they would play as noise."""


class PipeSource:
    """Raw PCM, 16 bits little-endian, interleaved, from a pipe, a socket or a file redirected to it.

    Args:
        rate: samples per second, 1000..384000.
        channels: how many are interleaved.
        form: how a sample is written.
        channel: the one taken, or "mix".
        descriptor: where it is read from; not closed here.

    Raises:
        AudioFormatError: rate, channels or channel make no sense, or the descriptor is a terminal.
    """

    lossless: ClassVar[bool] = True

    def __init__(
        self, rate: int, channels: int, form: Format = "s16le", *, channel: Channel = "mix", descriptor: int = 0
    ) -> None:
        if form != "s16le":
            raise AudioFormatError(f"unknown sample format '{form}'", place="stdin", remedy="give s16le")
        if not 1_000 <= rate <= 384_000:
            raise AudioFormatError(f"a rate of {rate} Hz", place="stdin", remedy="give one from 1000 to 384000")
        if not 1 <= channels <= 64:
            raise AudioFormatError(f"{channels} channels", place="stdin", remedy="give a number from 1 to 64")
        if isinstance(channel, int) and not 0 <= channel < channels:
            raise AudioFormatError(
                f"there is no channel {channel} of {channels}", place="stdin", remedy="channels are counted from 0"
            )
        if os.isatty(descriptor):
            raise AudioFormatError(
                "it is the keyboard", place="stdin", remedy=f"pipe raw sound into it: arecord -f S16_LE -r {rate} | ..."
            )
        self.eager = True
        self._descriptor = descriptor
        self._frame = 2 * channels
        self._converter = Converter(rate, channels, channel)
        self._closed = asyncio.Event()

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        reblock = Reblock(BLOCK)
        rest = Audio(np.zeros(0, np.int16))
        at = 0
        pending = b""
        begun = False
        ended = False
        while not ended:
            data = await self._read()
            ended = not data
            pending += data
            if not begun and (ended or len(pending) >= 4):
                begun = True
                self._check(pending)
            whole = len(pending) - len(pending) % self._frame
            samples = self._converter.push(np.frombuffer(pending[:whole], "<i2"))
            pending = pending[whole:]
            if ended:
                samples = np.concatenate([samples, self._converter.finish()])
            piece = Audio(samples, RATE, at)
            at += len(samples)
            rest = concatenate([rest, piece])
            for block in reblock.push(piece):
                rest = rest.since(block.end)
                await asyncio.sleep(0)
                yield block
        if pending:
            log.warning("stdin: it ends within a frame; %d bytes are left over", len(pending))
        if len(rest):
            yield rest

    def _check(self, head: bytes) -> None:
        if not head:
            raise AudioFormatError("it is empty", place="stdin", remedy="pipe raw PCM into it")
        container = CONTAINERS.get(head[:4])
        if container:
            raise AudioFormatError(
                f"it is {container}, not raw PCM", place="stdin", remedy="give the file's name instead"
            )

    async def _read(self) -> bytes:
        """The next bytes, as many as there are; none at the end."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except PermissionError:  # a regular file is always ready, and epoll does not take it
            return self._take()
        waits = [asyncio.ensure_future(ready.wait()), asyncio.ensure_future(self._closed.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(self._descriptor)
            for wait in waits:
                wait.cancel()
        return self._take()

    def _take(self) -> bytes:
        if self._closed.is_set():
            raise AudioFormatError("it was closed while it was being read", place="stdin")
        try:
            return os.read(self._descriptor, READ_BYTES)
        except OSError as error:
            raise AudioFormatError(f"it cannot be read: {error.strerror}", place="stdin") from error

    async def close(self) -> None:
        self._closed.set()


def open_stdin(rate: int, channels: int = 1, form: Format = "s16le", *, channel: Channel = "mix") -> PipeSource:
    """Standard input as a source of raw PCM.

    Raises:
        AudioFormatError: see ``PipeSource``.
    """
    return PipeSource(rate, channels, form, channel=channel)
