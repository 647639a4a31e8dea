"""Comparing two results: intervals that hold what they say, and everything that differs is said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from benchresults import PI, accuracy, engine, everything, happened, metric, result
from test_bench_schema import RESULT

from edgevoice.__main__ import main
from edgevoice.bench import resample, schema
from edgevoice.bench.compare import compare
from edgevoice.bench.differences import differences
from edgevoice.bench.schema import Counted, Flag, Interval, Metric, Result


def timed(**metrics: Metric) -> Result:
    return result(engine(metrics=metrics, usage=None))


def only(a: Result, b: Result) -> Any:
    (change,) = compare(a, b).changes
    return change


# Intervals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "true"), [(8, 1.0), (40, 1.2), (80, 1.0)])
def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says(count: int, true: float) -> None:
    random = np.random.default_rng(count)
    held = 0
    for _ in range(100):
        a, b = random.lognormal(0.0, 0.1, count), true * random.lognormal(0.0, 0.1, count)
        found = resample.ratio(a.tolist(), b.tolist())
        assert found is not None
        assert found[1] is not None
        held += found[1].low <= true <= found[1].high
    assert 87 <= held <= 100


def test_values_that_hang_together_are_drawn_in_blocks() -> None:
    random = np.random.default_rng(4)
    values = np.repeat(random.lognormal(0.0, 0.1, 40), 10)  # slow for ten values, then fast for ten
    blocks, shuffled = resample.medians(values.tolist(), random.permutation(values).tolist())
    assert blocks.std() > 1.3 * resample.medians(random.permutation(values).tolist(), [1.0])[0].std()
    assert shuffled.std() > 0


def spread(values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", *, known: bool) -> float:
    """Of the resampled medians of values by round and input."""
    inputs = list(range(values.shape[1])) * len(values) if known else []
    return float(resample.medians(values.ravel().tolist(), values.ravel().tolist(), inputs, inputs)[0].std())


def test_whole_rounds_are_drawn_where_there_are_enough() -> None:
    random = np.random.default_rng(5)
    lengths = np.linspace(1.0, 9.0, 9)
    quiet = lengths * random.lognormal(0.0, 0.01, (20, 9))
    assert spread(quiet, known=True) < spread(quiet, known=False) / 10  # recordings were chosen, not drawn
    disturbed = np.ones(9) * random.lognormal(0.0, 0.2, (20, 1))  # a whole round was slow, or none of it
    assert spread(disturbed, known=True) > 1.3 * spread(disturbed, known=False)


def test_of_few_rounds_the_same_recordings_are_drawn_for_both() -> None:
    random = np.random.default_rng(7)
    lengths = np.linspace(1.0, 9.0, 30)
    a, b = (times * lengths * random.lognormal(0.0, 0.02, 30) for times in (1.0, 1.1))
    inputs = list(range(30))
    pairs = resample.ratio(a.tolist(), b.tolist(), inputs, inputs)
    apart = resample.ratio(a.tolist(), b.tolist())
    assert pairs is not None
    assert apart is not None
    assert pairs[1] is not None
    assert apart[1] is not None
    assert 1.0 < pairs[1].low < 1.1 < pairs[1].high < 1.2
    assert apart[1].high - apart[1].low > 5 * (pairs[1].high - pairs[1].low)


def test_medians_of_groups_are_medians() -> None:
    values, groups = [5.0, 1.0, 4.0, 2.0, 3.0, 9.0], [0, 0, 1, 1, 2, 2]
    drawn = np.random.default_rng(8).integers(0, 3, (50, 3))
    expected = [np.median([values[at] for group in row for at in range(6) if groups[at] == group]) for row in drawn]
    assert resample._of_groups(values, groups, drawn).tolist() == expected


def test_the_same_values_give_the_same_interval() -> None:
    a, b = metric("rtf", 1.0).samples, metric("rtf", 1.1, seed=9).samples
    assert resample.ratio(a, b) == resample.ratio(a, b)


def test_of_few_values_the_interval_is_all_that_could_be() -> None:
    assert resample.ratio([1.0, 2.0], [2.0, 3.0, 4.0]) == (2.0, Interval(low=1.0, high=4.0))
    assert resample.ratio([2.0], [3.0]) == (1.5, None)
    assert resample.difference([0.0], [3.0]) == (3.0, None)
    assert resample.difference([0.0, 1.0], [3.0]) == (2.5, Interval(low=2.0, high=3.0))


def test_shares_have_an_interval_also_where_nothing_happened() -> None:
    value, interval = resample.shares(0, 100, 0, 100)
    assert value == 0.0
    assert interval.low < 0.0 < interval.high
    # Newcombe 1998, Statistics in Medicine 17, 873, table II, method 10, contrast (a): 56/70 - 48/80
    value, interval = resample.shares(48, 80, 56, 70)
    assert (value, interval.low, interval.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def counted(wrong: Sequence[int]) -> list[Counted]:
    return [Counted(name=f"{at}", wrong=one, of=10) for at, one in enumerate(wrong)]


def test_pairs_of_recordings_are_sharper_than_two_rates() -> None:
    hard = np.random.default_rng(6).integers(0, 9, 60)  # recordings differ much, both engines alike
    a, b = accuracy(hard.tolist(), [10] * 60), accuracy((hard + 1).tolist(), [10] * 60)
    (paired,) = compare(result(accuracy=(a,)), result(accuracy=(b,))).accuracy
    assert (paired.paired, paired.verdict) == (True, "worse")
    assert paired.interval is not None
    assert paired.interval.low == pytest.approx(0.1)
    (apart,) = compare(
        result(accuracy=(msgspec.structs.replace(a, each=()),)), result(accuracy=(msgspec.structs.replace(b, each=()),))
    ).accuracy
    assert not apart.paired
    assert apart.interval is not None
    assert apart.interval.high - apart.interval.low == pytest.approx(2 * (2 * 0.03**2) ** 0.5)


def test_only_the_same_recordings_are_pairs() -> None:
    a = counted([1, 2, 3])
    assert resample.paired(a, a) == (0.0, Interval(low=0.0, high=0.0))
    assert resample.paired(a, a[:2]) is None
    assert resample.paired(a, [*a[:2], Counted(name="2", wrong=1, of=9)]) is None
    assert resample.paired([*a, a[0]], [*a, a[0]]) is None
    assert resample.paired(a[:1], a[:1]) is None
    assert resample.paired([], []) is None


# Verdicts -------------------------------------------------------------------------------------------------------


def test_what_is_the_same_is_not_called_different() -> None:
    a, b = metric("rtf", 0.2, seed=1), metric("rtf", 0.2, seed=2)
    assert only(timed(rtf=a), timed(rtf=b)).verdict == "no difference seen"
    assert only(timed(rtf=a), timed(rtf=metric("rtf", 0.25, seed=2))).verdict == "worse"
    assert only(timed(rtf=a), timed(rtf=metric("rtf", 0.15, seed=2))).verdict == "better"


def test_higher_may_be_better() -> None:
    slow, fast = (
        msgspec.structs.replace(metric("rtf", middle, seed=int(middle)), better="higher") for middle in (1.0, 2.0)
    )
    assert only(timed(rtf=slow), timed(rtf=fast)).verdict == "better"
    assert only(timed(rtf=fast), timed(rtf=slow)).verdict == "worse"


def test_what_may_be_zero_is_compared_by_difference() -> None:
    nothing = msgspec.structs.replace(metric("action_ms", 1.0), samples=(0.0,) * 9)
    change = only(timed(action_ms=nothing), timed(action_ms=nothing))
    assert (change.how, change.value, change.verdict) == ("difference", 0.0, "no difference seen")
    change = only(timed(action_ms=nothing), timed(action_ms=metric("action_ms", 5.0)))
    assert (change.how, change.verdict) == ("difference", "worse")


def test_shares_are_compared_by_their_mean() -> None:
    change = only(
        timed(missed_percent=happened("missed_percent", 0, 200)),
        timed(missed_percent=happened("missed_percent", 20, 200)),
    )
    assert (change.a, change.b, change.value, change.verdict) == (0.0, 10.0, pytest.approx(10.0), "worse")
    assert "median" not in change.how


def test_too_few_values_are_no_difference() -> None:
    for count, other, verdict in ((3, 3, "too few values"), (4, 4, "worse"), (1, 9, "too few values")):
        a, b = metric("load_s", 1.0, count=count), metric("load_s", 2.0, count=other)
        assert only(timed(load_s=a), timed(load_s=b)).verdict == verdict


def test_what_was_disturbed_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = (Flag(kind="background_load", text="other programs took 1.0 of 4 cores meanwhile"),)
    slow = engine(metrics={"rtf": metric("rtf", 0.4)}, flags=flags)
    files = write(tmp_path, a=result(engine(metrics={"rtf": metric("rtf", 0.2)})), b=result(slow))
    assert main(["bench", "compare", *files]) == 0
    assert "worse, but disturbed" in capsys.readouterr().out


def test_memory_is_one_value_each() -> None:
    changes = [one for one in compare(result(engine()), result(engine())).changes if one.unit == "MB"]
    assert {one.metric for one in changes} == {"peak_mb", "loaded_mb", "unshared_mb"}
    assert {one.verdict for one in changes} == {"too few values"}


def test_two_models_of_one_engine_are_told_apart() -> None:
    both = result(engine(model="tiny"), engine(model="base"))
    assert {one.title for one in compare(both, both).changes} == {one.key for one in both.series}


# What else differs ----------------------------------------------------------------------------------------------


def said(a: Result, b: Result) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in differences(a, b):
        found.setdefault(one.about, []).append(one.text)
    return found


def test_machines_versions_and_options_that_differ_are_named() -> None:
    a = result(engine())
    board = msgspec.structs.replace(PI, model="Raspberry Pi 5", memory_mb=3800.0, versions={"onnxruntime": "1.23"})
    b = result(
        engine(inputs=("c.wav",)),
        board=board,
        options={"typed": {"seconds": 8.0}, "asr": {"engine": "vosk"}},
        flags=(Flag(kind="background_load", text="other programs took 1.0 of 4 cores meanwhile"),),
        partial=True,
    )
    found = said(a, b)
    assert found["machine"] == ["model: Raspberry Pi 4 Model B Rev 1.4 and Raspberry Pi 5"]
    assert found["versions"] == ["onnxruntime: 1.20.0 and 1.23"]
    assert found["options"][:2] == ["seconds: 4.0 and 8.0", "asr.engine: whisper and vosk"]
    assert "other recordings" in found["options"][2]
    assert found["trust"] == [
        "B: it was stopped before the end",
        "B: background load: the whole run: other programs took 1.0 of 4 cores meanwhile",
    ]
    assert said(a, a) == {}


# The command ----------------------------------------------------------------------------------------------------


def write(folder: Path, **results: Result) -> list[str]:
    for name, one in results.items():
        schema.write(one, folder / f"{name}.json")
    return [str(folder / f"{name}.json") for name in results]


def test_the_command_prints_ratios_and_what_was_not_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = result(engine(), engine(name="vosk"), engine(name="gone"), accuracy=(accuracy([1] * 9, [10] * 9),))
    slower = {"rtf": metric("rtf", 0.3, seed=3), "latency_ms": metric("latency_ms", 400.0, seed=4, inputs=2)}
    b = result(engine(metrics=slower), engine(name="vosk"), engine(name="new"), accuracy=a.accuracy)
    files = write(tmp_path, a=a, b=b)
    assert main(["bench", "compare", *files]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ")}
    lines = out.splitlines()
    at = lines.index("asr whisper plain 1 thread")
    assert lines[at + 1].split() == ["rtf", "0.199", "0.297", "x", "1.49", "1.47", "to", "1.53", "worse"]
    assert "latency_ms" not in rows  # no difference, and not the main figure
    assert "whisper plain: wer" in out
    assert "Only in A:\n  asr gone plain 1 thread" in out
    assert "Only in B:\n  asr new plain 1 thread" in out
    assert "shown by --all" in out
    assert main(["bench", "compare", *files, "--all"]) == 0
    assert "latency_ms" in capsys.readouterr().out
    assert main(["bench", "compare", *files, "--json"]) == 0
    found = msgspec.json.decode(capsys.readouterr().out)
    assert found["changes"][0]["metric"] == "rtf"
    assert found["differences"] == []


def test_the_same_file_twice_shows_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = write(tmp_path, a=everything())
    assert main(["bench", "compare", path, path]) == 0
    out = capsys.readouterr().out
    assert "No difference seen in " in out
    assert "worse" not in out
    assert "better" not in out


def test_results_without_anything_in_common(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write(tmp_path, a=result(engine()), b=result(engine(name="vosk")))
    assert main(["bench", "compare", *files]) == 0
    assert "nothing in common" in capsys.readouterr().out


# Bad input ------------------------------------------------------------------------------------------------------

NAN = msgspec.json.encode(RESULT).replace(b"[1.0,3.0]", b"[1.0,NaN]")
HUGE = msgspec.json.encode(RESULT).replace(b"[1.0,3.0]", b"[1.0,1e999]")
NO_SAMPLES = msgspec.json.encode(RESULT).replace(b"[1.0,3.0]", b"[]")
TOO_MANY_INPUTS = msgspec.json.encode(RESULT).replace(b'"inputs":[0,1]', b'"inputs":[0,1,1]')
NOTHING = msgspec.json.encode(result())
TWICE = msgspec.json.encode(result(engine(), engine()))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "no result of a benchmark"),
        (b"seconds: 4", "no result of a benchmark"),
        (b'{"format": 1, "conditions": []}', "no result of a benchmark"),
        (b'{"format": 2, "board": {}}', "it has format 2, this version reads 1"),
        (NAN, "no result of a benchmark"),
        (HUGE, "no result of a benchmark"),
        (NO_SAMPLES, "latency_ms: it has no samples"),
        (TOO_MANY_INPUTS, "2 samples and 3 inputs"),
        (NOTHING, "nothing was measured in it"),
        (TWICE, "2 times"),
    ],
)
@pytest.mark.parametrize("action", ["compare", "check", "html"])
def test_bad_files_are_refused_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, content: bytes, cause: str
) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    bad, (good,) = str(tmp_path / "bad.json"), write(tmp_path, good=result(engine()))
    more = {"compare": [good, bad], "check": ["--baseline", good, bad], "html": [bad, "--output", f"{tmp_path}/p.html"]}
    assert main(["bench", action, *more[action]]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edgevoice: error: ")
    assert cause in captured.err
    assert "bad.json" in captured.err
    assert not (tmp_path / "p.html").exists()


def test_all_bad_files_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text("{")
    assert main(["bench", "compare", str(tmp_path / "a.json"), str(tmp_path / "none.json")]) == 3
    err = capsys.readouterr().err
    assert "a.json: it is no result" in err
    assert "none.json: it cannot be read" in err
