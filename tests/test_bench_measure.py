"""Taking turns until the medians are known: on a clock that the fakes move."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchfakes import Bench, Script
from boards import X86, plant

from edgevoice.bench.measure import Group, Limits
from edgevoice.errors import EngineError, EngineMissingError, ModelError


@pytest.fixture
def bench() -> Bench:
    return Bench()


def group(bench: Bench, scripts: dict[str, Script], limits: Limits, root: Path = Path("/")) -> Group:
    specs = [bench.spec(name, script) for name, script in scripts.items()]
    return Group(0, specs, limits, start=bench.start, clock=bench.clock, root=root)


def steady(seconds: float) -> Script:
    return Script(lambda _: seconds)


def noisy(seconds: float, spread: float, seed: int = 0) -> Script:
    random = np.random.default_rng(seed)
    return Script(lambda _: float(seconds * random.lognormal(0.0, spread)))


def test_steady_engines_are_known_after_the_fewest_rounds(bench: Bench) -> None:
    made = group(bench, {"A": steady(0.1), "B": steady(0.2)}, Limits(seconds=100.0, loads=2))
    made.run()
    first, second = made.series()
    assert first.metrics["rtf"].summary.n == Limits().rounds
    assert first.metrics["rtf"].summary.median == pytest.approx(0.05)
    assert second.metrics["rtf"].summary.median == pytest.approx(0.1)
    assert (first.audio_s, first.inputs, first.state) == (4.0, ("a", "b"), "measured")
    latency = first.metrics["latency_ms"]
    assert latency.summary.n == 2 * Limits().rounds
    assert latency.inputs == (0, 1) * Limits().rounds
    assert [flag.kind for flag in first.flags if flag.kind != "background_load"] == []
    (ratio,) = made.ratios()
    assert (ratio.base, ratio.series) == (first.key, second.key)
    assert ratio.ratio == pytest.approx(2.0)


def test_everybody_is_loaded_several_times_and_what_is_cold_is_no_sample(bench: Bench) -> None:
    slow_first = Script(lambda run: 5.0 if run == 0 else 0.1)
    made = group(bench, {"A": slow_first}, Limits(seconds=100.0, loads=3))
    made.run()
    (series,) = made.series()
    assert series.metrics["cold_ms"].samples == (5000.0,) * 3
    assert series.metrics["load_s"].samples == (0.25,) * 3
    assert series.metrics["rtf"].summary.high == pytest.approx(0.05)
    assert [served.closed for served in bench.started] == [True, True, False]
    made.close()
    assert bench.started[-1].closed


def test_a_noisy_engine_is_measured_longer(bench: Bench) -> None:
    made = group(bench, {"A": noisy(0.1, 0.1)}, Limits(seconds=1000.0, loads=1, narrow=0.02))
    made.run()
    (series,) = made.series()
    found = series.metrics["rtf"].summary
    assert 10 < found.n < 500
    assert found.interval is not None
    assert (found.interval.high - found.interval.low) / 2 <= 0.02 * found.median


def test_turns_without_a_reply_do_not_use_up_the_time(bench: Bench) -> None:
    specs = [bench.spec("A", steady(0.1), main="answer_ms"), bench.spec("B", steady(0.1))]
    made = Group(0, specs, Limits(seconds=100.0, loads=1), start=bench.start, clock=bench.clock)
    made.run()
    first, second = made.series()
    assert "answer_ms" not in first.metrics
    assert first.metrics["rtf"].summary.n == second.metrics["rtf"].summary.n == Limits().rounds
    assert "unsteady" not in [flag.kind for flag in (*first.flags, *second.flags)]


def test_the_time_is_kept_and_said(bench: Bench) -> None:
    made = group(bench, {"A": noisy(0.1, 0.5)}, Limits(seconds=2.5, loads=1))
    made.run()
    (series,) = made.series()
    assert bench.clock.now < 2.5 + 2.0  # the last round is finished, and the warming up does not count
    assert "unsteady" in [flag.kind for flag in series.flags]
    slow = group(bench, {"A": steady(3.0)}, Limits(seconds=2.5, loads=1))
    slow.run()
    assert "few_samples" in [flag.kind for flag in slow.series()[0].flags]
    assert slow.series()[0].metrics["rtf"].summary.interval is None


def test_who_is_first_changes_from_round_to_round(bench: Bench) -> None:
    made = group(bench, {"A": steady(1.0), "B": steady(1.0)}, Limits(seconds=100.0, rounds=2, loads=1))
    made.run()
    assert bench.log[:2] == ["A0", "B0"]  # cold
    assert bench.log[2:6] == ["A0", "B0", "A1", "B1"]  # warming up
    assert bench.log[6:14] == ["A0", "B0", "A1", "B1", "B0", "A0", "B1", "A1"]


def test_what_is_not_installed_or_has_no_model_is_skipped(bench: Bench) -> None:
    scripts = {
        "A": Script(lambda _: 0.1, load_error=EngineMissingError("it is not installed", place="package a")),
        "B": Script(lambda _: 0.1, load_error=ModelError("it is not there")),
        "C": Script(lambda _: 0.1, load_error=EngineError("it is broken")),
        "D": steady(0.1),
    }
    made = group(bench, scripts, Limits(loads=1))
    made.run()
    assert [skipped.spec.engine for skipped in made.skipped] == ["A", "B"]
    states = {series.engine: (series.state, series.why) for series in made.series()}
    assert states == {"C": ("failed", "it is broken"), "D": ("measured", "")}
    assert all(served.closed for served in bench.started[:3])


def test_one_that_fails_in_the_middle_keeps_its_values_and_the_others_go_on(bench: Bench) -> None:
    scripts = {"A": Script(lambda _: 0.1, run_error=(7, EngineError("killed"))), "B": noisy(0.1, 0.2)}
    made = group(bench, scripts, Limits(seconds=50.0, loads=1))
    made.run()
    first, second = made.series()
    assert (first.state, first.why, first.metrics["rtf"].summary.n) == ("partial", "killed", 2)
    assert second.state == "measured"
    assert second.metrics["rtf"].summary.n > 5


def test_nobody_is_left(bench: Bench) -> None:
    made = group(bench, {"A": Script(lambda _: 0.1, run_error=(1, EngineError("killed")))}, Limits(loads=1))
    made.run()
    (series,) = made.series()
    assert (series.state, "rtf" in series.metrics) == ("failed", False)


def test_an_interrupt_keeps_what_was_measured(bench: Bench) -> None:
    scripts = {"A": steady(0.1), "B": Script(lambda _: 0.1, run_error=(8, KeyboardInterrupt()))}
    made = group(bench, scripts, Limits(seconds=50.0, loads=1))
    with pytest.raises(KeyboardInterrupt):
        made.run()
    first, second = made.series()
    assert (first.state, first.why) == ("partial", "stopped")
    assert second.metrics["rtf"].summary.n == 2  # the round that was cut short is none
    assert second.metrics["latency_ms"].summary.n == 5
    assert made.ratios()[0].ratio == pytest.approx(1.0)


def test_where_memory_is_short_others_wait_for_another_group(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    meminfo = tmp_path / "proc/meminfo"
    amounts: Iterator[int] = iter([1000_000, 1000_000, 150_000])

    def shrink(seconds: float) -> Script:
        def run(_: int) -> float:
            meminfo.write_text(f"MemAvailable: {next(amounts, 150_000)} kB\n")
            return seconds

        return Script(run)

    meminfo.write_text("MemAvailable: 1000000 kB\n")
    made = group(
        bench, {"A": shrink(0.1), "B": shrink(0.1), "C": shrink(0.1), "D": shrink(0.1)}, Limits(loads=1), tmp_path
    )
    made.run()
    assert [series.engine for series in made.series()] == ["A", "B", "C"]
    assert [spec.engine for spec in made.left] == ["D"]


def test_energy_is_that_of_its_own_runs(bench: Bench, tmp_path: Path) -> None:
    counter = plant(tmp_path, X86) / "sys/class/powercap/intel-rapl:0/energy_uj"

    def using(joules: float) -> Script:
        def run(_: int) -> float:
            counter.write_text(str((int(counter.read_text()) + round(1e6 * joules)) % 1_000_000))
            return 0.1

        return Script(run)

    made = group(bench, {"A": using(0.3), "B": using(0.1)}, Limits(loads=1, rounds=5), tmp_path)
    made.run()
    spent = [series.usage.energy_j for series in made.series() if series.usage is not None]
    assert spent == pytest.approx([3.0, 1.0])


def test_a_figure_that_never_comes_is_no_doubt(bench: Bench) -> None:
    made = Group(
        0,
        [bench.spec("A", steady(0.1), main="answer_ms")],
        Limits(seconds=2.0, loads=1),
        start=bench.start,
        clock=bench.clock,
    )
    made.run()
    (series,) = made.series()
    assert (series.state, made.ratios()) == ("measured", [])
    assert {flag.kind for flag in series.flags} <= {"background_load"}


def test_texts_are_kept_for_accuracy(bench: Bench) -> None:
    made = group(bench, {"A": steady(0.1)}, Limits(loads=1))
    made.run()
    ((spec, texts),) = made.texts()
    assert (spec.engine, texts) == ("A", {0: "text 0", 1: "text 1"})
