"""The hub: one audio source fanned out to its listeners, with pre-roll, and the clock of everything.

Capture time is the number of samples that went through the hub. A device makes it pass by itself. A recording has no
clock of its own, so time is made to pass only while everybody waits for audio: every participant (the wake loop, a
turn) holds the clock from its first to its last moment and lets go of it only inside ``Tap`` iteration and
``wait_until``. So a recording gives the same events at any speed, and what takes time to compute takes none of it.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable

from edgevoice.audio.pcm import RATE, Audio, concatenate
from edgevoice.audio.source import AudioSource
from edgevoice.errors import AudioError

TURN = RATE // 10
"""Samples of a device that always has more at hand, as listening is behind, after which others get their turn.
Otherwise nobody would take the audio before it is lost."""


class Tap:
    """One listener's view of the stream: an async iterator over everything that has come since it was last asked, in
    one piece where there is no gap, until the source ends."""

    def __init__(
        self,
        hub: "Hub",
        backlog: list[Audio],
        *,
        name: str,
        capacity: int,
        on_drop: Callable[[Audio], None] | None,
        eager: bool,
    ) -> None:
        self.name = name
        self._eager = eager
        self._hub = hub
        self._items: deque[Audio] = deque(backlog)
        self._samples = sum(len(audio) for audio in backlog)
        self._capacity = capacity
        self._on_drop = on_drop
        self._waiter: asyncio.Future[None] | None = None
        self._error = None if on_drop is not None else hub.broken
        self.taken = hub.position
        """Capture index up to which the reader has taken the audio."""
        self.closed = False

    def _publish(self, audio: Audio) -> None:
        self._items.append(audio)
        self._samples += len(audio)
        while self._samples > self._capacity and not self._hub.lossless:
            if self._on_drop is None:
                self._error = AudioError(
                    f"more than {self._capacity / RATE:.0f} s of audio wait for recognition",
                    place="speech recognition",
                    remedy="this machine is too slow for the model; choose a smaller one or switch partials off",
                )
                break
            dropped = self._items.popleft()
            self._samples -= len(dropped)
            self._on_drop(dropped)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._hub.hold()  # on behalf of the task that will run now
            self._waiter.set_result(None)

    def __aiter__(self) -> "Tap":
        return self

    async def __anext__(self) -> Audio:
        while not self._items and not self.closed and self._error is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._hub.let_go(self._waiter)
            self._waiter = None
        if self._error is not None:
            raise self._error
        if not self._items:
            raise StopAsyncIteration
        pieces = [self._items.popleft()]
        while self._items and self._items[0].start == pieces[-1].end:
            pieces.append(self._items.popleft())
        audio = concatenate(pieces)
        self._samples -= len(audio)
        self.taken = audio.end
        return audio

    def _fail(self, error: AudioError) -> None:
        if self._on_drop is None:
            self._error = error
            self._wake()

    def _forget(self) -> None:
        self._items.clear()
        self._samples = 0

    @property
    def eager(self) -> bool:
        """Whether every block is wanted as soon as it is there; may be changed (see ``AudioSource.eager``)."""
        return self._eager

    @eager.setter
    def eager(self, wanted: bool) -> None:
        self._eager = wanted
        self._hub._set_eager()

    @property
    def waiting(self) -> float:
        """Seconds of audio that nobody has taken yet."""
        return self._samples / RATE

    def close(self) -> None:
        """Take no more audio. What waits in it can still be read."""
        self.closed = True
        self._hub._remove(self)
        self._wake()

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Hub:
    """Fans out a source.

    Args:
        preroll: samples to remember, so that a tap can begin in the past.
        on_gap: called with (samples lost, position) when the source itself lost audio.
    """

    def __init__(self, source: AudioSource, *, preroll: int, on_gap: Callable[[int, int], None]) -> None:
        self._source = source
        self._preroll: deque[Audio] = deque()
        self._preroll_size = preroll
        self._on_gap = on_gap
        self._taps: set[Tap] = set()
        self._sleepers: dict[asyncio.Future[None], int] = {}
        self._holds = 0
        self._free = asyncio.Event()
        self._free.set()
        self.position = 0
        """Capture index of the next sample to come."""
        self.ended = False
        self.on_audio: Callable[[Audio], None] | None = None
        """Called with every piece of audio; must take next to no time."""
        self.clean: Callable[[Audio], Audio] = lambda audio: audio
        """What is published of every piece that comes; it may hold back the end of one until the next."""
        self.broken: AudioError | None = None
        """Why no sound comes for now; see ``break_off``."""

    @property
    def lossless(self) -> bool:
        """The source is a recording or a pipe: nothing may be dropped, and the listeners set the pace."""
        return self._source.lossless

    async def run(self) -> None:
        """Pump the source until it ends.

        Raises:
            AudioError: the source failed.
        """
        since = 0
        try:
            async for audio in self._source.blocks():
                since += len(audio)
                if self.lossless:
                    await self._free.wait()
                elif since >= TURN:
                    since = 0
                    await asyncio.sleep(0)
                audio = self.clean(audio)
                if audio.start > self.position:
                    self._on_gap(audio.start - self.position, audio.start)
                if len(audio):
                    self._publish(audio)
        finally:
            self.ended = True
            for tap in list(self._taps):
                tap.close()
            self._wake_sleepers()

    def _publish(self, audio: Audio) -> None:
        self.position = audio.end
        self._preroll.append(audio)
        while audio.end - self._preroll[0].end >= self._preroll_size:
            self._preroll.popleft()
        if self.on_audio is not None:
            self.on_audio(audio)
        for tap in list(self._taps):
            tap._publish(audio)
        self._wake_sleepers()

    def break_off(self, error: AudioError) -> None:
        """No sound comes for now. Who cannot bear a gap (a tap without ``on_drop``) gets the error instead of waiting,
        until ``mend``; the others wait."""
        self.broken = error
        for tap in self._taps:
            tap._fail(error)

    def mend(self) -> None:
        """Sound comes again, for the taps that are opened from now on."""
        self.broken = None

    def forget(self) -> None:
        """Drop all audio that is remembered, and what waits in the taps."""
        self._preroll.clear()
        for tap in self._taps:
            tap._forget()

    def _wake_sleepers(self) -> None:
        for sleeper, position in list(self._sleepers.items()):
            if (self.ended or position <= self.position) and not sleeper.done():
                self.hold()
                sleeper.set_result(None)

    def tap(
        self,
        *,
        name: str = "turn",
        start: int | None = None,
        capacity: float = 30.0,
        on_drop: Callable[[Audio], None] | None = None,
        eager: bool = True,
    ) -> Tap:
        """Listen from capture index ``start`` (as far back as the pre-roll reaches), or from now.

        Args:
            name: who listens, for those who look how much audio waits.
            capacity: seconds of audio that may wait. When more do, the oldest go to ``on_drop``; without it, reading
                raises AudioError. A lossless source never gets so far ahead.
            eager: see ``Tap.eager``.
        """
        backlog = []
        if start is not None:
            backlog = self.past(start)
        tap = Tap(self, backlog, name=name, capacity=int(capacity * RATE), on_drop=on_drop, eager=eager)
        if self.ended:
            tap.closed = True
        else:
            self._taps.add(tap)
            self._set_eager()
        return tap

    def waiting(self) -> dict[str, float]:
        """Who listens, and how many seconds of audio wait for it."""
        return {tap.name: tap.waiting for tap in self._taps}

    def past(self, start: int) -> list[Audio]:
        """What is remembered from capture index ``start`` on."""
        return [part for audio in self._preroll if len(part := audio.since(start))]

    def _remove(self, tap: Tap) -> None:
        self._taps.discard(tap)
        self._set_eager()

    def _set_eager(self) -> None:
        self._source.eager = any(tap.eager for tap in self._taps)

    def hold(self) -> None:
        """Become a participant: the clock of a recording stands still while anybody holds it."""
        self._holds += 1
        self._free.clear()

    def release(self) -> None:
        """Stop being a participant."""
        self._holds -= 1
        if self._holds == 0:
            self._free.set()

    async def let_go(self, awaited: asyncio.Future[None]) -> None:
        """Await something that the pump will resolve (and hold for), without holding the clock meanwhile."""
        self.release()
        try:
            await awaited
        finally:
            if not awaited.done() or awaited.cancelled():  # cancelled: nobody has held on our behalf
                self.hold()

    async def wait_until(self, position: int) -> None:
        """Let capture time pass up to ``position``, or to the end of the source."""
        if self.ended or position <= self.position:
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers[sleeper] = position
        try:
            await self.let_go(sleeper)
        finally:
            del self._sleepers[sleeper]


def samples(seconds: float) -> int:
    """Seconds as a number of samples at 16 kHz, at least one for any time at all."""
    return math.ceil(seconds * RATE)
