"""Subjects that take as long as they are told, on a clock of their own, and processes that are none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgevoice.bench.measure import Spec
from edgevoice.bench.process import Load, Loaded, Outcome, Ran
from edgevoice.bench.schema import Usage
from edgevoice.errors import EdgeVoiceError

USAGE = Usage(
    wall_s=1.0,
    cpu_user_s=0.5,
    cpu_system_s=0.0,
    minor_faults=1,
    major_faults=0,
    voluntary_switches=2,
    involuntary_switches=3,
    bare_mb=40.0,
    loaded_mb=50.0,
    peak_mb=60.0,
    unshared_mb=None,
    threads=1,
    energy_j=None,
)


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Script:
    """What a fake process does."""

    seconds: Callable[[int], float]
    """By the number of the run, cold run and warming up included, how long it takes."""
    inputs: Sequence[str] = ("a", "b")
    audio_s: float = 2.0
    values: Mapping[str, list[float]] = field(default_factory=dict)
    load_error: EdgeVoiceError | None = None
    run_error: tuple[int, BaseException] | None = None
    """At this run it fails, from then on."""


@dataclass
class FakeServed:
    script: Script
    clock: FakeClock
    log: list[str]
    name: str
    runs: int = 0
    closed: bool = False

    def load(self) -> Loaded:
        if self.script.load_error is not None:
            raise self.script.load_error
        return Loaded(1, 0.25, tuple(self.script.inputs))

    def run(self, number: int) -> Ran:
        at, self.runs = self.runs, self.runs + 1
        if self.script.run_error is not None and at >= self.script.run_error[0]:
            raise self.script.run_error[1]
        self.log.append(f"{self.name}{number}")
        taken = self.script.seconds(at)
        self.clock.now += taken
        values = {"latency_ms": [1000 * taken], **self.script.values}
        return Ran(Outcome(values, self.script.audio_s, f"text {number}"), taken, taken)

    def usage(self) -> Usage:
        return USAGE

    def close(self) -> None:
        self.closed = True


class Bench:
    """Starts fake processes by their script."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log: list[str] = []
        self.started: list[FakeServed] = []

    def start(self, load: Load, name: str) -> FakeServed:
        script: Any = load
        served = FakeServed(script, self.clock, self.log, name.split()[min(1, name.count(" "))])
        self.started.append(served)
        return served

    @staticmethod
    def spec(engine: str, script: Script, **changes: Any) -> Spec:
        load: Any = script
        return Spec(kind="engine", task="asr", engine=engine, model="m", threads=1, load=load, **changes)
