"""Parts of the evaluation: mixing by numbers, the end of speech, the simulated clock, scores, bad manifests."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgevoice.audio.pcm import Float32
from edgevoice.errors import AudioError, ConfigError
from edgevoice.evaluate import manifest, score
from edgevoice.evaluate.clock import SimulatedWorker, Stopwatch, run
from edgevoice.evaluate.mix import loudest, mix, piece
from edgevoice.evaluate.recording import Paced, speech_end
from edgevoice.think.grammar import Grammar

RANDOM = np.random.default_rng(7)


def noise(length: int, level: float = 0.1) -> Float32:
    return (level * RANDOM.standard_normal(length)).astype(np.float32)


def test_loudest_frame() -> None:
    samples = np.zeros(3 * 2048 + 100, np.float32)
    samples[2048 + 5] = 0.5
    samples[-1] = 1.0  # in no whole frame
    assert loudest(samples) == pytest.approx(0.25)


@pytest.mark.parametrize("snr", [-3.0, 6.0, 24.0])
def test_mix_has_the_ratio_and_the_peak(snr: float) -> None:
    speech, lead = noise(30_000, 0.2), 8000
    background = noise(lead + 30_000 + 5000)
    under = slice(lead, lead + 30_000)
    mixed = mix(speech, background, lead, snr)
    assert np.abs(mixed[under]).max() == pytest.approx(0.5)
    gain = mixed[0] / background[0]  # of the noise, after scaling
    scaled = mixed[under] - gain * background[under]
    measured = 10 * np.log10(loudest(scaled) / loudest((gain * background[under]).astype(np.float32)))
    assert measured == pytest.approx(snr, abs=0.01)


def test_silence_cannot_be_mixed() -> None:
    with pytest.raises(AudioError, match="the noise is silent"):
        mix(noise(4096), np.zeros(4096, np.float32), 0, 6)


def test_piece_follows_from_seed_and_name_and_wraps() -> None:
    ramp = np.arange(1000, dtype=np.float32)
    first = piece(ramp, 600, lead=500, tail=900, seed=1, name="a")
    assert np.array_equal(first, piece(ramp, 600, lead=500, tail=900, seed=1, name="a"))
    assert not np.array_equal(first, piece(ramp, 600, lead=500, tail=900, seed=2, name="a"))
    assert not np.array_equal(first, piece(ramp, 600, lead=500, tail=900, seed=1, name="b"))
    assert set(np.diff(first)) == {1.0, -999.0}
    assert np.all(np.diff(first[500:1100]) == 1)  # under the recording there is no seam
    assert len(piece(ramp, 2500, lead=0, tail=0, seed=0, name="a")) == 2500


def test_speech_ends_at_its_last_run_of_frames_not_at_a_click() -> None:
    samples = noise(3 * 16_000, 0.0005)
    samples[8000:24_000] += noise(16_000)
    samples[40_000:40_100] = 0.5
    assert abs(speech_end(samples) - 24_000) <= 320
    falls = np.concatenate([samples, np.zeros(20_000, np.float32), samples[8_000:10_000], np.zeros(8_000, np.float32)])
    assert speech_end(falls) == speech_end(samples)
    assert speech_end(np.zeros(16_000, np.float32)) == 0


def test_simulated_time() -> None:
    """Audio is there when it was spoken; a step takes what it is measured to take; one worker does one at a time."""
    clock = [0.0]

    def step(seconds: float) -> None:
        clock[0] += seconds

    async def listen() -> list[float]:
        loop = asyncio.get_running_loop()
        watch = Stopwatch(lambda: clock[0])
        first, second = SimulatedWorker("first", watch), SimulatedWorker("second", watch)
        source = Paced(np.zeros(3200, np.int16), 1600, lossless=True)
        times = [loop.time() async for _ in source.blocks()]
        await asyncio.gather(first.call(step, 0.3), first.call(step, 0.2), second.call(step, 0.4))
        return [*times, loop.time(), watch.seconds["first"], watch.seconds["second"]]

    assert run(listen(), realtime=False) == pytest.approx([0.1, 0.2, 0.7, 0.5, 0.4])


def test_a_simulation_that_waits_for_nothing_fails() -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        run(forever(), realtime=False)


def prediction(
    label: dict[str, str], heard: dict[str, str] | None, confidence: float | None = None
) -> score.Prediction:
    intent = None if heard is None else "order"
    slots = dict(heard or {})
    correct = score.is_correct("order", label, intent, slots)
    return score.Prediction(
        audio="a", seed=None, label_intent="order", label_slots=dict(label), intent=intent, slots=dict(slots),
        confidence=confidence, slot_confidence={}, acceptance=confidence or 0.0, text="", why=None, correct=correct,
        strict=correct and slots.keys() == label.keys(), end="silence", cut_off=False, latency_ms=None, compute_ms=0.0,
        engine_ms={}, cpu_ms=0.0, seconds=1.0,
    )  # fmt: skip


def test_scores() -> None:
    right = prediction({"size": "small"}, {"size": "small"}, 0.97)
    more = prediction({"size": "small"}, {"size": "small", "roast": "dark"}, 0.96)
    wrong = prediction({"size": "small", "drink": "latte"}, {"size": "large"}, 0.7)
    refused = prediction({"size": "small"}, None)
    every = [right, more, wrong, refused]
    assert [each.correct for each in every] == [True, True, False, False]
    assert [each.strict for each in every] == [True, False, False, False]
    errors = score.slot_errors(every)
    assert errors["size"] == score.SlotErrors(said=4, missed=1, wrong=1, extra=0)
    assert errors["drink"] == score.SlotErrors(said=1, missed=1, wrong=0, extra=0)
    assert errors["roast"] == score.SlotErrors(said=0, missed=0, wrong=0, extra=1)
    found = {(each.slot, each.said, each.heard) for each in score.confusions(every)}
    assert found == {
        ("size", "small", "large"), ("drink", "latte", None), ("roast", None, "dark"), ("intent", "order", None)
    }  # fmt: skip
    bins = score.calibration(score.answers(every))
    assert [(each.low, each.n, each.right) for each in bins] == [(0.5, 1, 0.0), (0.95, 2, 0.5)]


def test_interval_of_wilson() -> None:
    found = score.interval(9, 10)
    assert (found.low, found.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert score.interval(0, 0) == score.Interval(0.0, 1.0)
    for n in range(1, 700):  # 206 of 206 were once rounded to less than all
        assert score.interval(n, n).high == 1.0
        assert score.interval(0, n).low == 0.0


def test_curve_of_refusal() -> None:
    points = score.curve([0.0, 0.2, 0.6], [[0.5, 0.9]])
    assert [(each.threshold, round(each.refused, 3), each.lost[0]) for each in points[:-1]] == [
        (0.0, 0.333, 0.0), (0.2, 0.333, 0.0), (0.5, 0.667, 0.0), (0.6, 0.667, 0.5), (0.9, 1.0, 0.5)
    ]  # fmt: skip
    assert (points[-1].refused, points[-1].lost) == (1.0, [1.0])


def test_every_mistake_of_a_manifest_is_reported(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16_000)
    (tmp_path / "m.jsonl").write_text(
        '{"audio": "a.wav", "intent": "order", "slots": {}}\n{"audio"\n\n{"audio": "a.wav"}\n'
        '{"audio": "b.wav", "intent": "order"}\n{"audio": "a.wav", "intent": "order"}\n'
    )
    with pytest.raises(ConfigError) as caught:
        manifest.load(tmp_path / "m.jsonl")
    text = str(caught.value)
    for line in (":2: no JSON", ":4: ", ":5: ", ":6: 'a.wav' stands in line 1 already"):
        assert f"m.jsonl{line}" in text
    assert "m.jsonl:1:" not in text


def test_labels_the_grammar_cannot_give(tmp_path: Path) -> None:
    pack = tmp_path / "pack.yaml"
    pack.write_text(
        "intents: {Order: {data: [{sentences: ['a {size} coffee']}]}}\nlists: {size: {values: [small, large]}}\n"
    )
    grammar = Grammar.load([pack])

    def item(line: int, intent: str, **slots: str) -> manifest.Item:
        return manifest.Item(f"{line}.wav", Path("x"), intent, slots, line)

    good = item(1, "Order", size="small")
    bad = [item(2, "Oder"), item(3, "Order", siz="small"), item(4, "Order", size="smal")]
    warnings = manifest.check([good, *bad], grammar, Path("m.jsonl"))
    assert [warning.split(": ")[0] for warning in warnings] == ["m.jsonl:2", "m.jsonl:3", "m.jsonl:4"]
    with pytest.raises(ConfigError, match="right grammar"):
        manifest.check(bad, grammar, Path("m.jsonl"))
