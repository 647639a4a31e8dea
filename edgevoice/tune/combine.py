"""One point out of the parts that were measured apart, and what can be said of it before everything is measured.

Parts load one after the other, and run at different times in a turn, so their costs add up: memory of all, and for the
latency every recording with every reply. Bounds are exact for the recordings at hand: they say "impossible" only when
no outcome of what is still to be measured could keep the budget. That of memory alone leaves room, ``OVER``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from edgevoice.tune.budgets import Budgets
from edgevoice.tune.points import PERCENT, Point, percentile
from edgevoice.tune.state import Record
from edgevoice.tune.trial import Outcome

OVER = 0.1
"""How much of a memory budget the sum of parts may be above it without the budget being impossible: what one part has
freed serves the next, so that the sum was 2 to 6 % above the whole (hibari and tiny.en, x86-64, 2026-11-23)."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is to be measured."""

    recordings: int
    commands: int
    """Recordings of which intent and slots are known."""
    words: int
    """Of all texts of recordings together."""
    sentences: int
    """That are spoken."""


@dataclass(frozen=True)
class Combination:
    """A whole assistant, as three records of its parts."""

    hear: Record
    speak: Record
    idle: Record

    @property
    def label(self) -> str:
        return f"{self.hear.trial.label} + {self.speak.trial.label}"

    def point(self) -> Point:
        """From what was measured so far."""
        heard = list(self.hear.outcomes.values())
        spoken = [outcome.latency_ms or 0.0 for outcome in self.speak.outcomes.values()]
        latencies = [
            outcome.latency_ms + first for outcome in heard if outcome.latency_ms is not None for first in spoken
        ]
        return _point(heard, latencies, self._memory(), _idle(self.idle.outcomes.values()))

    def _memory(self) -> float:
        """The peak: while one of them loads, those before it are there, as far as they stay; or while one works."""
        parts = [(part, part.loaded) for part in (self.idle, self.hear, self.speak) if part.loaded is not None]
        there = max((loaded.bare_mb for _, loaded in parts), default=0.0)
        peak = there
        for _, loaded in parts:
            peak = max(peak, there + loaded.peak_mb - loaded.bare_mb)
            there += loaded.loaded_mb - loaded.bare_mb
        # A peak of work is only seen where it is above that of loading.
        grown = [part.peak_mb - loaded.loaded_mb for part, loaded in parts if part.peak_mb > loaded.peak_mb]
        return max(peak, there + max(grown, default=0.0))

    def impossible(self, budgets: Budgets, inputs: Inputs) -> str:
        """Which field of ``Budgets`` cannot be kept any more, whatever else is measured; empty when all may be."""
        heard = self.hear.outcomes.values()
        if budgets.memory_mb is not None and self._memory() > (1 + OVER) * budgets.memory_mb:
            return "memory_mb"
        if budgets.accuracy is not None and inputs.commands:
            wrong = sum(outcome.right is False for outcome in heard)
            if (inputs.commands - wrong) / inputs.commands < budgets.accuracy:
                return "accuracy"
        if (
            budgets.wer is not None
            and inputs.words
            and sum(outcome.errors for outcome in heard) / inputs.words > budgets.wer
        ):
            return "wer"
        if budgets.latency_ms is not None:
            late = sum(
                outcome.latency_ms + (first.latency_ms or 0.0) > budgets.latency_ms
                for outcome in heard
                if outcome.latency_ms is not None
                for first in self.speak.outcomes.values()
            )
            # Those that were not heard at all have no latency, which can only make the share of the late ones larger.
            if 100 * late > (100 - PERCENT) * inputs.recordings * len(self.speak.outcomes):
                return "latency_ms"
        return ""


def whole(record: Record, inputs: Inputs) -> Point:
    """The point of a trial of the part ``whole``, with its inputs numbered through."""
    by_input = record.outcomes
    heard = [by_input[at] for at in range(inputs.recordings)]
    spoken = [by_input[inputs.recordings + at].latency_ms or 0.0 for at in range(inputs.sentences)]
    latencies = [outcome.latency_ms + first for outcome in heard if outcome.latency_ms is not None for first in spoken]
    return _point(heard, latencies, record.peak_mb, _idle(by_input.values()))


def _idle(outcomes: object) -> float:
    found = [outcome.cpu_percent for outcome in outcomes if outcome.cpu_percent is not None]  # type: ignore[attr-defined]
    return max(found, default=0.0)


def _point(heard: Sequence[Outcome], latencies: Sequence[float], memory: float, cpu: float) -> Point:
    commands = [outcome.right for outcome in heard if outcome.right is not None]
    words = sum(outcome.words for outcome in heard)
    return Point(
        latency_ms=percentile(latencies),
        memory_mb=memory,
        cpu_percent=cpu,
        accuracy=sum(commands) / len(commands) if commands else None,
        wer=sum(outcome.errors for outcome in heard) / words if words else None,
        commands=len(commands),
        words=words,
    )
