"""Models measured by their real engines, each in a process of its own."""

import json
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio, Int16
from edgevoice.engines import registry
from edgevoice.errors import ConfigError, EngineError, GateError, ModelError
from edgevoice.modelstore import ModelStore
from edgevoice.quantize import probing, provenance, samples
from edgevoice.quantize.gate import METRICS, LayerNoise, Measurement, judge, measure
from edgevoice.quantize.publish import publish, source_model

Say = Callable[[str], Int16]


@pytest.fixture(scope="module")
def say(store: ModelStore) -> Iterator[Say]:
    voice = registry.load("tts", "hibari", None, store)

    def speak(text: str) -> Int16:
        spoken = np.concatenate([audio.samples for audio in voice.synthesize(text)])
        return np.pad(resample(spoken, voice.rate, RATE), RATE // 2)

    yield speak
    voice.close()


def write(path: Path, audio: Int16) -> str:
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(audio.tobytes())
    return path.name


def manifest(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "dev.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def values(measurement: Measurement) -> dict[str, float]:
    assert tuple(metric.name for metric in measurement.metrics) == METRICS[measurement.task]
    return {metric.name: metric.value for metric in measurement.metrics}


def coarser(source: Path, target: Path, bits: int) -> Path:
    """The model with its larger tensors rounded to so few bits, wherever in the graph they lie."""
    onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    model = onnx.load(str(source))

    def tensors(graph: Any) -> Iterator[Any]:
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    yield from tensors(attribute.g)
                elif attribute.name == "value":
                    yield attribute.t

    for tensor in tensors(model.graph):
        value = onnx.numpy_helper.to_array(tensor)
        if value.dtype == np.float32 and value.size > 1000:
            scale = np.abs(value).max() / (2 ** (bits - 1) - 1)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.round(value / scale) * scale, tensor.name))
    target.mkdir()
    onnx.save(model, str(target / source.name))
    return target


# Tasks


def test_a_detector_of_speech_is_compared_with_the_float_model(store: ModelStore, say: Say, tmp_path: Path) -> None:
    texts = ["Turn on the light in the kitchen.", "What time is it?", "Set a timer for ten minutes."]
    lines = [{"audio": write(tmp_path / f"{number}.wav", say(text))} for number, text in enumerate(texts)]
    source = store.path("silero-vad")
    before = measure("vad", source, manifest(tmp_path, *lines), reference=source)
    assert values(before) == {"frame_error": 0.0, "missed_speech": 0.0}
    assert (before.engine, before.samples.n, before.size) == ("silero", 3, 1289603)
    assert 30 < before.rss_mb < 1000
    assert 0 < before.load_ms < 60_000
    assert 0 < before.latency_p50_ms <= before.latency_p95_ms
    fine, coarse = (coarser(next(source.glob("*.onnx")), tmp_path / str(bits), bits) for bits in (12, 2))
    after = measure("vad", fine, tmp_path / "dev.jsonl", reference=source)
    assert judge(before, after).passed
    after = measure("vad", coarse, tmp_path / "dev.jsonl", reference=source)
    assert values(after)["frame_error"] > 0.1
    assert not judge(before, after).passed


def test_a_detector_of_speech_is_compared_with_labels(store: ModelStore, say: Say, tmp_path: Path) -> None:
    audio = say("Turn on the light in the kitchen.")
    end = len(audio) / RATE - 0.5
    labelled = {"audio": write(tmp_path / "a.wav", audio), "speech": [[0.5, end]]}
    wrong = {"audio": write(tmp_path / "b.wav", audio), "speech": [[0.0, 0.5], [end, end + 0.5]]}
    source = store.path("silero-vad")
    right = values(measure("vad", source, manifest(tmp_path, labelled)))
    assert right["frame_error"] < 0.15
    assert right["missed_speech"] < 0.25
    found = values(measure("vad", source, manifest(tmp_path, wrong)))
    assert found["frame_error"] > 0.8
    assert found["missed_speech"] > 0.8
    with pytest.raises(ConfigError, match="1 of 2 lines have no 'speech'; label them, or give the float model"):
        measure("vad", source, manifest(tmp_path, labelled, {"audio": "b.wav"}))


def test_a_recogniser_is_measured_by_its_words(store: ModelStore, say: Say, tmp_path: Path) -> None:
    audio = write(tmp_path / "a.wav", say("The weather is lovely today."))
    other = write(tmp_path / "b.wav", say("Good morning."))
    model = store.path("whisper-tiny.en-int8")
    found = measure(
        "asr",
        model,
        manifest(
            tmp_path,
            {"audio": audio, "text": "The weather is LOVELY today!"},
            {"audio": other, "text": "Good evening, everyone"},
        ),
    )
    assert values(found) == {"wer": 0.25}
    assert found.parts["wer"].counts == (0.0, 2.0)
    assert found.parts["wer"].weights == (5.0, 3.0)
    limited = measure("asr", model, tmp_path / "dev.jsonl", 1)
    assert values(limited) == {"wer": 0.0}
    with pytest.raises(GateError, match="not measured on the same recordings"):
        judge(found, limited)


@pytest.mark.parametrize("task", ["asr", "tts"])
def test_texts_without_a_word_are_refused_before_anything_is_loaded(task: Any, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.zeros(RATE, np.int16))
    path = manifest(tmp_path, {"audio": "a.wav", "text": "(laughs)"})
    with pytest.raises(GateError, match=r"there is no word in '\(laughs\)'"):
        measure(task, tmp_path / "no-such-model", path, reference=tmp_path)


def test_a_recogniser_is_measured_by_what_is_understood(store: ModelStore, say: Say, tmp_path: Path) -> None:
    grammar = tmp_path / "lights.yaml"
    grammar.write_text(
        "language: en\n"
        "intents:\n"
        "  Light:\n"
        "    data: [{sentences: ['turn the light {state}']}]\n"
        "    response: Done.\n"
        "lists:\n"
        "  state: {values: ['on', 'off']}\n",
        encoding="utf-8",
    )
    lines = [
        {"audio": write(tmp_path / f"{state}.wav", say(f"Turn the light {state}.")), "intent": "Light", "slots": slots}
        for state, slots in [("on", {"state": "on"}), ("off", {"state": "on"})]
    ]
    model = store.path("whisper-tiny.en-int8")
    found = measure("intents", model, manifest(tmp_path, *lines), grammars=[grammar])
    assert values(found) == {"strict_accuracy": 0.5}
    assert not found.metrics[0].lower_is_better
    assert found.parts["strict_accuracy"].counts == (1.0, 0.0)


def test_a_wake_word_is_measured_by_misses_and_false_alarms(store: ModelStore, say: Say, tmp_path: Path) -> None:
    called = [{"audio": write(tmp_path / "a.wav", say("Hey Jarvis!")), "phrase": "hey jarvis"}]
    called += [{"audio": write(tmp_path / "b.wav", say("Nothing of the kind.")), "phrase": "Hey_Jarvis"}]
    talk = [{"audio": write(tmp_path / "c.wav", say("The weather is lovely today."))}]
    found = measure("wake", store.path("hey_jarvis"), manifest(tmp_path, *called, *talk))
    assert values(found)["misses_at_threshold"] == 0.5
    assert values(found)["false_alarms"] == 0.0
    assert found.metrics[0].name == "misses"
    for lines, cause in [(called, "no recording without 'Hey Jarvis'"), (talk, "no recording with 'Hey Jarvis'")]:
        with pytest.raises(ConfigError, match=cause):
            measure("wake", store.path("hey_jarvis"), manifest(tmp_path, *lines))


def test_a_voice_is_compared_with_the_float_voice_and_listened_to(store: ModelStore, tmp_path: Path) -> None:
    lines = [{"text": "The light is on."}, {"text": "It is five past nine."}]
    source = store.path("hibari-heart")
    before = measure("tts", source, manifest(tmp_path, *lines), engine="hibari", reference=source)
    assert values(before)["mel_cepstral_distance"] == 0.0
    assert values(before)["wer"] < 0.5
    coarse = coarser(next(source.glob("*.onnx")), tmp_path / "coarse", 5)
    after = measure("tts", coarse, tmp_path / "dev.jsonl", engine="hibari", reference=source)
    assert values(after)["mel_cepstral_distance"] > 1.0
    assert not judge(before, after).passed
    with pytest.raises(ConfigError, match="compared with the float voice, and that is missing"):
        measure("tts", source, tmp_path / "dev.jsonl", engine="hibari")


def test_an_engine_of_others_is_measured_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgevoice.bench import peers
    from edgevoice.engines.protocols import WakeModel, WakeScore
    from edgevoice.quantize import probe_wake

    class Loud:
        """Wakes by whatever is not silent."""

        models = (WakeModel("loud", "Loud", 0.5, 1),)

        def open(self) -> "Loud":
            return self

        def feed(self, audio: Audio) -> list[WakeScore]:
            return [WakeScore(0, float(audio.samples.any()), audio.end)]

        def close(self) -> None: ...

    peer = SimpleNamespace(TASK="wake", package=lambda: None, load=lambda model, threads: Loud())
    monkeypatch.setattr(peers, "module", {"sherpa-onnx": peer}.__getitem__)
    lines = manifest(
        tmp_path,
        {"audio": write(tmp_path / "a.wav", np.full(RATE, 9, np.int16)), "phrase": "loud"},
        {"audio": write(tmp_path / "b.wav", np.zeros(RATE, np.int16))},
    )
    job = probing.Job(task="wake", engine="sherpa-onnx", model=str(tmp_path), manifest=str(lines))
    found = probe_wake.probe(job, lambda done, total: None)
    assert [sum(figure.parts.counts) for figure in found.figures] == [0.0, 0.0, 0.0]
    with pytest.raises(ConfigError, match="it has no options"):
        probe_wake.probe(msgspec.structs.replace(job, options={"threads": 2}), lambda done, total: None)
    with pytest.raises(ConfigError, match="unknown engine 'sherpa-onnx'"):
        measure("vad", tmp_path, lines, engine="sherpa-onnx", reference=tmp_path)


def test_the_features_of_wake_words_are_measured_with_a_word(store: ModelStore, tmp_path: Path) -> None:
    lines = manifest(tmp_path, {"audio": write(tmp_path / "a.wav", np.zeros(RATE, np.int16))})
    features, word = store.path("openwakeword-features"), next(store.path("oww-hey_jarvis").glob("*.tflite"))
    with pytest.raises(ModelError, match="no word is in it; name one with --word"):
        measure("wake", features, lines, engine="openwakeword")
    with pytest.raises(ConfigError, match="no recording with 'hey jarvis'"):
        measure("wake", features, lines, engine="openwakeword", options={"models": [str(word)]})
    folder = tmp_path / "model"
    shutil.copytree(features, folder)
    for name in ("hey_jarvis", "again"):
        shutil.copy(word, folder / f"{name}.tflite")
        cause = "no recording with 'hey jarvis'" if name == "hey_jarvis" else "several wake words, not one: again, hey"
        with pytest.raises((ConfigError, ModelError), match=cause):
            measure("wake", folder, lines, engine="openwakeword")


def test_a_word_alone_is_measured_and_calibrated_with_the_features_of_the_store(
    store: ModelStore, say: Say, tmp_path: Path
) -> None:
    from edgevoice.quantize.feeds import CalibrationSet, tflite_feeds

    folder = store.path("oww-hey_jarvis")
    called = [{"audio": write(tmp_path / "a.wav", say("Hey Jarvis!")), "phrase": "hey jarvis"}]
    talk = [{"audio": write(tmp_path / "b.wav", say("The weather is lovely today, and will be."))}]
    found = measure("wake", folder, manifest(tmp_path, *called, *talk), engine="openwakeword")
    assert (values(found)["misses_at_threshold"], values(found)["false_alarms"]) == (0.0, 0.0)
    inputs = tflite_feeds(next(folder.glob("*.tflite")), CalibrationSet(tmp_path / "dev.jsonl"))
    assert {array.shape for feed in inputs for array in feed.values()} == {(1, 16, 96)}


def test_a_bad_score_of_the_search_for_a_threshold(store: ModelStore) -> None:
    from edgevoice.engines.protocols import WakeModel, WakeScore
    from edgevoice.quantize.probe_wake import threshold_for, wakes

    model = WakeModel("word", "Word", 0.5, 1)
    talk = [[WakeScore(0, score, at * RATE * 10) for at, score in enumerate((0.0, 0.9, 0.0, 0.3, 0.0, 0.6, 0.0), 1)]]
    found = [threshold_for(model, talk, allowed) for allowed in (0, 1, 2, 3)]
    assert [sum(wakes(model, each, at) for each in talk) for at in found] == [0, 1, 2, 3]
    assert found[:3] == pytest.approx([0.9, 0.6, 0.3], abs=0.001)


# All of it


def test_what_passes_the_gate_becomes_a_version_that_the_engine_uses(
    store: ModelStore, say: Say, tmp_path: Path
) -> None:
    own = ModelStore(tmp_path / "store", store.catalog)
    own.pull(["silero-vad"], near=ModelStore())
    source, known = source_model(own, "silero-vad")
    lines = manifest(tmp_path, {"audio": write(tmp_path / "a.wav", say("Turn on the light."))})
    before = measure("vad", source, lines, reference=source)

    def made(bits: int) -> None:
        folder = coarser(next(source.glob("*.onnx")), tmp_path / str(bits), bits)
        after = measure("vad", folder, lines, reference=source)
        noise = [LayerNoise(layer="encoder", sqnr_db=20.0), LayerNoise(layer="rnn", sqnr_db=3.0)]
        publish(
            own,
            folder,
            known,
            name="silero-vad",
            version=f"b{bits}",
            recipe={"bits": bits},
            calibration=None,
            kept_float=(),
            before=before,
            after=after,
            verdict=judge(before, after, sensitivity=noise),
            use=True,
        )

    with pytest.raises(GateError, match=r"b2: it lost too much .*frame_error.*most noise comes from: rnn \(3.0 dB\)"):
        made(2)
    assert own.path("silero-vad") == source
    made(12)
    assert own.path("silero-vad").name == "silero-vad@b12"
    assert provenance.faults(own.path("silero-vad")) == []
    engine = registry.load("vad", "silero", None, own)
    assert engine.open().feed(Audio(np.zeros(RATE, np.int16)))
    engine.close()
    assert str(own.rollback("silero-vad")) == "silero-vad@catalog"


# What goes wrong


def test_mistakes_in_a_manifest_come_all_at_once_before_anything_runs(store: ModelStore, tmp_path: Path) -> None:
    write(tmp_path / "empty.wav", np.zeros(0, np.int16))
    write(tmp_path / "good.wav", np.zeros(RATE, np.int16))
    (tmp_path / "text.wav").write_text("no audio", encoding="utf-8")
    path = manifest(
        tmp_path,
        {"audio": "good.wav", "text": "a"},
        {"audio": "none.wav", "text": "a"},
        {"audio": "empty.wav", "text": "a"},
        {"audio": "text.wav", "text": "a"},
        {"audio": "good.wav"},
        {"audio": "good.wav", "text": "a"},
    )
    path.write_text(path.read_text("utf-8") + "{\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        measure("asr", store.path("whisper-tiny.en-int8"), path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "6 mistakes in the manifest"
    assert [line.split(":")[1] for line in lines[1:]] == ["2", "3", "4", "5", "6", "7"]
    for number, cause in [(2, "none.wav"), (3, "holds no audio"), (5, "text"), (6, "in line 1 already"), (7, "JSON")]:
        assert cause in lines[number - 1]


def test_a_model_that_does_not_load_is_an_error_of_the_model(store: ModelStore, tmp_path: Path) -> None:
    lines = manifest(tmp_path, {"audio": write(tmp_path / "a.wav", np.zeros(RATE, np.int16)), "speech": [[0, 1]]})
    (tmp_path / "model").mkdir()
    whole = next(store.path("silero-vad").glob("*.onnx")).read_bytes()
    (tmp_path / "model" / "half.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be loaded as an ONNX model") as caught:
        measure("vad", tmp_path / "model", lines)
    assert caught.value.place.endswith("half.onnx")
    with pytest.raises(ConfigError, match="options of silero: Object contains unknown field `colour`"):
        measure("vad", store.path("silero-vad"), lines, options={"colour": "red"})


def test_without_speech_there_is_no_metric_and_so_no_publication(store: ModelStore, tmp_path: Path) -> None:
    lines = manifest(tmp_path, {"audio": write(tmp_path / "a.wav", np.zeros(RATE, np.int16))})
    source = store.path("silero-vad")
    with pytest.raises(GateError, match="no metric, no publication: nothing to measure missed_speech on"):
        measure("vad", source, lines, reference=source)


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("echo what happened >&2; kill -SEGV $$", "was ended by SIGSEGV: what happened"),
        ("kill -KILL $$", "was ended by SIGKILL; the machine may have run out of memory"),
        ("echo 'Traceback ...' >&2; exit 1", r"ended with code 1: Traceback \.\.\."),
        ("exit 0", "ended with code 0"),
    ],
)
def test_a_process_that_dies_is_an_error_that_says_how(
    script: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(EngineError, match=cause):
        measure("vad", tmp_path, tmp_path / "dev.jsonl")


def test_an_interrupt_leaves_no_process_behind(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(real(*arguments, **options))
        return started[-1]

    class Interrupted:
        def step(self, text: str) -> None: ...

        def advance(self, done: int, total: int) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", popen)
    names = [write(tmp_path / f"{number}.wav", np.zeros(RATE, np.int16)) for number in range(3)]
    lines = manifest(tmp_path, *({"audio": name, "speech": [[0, 1]]} for name in names))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(KeyboardInterrupt):
        measure("vad", store.path("silero-vad"), lines, progress=Interrupted())
    assert [process.returncode for process in started] == [-9]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# Sample sets


def test_a_sample_set_is_known_by_what_is_in_it_not_by_where_it_lies(tmp_path: Path) -> None:
    digests = []
    for number, sound in enumerate([1, 1, 2]):
        (folder := tmp_path / str(number)).mkdir()
        audio = write(folder / f"{number}.wav", np.full(100, sound, np.int16))
        _, known = samples.load(samples.Spoken, manifest(folder, {"audio": audio, "text": "a", "other": number}))
        digests.append(known.sha256)
    assert digests[0] == digests[1] != digests[2]
    one = samples.load(samples.Written, manifest(tmp_path, {"text": "a"}, {"text": "b"}))[1]
    assert samples.load(samples.Written, tmp_path / "dev.jsonl", 1)[1].sha256 != one.sha256
    assert (one.n, one.name) == (2, "dev.jsonl")


def test_a_measurement_survives_the_way_between_processes() -> None:
    message = probing.Message(failure=probing.Failure(kind="AudioFormatError", cause="a", place="b", remedy="c"))
    assert msgspec.json.decode(msgspec.json.encode(message), type=probing.Message) == message
