"""The speech engines: hibari with its own voice, Piper with the real espeak-ng and a voice of a few kilobytes."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgevoice.audio.pcm import Audio, concatenate
from edgevoice.engines import registry
from edgevoice.engines.protocols import TtsEngine
from edgevoice.engines.tts import hibari, piper
from edgevoice.engines.tts.packed import Packed
from edgevoice.engines.tts.silence import SENTENCE_PAUSE, trim
from edgevoice.errors import ConfigError, EdgeVoiceError, EngineError, ModelError, TextError
from edgevoice.speak.phrases import clauses


class Paths:
    """A store that has nothing but paths."""

    def path(self, name: str) -> Path:
        if "/" not in name:
            raise ModelError("it is not installed", place=name)
        return Path(name)


def audio(engine: TtsEngine, text: str) -> Audio:
    return concatenate(engine.synthesize(text))


def test_importing_the_engines_loads_no_package() -> None:
    code = (
        "import sys, edgevoice.engines.tts.hibari, edgevoice.engines.tts.piper;"
        "print([name for name in ('onnxruntime', 'hibari', 'piper') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# hibari ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heart() -> TtsEngine:
    engine: TtsEngine = registry.load("tts", "hibari", None, Paths())
    return engine


def test_hibari_speaks_at_a_sensible_level_and_length(heart: TtsEngine) -> None:
    spoken = audio(heart, "The kitchen light is on now.")
    assert spoken.rate == heart.rate == 24_000
    assert 1.0 < spoken.seconds < 2.5
    assert 0.1 < np.max(np.abs(spoken.float32())) < 0.98
    assert 0.02 < np.std(spoken.float32()) < 0.2
    early = np.flatnonzero(np.abs(spoken.samples) > 330)[0] / spoken.rate
    assert early < 0.1


def test_hibari_says_the_same_text_the_same_way(heart: TtsEngine) -> None:
    first, second = audio(heart, "It is five past three."), audio(heart, "It is five past three.")
    assert np.array_equal(first.samples, second.samples)


def test_hibari_gives_a_piece_per_sentence(heart: TtsEngine) -> None:
    pieces = iter(heart.synthesize("One. Two. Three."))
    assert 0.2 < next(pieces).seconds < 1.5
    assert len(list(pieces)) == 2


def test_hibari_is_faster_when_asked(heart: TtsEngine) -> None:
    fast = registry.load("tts", "hibari", hibari.Options(speed=2.0), Paths())
    assert (
        audio(fast, "The kitchen light is on now.").seconds < 0.7 * audio(heart, "The kitchen light is on now.").seconds
    )


def test_hibari_pronounces_as_the_package_does(heart: TtsEngine) -> None:
    from hibari.g2p import G2P

    text = "The record that I read is in St. Zorblax's café; it lives at 5 km, won't it?"
    engine: Any = heart
    assert engine._voice.g2p(text) == G2P()(text)


@pytest.mark.parametrize("text", ["", "...", "안녕하세요", "Привет, как дела", "\U0001f600", "—", "9" * 60])
def test_hibari_refuses_what_it_cannot_read(heart: TtsEngine, text: str) -> None:
    with pytest.raises(TextError):
        audio(heart, text)


def test_hibari_reads_latin_with_a_foreign_name(heart: TtsEngine) -> None:
    assert audio(heart, "Now playing 아리랑 by Björk.").seconds > 0.5


def test_hibari_never_asks_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="not on this machine"):
        registry.load("tts", "hibari", hibari.Options(voice="emma"), Paths())
    with pytest.raises(ModelError, match="there is no voice 'hart'"):
        registry.load("tts", "hibari", hibari.Options(voice="hart"), Paths())


def test_hibari_takes_a_voice_by_its_path_and_refuses_other_files(tmp_path: Path) -> None:
    import hibari as package

    assets = Path(package.tts.ASSETS)
    british = hibari.Options(voice=str(assets / "hibari.onnx"), british=True)
    assert audio(registry.load("tts", "hibari", british, Paths()), "Tomato.").seconds > 0.2
    with pytest.raises(ModelError, match="those of a hibari voice are"):
        registry.load("tts", "hibari", hibari.Options(voice=str(assets / "oov.onnx")), Paths())
    cut = tmp_path / "cut.onnx"
    cut.write_bytes((assets / "hibari.onnx").read_bytes()[:100_000])
    with pytest.raises(ModelError, match="cannot be loaded as an ONNX model"):
        registry.load("tts", "hibari", hibari.Options(voice=str(cut)), Paths())


def test_a_long_text_begins_before_it_is_spoken_to_the_end(heart: TtsEngine) -> None:
    asked: list[str] = []

    def speak(clause: str) -> Audio:
        asked.append(clause)
        return audio(heart, clause)

    text = "The weather stays as it is, and nothing changes at all today. " * 160
    assert len(text) > 9_900
    spoken = map(speak, clauses(text))
    assert 0.5 < next(spoken).seconds < 5
    assert len(asked) == 1


# Parts ----------------------------------------------------------------------------------------------------------


def test_a_packed_dictionary_answers_as_a_dict() -> None:
    plain = {f"word{number}": {"a": number, "b": "ə" * (number % 5)} for number in range(2000)} | {
        '"\\é': 1.5,
        "": None,
    }
    packed = Packed.from_json(msgspec.json.encode(plain))
    assert {key: packed.get(key) for key in plain} == plain
    assert packed.get("word") is None
    assert packed.get("word2000", 7) == 7


def test_keys_with_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevoice.engines.tts.packed.hash", lambda key: 5, raising=False)
    packed = Packed.from_json(b'{"a": 1, "b": 2, "ab": 3}')
    assert [packed.get(key) for key in ("a", "b", "ab", "c")] == [1, 2, 3, None]


def test_silence_is_cut_and_never_added() -> None:
    rate = 16_000
    speech = np.full(rate, 3000, np.int16)
    silence = np.zeros(rate, np.int16)
    cut = trim(Audio(np.concatenate([silence, speech, silence]), rate), sentence=True)
    assert len(cut) == rate + int(0.015 * rate) + int(SENTENCE_PAUSE * rate)
    assert len(trim(Audio(speech, rate), sentence=True)) == rate
    assert len(trim(Audio(silence, rate), sentence=False)) == rate
    assert len(trim(Audio(silence[:0], rate), sentence=False)) == 0


# Piper ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_voice(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with a voice whose sound of every phoneme is 256 samples of a rising line."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    def make(*, speakers: int = 1, **changes: Any) -> Path:
        inputs = [
            helper.make_tensor_value_info("input", TensorProto.INT64, [1, "n"]),
            helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
            helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
        ]
        if speakers > 1:
            inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
        line = np.linspace(-0.001, 0.001, 256, dtype=np.float32).reshape(1, 1, 256)
        graph = helper.make_graph(
            [
                helper.make_node("Cast", ["input"], ["ids"], to=TensorProto.FLOAT),
                helper.make_node("Unsqueeze", ["ids", "last"], ["column"]),
                helper.make_node("Mul", ["column", "line"], ["sound"]),
                helper.make_node("Reshape", ["sound", "shape"], ["output"]),
            ],
            "voice",
            inputs,
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, "m"])],
            [
                numpy_helper.from_array(np.array([2]), "last"),
                numpy_helper.from_array(line, "line"),
                numpy_helper.from_array(np.array([1, 1, -1]), "shape"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / "small.onnx")
        description = {
            "audio": {"sample_rate": 16_000},
            "espeak": {"voice": "en-us"},
            "num_symbols": 256,
            "num_speakers": speakers,
            "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
            "speaker_id_map": {"ann": 0, "bob": 1} if speakers > 1 else {},
            "inference": {"noise_scale": 0.6, "length_scale": 1.0, "noise_w": 0.8},
        } | changes
        kept = {key: value for key, value in description.items() if value is not None}
        (tmp_path / "small.onnx.json").write_text(json.dumps(kept))
        return tmp_path

    return make


def load_piper(path: Path, **options: Any) -> TtsEngine:
    engine: TtsEngine = registry.load("tts", "piper", piper.Options(model=str(path), **options), Paths())
    return engine


def test_piper_speaks_sentence_by_sentence(small_voice: Callable[..., Path]) -> None:
    engine = load_piper(small_voice())
    assert engine.rate == 16_000
    pieces = list(engine.synthesize("The light is on. It is warm."))
    assert len(pieces) == 2
    assert all(piece.rate == 16_000 and piece.seconds > 0.1 for piece in pieces)
    assert abs(np.max(np.abs(pieces[0].float32())) - piper.LEVEL) < 0.01
    assert audio(load_piper(small_voice() / "small.onnx"), "Brackets [[hh]] are read.").seconds > 0.1


@pytest.mark.parametrize("text", ["", "...", "안녕하세요"])
def test_piper_refuses_what_it_cannot_read(small_voice: Callable[..., Path], text: str) -> None:
    with pytest.raises(TextError):
        audio(load_piper(small_voice()), text)


def test_piper_reads_the_script_of_its_language(small_voice: Callable[..., Path]) -> None:
    russian = load_piper(small_voice(espeak={"voice": "ru"}))
    assert audio(russian, "Привет").seconds > 0.1
    assert russian.language == "ru"
    assert load_piper(small_voice()).language == "en"


def test_piper_has_the_speakers_of_the_voice(small_voice: Callable[..., Path]) -> None:
    several = small_voice(speakers=2)
    assert audio(load_piper(several, speaker="bob"), "Hello.").seconds > 0.1
    assert audio(load_piper(several, speaker=1), "Hello.").seconds > 0.1
    for nobody in ("eve", 2, -1):
        with pytest.raises(ConfigError, match="no speaker"):
            load_piper(several, speaker=nobody)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"audio": None}, "missing required field `audio`"),
        ({"phoneme_id_map": None}, "missing required field `phoneme_id_map`"),
        ({"espeak": {}}, "missing required field `voice`"),
        ({"num_speakers": "two"}, "Expected `int`"),
        ({"num_speakers": 3}, "its inputs are"),
        ({"phoneme_type": "klingon"}, "klingon"),
        ({"inference": 17}, "Expected `object`"),
        ({"inference": {"length_scale": "slow"}}, "Expected `float`"),
        ({"inference": {"length_scale": 0}}, "`float` > 0.0"),
        ({"inference": {"noise_scale": None}}, "got `null`"),
        ({"espeak": {"voice": "xx-klingon"}}, "xx-klingon"),
    ],
)
def test_a_wrong_description_of_a_voice_is_named(
    small_voice: Callable[..., Path], changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        load_piper(small_voice(**changes))
    assert "small.onnx" in caught.value.place


def test_damaged_voices_are_refused(small_voice: Callable[..., Path], tmp_path: Path) -> None:
    folder = small_voice()
    (folder / "small.onnx.json").write_text("{cut")
    with pytest.raises(ModelError, match="describes no Piper voice"):
        load_piper(folder)
    (folder / "small.onnx.json").unlink()
    with pytest.raises(ModelError, match="there is no such file"):
        load_piper(folder)
    small_voice()
    (folder / "small.onnx").write_bytes((folder / "small.onnx").read_bytes()[:200])
    with pytest.raises(ModelError, match="cannot be loaded as an ONNX model"):
        load_piper(folder)
    (folder / "other.onnx").touch()
    with pytest.raises(ModelError, match="2 ONNX files"):
        load_piper(folder)
    with pytest.raises(ModelError, match="there is no such file"):
        load_piper(folder / "missing.onnx")


def test_a_network_that_fails_while_it_speaks_is_an_engine_error(small_voice: Callable[..., Path]) -> None:
    engine: Any = load_piper(small_voice())

    class Broken:
        def run(self, *_: object) -> None:
            raise RuntimeError("index out of range")

    engine._voice.session = Broken()
    with pytest.raises(EngineError, match="index out of range") as caught:
        audio(engine, "Hello.")
    assert isinstance(caught.value, EdgeVoiceError)
