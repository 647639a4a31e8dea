"""What is measured of a changed model, and what decides whether it is published."""

from typing import Any

import numpy as np
import pytest

from edgevoice.audio.pcm import RATE, Audio, from_float32
from edgevoice.errors import ConfigError, GateError
from edgevoice.evaluate.score import interval
from edgevoice.quantize import gate
from edgevoice.quantize.distance import mel_cepstral_distance
from edgevoice.quantize.gate import LayerNoise, Measurement, judge
from edgevoice.quantize.metric import Parts, SampleSet, difference, metric

SAMPLES = SampleSet(name="dev.jsonl", n=4, sha256="ab" * 32)


def parts(*counts: float, weights: tuple[float, ...] | None = None) -> Parts:
    return Parts(counts=counts, weights=weights or (1.0,) * len(counts))


def measurement(figures: dict[str, Parts], *, lower: bool = True, unit: Any = "share", **changes: Any) -> Measurement:
    metrics = tuple(metric(name, each, unit=unit, lower_is_better=lower) for name, each in figures.items())
    given: dict[str, Any] = {
        "task": "asr",
        "engine": "whisper",
        "metrics": metrics,
        "parts": figures,
        "samples": SAMPLES,
        "size": 1000,
        "load_ms": 1.0,
        "rss_mb": 100.0,
        "latency_of": "a recording",
        "latency_p50_ms": 2.0,
        "latency_p95_ms": 3.0,
    }
    return Measurement(**(given | changes))


# Figures


def test_a_figure_is_the_ratio_of_its_sums() -> None:
    found = metric("wer", parts(1, 0, 3, weights=(10, 5, 25)))
    assert (found.value, found.n) == (0.1, 3)
    assert 0.0 <= found.low < 0.1 < found.high <= 0.12


def test_shares_of_right_and_wrong_have_wilsons_interval() -> None:
    found = metric("strict_accuracy", parts(1, 1, 1, 0), lower_is_better=False)
    wilson = interval(3, 4)
    assert (found.low, found.high) == (round(wilson.low, 6), round(wilson.high, 6))


def test_the_same_figures_give_the_same_interval() -> None:
    found = parts(1, 0, 3, weights=(10, 5, 25))
    assert metric("wer", found) == metric("wer", found)


@pytest.mark.parametrize("given", [parts(), parts(1, weights=(0.0,)), parts(float("nan"))])
def test_without_recordings_there_is_no_figure(given: Parts) -> None:
    with pytest.raises(ValueError, match="wer"):
        metric("wer", given)


def test_a_bootstrap_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        weights = rng.integers(5, 20, 60)
        found = metric("wer", Parts(counts=tuple(rng.binomial(weights, 0.1)), weights=tuple(map(float, weights))))
        covered += found.low <= 0.1 <= found.high
    assert 180 <= covered <= 198


def test_recording_by_recording_a_difference_is_seen_that_intervals_hide() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(200) * 5  # Recordings differ far more than the models do.
    before, after = parts(*hard), parts(*(hard + 0.2 + 0.05 * rng.standard_normal(200)))
    found = difference(before, after)
    assert found is not None
    assert 0.18 < found[0] < 0.2 < found[1] < 0.22
    assert metric("x", before).high > metric("x", after).low
    assert difference(before, parts(1, 2)) is None


# The verdict


def test_no_loss_passes_and_a_loss_beyond_the_limit_does_not() -> None:
    before = measurement({"wer": parts(0, 0, 1, 0, weights=(10, 10, 10, 10))})
    after = measurement({"wer": parts(0, 0, 2, 1, weights=(10, 10, 10, 10))})
    assert judge(before, before).passed
    verdict = judge(before, after)
    (change,) = verdict.changes
    assert (verdict.passed, change.drop, change.allowed) == (False, 0.05, gate.MAX_DROP)
    assert change.low is not None and change.high is not None
    assert change.low <= 0.05 <= change.high
    assert judge(before, after, 0.05).passed  # At the limit is not past it.
    assert judge(after, before).passed
    assert judge(after, before).changes[0].drop == -0.05


def test_less_accuracy_is_a_loss_where_more_is_better() -> None:
    before = measurement({"strict_accuracy": parts(1, 1, 1, 1)}, lower=False)
    after = measurement({"strict_accuracy": parts(1, 1, 1, 0)}, lower=False)
    assert judge(before, after).changes[0].drop == 0.25
    assert not judge(before, after, 0.24).passed
    assert judge(before, after, 0.25).passed
    assert judge(after, before, 0.0).passed


def test_every_metric_has_its_own_limit() -> None:
    before = measurement({"misses": parts(0, 0, 1, 0), "misses_at_threshold": parts(0, 0, 0, 0)})
    after = measurement({"misses": parts(0, 0, 1, 0), "misses_at_threshold": parts(0, 1, 0, 0)})
    assert not judge(before, after).passed
    assert judge(before, after, {"misses_at_threshold": 0.3}).passed
    assert not judge(before, after, {"misses": 0.3}).passed
    with pytest.raises(ConfigError, match=r"no metric 'wer' for asr; there are: misses, misses_at_threshold"):
        judge(before, after, {"wer": 0.3})
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="no drop that could be allowed"):
            judge(before, after, wrong)


def test_limits_are_typed_as_numbers_and_by_name() -> None:
    assert gate.parse_max_drop([]) == {}
    assert gate.parse_max_drop(["0.02", "mel_cepstral_distance=1.5", "0.03"]) == {
        gate.ALL_SHARES: 0.03,
        "mel_cepstral_distance": 1.5,
    }
    before = measurement({"misses": parts(0, 0, 0, 0), "misses_at_threshold": parts(0, 0, 0, 0)})
    after = measurement({"misses": parts(0, 1, 0, 0), "misses_at_threshold": parts(0, 1, 0, 0)})
    assert judge(before, after, gate.parse_max_drop(["0.25"])).passed
    assert not judge(before, after, gate.parse_max_drop(["0.25", "misses=0.1"])).passed
    for wrong in ("much", "misses=", "misses=x"):
        with pytest.raises(ConfigError, match="no drop that could be allowed; for example"):
            gate.parse_max_drop([wrong])


def test_a_number_is_no_limit_for_what_is_no_share() -> None:
    before = measurement({"mel_cepstral_distance": parts(0.0, 0.0)}, unit="dB")
    after = measurement({"mel_cepstral_distance": parts(gate.MAX_DISTANCE, gate.MAX_DISTANCE)}, unit="dB")
    assert judge(before, after, 0.001).passed
    assert not judge(before, after, {"mel_cepstral_distance": 0.1}).passed


def test_the_report_names_what_was_lost_and_the_layers_that_did_it() -> None:
    before = measurement({"wer": parts(0, 0, 0, 0, weights=(10, 10, 10, 10))})
    after = measurement({"wer": parts(2, 2, 2, 2, weights=(10, 10, 10, 10))})
    layers = [LayerNoise(layer=f"layer{number}", sqnr_db=30.0 - number) for number in range(8)]
    verdict = judge(before, after, sensitivity=layers)
    metric_line, layer_line = verdict.report()
    assert metric_line == "wer from 0 to 0.2, 0.2 worse (95 %: +0.2 to +0.2); at most 0.01 worse is allowed"
    assert layer_line.startswith("most noise comes from: layer7 (23.0 dB), layer6 (24.0 dB), ")
    assert layer_line.endswith("layer3 (27.0 dB), and 3 more")
    with pytest.raises(GateError, match=r"tiny@int8: it lost too much and was not published: wer .*layer7") as caught:
        verdict.raise_unless_passed("tiny@int8")
    assert caught.value.exit_code == 11
    passed = judge(before, before, sensitivity=layers)
    assert passed.layers == ()
    passed.raise_unless_passed("tiny@int8")


def test_it_is_told_when_the_recordings_are_too_few_to_be_sure() -> None:
    few = measurement({"misses": parts(1, 0, 0, 0)})
    other = measurement({"misses": parts(0, 1, 0, 0)})
    verdict = judge(few, other)
    assert (verdict.passed, verdict.unsure) == (True, True)
    assert judge(few, few).unsure  # No loss was seen, but one recording in two might still be lost.
    many = measurement({"misses": parts(*[1.0, *[0.0] * 399])})
    assert not judge(many, many).unsure


def test_no_difference_seen_is_no_certainty() -> None:
    some = parts(1, *[0] * 29)
    low, high = difference(some, some) or (0.0, 0.0)
    assert low == pytest.approx(-1 / 30)
    right = parts(*[1] * 30)
    assert difference(right, right) == (-high, 0.0)
    # The bound is the share of recordings that are lost at which 30 of them show none in 2.5 of 100 cases.
    assert (1 - high) ** 30 == pytest.approx(0.025)
    assert difference(some, some, "dB") == (0.0, 0.0)
    hours = parts(0, 0, weights=(1.0, 1.0))
    assert difference(hours, hours, "per hour") == pytest.approx((0.0, 3.689 / 2), abs=0.001)
    few = measurement({"false_alarms": hours}, unit="per hour")
    assert (judge(few, few).passed, judge(few, few).unsure) == (True, True)


def test_rates_have_garwoods_interval() -> None:
    found = metric("false_alarms", parts(0, 2, weights=(0.5, 0.5)), unit="per hour")
    assert [found.low, found.high] == pytest.approx([0.2422, 7.2247], abs=1e-3)


def test_without_a_metric_nothing_passes() -> None:
    nothing = measurement({})
    some = measurement({"wer": parts(0, 1)})
    with pytest.raises(GateError, match="no metric was measured"):
        judge(nothing, nothing)
    with pytest.raises(GateError, match="'wer' was not measured afterwards"):
        judge(some, nothing)
    others = measurement({"wer": parts(0, 1)}, samples=SampleSet(name="dev.jsonl", n=4, sha256="cd" * 32))
    with pytest.raises(GateError, match="not measured on the same recordings"):
        judge(some, others)
    assert not gate.Verdict(changes=(), layers=()).passed


# The distance of two voices


def tone(*hertz: float, seconds: float = 0.4, noise: float = 0.0) -> Audio:
    """Tones after one another."""
    at = np.arange(int(seconds * RATE)) / RATE
    samples = np.concatenate([0.3 * np.sin(2 * np.pi * each * at) for each in hertz])
    hiss = noise * np.random.default_rng(0).standard_normal(len(samples))
    return from_float32((samples + hiss).astype(np.float32), RATE)


def distance(one: Audio, other: Audio) -> float:
    total, steps = mel_cepstral_distance(one, other)
    return total / steps


def test_distance_grows_with_difference() -> None:
    voice = tone(300, 900, 500)
    assert distance(voice, voice) == 0.0
    hiss = [distance(voice, tone(300, 900, 500, noise=noise)) for noise in (0.0001, 0.001, 0.01)]
    assert 0 < hiss[0] < hiss[1] < hiss[2]
    assert distance(voice, tone(300, 2000, 500)) > 2.0


def test_loudness_and_pace_are_no_difference_but_order_is() -> None:
    voice = tone(300, 900, 500)
    quieter = from_float32(voice.float32() * np.float32(0.25), RATE)
    assert distance(voice, quieter) < 0.2
    assert distance(voice, tone(300, 900, 500, seconds=0.5)) < 0.3
    assert distance(voice, tone(900, 300, 500)) > 1.0


def test_the_alignment_is_the_cheapest_there_is() -> None:
    from edgevoice.quantize.distance import _align

    costs = np.random.default_rng(3).random((5, 7))

    def cheapest(row: int, column: int) -> float:
        if (row, column) == (0, 0):
            return float(costs[0, 0])
        before = [
            cheapest(above, left)
            for above, left in ((row - 1, column), (row, column - 1), (row - 1, column - 1))
            if above >= 0 and left >= 0
        ]
        return float(costs[row, column]) + min(before)

    total, steps = _align(costs)
    assert total == pytest.approx(cheapest(4, 6))
    assert 7 <= steps <= 11


def test_what_is_shorter_than_a_frame_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="shorter than a frame"):
        mel_cepstral_distance(tone(300), Audio(np.zeros(100, np.int16)))
