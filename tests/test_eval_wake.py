"""Evaluation of wake words: streams, attribution, DET curves, intervals; with an engine that reads scripts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from fakes import LEVELS, FakeAsr, FakeVad, FakeWake, FakeWakeSession, perform

from edgevoice.audio.pcm import Audio
from edgevoice.automaton import Automaton
from edgevoice.config import Config
from edgevoice.config import load as load_config
from edgevoice.engines.protocols import WakeEngine, WakeModel
from edgevoice.errors import ConfigError
from edgevoice.evaluate import score, wake, wake_report
from edgevoice.evaluate.scene import CLEAN, Under

HELD = "..WWWWW.."
SPEECH = "..oooookkkk.."
SHORT = "..WWW.."  # not long enough for the engine to be sure
TWICE = "..WWWWW............WWWWW.."
SCRIPTS = {"held": HELD, "speech": SPEECH, "short": SHORT, "twice": TWICE}


def fake(config: Config) -> WakeEngine:
    return FakeWake()


def item(folder: Path, name: str, script: str, phrase: str | None, line: int = 1) -> wake.Item:
    path = folder / f"{name}.wav"
    soundfile.write(path, perform(script).samples, 16_000)
    return wake.Item(path.name, path, phrase, line)


def settings(*overrides: str, noise: Path | None = None, gap: float = 2.0) -> wake.Settings:
    config = load_config(None, overrides=overrides, environ={})
    return wake.Settings(config, noise, gap, load=fake, load_vad=lambda _: FakeVad(), load_asr=lambda _: FakeAsr())


def condition(found: list[wake.Done], *overrides: str) -> wake_report.Condition:
    options = load_config(None, overrides=overrides, environ={}).detection
    return wake_report.condition(found, sum(len(done.clips) for done in found), None, None, options)


def test_misses_false_alarms_and_second_wakes(tmp_path: Path) -> None:
    clips = (
        item(tmp_path, "held", HELD, "computer"),
        item(tmp_path, "short", SHORT, "Computer!"),
        item(tmp_path, "speech", SPEECH, None),
        item(tmp_path, "other", HELD, "alexa"),  # to this engine other speech, which it falls for
        item(tmp_path, "twice", TWICE, "computer"),
    )
    found = condition([wake.Bench(settings()).do(wake.Stream(clips))])
    assert (found.n, found.misses) == (3, 1)
    assert found.miss_rate == pytest.approx(1 / 3)
    assert [clip.audio for clip in found.clips if clip.missed] == ["short.wav"]
    assert found.hours == pytest.approx((len(SPEECH) + len(HELD)) / 10 / 3600)
    assert found.false_alarms == 1
    assert found.false_alarms_per_hour == pytest.approx(1 / found.hours)
    assert found.extra == 1  # the second of "twice"
    assert [(each.audio, each.right) for each in found.detections] == [
        ("held.wav", True), ("other.wav", False), ("twice.wav", True), ("twice.wav", False)
    ]  # fmt: skip
    # The word is certain 0.37 s after it began, and patience asks for three scores: 2 more steps of 10 ms.
    assert found.detections[0].at == pytest.approx(0.2 + 0.38 + 0.02, abs=0.011)
    assert all(each.score >= 0.5 for each in found.detections)
    best = {clip.audio: clip.best["computer"] for clip in found.clips}
    assert best == {"held.wav": 1.0, "short.wav": 0.0, "speech.wav": 0.0, "other.wav": 1.0, "twice.wav": 1.0}
    assert found.clips[0].latency_ms == pytest.approx(-100, abs=30)  # 0.6 s, and speech ends at 0.7


def test_the_refractory_time_reaches_into_the_next_clip(tmp_path: Path) -> None:
    """As in the daemon; it counts as a miss only when clips are closer than it is long."""
    clips = (item(tmp_path, "a", "WWWWW", "computer"), item(tmp_path, "b", "WWWWW", "computer"))
    near = wake.Bench(settings("detection.refractory=4", gap=1.0)).do(wake.Stream(clips))
    far = wake.Bench(settings("detection.refractory=4", gap=5.0)).do(wake.Stream(clips))
    assert condition([near]).misses == 1
    assert condition([far]).misses == 0


def test_det_curve_goes_from_all_to_nothing(tmp_path: Path) -> None:
    clips = (item(tmp_path, "held", HELD, "computer"), item(tmp_path, "other", HELD, None))
    (word,) = condition([wake.Bench(settings()).do(wake.Stream(clips))]).words
    assert (word.threshold, word.patience, word.n, word.misses, word.false_alarms) == (0.5, 3, 1, 0, 1)
    levels = [point.threshold for point in word.det]
    assert levels == sorted(levels)
    assert word.threshold in levels
    assert {point.misses for point in word.det} == {0}  # scores are 0 or 1: every threshold decides alike
    patient = "detection.patience=100"  # a second: longer than the word
    (word,) = condition([wake.Bench(settings(patient)).do(wake.Stream(clips))], patient).words
    by_level = {point.threshold: (point.misses, point.false_alarms) for point in word.det}
    # Some 14 of 100 scores are 1: the mean stays below 0.2.
    assert by_level[0.1] == (0, 1)
    assert by_level[0.2] == (1, 0)


def test_a_threshold_of_the_configuration_is_a_point_of_the_curve(tmp_path: Path) -> None:
    own = "detection.thresholds={computer: 0.777}"
    clips = (item(tmp_path, "held", HELD, "computer"),)
    (word,) = condition([wake.Bench(settings(own)).do(wake.Stream(clips))], own).words
    assert word.threshold == 0.777
    assert any(point.threshold == 0.777 for point in word.det)


def test_streams_do_not_depend_on_who_does_them(tmp_path: Path) -> None:
    items = [wake.Item(f"{number}.wav", Path("x"), None, number) for number in range(23)]
    under = [Under(1, 6.0, 0), Under(1, 6.0, 1)]
    jobs = wake.streams(items, under)
    assert [len(job.items) for job in jobs] == [10, 10, 3, 10, 10, 3]
    assert [each for job in jobs[:3] for each in job.items] == items
    assert [job.under.seed for job in jobs] == [0, 0, 0, 1, 1, 1]


def test_which_clips_hold_a_word() -> None:
    word = WakeModel("hey_jarvis", "Hey, Jarvis", 0.5, 3)
    assert wake.holds("hey jarvis", word)
    assert wake.holds("Hey_Jarvis!", word)
    assert not wake.holds("jarvis", word)
    assert not wake.holds(None, word)
    items = [wake.Item("a", Path("a"), "alexa", 1), wake.Item("b", Path("b"), None, 2)]
    warnings = wake.unknown(items, [word])
    assert any("'Hey, Jarvis'" in line for line in warnings)
    assert any("'alexa'" in line for line in warnings)


def test_mistakes_of_a_manifest(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", perform(HELD).samples, 16_000)
    lines = [{"audio": "a.wav", "phrase": "  "}, {"audio": "gone.wav"}, {"phrase": "alexa"}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n{")
    with pytest.raises(ConfigError) as caught:
        wake.load(tmp_path / "m.jsonl")
    for number in (1, 2, 3, 4):
        assert f"m.jsonl:{number}: " in str(caught.value)


@pytest.mark.parametrize(
    ("events", "low", "high"),
    # Garwood's limits as tables of the Poisson distribution have them.
    [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (3, 0.6187, 8.7673), (10, 4.7954, 18.3904), (500, 457.1, 545.8)],
)
def test_interval_of_garwood(events: int, low: float, high: float) -> None:
    found = score.garwood(events, 1.0)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.06 if events > 99 else 1e-4)
    half = score.garwood(events, 2.0)
    assert (half.low, half.high) == pytest.approx((found.low / 2, found.high / 2))


def test_noise_stands_under_clips_and_between_them(tmp_path: Path) -> None:
    noise, clip = tmp_path / "noise.wav", item(tmp_path, "speech", SPEECH, None)
    soundfile.write(noise, perform("x" * 30).samples, 16_000)
    bench = wake.Bench(settings(noise=noise))
    for under, loud in ((CLEAN, False), (Under(1, 10.0, 0), True)):
        place, audio = bench._clip(clip, under, 16_000)
        assert (place.since, place.begin, place.length) == (16_000, 32_000, 1600 * len(SPEECH))
        assert len(audio) == place.length + 32_000  # half a gap on both sides
        assert audio[:16_000].any() == audio[-16_000:].any() == loud
    assert bench.do(wake.Stream((clip, clip))).seconds == pytest.approx(2 * (len(SPEECH) / 10 + 2.0) + 2.0)


def test_tables_name_the_operating_point(tmp_path: Path) -> None:
    clips = (item(tmp_path, "held", HELD, "computer"), item(tmp_path, "other", HELD, None))
    found = condition([wake.Bench(settings()).do(wake.Stream(clips))])
    report = wake_report.report([found], options={}, peak_mb=1.0, partial=False)
    text = "\n".join(wake_report.tables(report))
    assert "0.5 *" in text
    assert "other.wav at" in text
    picture = tmp_path / "det.svg"
    pytest.importorskip("matplotlib", reason="the extra 'bench' is not installed")
    wake_report.draw(report, picture)
    assert picture.stat().st_size > 1000


class Doubting(FakeAsr):
    """Believes in a wake word when nothing but that was said."""

    def prove(self, audio: Audio, phrase: Automaton) -> float:
        return 0.9 if set(audio.samples.tolist()) == {0, LEVELS["W"]} else 0.0


class Unsure(FakeWake):
    """Its scores are never above 0.45, below the threshold."""

    def open(self) -> FakeWakeSession:
        session = FakeWakeSession()
        feed = session.feed
        session.feed = lambda audio: [replace(each, score=0.45 * each.score) for each in feed(audio)]  # type: ignore[method-assign]
        return session


def test_the_recogniser_looks_again_as_in_the_daemon(tmp_path: Path) -> None:
    clips = (item(tmp_path, "held", HELD, "computer"), item(tmp_path, "other", "..oooooWWWWW..", None))

    def found(*overrides: str) -> wake_report.Condition:
        config = load_config(None, overrides=overrides, environ={})
        doubting = wake.Settings(config, load=lambda _: Unsure(), load_asr=lambda _: Doubting())
        done = wake.Bench(doubting).do(wake.Stream(clips))
        return wake_report.condition([done], 2, None, None, config.detection)

    both = found()
    assert (both.misses, both.false_alarms) == (0, 0)
    assert [(each.audio, each.score, each.confidence) for each in both.detections] == [("held.wav", 0.45, 0.9)]
    refused = [(each.audio, each.score, each.confidence, each.right) for each in both.refused]
    assert refused == 2 * [("other.wav", 0.45, 0.0, False)]  # it is looked at twice
    assert both.words[0].misses == 1  # of the score alone, which stays below the threshold
    assert [point.misses for point in both.words[0].det][:3] == [0, 0, 0]
    alone = found("detection.verify.engine=none")
    assert (alone.misses, alone.detections, alone.refused) == (1, [], [])


def test_what_is_needed() -> None:
    config = load_config(None, environ={})
    assert wake.tasks(config, FakeWake()) == ("wake", "asr")
    config = load_config(None, overrides=["detection.gate=true", "detection.verify.engine=none"], environ={})
    assert wake.tasks(config, FakeWake()) == ("wake", "vad")
