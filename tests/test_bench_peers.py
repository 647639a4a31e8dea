"""Other projects' engines: really loaded where they are installed and quick to load, else with a fake package."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio, Int16
from edgevoice.bench.peers import Theirs, openwakeword, sherpa_onnx, vosk
from edgevoice.bench.speech import Recording
from edgevoice.bench.subjects import RecogniserSubject, VoiceSubject
from edgevoice.engines import registry
from edgevoice.modelstore import ModelStore

SAID = "Turn on the kitchen light."


@pytest.fixture(scope="module")
def speech(store: ModelStore) -> Int16:
    voice = registry.load("tts", "hibari", None, store)
    samples = np.concatenate([audio.samples for audio in voice.synthesize(SAID)])
    quiet = np.zeros(RATE // 2, np.int16)
    return np.concatenate([quiet, resample(samples, voice.rate, RATE), quiet])


def heard(name: str, model: Path | None, speech: Int16, block: int | None) -> tuple[str, Sequence[str]]:
    """The text of a peer, and the names of what was measured."""
    subject = RecogniserSubject(Theirs(name, str(model) if model else "", 1)(), [Recording("a", speech, SAID)], block)
    outcome = subject.run(0)
    assert subject.run(0).text == outcome.text  # one session leaves nothing behind for the next
    subject.close()
    return outcome.text, list(outcome.values)


def test_faster_whisper(store: ModelStore, speech: Int16) -> None:
    pytest.importorskip("faster_whisper")
    text, _ = heard("faster-whisper", store.path("whisper-tiny.en-ct2"), speech, None)
    assert text == SAID


@pytest.mark.parametrize("block", [None, 512])
def test_pocketsphinx(speech: Int16, block: int | None) -> None:
    pytest.importorskip("pocketsphinx")
    text, measured = heard("pocketsphinx", None, speech, block)
    assert "turn on the kitchen" in text
    assert ("first_ms" in measured) == (block is not None)


def test_vosk_joins_what_its_own_end_of_speech_has_cut() -> None:
    class Recogniser:
        def __init__(self) -> None:
            self.fed = 0

        def AcceptWaveform(self, data: bytes) -> bool:  # noqa: N802 - as Vosk calls it
            self.fed += 1
            return self.fed == 2

        def Result(self) -> str:  # noqa: N802
            return '{"text": "turn on"}'

        def PartialResult(self) -> str:  # noqa: N802
            return '{"partial": "the"}' if self.fed > 2 else '{"partial": ""}'

        def FinalResult(self) -> str:  # noqa: N802
            return '{"text": "the light"}'

    package = SimpleNamespace(KaldiRecognizer=lambda model, rate: Recogniser())
    part = Recording("a", np.zeros(4 * 512, np.int16), "")
    outcome = RecogniserSubject(vosk.Vosk(package, None), [part], 512).run(0)
    assert outcome.text == "turn on the light"
    assert len(outcome.values["first_ms"]) == 1


@pytest.mark.parametrize("joiner", [False, True])
def test_sherpa_onnx_takes_the_int8_files(joiner: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tiny-encoder.onnx", "tiny-encoder.int8.onnx", "tiny-decoder.onnx", "tiny-tokens.txt"):
        (tmp_path / name).touch()
    if joiner:
        (tmp_path / "joiner.onnx").touch()
    made: list[tuple[str, dict[str, object]]] = []

    class Recogniser:
        def create_stream(self) -> SimpleNamespace:
            stream = SimpleNamespace(result=SimpleNamespace(text=""))
            stream.accept_waveform = lambda rate, samples: setattr(stream, "given", (rate, len(samples)))
            return stream

        def decode_stream(self, stream: SimpleNamespace) -> None:
            stream.result.text = f" {stream.given} "

    def maker(kind: str) -> Callable[..., Recogniser]:
        def make(**files: object) -> Recogniser:
            made.append((kind, files))
            return Recogniser()

        return make

    offline = SimpleNamespace(from_whisper=maker("whisper"), from_transducer=maker("transducer"))
    monkeypatch.setattr(sherpa_onnx, "package", lambda: SimpleNamespace(OfflineRecognizer=offline))
    engine = sherpa_onnx.load(tmp_path, 3)
    part = Recording("a", np.zeros(1000, np.int16), "")
    assert RecogniserSubject(engine, [part], None).run(0).text == "(16000, 1000)"
    ((kind, files),) = made
    assert kind == ("transducer" if joiner else "whisper")
    assert files["encoder"] == str(tmp_path / "tiny-encoder.int8.onnx")
    assert files["num_threads"] == 3
    assert ("joiner" in files) == joiner


def test_openwakeword_scores_every_80_ms(tmp_path: Path) -> None:
    for name in (*openwakeword.FRONT, "hey_jarvis_v0.1.tflite"):
        (tmp_path / name).touch()
    given: list[int] = []

    class Model:
        def __init__(self, **options: object) -> None:
            assert options["wakeword_models"] == [str(tmp_path / "hey_jarvis_v0.1.tflite")]

        def reset(self) -> None:
            given.clear()

        def predict(self, samples: Int16) -> dict[str, float]:
            given.append(len(samples))
            return {"hey_jarvis_v0.1": 0.25}

    package = SimpleNamespace(Model=Model)
    words = [tmp_path / "hey_jarvis_v0.1.tflite"]
    session = openwakeword.OpenWakeWord(package, words, [str(tmp_path / name) for name in openwakeword.FRONT]).open()
    scores = [score for at in range(0, 4096, 512) for score in session.feed(Audio(np.zeros(512, np.int16), start=at))]
    assert given == [1280] * 3
    assert [(score.end, score.score) for score in scores] == [(1280, 0.25), (2560, 0.25), (3840, 0.25)]


def test_piper(store: ModelStore) -> None:
    pytest.importorskip("piper")
    load = Theirs("piper", str(store.path("piper-en_US-joe-medium")), 1)
    subject = VoiceSubject(load(), [SAID])
    outcome = subject.run(0)
    assert 0.8 < outcome.audio_s < 4.0
    assert outcome.values["first_ms"] <= outcome.values["latency_ms"]
    subject.close()
