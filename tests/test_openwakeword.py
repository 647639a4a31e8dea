"""openWakeWord: files of words and their cards, and the features that the words share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgevoice.audio.pcm import RATE, Audio, Float32
from edgevoice.engines import litert
from edgevoice.engines.wake import embedding, microwakeword, openwakeword, wordfile
from edgevoice.errors import ModelError
from edgevoice.modelstore import ModelStore


def made(path: Path, shape: Sequence[int] = (1, 16, 96)) -> Path:
    """A network whose score is the mean of the vectors' absolute values, over 100."""
    nodes = [
        helper.make_node("Abs", ["x"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["mean"], axes=list(range(1, len(shape))), keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "word",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1])],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [0.01]),
            helper.make_tensor("shape", TensorProto.INT64, [2], [1, 1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def test_a_word_and_its_card(tmp_path: Path) -> None:
    file = made(tmp_path / "hey_you.onnx")
    bare = wordfile.read(file)
    assert (bare.info.name, bare.info.phrase, bare.info.threshold, bare.info.patience) == ("hey_you", "hey you", 0.5, 1)
    card: dict[str, Any] = {"phrase": "Hey, you!", "threshold": 0.83, "patience": 2, "recipe": {"seed": 7}}
    file.with_suffix(".json").write_text(json.dumps(card))
    word = wordfile.read(file)
    assert (word.info.name, word.info.phrase, word.info.threshold, word.info.patience) == (
        "hey_you",
        "Hey, you!",
        0.83,
        2,
    )
    assert (word.info.loose, word.info.sure) == (None, None)
    card["thresholds"] = {"10": 0.3, "1": 0.6, "0.5": 0.83, "0.1": 0.995}
    file.with_suffix(".json").write_text(json.dumps(card))
    assert (wordfile.read(file).info.loose, wordfile.read(file).info.sure) == (0.3, 0.995)
    card["thresholds"]["100"] = 0.1
    file.with_suffix(".json").write_text(json.dumps(card))
    assert wordfile.read(file).info.loose == 0.1
    assert word.score(np.full((16, 96), -40.0, np.float32)) == pytest.approx(0.4)
    assert word.score(np.full((16, 96), 1e6, np.float32)) == 1.0  # a share, whatever the network says


def test_a_word_is_found_by_its_file_its_card_and_its_folder(tmp_path: Path) -> None:
    file = made(tmp_path / "hey_you.onnx")
    card = file.with_suffix(".json")
    card.write_text("{}")
    for name in embedding.MEL, embedding.EMBEDDING:  # of the features, which may lie beside it
        (tmp_path / name).touch()
    for path in (file, card, tmp_path):
        assert wordfile.find(str(path), path) == file
    made(tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="2 files"):
        wordfile.find("x", tmp_path)
    with pytest.raises(ModelError, match="ends in"):
        wordfile.find("x", tmp_path / "word.pt")


@pytest.mark.parametrize(
    ("card", "complaint"),
    [
        ("{", "no readable JSON"),
        ('{"threshold": 2}', "threshold"),
        ('{"phrase": 1}', "phrase"),
        ("[]", "object"),
    ],
)
def test_mistakes_of_a_card(tmp_path: Path, card: str, complaint: str) -> None:
    file = made(tmp_path / "word.onnx")
    file.with_suffix(".json").write_text(card)
    with pytest.raises(ModelError, match=complaint) as caught:
        wordfile.read(file)
    assert "word.json" in str(caught.value)


def test_models_of_another_kind(tmp_path: Path, store: ModelStore) -> None:
    with pytest.raises(ModelError, match=r"its input is tensor\(float\) \[1, 76, 32\]"):
        wordfile.read(made(tmp_path / "other.onnx", (1, 76, 32)))
    with pytest.raises(ModelError, match="'microwakeword'"):
        wordfile.read(store.path("alexa") / "alexa.tflite")
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot be loaded"):
        wordfile.read(tmp_path / "broken.tflite")
    with pytest.raises(ModelError, match="no such file"):
        wordfile.read(tmp_path / "none.onnx")
    folder = store.path("openwakeword-features")
    (tmp_path / embedding.MEL).symlink_to(folder / embedding.EMBEDDING)
    with pytest.raises(ModelError, match=r"melspectrogram.tflite"):
        embedding.Front(tmp_path)


def test_a_word_of_this_engine_is_told_apart_by_the_other(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="are for the engine 'openwakeword'"):
        microwakeword.load(microwakeword.Options(models=(str(made(tmp_path / "hey_lamp.onnx")),)), ModelStore())
    (tmp_path / "hey_lamp.json").write_text('{"phrase": "hey lamp", "threshold": 0.9}')
    with pytest.raises(ModelError, match=r"the card of a word .* give it to the engine 'openwakeword'"):
        microwakeword.load(microwakeword.Options(models=(str(tmp_path / "hey_lamp.json"),)), ModelStore())


def test_words_share_the_features(tmp_path: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [made(tmp_path / f"word{number}.onnx") for number in range(4)]
    engine = openwakeword.load(openwakeword.Options(models=tuple(map(str, files))), store)
    vectors, embed = [], embedding.Front.embed

    def counted(front: embedding.Front, mels: Float32) -> Float32:
        vectors.append(embed(front, mels))
        return vectors[-1]

    monkeypatch.setattr(embedding.Front, "embed", counted)
    noise = Audio(np.random.default_rng(1).integers(-3000, 3000, RATE, np.int16), start=320)
    scores = engine.open().feed(noise)
    assert len(vectors) == RATE // embedding.STEP
    assert [score.model for score in scores[:5]] == [0, 1, 2, 3, 0]
    assert scores[0].end == 320 + embedding.STEP  # from the first step on: what was before counts as a quiet room
    assert len({score.score for score in scores[:4]}) == 1
    assert scores[0].score != scores[-1].score
    engine.close()


def test_two_words_of_one_name(tmp_path: Path, store: ModelStore) -> None:
    (tmp_path / "a").mkdir()
    files = made(tmp_path / "word.onnx"), made(tmp_path / "a" / "word.onnx")
    with pytest.raises(ModelError, match="another word called 'word'"):
        openwakeword.load(openwakeword.Options(models=tuple(map(str, files))), store)


def test_damage_that_only_shows_when_it_runs_is_found_at_the_start(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        helper.make_node("Gather", ["x", "far"], ["row"], axis=1),
        helper.make_node("ReduceMean", ["row"], ["score"], axes=[1, 2], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "word",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 16, 96))],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, None)],
        [helper.make_tensor("far", TensorProto.INT64, [1], [5_000])],
    )
    path = tmp_path / "word.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    with pytest.raises(ModelError, match=r"word.onnx: it cannot be run"):
        openwakeword.load(openwakeword.Options(models=(str(path),)), store)

    class Failing:
        def __init__(self, *args: Any, **options: Any) -> None:
            self._whole = interpreter(*args, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._whole, name)

        def invoke(self) -> None:
            raise RuntimeError("node 7 failed\n  to invoke")

    interpreter = litert.interpreter
    monkeypatch.setattr(litert, "interpreter", Failing)
    with pytest.raises(ModelError, match=r"melspectrogram.tflite: it cannot be run: node 7 failed to invoke"):
        openwakeword.load(openwakeword.Options(), store)
    with pytest.raises(ModelError, match=r"okay_nabu.tflite: it cannot be run: node 7 failed to invoke"):
        microwakeword.load(microwakeword.Options(models=("okay_nabu",)), store)


def test_a_folder_without_the_json_of_a_word(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"/hey_you/hey_you.json: there is no such file; give the path"):
        (tmp_path / "hey_you").mkdir()
        microwakeword.load(microwakeword.Options(models=(str(tmp_path / "hey_you"),)), store)
