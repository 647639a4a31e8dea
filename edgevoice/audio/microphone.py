"""The microphone as a source."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

import numpy as np

from edgevoice.audio import devices, portaudio
from edgevoice.audio.convert import Converter
from edgevoice.audio.pcm import RATE, Audio, Reblock
from edgevoice.audio.source import BATCH, InputOptions
from edgevoice.errors import DeviceError

RING_SECONDS = 2.0
"""How far the consumer may fall behind before audio is lost: longer than any pause of the event loop that is not a
defect, and no more memory than 200 KB."""

DEAF_SECONDS = 5.0
"""A device that gives nothing for so long gives nothing any more. Slow USB sticks take about two to start."""

WATCH_SECONDS = 1.0
"""How often the device is looked at: a stream that has stopped by itself is noticed within this time."""

FALLBACK_RATES = (48_000, 44_100, RATE)
"""What sound cards take, tried when the rate wanted is refused."""


class Microphone:
    """A sound card's input.

    The callback, which runs in PortAudio's thread, appends the block to a bounded ring and wakes the event loop;
    picking the channel and resampling happen on the loop, where a block costs some 30 microseconds.

    Raises:
        DeviceError: there is no such device, or it cannot be opened.
    """

    lossless: ClassVar[bool] = False

    def __init__(self, options: InputOptions) -> None:
        self.eager = True
        self._options = options
        self._position = 0
        self._woken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._failure: DeviceError | None = None
        self._watch: asyncio.TimerHandle | None = None
        self.overruns = 0
        """How often audio was lost, by the device or by a consumer that was too slow."""
        self._lock = threading.Lock()
        self._library: Any
        self._library, opened = portaudio.open_for(self, self._open)
        self._stream, self.rate, self._channels, self._converter = opened
        self._frame_bytes = 2 * self._channels
        frames = self._frames(self.rate)
        self._batch = max(BATCH // options.block, 1)
        """Blocks."""
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=max(int(RING_SECONDS * self.rate / frames), 4))

    def _frames(self, rate: int) -> int:
        """Frames per callback: those that give one block."""
        return round(self._options.block * rate / RATE)

    def _open(self, library: Any) -> tuple[Any, int, int, Converter]:
        known = devices.read_devices(library)
        device = devices.find(known, self._options.device, record=True)
        server = devices.by_server(device, known)
        self.name = device.name
        channel = self._options.channel
        if isinstance(channel, int):
            if channel >= device.inputs:
                raise DeviceError(
                    f"there is no channel {channel}: it has {device.inputs}, counted from 0",
                    place=f"microphone '{device.name}'",
                    remedy="choose one of them, or 'mix'",
                )
            channels = [channel + 1, device.inputs]
        else:
            channels = [1 if device.inputs > devices.CARD_CHANNELS else device.inputs, 2, 1]
        native = [RATE, device.rate] if server else [device.rate]
        wanted = [self._options.rate] if self._options.rate else []
        stream, rate, count = portaudio.open_stream(
            library,
            index=device.index,
            name=device.name,
            record=True,
            rates=[*wanted, *native, *FALLBACK_RATES],
            channels=channels,
            frames=self._frames,
            callback=self._callback,
        )
        return stream, rate, count, Converter(rate, count, channel)

    def _callback(self, data: bytes, frames: int, _time: dict[str, float], status: int) -> tuple[None, int]:
        # PortAudio's thread: hand the block over and nothing else. A full ring drops its oldest block; the positions
        # then show the gap.
        if status and self._position:
            # Input overflow. PortAudio does not say how much was lost; one block is what it is at least.
            self._position += frames
        self._ring.append((self._position, data))
        self._position += frames
        if not self._woken and (self.eager or len(self._ring) >= self._batch):
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop was closed before the microphone
                self._loop.call_soon_threadsafe(self._wake.set)  # type: ignore[union-attr]
        return (None, 0)  # paContinue

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        self._loop = asyncio.get_running_loop()
        if self._failure is not None:
            raise self._failure
        try:
            await portaudio.in_thread(self._start)
        except TimeoutError:
            self._fail("it does not start")
            raise self._failure from None  # type: ignore[misc]
        self._look(self._loop, seen=-1, deaf=0.0)
        reblock = Reblock(self._options.block)
        expected = 0
        at = 0
        while True:
            # In this order: what arrives after the flag was taken back sets the event again.
            self._wake.clear()
            self._woken = False
            while self._ring:
                position, data = self._ring.popleft()
                if position != expected:
                    self.overruns += 1
                    self._converter.reset()
                    at = max(at, round(position * RATE / self.rate))
                frames = np.frombuffer(data, np.int16)
                expected = position + len(data) // self._frame_bytes
                samples = self._converter.push(frames)
                audio = Audio(samples, RATE, at)
                at += len(samples)
                for block in reblock.push(audio):
                    yield block
            if self._failure is not None:
                raise self._failure
            if not self._ring:
                await self._wake.wait()

    def _start(self) -> None:
        try:
            with portaudio.quiet():
                self._stream.start_stream()
        except OSError as error:
            raise DeviceError(
                f"it cannot be started: {error.args[-1]}",
                place=f"microphone '{self.name}'",
                remedy="plug it in again; 'edgevoice doctor' says more",
            ) from error

    def _look(self, loop: asyncio.AbstractEventLoop, seen: int, deaf: float) -> None:
        """The watchdog: a device that was unplugged, or whose sound server died, ends its stream or falls silent."""
        if self._library is None:
            return
        position = self._position
        deaf = deaf + WATCH_SECONDS if position == seen else 0.0
        if not self._stream.is_active():
            self._fail("it has gone: unplugged, or its sound server ended")
        elif deaf >= DEAF_SECONDS:
            self._fail(f"it has given nothing for {DEAF_SECONDS:.0f} s")
        else:
            self._watch = loop.call_later(WATCH_SECONDS, self._look, loop, position, deaf)

    def _fail(self, cause: str) -> None:
        self._failure = DeviceError(
            cause, place=f"microphone '{self.name}'", remedy="plug it in again; 'edgevoice doctor' says more"
        )
        self._wake.set()

    def let_go(self, *, needed: bool) -> None:
        """See ``portaudio.Guest``: a microphone is always in use, and who reads it opens it anew."""
        if not needed or (library := self._take_library()) is None:
            return
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed before the microphone
                self._loop.call_soon_threadsafe(self._fail, "it was closed to look for devices that came or went")
        portaudio.end(self, library, self._stream)

    def _take_library(self) -> Any:
        """The library, for the one who ends it."""
        with self._lock:
            library, self._library = self._library, None
            return library

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        library = self._take_library()
        if library is None:
            return
        if self._failure is None:
            self._fail("it was closed while it was being read")
        await portaudio.close(self, library, self._stream)


def open_microphone(options: InputOptions) -> Microphone:
    """The microphone as a source; capture begins with ``blocks``.

    Raises:
        DeviceError: see ``Microphone``.
    """
    return Microphone(options)


async def reopen_microphone(options: InputOptions) -> Microphone:
    """The same in a thread: looking for devices anew can take a second.

    Raises:
        DeviceError: see ``Microphone``; or the sound system does not answer.
    """
    return await portaudio.open_in_thread(lambda: Microphone(options), lambda late: late.let_go(needed=True))
