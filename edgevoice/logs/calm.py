"""A log that a storm does not flood: what comes again and again is counted and told from time to time."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from edgevoice.events import Event, Overrun

PERIOD = 10.0
"""Seconds in which one line tells of all audio lost in one place."""
BURST = 5
"""Equal warnings that are written before the others are counted."""
MINUTE = 60.0
"""Seconds for which they are counted."""
_KINDS = 200
"""Kinds of warnings that are told apart; more are not counted, and forgotten."""


class Calm:
    """Passes events on, and joins the overruns of one place that come within ``PERIOD`` into one.

    Args:
        clock: seconds of a clock that never jumps.
    """

    def __init__(self, emit: Callable[[Event], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._emit = emit
        self._clock = clock
        self._until: dict[str, float] = {}
        self._joined: dict[str, Overrun] = {}

    def __call__(self, event: Event) -> None:
        now = self._clock()
        for where in [where for where, until in self._until.items() if until <= now]:
            del self._until[where]
            if (joined := self._joined.pop(where, None)) is not None:
                self._until[where] = now + PERIOD
                self._emit(joined)
        if not isinstance(event, Overrun):
            self._emit(event)
        elif event.where in self._until:
            known = self._joined.get(event.where)
            self._joined[event.where] = event if known is None else replace(event, lost=known.lost + event.lost)
        else:
            self._until[event.where] = now + PERIOD
            self._emit(event)


@dataclass(slots=True)
class _Count:
    since: float
    seen: int = 0


class FloodFilter(logging.Filter):
    """Lets ``BURST`` records of one kind (logger, text without its values) a minute through. The first one of the next
    minute says how many were left out.

    Args:
        exempt: a logger whose records all pass.
        clock: seconds of a clock that never jumps.
    """

    def __init__(self, exempt: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._exempt = exempt
        self._clock = clock
        self._counts: dict[tuple[str, str], _Count] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == self._exempt:
            return True
        now, kind = self._clock(), (record.name, str(record.msg))
        count = self._counts.get(kind)
        if count is None or now - count.since >= MINUTE:
            if count is not None and count.seen > BURST:
                record.msg = f"{record.getMessage()} (and {count.seen - BURST} more like it, left out)"
                record.args = None
            if len(self._counts) >= _KINDS:
                self._counts.clear()
            count = self._counts[kind] = _Count(now)
        count.seen += 1
        return count.seen <= BURST
