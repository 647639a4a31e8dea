"""When systemd is told that the assistant is alive. The rule, with its reasons, is in docs/reliability.md."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from edgevoice.health.model import HANG_SECONDS, Health
from edgevoice.health.notify import Notifier

log = logging.getLogger(__name__)

START_SECONDS = 30.0
"""So much longer a start may take from each sign of life while there is no microphone to hear with."""

SIGNS = 3
"""Signs of life in the time within which systemd expects one: two may be late before it acts."""


class Watchdog:
    """Turns progress into signs of life.

    Args:
        probe: a round trip through the thread of wake word detection; must hang when that does.
        clock: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        notifier: Notifier,
        health: Health,
        probe: Callable[[], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notifier = notifier
        self._health = health
        self._probe = probe
        self._clock = clock
        self._interval = (notifier.watchdog or START_SECONDS) / SIGNS
        self._fed = -self._interval
        self._ready = False
        self._told: tuple[str, ...] = ()

    def processed(self, samples: int) -> None:
        """Wake word detection has processed so many samples."""
        self._health.frames(samples)
        self._be_ready()
        self._feed()

    def tell(self) -> None:
        """Something has happened: say what the state is now."""
        self._notifier.status(sentence(self._health))

    async def run(self) -> None:
        """Look for life where no audio comes; for ever."""
        while True:
            await asyncio.sleep(self._interval)
            await self.look()

    async def look(self) -> None:
        """One round trip, where it counts: without a microphone, or while nothing is heard and that is being repaired.

        Never returns when a thread hangs, and then nothing is fed any more.
        """
        health = self._health
        deaf = health.deaf is not None and health.deaf.cause != "stalled"
        if health.muted or deaf:
            await self._probe()
            if health.muted:
                self._be_ready()
            elif not self._ready and not self._hangs():
                self._notifier.starting(START_SECONDS)
            self._feed()

    def reloading(self) -> None:
        """A reload begins. Before the service is ready, nothing is said: the end of a reload would pass for that."""
        if self._ready:
            self._notifier.reloading()

    def reloaded(self) -> None:
        if self._ready:
            self._notifier.ready()

    def stopping(self) -> None:
        """The end has begun; to be said once."""
        if self._health.stopping:
            return
        self._health.stopping = True
        self._notifier.stopping()
        self._notifier.status(sentence(self._health))

    def _be_ready(self) -> None:
        if not self._ready:
            self._ready = True
            self._notifier.ready()
            self._notifier.status(sentence(self._health))

    def _feed(self) -> None:
        now = self._clock()
        if self._notifier.watchdog is None or now - self._fed < self._interval or self._hangs():
            return
        self._fed = now
        self._notifier.alive()

    def _hangs(self) -> bool:
        hung = self._health.hung()
        if hung != self._told:
            self._told = hung
            if hung:
                log.error(
                    "%s: its step has not ended for %g s and holds up everything behind it; "
                    "the watchdog is no longer fed, so that a service manager starts edgevoice anew",
                    " and ".join(hung),
                    HANG_SECONDS,
                )
            self._notifier.status(sentence(self._health))
        return bool(hung)


def sentence(health: Health) -> str:
    """The state in one line, without a word of what was said: every user of the machine may read it."""
    words = health.state if not health.cause else f"{health.state}: {health.cause}"
    if hung := health.hung():
        words = f"{' and '.join(hung)} hangs; {words}"
    if (last := health.last_turn()) is not None:
        outcome, steps = last
        after = f" after {steps['answer']:.2f} s" if "answer" in steps else ""
        words += f". Last turn: {outcome.replace('_', ' ')}{after}"
    return words[:1].upper() + words[1:]
