"""The speaker as a sink."""

import asyncio
import contextlib
import logging
import threading
import time
from typing import Any, ClassVar

import numpy as np

from edgevoice.audio import devices, portaudio
from edgevoice.audio.convert import Converter
from edgevoice.audio.microphone import DEAF_SECONDS, FALLBACK_RATES, WATCH_SECONDS
from edgevoice.audio.pcm import Audio, Int16
from edgevoice.audio.played import Played
from edgevoice.audio.source import OutputOptions
from edgevoice.errors import DeviceError

log = logging.getLogger(__name__)

QUEUE_SECONDS = 0.3
"""How much may be queued: enough to bridge a pause of the synthesizer's thread, little enough to need no memory."""

PIECE_SECONDS = 0.1
"""How much is queued at a time, so that a long clause does not stand in the queue whole."""

BLOCK_SECONDS = 0.01
"""The device's block. Short, because a flush is heard one block later."""

IDLE_SECONDS = 2.0
"""After so long with nothing to play the stream is stopped and costs nothing; starting it again takes some 10 ms,
which the pauses between clauses need not pay."""

LET_SPEAK_SECONDS = 2.0
"""How long a microphone that came back may have to wait for the end of a reply before it cuts that off: most are at
their end by then, and the user is to be heard again within five seconds."""

CONTINUE, COMPLETE = 0, 1
"""PortAudio's paContinue and paComplete."""


class Speaker:
    """A sound card's output.

    The callback, which runs in PortAudio's thread, takes its frames from the front of a bounded queue. A device that
    goes fails what is being played; the next ``play`` opens it again.

    Args:
        patient: a device that is not there now is no error; it is opened when there is something to play.

    Raises:
        DeviceError: there is no such device, or it cannot be opened.
    """

    lossless: ClassVar[bool] = False

    def __init__(self, options: OutputOptions, *, patient: bool = False) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._closed = False
        self._queue = bytearray()
        self._running = False
        self._idle = 0
        self._calls = 0
        self._heard_at = 0.0
        self._generation = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._progress = asyncio.Event()
        self._wanted: int | None = None
        self._converter: Converter | None = None
        self.volume = options.volume
        self.name = options.device
        self.rate = 0
        self._channels = self._frame_bytes = 0
        self._library: Any = None
        self._stream: Any = None
        self._fresh = False
        """The stream was opened just now, for what is to be played."""
        self._begins = True
        """The stream was started just now."""
        self.played: Played | None = None
        """Who wants to know what the device is given."""
        try:
            self._open()
            self._fresh = False
        except DeviceError as error:
            if not patient:
                raise
            log.warning("%s; it is tried again at the next reply", error)

    def _open(self) -> None:
        """Open the device, and afterwards it does not run."""
        self._library, opened = portaudio.open_for(self, self._choose)
        self._stream, self.rate, self._channels = opened
        self._fresh = True
        self._frame_bytes = 2 * self._channels

    def _choose(self, library: Any) -> tuple[Any, int, int]:
        device = devices.find(devices.read_devices(library), self._options.device, record=False)
        self.name = device.name
        wanted = [self._options.rate] if self._options.rate else []
        return portaudio.open_stream(
            library,
            index=device.index,
            name=device.name,
            record=False,
            rates=[*wanted, device.rate, *FALLBACK_RATES],
            channels=[min(device.outputs, 2), 2, 1, device.outputs],
            frames=lambda rate: round(rate * BLOCK_SECONDS),
            callback=self._callback,
        )

    def _callback(self, _data: None, frames: int, clock: dict[str, float], _status: int) -> tuple[bytes, int]:
        size = frames * self._frame_bytes
        with self._lock:
            data = bytes(memoryview(self._queue)[:size])
            del self._queue[:size]
            left = len(self._queue)
            self._calls += 1
            if data:
                self._idle = 0
                now = time.monotonic()
                ahead = max(clock["output_buffer_dac_time"] - clock["current_time"], 0.0)
                # The device fills its own buffer in a burst at first; it is heard at the pace of the clock.
                self._heard_at = max(now + ahead, self._heard_at) + len(data) / self._frame_bytes / self.rate
            else:
                self._idle += frames
            done = self._idle >= IDLE_SECONDS * self.rate
            if done:
                self._running = False
            wake = self._wanted is not None and left <= self._wanted
            if wake:
                self._wanted = None
            first, self._begins = self._begins, False
        if self.played is not None:
            self.played.add(data, frames, self._channels, self.rate, first=first)
        if wake:
            with contextlib.suppress(RuntimeError):  # the loop was closed before the speaker
                self._loop.call_soon_threadsafe(self._progress.set)  # type: ignore[union-attr]
        return data.ljust(size, b"\0"), COMPLETE if done else CONTINUE

    async def play(self, audio: Audio) -> None:
        generation = self._generation
        self._check()
        if self._stream is None:
            await portaudio.open_in_thread(self._reopen)
        if self._converter is None or self._converter.rate != audio.rate:
            await self._put(self._rest(), generation)
            if generation != self._generation:
                return
            self._converter = Converter(audio.rate, target=self.rate)
        step = round(PIECE_SECONDS * audio.rate)
        for at in range(0, len(audio), step):
            if generation != self._generation:
                return
            await self._put(self._converter.push(audio.samples[at : at + step]), generation)

    def _rest(self) -> Int16:
        """What the resampler still holds."""
        converter, self._converter = self._converter, None
        return np.zeros(0, np.int16) if converter is None else converter.finish()

    async def _put(self, samples: Int16, generation: int) -> None:
        """Queue mono samples of the device's rate as soon as there is room."""
        if not len(samples):
            return
        if self.volume < 100:
            # Loudness goes with the cube of what the knob says, as in PulseAudio and alsamixer.
            samples = np.rint(samples * np.float32((self.volume / 100) ** 3)).astype(np.int16)
        data = np.repeat(samples, self._channels).tobytes()
        if self._queue and self._running and not self._active():
            await self._lose()
            raise self._gone()
        await self._until(round(QUEUE_SECONDS * self.rate) * self._frame_bytes)
        with self._lock:
            if generation != self._generation:
                return
            self._queue += data
        if self._running and self._active():
            return
        try:
            await portaudio.open_in_thread(self._start)
        except DeviceError:
            with self._lock:
                self._queue.clear()
            raise

    def _check(self) -> None:
        if self._closed:
            raise DeviceError("it is already closed", place=f"speaker '{self.name}'")

    def _reopen(self) -> None:
        with portaudio.opening:
            if self._stream is None and not self._closed:
                self._open()
                self._converter = None

    def _start(self) -> None:
        """Have the stream run. One that was not opened just now is opened anew, for its sound server may have died:
        then PortAudio never returns from stopping it, which starting it again takes, nor from starting it."""
        with portaudio.opening:
            self._check()
            if not self._fresh:
                before = self.rate, self._channels
                self._release()
                self._open()
                if before != (self.rate, self._channels):  # what waits was made for the device as it was
                    raise self._gone()
            self._idle = 0
            self._running, self._fresh, self._begins = True, False, True
            try:
                with portaudio.quiet():
                    self._stream.start_stream()
            except OSError as error:
                self._release()
                raise self._gone() from error

    def _release(self) -> None:
        """Close the stream."""
        with portaudio.opening:
            library, self._library = self._library, None
            stream, self._stream = self._stream, None
            self._running = self._fresh = False
            if library is not None:
                portaudio.end(self, library, stream)

    def let_go(self, *, needed: bool) -> None:
        """See ``portaudio.Guest``."""
        until = time.monotonic() + LET_SPEAK_SECONDS
        while needed and self._running and self._queue and time.monotonic() < until:
            time.sleep(PIECE_SECONDS)
        if needed or not self._running:
            self._release()

    async def _until(self, size: int) -> None:
        """Wait until no more than ``size`` bytes are queued."""
        self._check()
        self._loop = asyncio.get_running_loop()
        calls, stuck = self._calls, 0.0
        while True:
            with self._lock:
                if len(self._queue) <= size:
                    return
                if not self._running:
                    self._queue.clear()
                    raise self._gone()
                self._progress.clear()
                self._wanted = size
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._progress.wait()
            except TimeoutError:
                stuck = stuck + WATCH_SECONDS if calls == self._calls else 0.0
                calls = self._calls
                if stuck >= DEAF_SECONDS or not self._active():
                    await self._lose()
                    raise self._gone() from None

    def _active(self) -> bool:
        """Whether the stream has not ended by itself."""
        stream = self._stream
        try:
            return stream is not None and stream.is_active()
        except OSError:  # it was closed meanwhile
            return False

    async def _lose(self) -> None:
        """Close the stream that has gone; the next reply opens it again."""
        with self._lock:
            self._queue.clear()
        self._converter = None
        with contextlib.suppress(TimeoutError):  # the sound server hangs; should it go on, the thread does the rest
            await portaudio.in_thread(self._release)

    def _gone(self) -> DeviceError:
        return DeviceError(
            "it has gone: unplugged, or its sound server ended",
            place=f"speaker '{self.name}'",
            remedy="plug it in again; 'edgevoice doctor' says more",
        )

    async def drain(self) -> None:
        generation = self._generation
        await self._put(self._rest(), generation)
        await self._until(0)
        if generation == self._generation:
            # The device still has to play what it was handed.
            await asyncio.sleep(max(self._heard_at - time.monotonic(), 0))

    def flush(self) -> None:
        with self._lock:
            self._generation += 1
            self._queue.clear()
            self._wanted = None
        self._converter = None
        self._progress.set()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.flush()
        if self._stream is not None:
            await self._lose()


def open_speaker(options: OutputOptions, *, patient: bool = False) -> Speaker:
    """The speaker as a sink; its stream runs only while there is something to play.

    Raises:
        DeviceError: see ``Speaker``.
    """
    return Speaker(options, patient=patient)
