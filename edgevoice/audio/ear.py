"""The ear: a source around a device, which notices that nothing is heard, reopens the device, and can be muted."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from edgevoice.audio.deafness import FOUND_SECONDS, Detectors, Finding
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.audio.source import AudioSource
from edgevoice.errors import AudioError, DeviceError
from edgevoice.events import DeafCause

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
"""How often it is looked whether frames have come. An event loop that stands still for seconds makes one tick late and
not many, so that it is not taken for a device that gives nothing."""

TICKS = round(FOUND_SECONDS / TICK_SECONDS)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.2
"""Seconds between two tries to open a device that is not there; each pause is twice the one before. With the slowest
opening, about one second, a device that comes back is heard within five."""

FIRST_RETRY, LONGEST_RETRY = 30.0, 600.0
"""Seconds between two reopenings of a device that gives frames without sound. The first one comes at once; what that
does not help is seldom helped by the second, and each costs some tenths of a second of audio."""

BROKEN: tuple[DeafCause, ...] = ("device", "no_frames")
"""Causes with which no frames come, unlike frames without sound."""

WELL_SECONDS = 60.0
"""After so long of good sound the next fault is a new one, and the pauses begin small again."""


class Ear:
    """A device that is opened again for ever, until it is closed.

    Capture positions go on over a gap: the first block after it starts where the time without sound, by the event
    loop's clock, has led. A source that is ``lossless`` passes through untouched: a recording is never deaf.

    Args:
        open_source: opens the device, found by its stable name; raises AudioError while that is not possible.
        first: the device when it is already open.
        muted: begin with the microphone closed.
        gated: the device gives digital silence when nobody speaks; that is then no deafness.
        inventory: something that changes when a device is plugged in or out: then the next try does not wait.
    """

    def __init__(
        self,
        open_source: Callable[[], Awaitable[AudioSource]],
        *,
        first: AudioSource | None = None,
        muted: bool = False,
        gated: bool = False,
        inventory: Callable[[], object] = lambda: None,
    ) -> None:
        self.on_deaf: Callable[[DeafCause, str], None] = lambda cause, why: log.warning("deaf (%s): %s", cause, why)
        """Called when nothing can be heard, with cause and remedy in words; the repair has begun then."""
        self.on_hearing: Callable[[str, int], None] = lambda device, lost: log.info(
            "hearing %s again; lost %.1f s", device, lost / RATE
        )
        """Called when sound comes again after that or after a mute, or for the first time where it began without a
        device, before its first block is given out: with the device's name and the samples of capture time that passed
        without sound."""
        self.position = 0
        """Capture index of the next block; in ``on_hearing`` that of the first one with sound."""
        self.reopened = 0
        """How often the device was opened after the first time."""
        self.was_closed = False
        """In ``on_hearing``: this is the first sound after the device was opened."""
        self._open = open_source
        self._source = first
        self._muted = muted
        self._gated = gated
        self._inventory = inventory
        self._lossless = first is not None and first.lossless
        self._eager = True
        self._closed = False
        self._lock = asyncio.Lock()
        """Opening and closing exclude each other."""
        self._nudge = asyncio.Event()
        """Something else is wanted than what is being waited for."""
        self._reading: asyncio.Timeout | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._ticks = 0
        self._last_at: float | None = None
        """The loop's time when the last block came."""
        self._gap = first is None
        """The next block is the first one after an interruption, or after a beginning without a device."""
        self._finding: Finding | None = None
        self._silent_from = 0
        """Where the sound ended that is missed now."""
        self._well_from = 0
        self._detectors = Detectors(gated=gated)
        self._pause = FIRST_PAUSE
        self._retry = FIRST_RETRY
        self._retry_at = 0
        self._seen = inventory()

    @property
    def lossless(self) -> bool:
        return self._lossless

    @property
    def eager(self) -> bool:
        return self._eager

    @eager.setter
    def eager(self, wanted: bool) -> None:
        self._eager = wanted
        if self._source is not None:
            self._source.eager = wanted

    @property
    def device(self) -> str:
        """The name of the device that is open, or of none."""
        return "" if self._source is None else _name(self._source)

    @property
    def muted(self) -> bool:
        return self._muted

    @property
    def deaf(self) -> Finding | None:
        """Why nothing can be heard now, apart from a mute."""
        return self._finding

    @property
    def hears(self) -> bool:
        """Sound comes, so no ``on_hearing`` is to be expected."""
        return self._finding is None and not self._gap

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        if self._lossless and self._source is not None:
            async with aclosing(self._source.blocks()) as recording:
                async for block in recording:
                    self.position = block.end
                    yield block
            return
        self._last_at = asyncio.get_running_loop().time()
        while not self._closed:
            if self._muted:
                await self._wait(None)
            elif (source := await self._take()) is None:
                await self._wait(self._next_pause())
            else:
                async with aclosing(self._listen(source)) as heard:
                    async for block in heard:
                        yield block
                if self._finding is not None and self._finding.cause in BROKEN:
                    await self._wait(self._next_pause())
        raise DeviceError("it was closed while it was being read", place="microphone")

    async def mute(self) -> None:
        """Close the device. What it had recorded and nobody has taken yet is dropped."""
        if self._muted:
            return
        self._muted = self._gap = True
        if self._finding is None:
            self._silent_from = self.position
        self._finding = None
        self._detectors = Detectors(gated=self._gated)
        self._interrupt()
        await self._give_back()

    def unmute(self) -> None:
        """Open the device again; ``on_hearing`` follows."""
        self._muted = False
        self._pause = FIRST_PAUSE
        self._nudge.set()

    async def close(self) -> None:
        self._closed = True
        self._interrupt()
        await self._give_back()

    # The device -----------------------------------------------------------------------------------------------

    async def _take(self) -> AudioSource | None:
        """The device, opened where it is not; None when that is not possible now."""
        async with self._lock:
            if self._source is None and not (self._muted or self._closed):
                try:
                    self._source = await self._open()
                except AudioError as error:
                    self._lose(Finding("device", str(error)))
                    self._gap = True
                else:
                    self.reopened += 1
                    self._source.eager = self._eager
            return self._source

    async def _give_back(self) -> None:
        async with self._lock:
            source, self._source = self._source, None
            if source is not None:
                await source.close()

    def _next_pause(self) -> float:
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause

    async def _wait(self, seconds: float | None) -> None:
        """Until something else is wanted, a device comes or goes, or the time is over."""
        self._seen = self._inventory()
        loop = asyncio.get_running_loop()
        until = None if seconds is None else loop.time() + seconds
        while not self._nudge.is_set():
            step = None if until is None else min(until - loop.time(), TICK_SECONDS)
            if step is not None and step <= 0:
                break
            try:
                async with asyncio.timeout(step):
                    await self._nudge.wait()
            except TimeoutError:
                if self._plugged():
                    self._pause = FIRST_PAUSE
                    break
        self._nudge.clear()

    def _plugged(self) -> bool:
        """Whether a device came or went since this was last asked."""
        before, self._seen = self._seen, self._inventory()
        return before != self._seen

    # Listening ------------------------------------------------------------------------------------------------

    async def _listen(self, source: AudioSource) -> AsyncGenerator[Audio, None]:
        """The blocks of one opening of the device; ends when it has to be opened anew, muted or closed."""
        loop = asyncio.get_running_loop()
        self._ticks = 0
        self._ticker = loop.call_later(TICK_SECONDS, self._tick)
        base: int | None = None
        try:
            async with aclosing(source.blocks()) as blocks:
                while (block := await self._next(source, blocks)) is not None:
                    if base is None:
                        base = self._begin(block, loop.time()) - block.start
                    self._last_at = loop.time()
                    block = Audio(block.samples, block.rate, base + block.start)
                    self.position = block.start
                    reopen = self._judge(source, block)
                    self.position = block.end
                    yield block
                    if reopen:
                        break
        finally:
            self._ticker.cancel()
        self._gap = True
        if self._source is source:
            await self._give_back()

    def _begin(self, block: Audio, now: float) -> int:
        """Where the first block of an opening starts."""
        if not self._gap or self._last_at is None:
            return self.position
        return max(self.position, self.position + round((now - self._last_at) * RATE) - len(block))

    async def _next(self, source: AudioSource, blocks: AsyncGenerator[Audio, None]) -> Audio | None:
        """The next block; None when the device is to be given back."""
        if self._muted or self._closed or self._source is not source:
            return None
        try:
            async with asyncio.timeout(None) as self._reading:
                block = await anext(blocks)
        except TimeoutError:
            if self._reading is None or not self._reading.expired():
                raise
            return None
        except StopAsyncIteration:
            self._lose(Finding("device", f"microphone '{_name(source)}': it has ended; it is opened again"))
            return None
        except AudioError as error:
            if self._source is source:  # and was not closed from here
                self._lose(Finding("device", str(error)))
            return None
        finally:
            self._reading = None
        self._ticks = 0
        return None if self._muted or self._closed else block

    def _tick(self) -> None:
        self._ticks = 0 if self._reading is None else self._ticks + 1
        if self._ticks >= TICKS:
            self._lose(
                Finding(
                    "no_frames",
                    f"the microphone has given nothing for {FOUND_SECONDS:g} s; it is opened again; plug it in anew "
                    "should that not help",
                )
            )
            self._stop_reading()
            return
        if self._finding is not None and self._plugged():
            self._retry_at = 0
        self._ticker = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _interrupt(self) -> None:
        """End what is being waited for."""
        self._nudge.set()
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(asyncio.get_running_loop().time())

    def _judge(self, source: AudioSource, block: Audio) -> bool:
        """Note what the block tells, and whether the device should be opened anew."""
        finding = self._detectors.push(block)
        if finding is None:
            if self._finding is not None or self._gap:
                self._hear(source, block)
            elif block.start - self._well_from >= WELL_SECONDS * RATE:
                self._pause, self._retry, self._retry_at = FIRST_PAUSE, FIRST_RETRY, 0
            return False
        self._lose(finding)
        self._gap = False
        if block.end < self._retry_at:
            return False
        self._retry_at = block.end + round(self._retry * RATE)
        self._retry = min(2 * self._retry, LONGEST_RETRY)
        return True

    def _lose(self, finding: Finding) -> None:
        known, self._finding = self._finding, finding
        if known is not None and known.cause == finding.cause:
            log.debug("still deaf (%s): %s", finding.cause, finding.why)
            return
        if known is None and not self._gap:
            # What the samples told began before it was certain.
            began = 0.0 if finding.cause in BROKEN else FOUND_SECONDS
            self._silent_from = max(self.position - round(began * RATE), 0)
        self._seen = self._inventory()
        self.on_deaf(finding.cause, finding.why)

    def _hear(self, source: AudioSource, block: Audio) -> None:
        self._finding = None
        self.was_closed, self._gap = self._gap, False
        self._well_from = block.start
        self.on_hearing(_name(source), block.start - self._silent_from)


def _name(source: AudioSource) -> str:
    return str(getattr(source, "name", "microphone"))
