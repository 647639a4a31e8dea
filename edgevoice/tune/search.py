"""The search for the best assistant within budgets.

What is waited with, what speaks and what hears are measured apart, as their costs add up (``combine``): so there are as
many measurements as the sum of the alternatives, not their product. Most alternatives are of hearing. They race:
all on a few recordings, the best third on three times as many (successive halving, Jamieson and Talwalkar, 2016, with a
third), until the last have heard everything. A trial stops at the recording, or at the memory after loading, from
which a budget cannot be kept any more; and those are left out that a measured one shows to be no better: with more
beams than one that is too slow, with fewer than one that is wrong too often.

Nothing is refused lightly: before a budget is called impossible, all that the race dropped has been measured too, until
each was shown to break a budget.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from edgevoice.errors import EngineError
from edgevoice.tune.budgets import Budgets
from edgevoice.tune.combine import OVER, Combination, Inputs, whole
from edgevoice.tune.points import Point, Prefer, excess, front, layers, order
from edgevoice.tune.space import Space
from edgevoice.tune.state import Ledger, OutOfTimeError, Record
from edgevoice.tune.trial import Trial

FIRST = 4
"""Recordings of the first round: what does not work at all, or is far too slow, shows with one."""
ETA = 3
"""A round has so many times the recordings of the one before, and the last of so many trials stays. With 3 the rounds
cost about the same each, and little is lost to chance (Li et al., 2018, take 3 or 4)."""
FINALISTS = 6
"""At least so many hear everything: enough for a front, and a second choice when confirming fails."""
NEAREST = 3
"""When nothing keeps the budgets, so many of the nearest are measured in full, to name the best of them."""
CONFIRMATIONS = 3
"""Candidates that are measured again before the budgets are said to be kept by chance only."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A whole assistant that heard every recording."""

    label: str
    settings: tuple[tuple[str, bool | int | float | str | None], ...]
    point: Point
    exceeds: dict[str, float]
    """By budget that is not kept: by how much, as a part of it."""

    def trial(self) -> Trial:
        return Trial("whole", self.settings)


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was not measured in full, and why."""

    label: str
    why: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a search."""

    winner: Candidate | None
    """Keeps all budgets, and did so twice; None when nothing does."""
    confirmed: Point | None
    """The winner measured again, in one process."""
    unconfirmed: tuple[tuple[Candidate, Point], ...]
    """Candidates that kept the budgets in parts but not as a whole, with what the whole gave."""
    front: tuple[Candidate, ...]
    """Those that no other dominates."""
    nearest: Candidate | None
    """Without a winner: what comes closest."""
    candidates: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]
    complete: bool
    """Whether the time was enough."""


Progress = Callable[[str, int], None]
"""What is done now, and how many inputs it takes at most."""


@dataclass
class Search:
    """One search; ``run`` once."""

    ledger: Ledger
    space: Space
    budgets: Budgets
    inputs: Inputs
    prefer: Prefer = "accuracy"
    progress: Progress = lambda what, total: None
    _dropped: dict[Trial, str] = field(default_factory=dict)

    def run(self) -> Found:
        """
        Raises:
            EngineError: nothing works at all, with the reasons. OutputError: the state cannot be written.
        """
        complete = True
        try:
            idle = self._idle()
            voices = self._voices()
            self._hear(idle, voices)
        except OutOfTimeError:
            complete = False
        candidates = self._candidates()
        winner, confirmed, failed = self._confirm(candidates)
        full = {record.trial for record in self._full(self.space.hear, self.inputs.recordings)}
        nearest = None
        if winner is None:
            measured = [
                msgspec.structs.replace(each, point=point, exceeds=self._excess(point)) for each, point in failed
            ]
            known = {each.settings for each in measured}
            others = [*measured, *(each for each in candidates if each.settings not in known)]
            nearest = min(
                others, key=lambda each: (sum(each.exceeds.values()), order(each.point, self.prefer)), default=None
            )
        return Found(
            winner=winner,
            confirmed=confirmed,
            unconfirmed=tuple(failed),
            front=tuple(sorted(front(candidates, lambda each: each.point), key=self._order)),
            nearest=nearest,
            candidates=tuple(sorted(candidates, key=self._order)),
            dropped=tuple(
                Dropped(label=trial.label, why=why) for trial, why in self._dropped.items() if trial not in full
            ),
            complete=complete,
        )

    def _order(self, candidate: Candidate) -> tuple[float, ...]:
        return order(candidate.point, self.prefer)

    def _excess(self, point: Point) -> dict[str, float]:
        return excess(point, self.budgets)

    # Parts ---------------------------------------------------------------------------------------------------------

    def _idle(self) -> Record:
        """The first (the one that reacts soonest) within the budget, or the one that costs least."""
        self.progress("waiting for the wake word", len(self.space.idle))
        limit = self.budgets.cpu_percent
        measured = []
        for trial in self.space.idle:
            record = self._measure(trial, 1)
            if record.failure:
                continue
            measured.append(record)
            if limit is None or _cpu(record) <= limit:
                break
            self._dropped[trial] = f"it takes {_cpu(record):.1f} % of a core"
        if not measured:
            raise self._nothing("wake word detection", self.space.idle)
        best = min(measured, key=_cpu) if limit is None or _cpu(measured[-1]) > limit else measured[-1]
        self._dropped.pop(best.trial, None)
        return best

    def _voices(self) -> list[Record]:
        self.progress("voices", len(self.space.speak) * self.inputs.sentences)
        found = [self._measure(trial, self.inputs.sentences) for trial in self.space.speak]
        working = [record for record in found if not record.failure]
        if not working:
            raise self._nothing("voice", self.space.speak)
        return working

    def _measure(self, trial: Trial, count: int, enough: Callable[[Record], bool] = lambda record: False) -> Record:
        record = self.ledger.measure(trial, range(count), enough)
        if record.failure:
            self._dropped[trial] = record.failure
        return record

    def _nothing(self, what: str, trials: Sequence[Trial]) -> EngineError:
        reasons = "; ".join(f"{trial.label}: {self._dropped.get(trial, '')}" for trial in trials)
        return EngineError(f"no {what} works here: {reasons}", remedy="edgevoice doctor says more")

    # The race ------------------------------------------------------------------------------------------------------

    def _hear(self, idle: Record, voices: Sequence[Record]) -> None:
        race = _Race(self, idle, voices)
        alive = list(self.space.hear)
        waiting: list[Trial] = []
        """Dropped by rank alone: they may still keep the budgets."""
        for count in rounds(self.inputs.recordings):
            self.progress(f"{len(alive)} ways to hear, {count} recordings", len(alive) * count)
            alive = race.round(alive, count)
            if count < self.inputs.recordings:
                kept = max(FINALISTS, -(-len(alive) // ETA))
                ranked = race.ranked(alive, count)
                alive, out = ranked[:kept], ranked[kept:]
                for trial in out:
                    self._dropped[trial] = f"others were better on {count} recordings"
                waiting = [*out, *waiting]
        if not self._works():
            raise self._nothing("recogniser", self.space.hear)
        if any(race.keeps(trial) for trial in alive):
            return
        if (limit := self.budgets.cpu_percent) is not None and _cpu(idle) > limit:
            waiting = []  # whatever hears, this budget is not kept
        waiting = race.ranked(waiting, FIRST)
        self.progress(f"{len(waiting)} more ways to hear", len(waiting) * self.inputs.recordings)
        for trial in waiting:
            self._dropped.pop(trial, None)
            if race.round([trial], self.inputs.recordings) and race.keeps(trial):
                return
        self.progress("what comes closest", NEAREST * self.inputs.recordings)
        close = [trial for trial in self.space.hear if not self.ledger.record(trial).failure]
        for trial in race.ranked([trial for trial in close if self.ledger.record(trial).loaded], FIRST)[:NEAREST]:
            self._measure(trial, self.inputs.recordings)

    def _works(self) -> bool:
        """Whether any way to hear does."""
        return any(self.ledger.record(trial).loaded is not None for trial in self.space.hear)

    # The end -------------------------------------------------------------------------------------------------------

    def _candidates(self) -> list[Candidate]:
        """Every combination of what was measured in full."""
        idle = self._full(self.space.idle, 1)
        speak = self._full(self.space.speak, self.inputs.sentences)
        hear = self._full(self.space.hear, self.inputs.recordings)
        if not idle or not speak or not hear:
            return []
        limit = self.budgets.cpu_percent
        within = [record for record in idle if limit is not None and _cpu(record) <= limit]
        waiting = within[0] if within else idle[0] if limit is None else min(idle, key=_cpu)
        found = []
        for one in hear:
            for voice in speak:
                combination = Combination(one, voice, waiting)
                point = combination.point()
                found.append(
                    Candidate(
                        label=combination.label,
                        settings=(*one.trial.settings, *voice.trial.settings, *waiting.trial.settings),
                        point=point,
                        exceeds=self._excess(point),
                    )
                )
        return found

    def _full(self, trials: Sequence[Trial], count: int) -> list[Record]:
        records = [self.ledger.record(trial) for trial in trials]
        return [record for record in records if not record.failure and not record.lacks(range(count))]

    def _confirm(
        self, candidates: Sequence[Candidate]
    ) -> tuple[Candidate | None, Point | None, list[tuple[Candidate, Point]]]:
        """The best that keeps the budgets a second time, too; or as a whole alone, where the sum of its parts took a
        little too much memory."""
        count = self.inputs.recordings + self.inputs.sentences + 1
        failed: list[tuple[Candidate, Point]] = []
        keeping = sorted((each for each in candidates if not each.exceeds), key=self._order)
        near = (
            each for each in candidates if each.exceeds.keys() == {"memory_mb"} and each.exceeds["memory_mb"] <= OVER
        )
        for candidate in [*keeping, *sorted(near, key=self._order)][:CONFIRMATIONS]:
            self.progress("once more, as a whole", count)
            record = self.ledger.measure(candidate.trial(), range(count), limited=False)
            if record.failure:
                self._dropped[record.trial] = record.failure
                continue
            point = whole(record, self.inputs)
            if not self._excess(point):
                return candidate, point, failed
            failed.append((candidate, point))
        return None, None, failed


class _Race:
    """Ways to hear against each other, each with the voice that suits it best."""

    def __init__(self, search: Search, idle: Record, voices: Sequence[Record]) -> None:
        self._search = search
        self._idle = idle
        self._voices = voices
        self._slow: list[Trial] = []
        self._wrong: list[Trial] = []

    def round(self, trials: Sequence[Trial], count: int) -> list[Trial]:
        """Measure each on so many recordings; those that may still keep the budgets."""
        search = self._search
        alive = []
        for trial in trials:
            if why := self._inferred(trial):
                search._dropped[trial] = why
                continue
            record = search._measure(trial, count, lambda record: bool(self._impossible(record.first(count))))
            if record.failure:
                continue
            if broken := self._impossible(self._needed(record, count)):
                budgets = " or ".join(NAMES[name] for name in sorted(broken))
                search._dropped[trial] = f"it cannot keep the budget of {budgets}"
                if broken == {"latency_ms"}:
                    self._slow.append(trial)
                elif broken <= {"accuracy", "wer"}:
                    self._wrong.append(trial)
                continue
            alive.append(trial)
        return alive

    def _inferred(self, trial: Trial) -> str:
        space = self._search.space
        if any(space.costs_more(trial, slow) for slow in self._slow):
            return "one that takes less time is too slow already"
        if any(space.hears_more(wrong, trial) for wrong in self._wrong):
            return "one that hears better is wrong too often already"
        return ""

    def _impossible(self, record: Record) -> set[str]:
        """Which budget each voice cannot keep any more; nothing when some voice may still keep all."""
        search = self._search
        broken = [combination.impossible(search.budgets, search.inputs) for combination in self._with(record)]
        return set(broken) if all(broken) else set()

    def _with(self, record: Record) -> list[Combination]:
        return [Combination(record, voice, self._idle) for voice in self._voices]

    def keeps(self, trial: Trial) -> bool:
        record = self._search.ledger.record(trial)
        if record.failure or record.lacks(range(self._search.inputs.recordings)):
            return False
        return any(not excess(each.point(), self._search.budgets) for each in self._with(record))

    def ranked(self, trials: Sequence[Trial], count: int) -> list[Trial]:
        """The most promising first, by so many recordings: by how far from the budgets, then by front, then by order.
        What else is known does not count, so that a run that goes on does as one that was never interrupted."""
        search = self._search
        points = []
        for trial in trials:
            found = [each.point() for each in self._with(self._needed(search.ledger.record(trial), count))]
            points.append(min(found, key=self._rank))
        ranks = layers(points)
        keys = {
            trial: (sum(excess(point, search.budgets).values()), layer, order(point, search.prefer))
            for trial, point, layer in zip(trials, points, ranks, strict=True)
        }
        return sorted(trials, key=lambda trial: keys[trial])

    def _needed(self, record: Record, count: int) -> Record:
        """What so many recordings told, without what was measured after a budget was known to be broken."""
        for number in range(count):
            if self._impossible(known := record.first(number)):
                return known
        return record.first(count)

    def _rank(self, point: Point) -> tuple[float, tuple[float, ...]]:
        return sum(excess(point, self._search.budgets).values()), order(point, self._search.prefer)


NAMES = {
    "latency_ms": "latency",
    "memory_mb": "memory",
    "cpu_percent": "idle load",
    "wer": "word errors",
    "accuracy": "accuracy",
}
"""Field of ``Budgets`` -> what people call it."""


def rounds(recordings: int) -> list[int]:
    """How many recordings each round has; the last has all."""
    found = []
    count = FIRST
    while count < recordings:
        found.append(count)
        count *= ETA
    return [*found, recordings]


def _cpu(record: Record) -> float:
    return record.outcomes[0].cpu_percent or 0.0
