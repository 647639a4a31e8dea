"""Whole turns, idle load, a soak and missed deadlines: with engines that read scripts, and clocks that are moved."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from benchfakes import USAGE, Bench, FakeClock, FakeServed, Script
from fakes import FakeAsr, FakeTts, FakeVad, FakeWake, perform

from edgevoice.bench import contention, idle, moments, turn
from edgevoice.bench.contention import Contention, ListeningSubject
from edgevoice.bench.idle import Idle
from edgevoice.bench.measure import Spec
from edgevoice.bench.process import Load, Loaded
from edgevoice.bench.schema import Point
from edgevoice.bench.soak import Soak
from edgevoice.bench.speech import Recording
from edgevoice.config import Config
from edgevoice.config import load as load_config
from edgevoice.errors import EngineError
from edgevoice.evaluate.clock import Stopwatch
from edgevoice.flow.worker import Worker
from edgevoice.parts import load_skills
from edgevoice.think.actions_builtin import BuiltinAction


def recording(script: str) -> Recording:
    return Recording(script, perform(script).samples, "")


@pytest.fixture(autouse=True)
def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake engines take whatever is not silent for speech."""
    monkeypatch.setattr("edgevoice.bench.speech.NOISE", 0.0)


def subject(*scripts: str, config: Config | None = None, step: float = 0.01) -> turn.TurnSubject:
    """Each step of an engine takes so many seconds."""
    config = config or load_config(None, environ={})
    readings = itertools.count()

    def watch() -> Stopwatch:
        # Two readings around each step.
        return Stopwatch(lambda: step * ((next(readings) + 1) // 2))

    loaded = turn.Loaded(FakeWake(), FakeVad(), FakeAsr(), FakeTts(), load_skills(config, Worker("think")))
    return turn.TurnSubject(config, loaded, [recording(script) for script in scripts], realtime=False, watch=watch)


def test_a_turn_is_split_by_step() -> None:
    made = subject("ooookkkk", "nothing")
    values = made.run(0).values
    assert values["unanswered_percent"] == [0.0]
    assert values["cut_off_percent"] == [0.0]
    steps = [values[f"{name}_ms"][0] for name in ("recognition", "intent", "action", "first_audio")]
    assert values["answer_ms"][0] == pytest.approx(sum(steps))
    assert values["intent_ms"] == pytest.approx([10.0])  # one step of the grammar
    assert values["silence_ms"][0] > 100
    assert values["response_ms"][0] > values["answer_ms"][0] + values["silence_ms"][0] - 60
    assert made.inputs == ["ooookkkk", "nothing"]


def test_a_turn_without_an_answer() -> None:
    values = subject("xxxx").run(0).values
    assert values["unanswered_percent"] == [100.0]
    assert values["response_ms"][0] > 0  # that it was not understood is said, too


def test_only_harmless_actions_are_carried_out(tmp_path: Path) -> None:
    pack = tmp_path / "mine.yaml"
    trace = tmp_path / "trace"
    pack.write_text(
        f"intents:\n  Open:\n    data: [{{sentences: ['stop']}}]\n"
        f"    action: {{command: [touch, '{trace}']}}\n    response: done\n"
        "responses: {done: Done.}\n"
    )
    config = load_config(None, overrides=[f"intents.packs=[{pack}]"], environ={})
    made = subject("sss", config=config)
    assert all(isinstance(action, BuiltinAction) for action in made._skills.actions.values())
    made.run(0)
    assert not trace.exists()


# Contention ----------------------------------------------------------------------------------------------------


class SlowVad(FakeVad):
    """Takes so long for each block."""

    def __init__(self, clock: FakeClock, seconds: Sequence[float]) -> None:
        self._clock = clock
        self._seconds = iter(seconds)

    def open(self):  # type: ignore[no-untyped-def]
        session = super().open()
        feed = session.feed

        def slow(audio):  # type: ignore[no-untyped-def]
            self._clock.now += next(self._seconds)
            return feed(audio)

        session.feed = slow  # type: ignore[method-assign]
        return session


def test_a_missed_deadline_is_one_that_the_next_block_waits_for() -> None:
    clock = FakeClock()
    engine = SlowVad(clock, [0.010, 0.040, 0.030, 0.001, 0.001])
    part = Recording("quiet", perform("..").samples[: 5 * 512], "")
    values = ListeningSubject([engine], part, 512, clock, clock.wait).run(0).values
    # The third begins 8 ms late, since the second took longer than a block lasts.
    assert values["chunk_ms"] == pytest.approx([10.0, 40.0, 38.0, 7.0, 1.0])
    assert values["missed_percent"] == [0.0, 100.0, 100.0, 0.0, 0.0]
    assert clock.now == pytest.approx(5 * 0.032 + 0.001)  # a block is due when its last sample has been spoken


def test_alone_and_beside_others() -> None:
    bench, burnt = Bench(), []

    class Burning:
        def __init__(self, count: int) -> None:
            self.count = count

        def __enter__(self) -> None:
            burnt.append(self.count)

        def __exit__(self, *_: object) -> None:
            burnt.append(-self.count)

    script = Script(lambda _: 1.0, inputs=("speech",), values={"chunk_ms": [1.0, 2.0], "missed_percent": [0.0, 100.0]})
    stage = Contention(3, bench.spec("micro", script), 2, start=bench.start, burning=Burning)
    stage.run(lambda what, part: None)
    alone, beside = stage.series()
    assert burnt == [0, 0, 2, -2]
    assert (alone.variant, beside.variant, beside.state, beside.group) == ("busy 0", "busy 2", "measured", 3)
    assert beside.metrics["missed_percent"].samples == (0.0, 100.0)
    assert "background_load" not in [flag.kind for flag in beside.flags]
    stage.close()
    assert bench.started[0].closed


def test_contention_that_cannot_be_loaded() -> None:
    bench = Bench()
    script = Script(lambda _: 1.0, load_error=EngineError("broken"))
    stage = Contention(0, bench.spec("micro", script), 2, start=bench.start, burning=contention.burning)
    stage.run(lambda what, part: None)
    assert [(one.state, one.why) for one in stage.series()] == [("failed", "broken")] * 2


# Idle ----------------------------------------------------------------------------------------------------------


class FakeDaemon:
    def __init__(self, error: EngineError | None = None) -> None:
        self.pid = os.getpid()
        self.live = False
        self.error = error
        self.stopped = False

    def wait_until_it_listens(self) -> None:
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        self.stopped = True


def test_idle_load(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, daemon = FakeClock(), FakeDaemon()
    monkeypatch.setattr(moments, "cpu_seconds", lambda pid: 0.02 * clock.now)
    stage = Idle(0, lambda: daemon, 30.0, engine="whisper", model="tiny", clock=clock, wait=clock.wait)
    stage.run(lambda what, part: None)
    (series,) = stage.series()
    assert (series.state, series.variant, series.kind) == ("measured", "pipe", "idle")
    assert series.metrics["cpu_percent"].summary.median == pytest.approx(2.0)
    assert [point.seconds for point in series.points] == pytest.approx([1.5 * (1 + at) for at in range(20)])
    assert series.points[0].rss_mb is not None
    assert series.usage is not None
    assert series.usage.wall_s == 30.0
    assert clock.now == pytest.approx(30.0 + idle.SETTLE)
    stage.close()
    assert daemon.stopped


def test_idle_of_a_daemon_that_does_not_listen() -> None:
    daemon = FakeDaemon(EngineError("it does not listen: no model"))
    stage = Idle(0, lambda: daemon, 30.0, engine="whisper", model="tiny", wait=lambda seconds: None)
    stage.run(lambda what, part: None)
    (series,) = stage.series()
    assert (series.state, series.why, series.metrics) == ("failed", "it does not listen: no model", {})
    stage.close()
    assert daemon.stopped


def test_idle_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()

    def wait(seconds: float) -> None:
        clock.now += seconds
        if clock.now > 12.0:
            raise KeyboardInterrupt

    stage = Idle(0, FakeDaemon, 30.0, engine="whisper", model="tiny", clock=clock, wait=wait)
    with pytest.raises(KeyboardInterrupt):
        stage.run(lambda what, part: None)
    (series,) = stage.series()
    assert (series.state, series.why, len(series.points)) == ("partial", "stopped", 4)


# Soak ----------------------------------------------------------------------------------------------------------


class Here(FakeServed):
    """Its process is this one."""

    def load(self) -> Loaded:
        return Loaded(os.getpid(), 1.0, super().load().inputs)


def soak(bench: Bench, script: Script, seconds: float, main: str = "answer_ms") -> Soak:
    def start(load: Load, name: str) -> FakeServed:
        return Here(script, bench.clock, bench.log, "A")

    load: Any = script
    spec = Spec(kind="soak", task="turn", engine="whisper", model="m", threads=1, load=load, main=main)
    return Soak(5, spec, seconds, start=start, clock=bench.clock)


def test_a_soak_has_points_over_time() -> None:
    bench = Bench()
    stage = soak(bench, Script(lambda _: 0.5, values={"answer_ms": [20.0, 30.0]}), 60.0)
    stage.run(lambda what, part: None)
    (series,) = stage.series()
    assert (series.state, series.kind, series.group) == ("measured", "soak", 5)
    assert len(series.points) == 60
    assert {point.latency_ms for point in series.points} == {25.0}
    assert series.metrics["answer_ms"].summary.n == 240
    assert series.usage == USAGE


def test_a_point_is_about_its_own_interval() -> None:
    bench = Bench()
    stage = soak(bench, Script(lambda run: 0.5 if run < 21 else 1.0), 30.0, main="latency_ms")
    stage.run(lambda what, part: None)
    (series,) = stage.series()
    assert [point.latency_ms for point in series.points] == [500.0] * 10 + [1000.0] * 20
    assert "longer in the last quarter" in series.flags[-1].text


def test_a_soak_that_is_interrupted() -> None:
    bench = Bench()
    script = Script(lambda _: 0.5, values={"answer_ms": [20.0]}, run_error=(30, KeyboardInterrupt()))
    stage = soak(bench, script, 60.0)
    with pytest.raises(KeyboardInterrupt):
        stage.run(lambda what, part: None)
    (series,) = stage.series()
    assert (series.state, len(series.points)) == ("partial", 14)


def point(latency: float | None) -> Point:
    return Point(
        seconds=1.0,
        temperature_c=None,
        frequency_mhz=None,
        throttled=None,
        latency_ms=latency,
        latency_p95_ms=None,
        cpu_percent=None,
        rss_mb=None,
        power_w=None,
    )


def test_what_becomes_slower_is_said() -> None:
    slower = moments.slowed([point(value) for value in [10.0, 10.0, None, 11.0, 12.0, 12.0, 13.0, 14.0, 15.0]])
    assert slower is not None
    assert slower.text == "steps took 45% longer in the last quarter than in the first"
    assert moments.slowed([point(10.0)] * 8) is None
    assert moments.slowed([point(10.0)] * 3) is None
