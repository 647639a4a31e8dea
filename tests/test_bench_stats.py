"""Medians and their intervals."""

import numpy as np
import pytest

from edgevoice.bench import stats
from edgevoice.bench.schema import MOST_SAMPLES


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    for count in (15, 2 * stats.LARGE):
        held = 0
        for _ in range(200):
            interval = stats.median_interval(random.lognormal(0.0, 1.0, count).tolist())
            assert interval is not None
            held += interval.low <= 1.0 <= interval.high
        assert 180 <= held <= 199


def test_both_ways_to_the_interval_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(100.0, 5.0, stats.LARGE + 1).tolist()
    by_formula = stats.median_interval(values)
    monkeypatch.setattr(stats, "LARGE", 10_000)
    by_drawing = stats.median_interval(values)
    assert by_formula is not None
    assert by_drawing is not None
    assert by_formula.low == pytest.approx(by_drawing.low, abs=0.15)
    assert by_formula.high == pytest.approx(by_drawing.high, abs=0.15)


def test_one_value_has_no_interval() -> None:
    assert stats.median_interval([3.0]) is None
    assert stats.relative_half_width([3.0]) == float("inf")
    assert stats.relative_half_width([3.0, 3.0]) == 0.0
    with pytest.raises(ValueError, match="no median"):
        stats.summary([])


def test_a_summary() -> None:
    found = stats.summary([float(value) for value in range(1, 102)])
    assert (found.n, found.median, found.p95, found.p99, found.low, found.high) == (101, 51.0, 96.0, 100.0, 1.0, 101.0)


def test_ratios_of_pairs_are_sharper_than_what_they_are_made_of() -> None:
    random = np.random.default_rng(3)
    machine = random.lognormal(0.0, 0.5, 40)  # what else it did, which fell on both alike
    base, other = (10 * machine).tolist(), (12 * machine * random.normal(1.0, 0.01, 40)).tolist()
    ratio, interval = stats.paired_ratio(other, base)
    assert interval is not None
    assert ratio == pytest.approx(1.2, abs=0.01)
    assert interval.high - interval.low < 0.02
    with pytest.raises(ValueError, match="no pairs"):
        stats.paired_ratio([1.0], [1.0, 2.0])


def test_of_too_many_samples_some_are_kept_and_all_are_counted() -> None:
    values = [float(value) for value in range(10 * MOST_SAMPLES)]
    found = stats.metric("chunk_ms", values, range(len(values)))
    assert (len(found.samples), found.inputs) == (MOST_SAMPLES, ())
    assert found.summary.n == len(values)
    assert list(found.samples) == sorted(found.samples)
    few = stats.metric("rtf", [0.5, 0.25], [0, 1])
    assert (few.samples, few.inputs, few.unit) == ((0.5, 0.25), (0, 1), "x")
