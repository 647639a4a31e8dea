"""``edgevoice bench check``: it fails where something is worse, and only there, and says why."""

from pathlib import Path

import msgspec
import pytest
from benchresults import PI, USAGE, accuracy, engine, everything, happened, metric, result

from edgevoice.__main__ import main
from edgevoice.bench import schema
from edgevoice.bench.check import check
from edgevoice.bench.compare import compare
from edgevoice.bench.schema import Metric, Result


def timed(**metrics: Metric) -> Result:
    return result(engine(metrics=metrics, usage=None))


BASE = timed(rtf=metric("rtf", 0.2, seed=1))


def slower(times: float, *, spread: float = 0.05, count: int = 40) -> Result:
    return timed(rtf=metric("rtf", 0.2 * times, seed=2, spread=spread, count=count))


@pytest.mark.parametrize(
    ("times", "tolerance", "passes"), [(1.0, 10.0, True), (1.2, 10.0, False), (1.2, 30.0, True), (0.5, 0.0, True)]
)
def test_worse_beyond_the_tolerance_fails(times: float, tolerance: float, passes: bool) -> None:
    assert check(compare(BASE, slower(times)), {"rtf": tolerance}).passed is passes


def test_what_chance_explains_does_not_fail() -> None:
    found = compare(BASE, slower(1.15, spread=1.0))
    assert found.changes[0].value > 1.1
    assert check(found, {}).passed


def test_the_findings_name_the_figures() -> None:
    found = check(compare(BASE, slower(1.3)), {})
    assert not found.passed
    (text,) = found.worse
    assert text.startswith("asr whisper plain 1 thread: rtf 0.201 -> 0.262: 30.5 %")
    assert "% worse (95 % x 1." in text
    assert text.endswith("10 % are allowed")


def test_higher_may_be_better() -> None:
    def speed(middle: float) -> Result:
        return timed(rtf=msgspec.structs.replace(metric("rtf", middle), better="higher"))

    assert check(compare(speed(1.0), speed(2.0)), {}).passed
    (text,) = check(compare(speed(2.0), speed(1.0)), {}).worse
    assert "100.0 % worse" in text


def test_starting_is_judged_only_where_it_is_named() -> None:
    base, other = timed(load_s=metric("load_s", 1.0)), timed(load_s=metric("load_s", 3.0))
    assert not check(compare(base, other), {}).judged
    assert not check(compare(base, other), {"load_s": 50.0}).passed


def test_memory_is_judged_and_a_single_time_is_only_told() -> None:
    rtf = metric("rtf", 0.2)
    more = msgspec.structs.replace(USAGE, peak_mb=300.0)
    base, other = result(engine(metrics={"rtf": rtf})), result(engine(metrics={"rtf": rtf}, usage=more))
    (text,) = check(compare(base, other), {}).worse
    assert "peak_mb 220 MB -> 300 MB: 36.4 % worse (one value each" in text
    assert check(compare(base, other), {"peak_mb": 40.0}).passed
    found = check(compare(timed(rtf=metric("rtf", 0.2, count=1)), timed(rtf=metric("rtf", 0.4, count=1))), {})
    assert len(found.unsure) == 1
    assert not found.worse


def test_shares_and_accuracy_are_judged_in_points() -> None:
    base = timed(missed_percent=happened("missed_percent", 1, 1000))
    assert check(compare(base, timed(missed_percent=happened("missed_percent", 9, 1000))), {}).passed
    (text,) = check(compare(base, timed(missed_percent=happened("missed_percent", 50, 1000))), {}).worse
    assert "+4.9 points worse" in text
    a, b = accuracy([1] * 40, [10] * 40), accuracy([2] * 40, [10] * 40)
    (text,) = check(compare(result(accuracy=(a,)), result(accuracy=(b,))), {}).worse
    assert "wer 10.00% -> 20.00%: 10.0 points worse" in text
    assert check(compare(result(accuracy=(a,)), result(accuracy=(b,))), {"wer": 11.0}).passed
    assert check(compare(result(accuracy=(b,)), result(accuracy=(a,))), {}).passed


def test_what_is_gone_or_failed_fails() -> None:
    base = result(engine(), engine(name="vosk"))
    found = check(compare(base, result(engine())), {})
    assert (found.passed, found.gone) == (False, ("asr vosk plain 1 thread: it is only in the baseline",))
    assert check(compare(base, result(engine())), {}, subset=True).passed
    broken = engine(name="vosk", state="failed", why="out of memory", metrics={}, usage=None)
    for subset in (False, True):
        found = check(compare(base, result(engine(), broken)), {}, subset=subset)
        assert (found.passed, found.gone) == (False, ("asr vosk plain 1 thread: it failed: out of memory",))


def test_nothing_in_common_is_no_success() -> None:
    assert not check(compare(result(engine()), result(engine(name="vosk"))), {}, subset=True).passed


# The command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def base(tmp_path: Path) -> str:
    schema.write(everything(), tmp_path / "base.json")
    return str(tmp_path / "base.json")


def other(base: str, made: Result) -> str:
    path = Path(base).with_name("other.json")
    schema.write(made, path)
    return str(path)


def test_the_exit_code_is_for_scripts(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole = everything()
    healthy = msgspec.structs.replace(whole, series=tuple(one for one in whole.series if one.state != "failed"))
    schema.write(healthy, Path(base))
    assert main(["bench", "check", "--baseline", base, base]) == 0
    assert "passed: none of" in capsys.readouterr().out
    first = msgspec.structs.replace(healthy.series[0], metrics={"rtf": metric("rtf", 0.3)})
    worse = other(base, msgspec.structs.replace(healthy, series=(first, *healthy.series[1:])))
    assert main(["bench", "check", "--baseline", base, worse]) == 1
    captured = capsys.readouterr()
    assert "asr whisper plain 1 thread: rtf" in captured.out
    assert "failed: 1 of " in captured.out
    assert "trust: baseline: governor" in captured.err
    assert main(["bench", "check", "--baseline", base, worse, "--tolerance", "60"]) == 0
    assert main(["bench", "check", "--baseline", base, worse, "--tolerance", "60", "--tolerance", "rtf=20"]) == 1
    capsys.readouterr()
    assert main(["bench", "check", "--baseline", base, worse, "--json"]) == 1
    assert msgspec.json.decode(capsys.readouterr().out)["passed"] is False


def test_another_machine_is_refused_unless_it_is_wanted(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    board = msgspec.structs.replace(PI, model="Raspberry Pi 5")
    elsewhere = other(base, msgspec.structs.replace(everything(), board=board))
    assert main(["bench", "check", "--baseline", base, elsewhere]) == 3
    err = capsys.readouterr().err
    assert "another machine" in err
    assert "Raspberry Pi 5" in err
    assert main(["bench", "check", "--baseline", base, elsewhere, "--any-machine"]) == 1  # what failed in it


def test_a_metric_that_is_not_there_is_refused(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "check", "--baseline", base, base, "--tolerance", "rft=3"]) == 3
    assert "did you mean 'rtf'?" in capsys.readouterr().err
    for text in ("x", "rtf=-1", "=3", "rtf=", "nan"):
        with pytest.raises(SystemExit, match="2"):
            main(["bench", "check", "--baseline", base, base, "--tolerance", text])
