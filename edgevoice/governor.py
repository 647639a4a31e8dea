"""Stepping down when the machine cannot keep up or slows itself down, and up again with hysteresis.

Detection of the wake word runs the same at every level: it is what must never suffer.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final

import msgspec

from edgevoice import events
from edgevoice.events import Event
from edgevoice.health.status import Machine
from edgevoice.observe import Step

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
"""Between looks. Boards throttle for tens of seconds, and a step is taken between turns, which last as long."""
SIGNS: Final = 2
"""Signs of overload until it steps down: one alone may be a page that was read from an SD card."""
SIGN_SECONDS: Final = 300.0
"""So long a sign counts: two commands in five minutes that were answered late are no accident."""
CALM_SECONDS: Final = 60.0
"""Without a sign, until it steps up. A heat sink takes about so long to cool down by itself."""
MOST_CALM_SECONDS: Final = 960.0
"""It steps up after twice the time whenever the last step up was in vain, but after no more than this: who is always
too slow gives two late answers in a quarter of an hour."""
EASY: Final = 0.5
"""Part of ``slow`` in which recognition must be ready for a step up to be worth trying: at full service it takes up to
twice as long (docs/reliability.md)."""


HASTE: Final = 1
"""Level from which recognition saves work."""
LIGHTER_MODEL: Final = 2
"""Level from which a smaller model is used."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    step_down: Annotated[
        bool,
        msgspec.Meta(description="Do less while the machine is overloaded or slows itself down."),
    ] = True
    slow: Annotated[
        float,
        msgspec.Meta(
            ge=0.1,
            le=30.0,
            description="Seconds behind the end of speech, when that was certain, after which a recognised command "
            "counts as late.",
        ),
    ] = 0.5
    model: Annotated[
        str | None,
        msgspec.Meta(
            description="A smaller model for the same recogniser, used when the first step down was not enough; a name "
            "or a path. null: there is no second step."
        ),
    ] = None


class Governor:
    """Decides the level, from what it is told.

    Args:
        options: tells the configuration in force.
        step_to: puts a level in force at the next moment without a turn.
        read_machine: reads the board.
        clock: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        options: Callable[[], Options],
        step_to: Callable[[int, str], Awaitable[None]],
        read_machine: Callable[[], Machine],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._step_to = step_to
        self._read_machine = read_machine
        self._clock = clock
        self._level = 0
        self._signs: deque[tuple[float, str]] = deque(maxlen=SIGNS)
        self._hot = False
        """The board was throttled at the last look as well."""
        self._calm = CALM_SECONDS
        self._disturbed = clock()
        """When something last spoke against a step up."""
        self._stepped_up: float | None = None

    def observe(self, event: Event, steps: Sequence[Step]) -> None:
        """Something has happened.

        Args:
            steps: those that the event ends.
        """
        slow = self._options().slow
        for step in steps:
            if step.name == "recognition":
                if step.seconds > slow:
                    self._sign(f"a command was recognised {step.seconds:.1f} s late")
                elif step.seconds > slow * EASY:
                    self._disturbed = self._clock()
        if isinstance(event, events.Overrun):
            self._sign(f"sound was lost ({event.where})")

    def _sign(self, what: str) -> None:
        self._disturbed = self._clock()
        self._signs.append((self._disturbed, what))

    async def run(self) -> None:
        """Look after the level, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Step down or up, if there is a reason; by one level at a time."""
        options, now = self._options(), self._clock()
        lowest = (HASTE if options.model is None else LIGHTER_MODEL) if options.step_down else 0
        if self._level > lowest:  # after a reload
            await self._step(lowest, "the configuration has changed")
            return
        machine = self._read_machine()
        hot = bool(machine.throttled)
        if hot:
            self._disturbed = now
        why = self._why(machine, now)
        self._hot = hot
        if why and self._level < lowest:
            if self._stepped_up is not None and now - self._stepped_up < self._calm + SIGN_SECONDS:
                self._calm = min(2 * self._calm, MOST_CALM_SECONDS)
            self._signs.clear()
            self._hot = False  # a second step wants two looks of its own
            await self._step(self._level + 1, f"{why}; {_without(self._level + 1)}")
        elif self._level and now - self._disturbed >= self._calm:
            self._disturbed = self._stepped_up = now
            self._signs.clear()
            without = f"; still {_without(self._level - 1)}" if self._level > 1 else ""
            await self._step(self._level - 1, f"nothing was late for {self._calm:.0f} s{without}")
        elif not self._level and self._stepped_up is not None and now - self._stepped_up > self._calm + SIGN_SECONDS:
            self._calm, self._stepped_up = CALM_SECONDS, None  # the step up has proven itself

    def _why(self, machine: Machine, now: float) -> str:
        """The reason to step down; empty without one."""
        if machine.throttled and self._hot:
            heat = "" if machine.temperature_c is None else f", {machine.temperature_c:.0f} °C"
            return f"the board slows itself down ({', '.join(machine.throttled)}{heat})"
        if len(self._signs) == SIGNS and now - self._signs[0][0] <= SIGN_SECONDS:
            return " and ".join(what for _, what in self._signs)
        return ""

    async def _step(self, level: int, why: str) -> None:
        self._level = level
        await self._step_to(level, why)


def _without(level: int) -> str:
    return ("", "with fewer looks and beams", "with a smaller model")[level]
