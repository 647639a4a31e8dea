"""Measuring: warm up, then take turns until the medians are known well enough or the time is up."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from edgevoice.bench import conditions, stats
from edgevoice.bench.board import ROOT
from edgevoice.bench.conditions import Conditions
from edgevoice.bench.process import Load, Loaded, Process, Ran, Served
from edgevoice.bench.schema import Flag, Kind, Metric, Ratio, Series, State, Task
from edgevoice.errors import EdgeVoiceError, EngineMissingError, ModelError

RESERVE = 0.2
"""Part of the memory that was free in the beginning which is left free: past that nothing more is loaded beside the
others."""


@dataclass(frozen=True)
class Spec:
    """One thing to be measured."""

    kind: Kind
    task: Task
    engine: str
    model: str
    threads: int
    load: Load
    variant: str = ""
    peer: bool = False
    main: str = "rtf"
    """The metric whose median is to be known well; and of which ratios are taken."""

    @property
    def label(self) -> str:
        parts = [self.task, self.engine, self.variant, f"{self.threads} thread{'s' * (self.threads > 1)}"]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Limits:
    """How long something is measured."""

    seconds: float = 15.0
    """For each series. A round that has begun is finished."""
    narrow: float = 0.02
    """Half of the median's confidence interval as a part of the median, below which it is known well enough."""
    rounds: int = 5
    """At least so many, if the time allows: with fewer the interval of a median is no more than the range."""
    most_rounds: int = 500
    loads: int = 3
    """Times it is loaded, each in a new process."""


@dataclass
class Member:
    """One series while it grows."""

    spec: Spec
    served: Served
    loaded: Loaded
    load_s: list[float]
    cold_ms: list[float]
    rounds: list[list[Ran]] = field(default_factory=list)
    joules: float | None = None
    failure: str = ""
    texts: dict[int, str] = field(default_factory=dict)
    """By input, what was understood."""

    @property
    def main(self) -> list[float]:
        """Of each whole round."""
        whole = [runs for runs in self.rounds if len(runs) == len(self.loaded.inputs)]
        return [value for runs in whole if (value := _round(self.spec.main, runs)) is not None]


class Skipped(Exception):  # noqa: N818 - nothing is wrong with that
    """What is to be measured is not here: its package or its model."""

    def __init__(self, spec: Spec, error: EdgeVoiceError) -> None:
        self.spec = spec
        self.error = error
        super().__init__(str(error))


Tell = Callable[[str, float], None]
"""Told what is done, and which part of the group's time has passed."""
Start = Callable[[Load, str], Served]


class Group:
    """Several series that take turns: what else the machine does falls on all alike, and so do their ratios.

    ``run`` may be interrupted at any time; ``series`` then gives what was measured until then.

    Args:
        number: written to its series.
        start: starts a process; a fake in tests.
        clock: gives seconds; exchanged in tests.
    """

    def __init__(
        self,
        number: int,
        specs: Sequence[Spec],
        limits: Limits,
        *,
        start: Start = Process,
        clock: Callable[[], float] = time.monotonic,
        root: Path = ROOT,
    ) -> None:
        self._number = number
        self._waiting = list(specs)
        self._limits = limits
        self._start = start
        self._clock = clock
        self._root = root
        self._conditions = Conditions(root)
        self._members: list[Member] = []
        self._failed: list[Series] = []
        self._flags: tuple[Flag, ...] = ()
        self.skipped: list[Skipped] = []
        self.stopped = False

    @property
    def left(self) -> list[Spec]:
        """Those that found no room in memory beside the others, to be measured in another group."""
        return self._waiting

    def run(self, tell: Tell = lambda what, part: None) -> None:
        """Load and measure; what fails is noted and the others go on."""
        self.stopped = True
        self._load(tell)
        if self._members:
            self._measure(tell)
        self.stopped = False

    def _load(self, tell: Tell) -> None:
        begun = conditions.available_mb(self._root)
        while self._waiting:
            free = conditions.available_mb(self._root)
            if self._members and begun is not None and free is not None and free < RESERVE * begun:
                return
            spec = self._waiting.pop(0)
            tell(f"loading {spec.label}", 0.0)
            try:
                self._members.append(self._loaded(spec))
            except Skipped as skipped:
                self.skipped.append(skipped)
            except EdgeVoiceError as error:
                self._failed.append(series(spec, self._number, "failed", str(error)))

    def _loaded(self, spec: Spec) -> Member:
        load_s: list[float] = []
        cold_ms: list[float] = []
        while True:
            served = self._start(spec.load, spec.label)
            try:
                loaded = served.load()
                load_s.append(loaded.load_s)
                cold_ms.append(1000 * served.run(0).wall_s)
                if len(load_s) == self._limits.loads:
                    return Member(spec, served, loaded, load_s, cold_ms)
            except (EngineMissingError, ModelError) as error:
                served.close()
                raise Skipped(spec, error) from error
            except BaseException:
                served.close()
                raise
            served.close()

    def _measure(self, tell: Tell) -> None:
        with self._conditions.reading_power():
            tell(f"{self._members[0].spec.task}: warming up", 0.0)
            self._round(None)
            if not self._alive:
                return
            began, own = self._clock(), time.process_time()
            allowed = self._limits.seconds * len(self._alive)
            self._conditions.begin()
            spent = 0
            try:
                while spent < self._limits.most_rounds and self._alive:
                    self._round(spent)
                    spent += 1
                    passed = self._clock() - began
                    tell(
                        f"{self._alive[0].spec.task if self._alive else ''}: round {spent}", min(passed / allowed, 1.0)
                    )
                    if passed >= allowed or (spent >= self._limits.rounds and self._narrow()):
                        break
            finally:
                taken = sum(ran.cpu_s for member in self._members for runs in member.rounds for ran in runs)
                self._flags = self._conditions.flags(taken + time.process_time() - own)

    @property
    def _alive(self) -> list[Member]:
        return [member for member in self._members if not member.failure]

    def _narrow(self) -> bool:
        """Whether more rounds would tell no more; nor do they of who had no such figure until now, such as turns that
        end without a reply."""
        known = (member.main for member in self._alive if member.main)
        return all(stats.relative_half_width(values) <= self._limits.narrow for values in known)

    def _round(self, number: int | None) -> None:
        """Every input once through everybody; None only warms up. Who is first changes from round to round."""
        members = self._alive
        shift = (number or 0) % len(members)
        order = members[shift:] + members[:shift]
        if number is not None:
            for member in order:
                member.rounds.append([])
        for at in range(max(len(member.loaded.inputs) for member in order)):
            for member in order:
                if at < len(member.loaded.inputs) and not member.failure:
                    self._run(member, at, keep=number is not None)

    def _run(self, member: Member, at: int, *, keep: bool) -> None:
        before = self._conditions.energy.joules()
        try:
            ran = member.served.run(at)
        except EdgeVoiceError as error:
            member.failure = str(error)
            return
        after = self._conditions.energy.joules()
        self._conditions.sample()
        if keep:
            member.rounds[-1].append(ran)
            member.texts.setdefault(at, ran.outcome.text)
            if before is not None and after is not None:
                member.joules = (member.joules or 0.0) + after - before

    def series(self) -> list[Series]:
        """What was measured, with what failed."""
        return [*(self._series(member) for member in self._members), *self._failed]

    def _series(self, member: Member) -> Series:
        found = metrics(member)
        state: State = "measured"
        if member.failure:
            state = "partial" if member.main else "failed"
        elif self.stopped:
            state = "partial"
        usage = None
        with contextlib.suppress(EdgeVoiceError):  # it was killed; what it had measured is kept
            usage = msgspec.structs.replace(member.served.usage(), energy_j=member.joules)
        made = series(member.spec, self._number, state, member.failure or ("stopped" if self.stopped else ""))
        runs = next((runs for runs in member.rounds if runs), [])
        return msgspec.structs.replace(
            made,
            inputs=member.loaded.inputs,
            audio_s=round(sum(ran.outcome.audio_s for ran in runs), 3),
            metrics=found,
            usage=usage,
            flags=(*self._flags, *self._doubts(member)),
        )

    def _doubts(self, member: Member) -> list[Flag]:
        whole = [runs for runs in member.rounds if len(runs) == len(member.loaded.inputs)]
        count = len(whole)
        if whole and not member.main:  # turns that end without a reply have no such figure
            return []
        if count < self._limits.rounds:
            return [Flag(kind="few_samples", text=f"the time allowed {count} rounds, not {self._limits.rounds}")]
        known = stats.relative_half_width(member.main)
        if known > self._limits.narrow:
            return [Flag(kind="unsteady", text=f"the median is known to {known:.1%} only, after {count} rounds")]
        return []

    def ratios(self) -> list[Ratio]:
        """Every series beside the first one."""
        members = [member for member in self._members if member.main]
        found = []
        for member in members[1:]:
            base = members[0]
            if member.spec.main != base.spec.main:
                continue
            pairs = list(zip(member.main, base.main, strict=False))
            ratio, interval = stats.paired_ratio([one for one, _ in pairs], [other for _, other in pairs])
            found.append(
                Ratio(
                    series=series(member.spec, 0, "measured").key,
                    base=series(base.spec, 0, "measured").key,
                    metric=member.spec.main,
                    ratio=ratio,
                    interval=interval,
                )
            )
        return found

    def texts(self) -> list[tuple[Spec, dict[int, str]]]:
        """What each has understood, by number of the input."""
        return [(member.spec, member.texts) for member in self._members]

    def close(self) -> None:
        for member in self._members:
            member.served.close()


def series(spec: Spec, group: int, state: State, why: str = "") -> Series:
    """Without anything measured."""
    return Series(
        kind=spec.kind,
        task=spec.task,
        engine=spec.engine,
        peer=spec.peer,
        model=spec.model,
        variant=spec.variant,
        threads=spec.threads,
        state=state,
        why=why,
        group=group,
    )


def _round(main: str, runs: Sequence[Ran]) -> float | None:
    """The figure of a whole round."""
    audio = sum(ran.outcome.audio_s for ran in runs)
    if main == "rtf":
        return sum(ran.wall_s for ran in runs) / audio if audio else None
    values = [value for ran in runs for value in ran.outcome.values.get(main, ())]
    return float(np.mean(values)) if values else None


def metrics(member: Member) -> dict[str, Metric]:
    """Those of the rounds, of the inputs, and of loading."""
    loading = {"load_s": member.load_s, "cold_ms": member.cold_ms}
    found = {name: stats.metric(name, samples) for name, samples in loading.items() if samples}
    whole = [runs for runs in member.rounds if len(runs) == len(member.loaded.inputs)]
    for name, seconds in (("rtf", "wall_s"), ("cpu_x", "cpu_s")):
        rounds = [
            sum(getattr(ran, seconds) for ran in runs) / audio
            for runs in whole
            if (audio := sum(ran.outcome.audio_s for ran in runs))
        ]
        if rounds:
            found[name] = stats.metric(name, rounds)
    values: dict[str, tuple[list[float], list[int]]] = {}
    for runs in member.rounds:
        for at, ran in enumerate(runs):
            for name, several in ran.outcome.values.items():
                samples, inputs = values.setdefault(name, ([], []))
                samples += several
                inputs += [at] * len(several)
    for name, (samples, inputs) in values.items():
        if samples:
            found[name] = stats.metric(name, samples, inputs)
    return found
