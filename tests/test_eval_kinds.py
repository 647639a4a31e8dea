"""Evaluation of recognition, voice activity and voices, with engines that read scripts; and what all kinds share."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes import FakeAsr, FakeTts, FakeVad, perform

from edgevoice.__main__ import main, parser
from edgevoice.audio.pcm import Audio
from edgevoice.cli import eval_asr, eval_common
from edgevoice.config import Config
from edgevoice.config import load as load_config
from edgevoice.engines.protocols import AsrEngine, AsrHint, Hypothesis, SpeechScore, TtsEngine, VadEngine
from edgevoice.errors import ConfigError, TextError
from edgevoice.evaluate import asr, asr_report, errors, tts, tts_report, vad, vad_report
from edgevoice.evaluate.normalise import RULES
from edgevoice.evaluate.scene import Take, Under, takes
from edgevoice.evaluate.work import Bench, Local

CONFIG = load_config(None, environ={})

pytest.importorskip("jiwer", reason="the extra 'bench' is not installed")


def write(folder: Path, name: str, script: str) -> Path:
    path = folder / f"{name}.wav"
    soundfile.write(path, perform(script).samples, 16_000)
    return path


# Recognition ---------------------------------------------------------------------------------------------------


def fake_asr(config: Config) -> AsrEngine:
    return FakeAsr()


def test_words_and_characters() -> None:
    assert errors.words("turn on the big light", "turn the big old light now") == errors.Errors(
        said=5, substitutions=0, insertions=2, deletions=1
    )
    assert errors.words("a b c", "a x c").substitutions == 1
    assert errors.characters("abc", "axcd") == errors.Errors(said=3, substitutions=1, insertions=1, deletions=0)
    assert errors.words("one two", "") == errors.Errors(said=2, substitutions=0, insertions=0, deletions=2)


def test_interval_of_recordings() -> None:
    assert errors.interval([1.0], [10.0], seed=0) is None
    found = errors.interval([1.0] * 50 + [0.0] * 50, [1.0] * 100, seed=0)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.40, 0.60), abs=0.02)  # 0.5 -+ 1.96 * sqrt(0.25 / 100)
    assert found == errors.interval([1.0] * 50 + [0.0] * 50, [1.0] * 100, seed=0)
    clumped = errors.interval([10.0] * 5 + [0.0] * 5, [10.0] * 10, seed=0)
    assert clumped is not None
    assert clumped.low < 0.3  # errors of one recording go together: ten recordings tell less than a hundred words


def test_recognition(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(
        '{"audio": "on.wav", "text": "Turn on the kitchen lights!"}\n'
        '{"audio": "time.wav", "text": "What time is it?"}\n'
    )
    write(tmp_path, "on", "..ooookkkk..")
    write(tmp_path, "time", "..tttt..")
    items = asr.load(tmp_path / "m.jsonl", "english")
    jobs = takes(items, [], [])[0]
    found = dict(Local().run(partial(asr.Bench, asr.Settings(CONFIG, load=fake_asr)), jobs))
    one = found[0].transcription
    assert (one.heard, one.said_normalised) == ("turn on the kitchen light", "turn on the kitchen lights")
    assert one.words == errors.Errors(said=5, substitutions=1, insertions=0, deletions=0)
    assert one.characters.wrong == 1
    assert one.seconds == pytest.approx(1.2)
    assert 0 < one.latency_ms <= one.compute_ms
    found_ = asr_report.condition([done.transcription for done in found.values()], 2, None, None, seed=0)
    assert (found_.wer, found_.words.substitutions, found_.right) == (1 / 9, 1, 0.5)
    report = asr_report.report([found_], options={}, peak_mb=0.0, partial=False)
    assert any("on.wav" in line for line in asr_report.tables(report))


def test_texts_of_which_nothing_is_left(tmp_path: Path) -> None:
    write(tmp_path, "on", "..oooo..")
    (tmp_path / "m.jsonl").write_text('{"audio": "on.wav", "text": "[noise]"}\n{"audio": "gone.wav", "text": "a"}\n{}')
    with pytest.raises(ConfigError, match=r"m.jsonl:1: nothing is left") as caught:
        asr.load(tmp_path / "m.jsonl", "english")
    assert "m.jsonl:2: " in str(caught.value)
    assert "m.jsonl:3: " in str(caught.value)


def test_the_rules_of_the_command_line_are_those_there_are() -> None:
    assert list(RULES) == list(eval_asr.RULES)


@pytest.mark.parametrize(("step", "latency"), [(0.01, 0.01 + 0.1), (0.05, 0.032 + 25 * 0.05 + 0.1 - 0.8)])
def test_a_recogniser_that_does_not_keep_up_is_late(
    step: float, latency: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of audio that comes as it is spoken, in 25 blocks of 32 ms: work that is left when it ends counts."""
    clock = [0.0]
    monkeypatch.setattr("edgevoice.evaluate.effort.time.perf_counter", lambda: clock[0])

    class Session:
        constrained = False

        def feed(self, audio: Audio) -> None:
            clock[0] += step

        def pause(self, *, glance: bool = False) -> None: ...
        def close(self) -> None: ...
        def finish(self) -> Hypothesis:
            clock[0] += 0.1
            return Hypothesis("turn on")

    class Engine(FakeAsr):
        def open(self, hint: AsrHint | None = None) -> Session:  # type: ignore[override]
            return Session()

    heard = asr.transcribe(Engine(), perform("..oooo..").samples, 512)
    assert heard.latency == pytest.approx(latency)
    assert heard.effort.compute == pytest.approx(25 * step + 0.1)


# Voice activity ------------------------------------------------------------------------------------------------


def fake_vad(config: Config) -> VadEngine:
    return FakeVad()


def test_voice_activity(tmp_path: Path) -> None:
    path = write(tmp_path, "a", "..........oooooooooo..........")
    item = vad.Item("a.wav", path, ((1.0, 2.2),), 1)  # the label is 0.2 s longer than what is there
    done = vad.Bench(vad.Settings(CONFIG, load=fake_vad)).do(Take(item))
    found = done.detection
    frames = found.speech_frames + found.other_frames
    assert frames == pytest.approx(3 / 0.032, abs=2)
    assert found.speech_frames == pytest.approx(1.2 / 0.032, abs=1)
    assert found.missed_frames == pytest.approx(0.2 / 0.032, abs=2)
    assert found.false_frames == 0
    assert found.start_lags_ms == [pytest.approx(0, abs=32)]
    assert found.end_lags_ms == [pytest.approx(-200, abs=40)]
    assert int(done.counts.sum()) == frames
    whole = vad_report.condition([done, done], 2, None, None, seed=0)
    assert whole.frame_error == pytest.approx(found.missed_frames / frames)
    assert whole.missed_speech == pytest.approx(found.missed_frames / found.speech_frames)
    assert whole.false_speech == 0
    assert whole.roc_auc is not None
    assert 0.5 < whole.roc_auc < 1


def test_decisions_hold_on_as_the_daemon_does() -> None:
    def frames(probabilities: Sequence[float]) -> list[SpeechScore]:
        return [SpeechScore(each, 512 * at, 512 * (at + 1)) for at, each in enumerate(probabilities)]

    long = [0.0] * 4000  # two minutes: longer than any utterance may be
    found = vad.decisions(frames([*long, 0.4, 0.6, 0.4, 0.3, 0.4, *long, 0.9]), CONFIG.endpoint)
    assert np.flatnonzero(found).tolist() == [4001, 4002, 8005]


def test_lags_belong_to_their_label() -> None:
    speech = [(1.0, 2.0), (2.2, 3.0), (5.0, 6.0)]
    # The first two have merged; the third begins late, stutters, and goes on too long.
    starts, ends = vad.lags(speech, [(0.9, 3.1), (5.2, 5.5), (5.6, 6.4)])
    assert starts == [pytest.approx(-100), pytest.approx(200)]
    assert ends == [pytest.approx(100), pytest.approx(400)]
    assert vad.lags(speech, []) == ([], [])


def test_area_under_the_curve_is_that_of_all_pairs() -> None:
    random = np.random.default_rng(3)
    labels = random.random(400) < 0.4
    probabilities = 1 / (1 + np.exp(-(random.normal(size=400) + labels)))
    pairs = np.subtract.outer(probabilities[labels], probabilities[~labels])
    exact = float(((pairs > 0) + (pairs == 0) / 2).mean())
    assert vad_report.area(vad.count(labels, probabilities.tolist())) == pytest.approx(exact, abs=1e-3)
    assert vad_report.area(vad.count(np.ones(3, np.bool_), [0.1, 0.5, 1.0])) is None
    perfect = vad.count(np.array([False, True]), [0.0, 1.0])
    assert vad_report.area(perfect) == 1.0
    points = vad_report.curve(perfect)
    assert [(point.missed, point.false) for point in points] == [(0.0, 1.0), (0.0, 0.0)]


def test_mistakes_of_labels(tmp_path: Path) -> None:
    for name in "abcd":
        write(tmp_path, name, "..oooo..")
    lines = [
        {"audio": "a.wav", "speech": [[0.2, 0.6]]},
        {"audio": "b.wav", "speech": [[0.6, 0.2]]},
        {"audio": "c.wav", "speech": [[0.2, 0.5], [0.4, 0.6]]},
        {"audio": "d.wav", "speech": [[0.2, 0.95]]},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(ConfigError) as caught:
        vad.load(tmp_path / "m.jsonl")
    text = str(caught.value)
    assert "m.jsonl:1" not in text
    for line in (":2: speech [0.6, 0.2]", ":3: speech [0.4, 0.6] begins before", ":4: speech [0.2, 0.95] ends behind"):
        assert f"m.jsonl{line}" in text


# Voices --------------------------------------------------------------------------------------------------------


class Parrot(FakeTts):
    """Speaks scripts that ``FakeAsr`` can read."""

    rate = 16_000
    gain = 1.0

    def synthesize(self, text: str) -> Iterator[Audio]:
        if "mute" in text:
            raise TextError("nothing in it can be pronounced", place=text)
        script = {"turn on": "ooooo", "stop": "s" * 100}.get(text.strip(".").lower(), "." * 10)
        yield Audio(perform(script).samples, self.rate)


def parrot(config: Config) -> tuple[TtsEngine, AsrEngine]:
    return Parrot(), FakeAsr()


def speak(text: str) -> tts.Spoken:
    return tts.Bench(tts.Settings(CONFIG, load=parrot)).do(tts.Item(text, 1)).spoken


def test_voices() -> None:
    good = speak("Turn on.")
    assert (good.heard, good.words.wrong, good.problems) == ("turn on", 0, [])
    assert good.seconds == 0.5
    assert good.first_audio_ms is not None
    long = speak("Stop.")
    assert long.words.wrong == 0
    assert [why for why in long.problems if "too long for 5 characters" in why]
    silent = speak("Louder, please.")
    assert silent.words.deletions == 2
    assert silent.problems == ["it is silent"]
    mute = speak("mute")
    assert (mute.first_audio_ms, mute.seconds, mute.words.deletions) == (None, 0.0, 1)
    assert mute.problems == ["it cannot be spoken: nothing in it can be pronounced"]
    found = tts_report.condition([good, long, silent, mute], 4, seed=0)
    assert (found.words.said, found.words.deletions, found.problems) == (6, 3, 3)
    report = tts_report.report([found], options={}, peak_mb=0.0, partial=False)
    assert any("it is silent: Louder, please." in line for line in tts_report.tables(report))


def test_sound() -> None:
    tone = (0.5 * np.sin(np.arange(16_000) * 0.1) * 32768).astype(np.int16)
    sound = tts.measure(Audio(np.concatenate([tone, np.zeros(40_000, np.int16), tone])))
    assert sound.loudness == pytest.approx(-9.03, abs=0.1)
    assert sound.peak == pytest.approx(-6.02, abs=0.1)
    assert sound.pause == pytest.approx(2.5, abs=0.05)
    assert sound.clipped == 0
    assert tts.problems(sound, 4.5, 60) == ["it falls silent for 2.5 s"]
    loud = tts.measure(Audio(np.clip(tone.astype(np.int32) * 4, -32768, 32767).astype(np.int16)))
    assert loud.clipped > 1000
    assert len(tts.problems(loud, 1.0, 15)) == 2  # clipped, and loud
    assert tts.measure(Audio(np.zeros(0, np.int16))).loudness == -120.0
    assert tts.problems(tts.measure(Audio(tone // 100)), 0.2, 60) == [
        "it is quiet: -49 dBFS", "0.2 s are too short for 60 characters"
    ]  # fmt: skip


# What all share ------------------------------------------------------------------------------------------------


def test_noise_is_mixed_by_the_manifests_name(tmp_path: Path) -> None:
    noise = write(tmp_path, "noise", "oxfkbtrsn" * 4)
    item = asr.Item("a.wav", write(tmp_path, "a", "..oooo.."), "turn on", 1)
    bench = asr.Bench(asr.Settings(CONFIG, noise, load=fake_asr))
    scene, clean = bench._scene, bench._scene.clean(item)
    first = scene.heard(item, clean, Under(1, 6.0, 0))
    assert np.array_equal(first, scene.heard(item, clean, Under(2, 6.0, 0)))
    assert not np.array_equal(first, scene.heard(item, clean, Under(1, 6.0, 1)))
    assert not np.array_equal(first, scene.heard(item, clean, Under(1, 12.0, 0)))
    assert np.array_equal(scene.heard(item, clean, Under()), perform("..oooo..").samples)


class Stops(Exception):  # noqa: N818 - stands for any reason
    pass


def test_what_was_measured_is_kept_when_it_is_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "a", "..oooo..")
    items = [asr.Item(f"{number}.wav", path, "turn on", number) for number in range(4)]
    planned = takes(items, [], [])

    class Interrupted:
        def run(self, make: Callable[[], Bench[Any, Any]], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
            bench = make()
            yield 2, bench.do(jobs[2])
            yield 0, bench.do(jobs[0])
            raise KeyboardInterrupt

    args = argparse.Namespace(quiet=True, json=tmp_path / "out.json", plot=None)
    make = partial(asr.Bench, asr.Settings(CONFIG, load=fake_asr))
    done, stopped = eval_common.measure(args, Interrupted(), make, planned[0], "recordings")
    (results,) = eval_common.shares(done, planned)
    assert [each.transcription.audio for each in results] == ["0.wav", "2.wav"]
    found = asr_report.condition([each.transcription for each in results], 4, None, None, seed=0)
    report = asr_report.report([found], options={}, peak_mb=eval_common.peak(done), partial=stopped is not None)
    finish = partial(eval_common.finish, args, report, tables=asr_report.tables, draw=asr_report.draw, stopped=stopped)
    with pytest.raises(KeyboardInterrupt):
        finish(measured=True)
    assert "turn on" not in capsys.readouterr().out  # nothing was misheard
    written = json.loads((tmp_path / "out.json").read_text())
    assert (written["partial"], written["kind"]) == (True, "asr")
    assert [(each["n"], each["planned"]) for each in written["conditions"]] == [(2, 4)]
    (tmp_path / "out.json").write_text("precious")
    with pytest.raises(KeyboardInterrupt):
        finish(measured=False)
    assert (tmp_path / "out.json").read_text() == "precious"


@pytest.mark.parametrize("kind", ["wake", "asr", "intents", "vad", "tts"])
def test_all_kinds_have_the_same_options(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["--limit=3", "--seed=1", "--workers=2", "--quiet", "--json=a.json", "--plot=a.svg"]
    args = parser().parse_args(["eval", kind, "--manifest=m.jsonl", *shared])
    assert (args.limit, args.seed, args.workers, args.quiet) == (3, 1, 2, True)
    assert parser().parse_args(["eval", kind, "--manifest=m", "--scheduler=tcp://a:1"]).scheduler == "tcp://a:1"
    with pytest.raises(SystemExit):
        parser().parse_args(["eval", kind, "--manifest=m", "--scheduler=tcp://a:1", "--workers=2"])
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["wake", "asr", "vad", "tts"])
def test_bad_input_is_told_before_anything_runs(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEVOICE_CONFIG", str(tmp_path / "none.yaml"))
    (tmp_path / "none.yaml").write_text("")
    (tmp_path / "m.jsonl").write_text("{\n\nx\n")
    assert main(["eval", kind, "--manifest", str(tmp_path / "m.jsonl")]) == 3
    complaint = capsys.readouterr().err
    assert "m.jsonl:1: no JSON" in complaint
    assert "m.jsonl:3: no JSON" in complaint
    assert main(["eval", kind, "--manifest", str(tmp_path / "m.jsonl"), "--json", "/none/a.json"]) == 10
    assert main(["eval", kind, "--manifest", str(tmp_path / "m.jsonl"), "--plot", str(tmp_path / "a.gif")]) == 3


def test_a_configuration_for_other_machines_names_no_place_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = [
        "vad.silero.model=./vad.onnx",
        "wake.microwakeword.models=[alexa, ./my.json]",
        "intents.packs=[a.yaml]",
    ]
    config = eval_common._portable(load_config(None, overrides=overrides, environ={}))
    assert config.vad.options["silero"].model == str(tmp_path / "vad.onnx")  # type: ignore[attr-defined]
    assert config.wake.options["microwakeword"].models == ("alexa", str(tmp_path / "my.json"))  # type: ignore[attr-defined]
    assert config.intents.packs == (str(tmp_path / "a.yaml"),)
