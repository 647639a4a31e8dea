"""Recipes, noise by layer, the search and the command, on models of a few layers made here."""

import json
import wave
from pathlib import Path
from typing import Any

import checkpoints
import msgspec
import numpy as np
import pytest

from edgevoice.__main__ import main
from edgevoice.audio.pcm import RATE
from edgevoice.errors import ConfigError, ModelError, OutputError
from edgevoice.modelfiles import Silent
from edgevoice.modelstore import ModelStore
from edgevoice.quantize import gate, onnx_recipes, samples
from edgevoice.quantize.feeds import CalibrationSet, feeds
from edgevoice.quantize.gate import Measurement
from edgevoice.quantize.graph import Graph, save
from edgevoice.quantize.journal import Journal, key
from edgevoice.quantize.metric import Parts, SampleSet, metric
from edgevoice.quantize.recipe import Recipe
from edgevoice.quantize.search import Search, Step
from edgevoice.quantize.sensitivity import rounded_weight, sensitivity
from edgevoice.quantize.subject import Changer, Subject, assemble, subject
from edgevoice.quantize.tflite import TfliteModel
from edgevoice.quantize.tflite import run as tflite_run

onnx = pytest.importorskip("onnx")

WIDTH = 256
RECIPES = (
    Recipe(kind="dynamic"),
    Recipe(kind="dynamic", per_channel=False),
    Recipe(kind="static"),
    Recipe(kind="static", calibration="percentile"),
    Recipe(kind="static", calibration="entropy"),
    Recipe(kind="fp16"),
    Recipe(kind="nbits"),
)


def network(path: Path, *, wild: float = 1.0, domain: str = "") -> Path:
    """Three products of 256 by 256; ``wild`` makes one weight of the middle one that many times as large."""
    helper, rng = onnx.helper, np.random.default_rng(0)
    weights = [(rng.standard_normal((WIDTH, WIDTH)) / 16).astype(np.float32) for _ in range(3)]
    weights[1][0] *= wild
    constants = [onnx.numpy_helper.from_array(each, f"w{number}") for number, each in enumerate(weights)]
    nodes = []
    last = "wave"
    for number in range(3):
        nodes.append(helper.make_node("MatMul", [last, f"w{number}"], [f"m{number}"], name=f"layer{number}"))
        last = "out" if number == 2 else f"t{number}"
        nodes.append(helper.make_node("Tanh", [f"m{number}"], [last], domain=domain if number == 2 else ""))
    of = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "small",
        [of("wave", onnx.TensorProto.FLOAT, [1, WIDTH])],
        [of("out", onnx.TensorProto.FLOAT, [1, WIDTH])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def recording(path: Path, *, rate: int = RATE, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 8000 * np.random.default_rng(1).standard_normal(int(rate * seconds)).clip(-3, 3)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return network(tmp_path / "model" / "small.onnx")


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    recording(tmp_path / "audio" / "one.wav")
    return tmp_path / "audio"


# Recipes


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_makes_the_model_smaller_and_the_same_bytes_again(recipe: Recipe, model: Path, audio: Path) -> None:
    given = feeds(model, CalibrationSet(audio))
    made = onnx_recipes.apply(recipe, Graph(model), (), given)
    assert made == onnx_recipes.apply(recipe, Graph(model), (), feeds(model, CalibrationSet(audio)))
    limit = {"fp16": 0.55, "nbits": 0.25}.get(recipe.kind, 0.35)
    assert len(made) < limit * model.stat().st_size
    before, after = (np.concatenate([each[0] for each in onnx_recipes.run(it, given)]) for it in (model, made))
    least = 8.0 if recipe.kind == "nbits" else 20.0
    assert 10 * np.log10((before**2).sum() / ((after - before) ** 2).sum()) > least
    with pytest.raises(ModelError, match="quantized already"):
        made_path = model.with_name("made.onnx")
        made_path.write_bytes(made)
        Graph(made_path)


def test_layers_that_are_kept_stay_as_they_were(model: Path, audio: Path) -> None:
    for kind in ("dynamic", "nbits"):
        made = onnx.load_model_from_string(onnx_recipes.apply(Recipe(kind=kind), Graph(model), ("layer1",), ()))
        assert [node.name for node in made.graph.node if node.op_type == "MatMul"] == ["layer1"]


def test_the_layer_with_the_wildest_weights_is_the_noisiest(tmp_path: Path, audio: Path) -> None:
    path = network(tmp_path / "wild.onnx", wild=300.0)
    found = sensitivity(Recipe(kind="dynamic"), Graph(path), feeds(path, CalibrationSet(audio)))
    assert len(found) == 3
    assert (found[0].layer, found[0].sqnr_db < found[1].sqnr_db - 6) == ("layer1", True)


def test_rounding_is_within_half_a_step() -> None:
    weight = np.random.default_rng(2).standard_normal((48, 40)).astype(np.float32)
    for recipe, levels in ((Recipe(kind="dynamic"), 127), (Recipe(kind="nbits", block=16), 7.5)):
        worst = np.abs(rounded_weight(weight, recipe, 1) - weight).max(axis=0)
        assert np.all(worst <= 1.05 * np.abs(weight).max(axis=0) / levels)


# Silero: a real model


def test_a_real_model_is_changed_and_runs(store: ModelStore, tmp_path: Path, audio: Path) -> None:
    about = subject(store.path("silero-vad"), tmp_path, None, None)
    assert (about.task, about.engine) == ("vad", "silero")
    changer = Changer(about.folder / about.graphs[0], CalibrationSet(audio))
    recipe = Recipe(kind="static")
    noise = changer.sensitivity(recipe, tmp_path)
    assert len(noise) == 6
    made = assemble(about.folder, {about.graphs[0]: changer.apply(recipe, (noise[0].layer,))}, tmp_path / "made")
    (path,) = made.glob("*.onnx")
    assert path.stat().st_size < (about.folder / about.graphs[0]).stat().st_size
    ((probability, _),) = onnx_recipes.run(path, changer.feeds()[:1])
    assert 0.0 <= float(probability[0, 0]) <= 1.0


# The search


def test_every_input_of_the_decoder_has_numbers_to_take_ranges_from(audio: Path, tmp_path: Path) -> None:
    published = tmp_path / "published"
    published.mkdir()
    checkpoints.write_ct2(published / "model.bin", checkpoints.ct2(checkpoints.weights()))
    checkpoints.write_vocabulary(published / "vocabulary.txt")
    decoder = subject(published, tmp_path, None, None).folder / "decoder.onnx"
    given = feeds(decoder, CalibrationSet(audio, 1))
    assert given
    assert all(value.size for feed in given for value in feed.values())


def measurement(accuracy: float, size: int = 1) -> Measurement:
    counts = (1.0 - accuracy,)
    parts = Parts(counts=counts, weights=(1.0,))
    return Measurement(
        task="vad",
        engine="silero",
        metrics=(metric("frame_error", parts),),
        parts={"frame_error": parts},
        samples=SampleSet(name="x.jsonl", n=1, sha256="ab" * 32),
        size=size,
        load_ms=1.0,
        rss_mb=1.0,
        latency_of="a frame",
        latency_p50_ms=1.0,
        latency_p95_ms=1.0,
    )


def search(model: Path, audio: Path, scratch: Path, measure: Any) -> tuple[Any, list[Step]]:
    about = Subject(model.parent, "vad", "silero", (model.name,))
    steps: list[Step] = []
    changers = {model.name: Changer(model, CalibrationSet(audio))}
    made = Search(about, changers, measurement(1.0), {}, measure, scratch, steps.append, Silent())
    return made, steps


def test_the_smallest_that_passes_is_found(model: Path, audio: Path, tmp_path: Path) -> None:
    made, steps = search(model, audio, tmp_path, lambda folder: measurement(1.0))
    found = made.auto()
    assert found.recipes[model.name].kind == "nbits"
    assert found.kept[model.name] == ()
    assert [step.passed for step in steps if step.measurement] == [True]


def test_the_noisiest_layers_stay_in_float_until_it_passes(tmp_path: Path, audio: Path) -> None:
    path = network(tmp_path / "model" / "wild.onnx", wild=300.0)

    def measure(folder: Path) -> Measurement:
        weights = onnx.load(str(folder / path.name)).graph.initializer
        kept = any((each.name, each.data_type) == ("w1", onnx.TensorProto.FLOAT) for each in weights)
        return measurement(1.0 if kept else 0.5)

    made, steps = search(path, audio, tmp_path, measure)
    found = made.auto()
    assert found.kept[path.name] == ("layer1",)
    assert any(step.measurement and not step.passed for step in steps)
    smaller = [step for step in steps if step.passed and step.size < len(found.changed[path.name])]
    assert smaller == []


def test_nothing_passes_when_all_is_worse(model: Path, audio: Path, tmp_path: Path) -> None:
    made, steps = search(model, audio, tmp_path, lambda folder: measurement(0.5))
    assert made.auto().changed == {}
    assert not any(step.passed for step in steps)
    assert not list(tmp_path.glob("candidate/*"))


def test_a_measurement_is_kept_also_beside_a_line_that_was_cut_off(tmp_path: Path) -> None:
    journal = tmp_path / "work" / "measurements.jsonl"
    Journal(journal).put("a", measurement(1.0))
    with journal.open("ab") as out:
        out.write(b'{"key": "b", "meas')
    Journal(journal).put("c", measurement(0.5))
    again = Journal(journal)
    assert (again.get("a"), again.get("b"), again.get("c")) == (measurement(1.0), None, measurement(0.5))


# The command


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    recording(tmp_path / "dev" / "a.wav", seconds=1.5)
    path = tmp_path / "dev" / "dev.jsonl"
    path.write_text('{"audio": "a.wav"}\n')
    return path


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEVOICE_MODELS", raising=False)
    return tmp_path / "share"


def files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.onnx"))


@pytest.mark.parametrize(("error", "code"), [(0.0, 0), (0.5, 11)])
def test_only_what_passes_is_published(
    error: float,
    code: int,
    model: Path,
    manifest: Path,
    audio: Path,
    own_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        gate, "measure", lambda task, path, *_, **__: measurement(1.0 if path == model.parent else 1.0 - error)
    )
    arguments = ["quantize", str(model.parent), "--manifest", str(manifest), "--task", "vad", "--engine", "silero"]
    arguments += ["--recipe", "dynamic", "--name", "mine", "--calibration", str(audio), "--json"]
    assert main(arguments) == code
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["published"] == (None if code else "mine@dynamic")
    assert bool(files(own_store)) is not bool(code)
    if code:
        assert "lost too much" in err
        assert "layer" in err


def test_the_columns_of_the_table_stand_below_one_another(
    manifest: Path,
    tmp_path: Path,
    own_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = network(tmp_path / "model" / "a_graph_with_a_name_of_more_than_forty_characters.onnx")
    monkeypatch.setattr(gate, "measure", lambda *_, **__: measurement(1.0, size=150_000_000))
    arguments = ["quantize", str(model), "--manifest", str(manifest), "--task", "vad", "--engine", "silero"]
    assert main([*arguments, "--recipe", "dynamic", "--keep-float", "layer1", "--name", "mine"]) == 0
    head, before, after = capsys.readouterr().out.splitlines()[:3]
    assert after.startswith("a_graph_with_a_name_of_more_than_forty_characters.onnx dynamic, 1 float ")
    for column, unit in (("size", "MB"), ("load", "ms")):
        end = head.index(column) + len(column)
        assert (before[end - 2 : end], after[end - 2 : end]) == (unit, unit)


def test_ctrl_c_keeps_what_was_measured_and_leaves_the_store(
    model: Path,
    manifest: Path,
    own_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(task: str, path: Path, *_: Any, **__: Any) -> Measurement:
        if path != model.parent:
            raise KeyboardInterrupt
        return measurement(1.0)

    monkeypatch.setattr(gate, "measure", measure)
    arguments = ["quantize", str(model.parent), "--manifest", str(manifest), "--task", "vad", "--engine", "silero"]
    assert main([*arguments, "--name", "mine"]) == 130
    assert "stopped; what was measured is kept" in capsys.readouterr().out
    assert files(own_store) == []
    (line,) = (tmp_path / "cache/edgevoice/quantize/measurements.jsonl").read_bytes().splitlines()[1:]
    assert msgspec.json.decode(line)["measurement"]["task"] == "vad"


# Bad input


def test_what_is_no_model_is_refused(tmp_path: Path, model: Path) -> None:
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    text = tmp_path / "text.onnx"
    text.write_text("this is a text and no model at all")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(model.read_bytes()[:5000])
    for path in (empty, text, cut):
        with pytest.raises(ModelError, match=r"no whole ONNX model|no operator"):
            Graph(path)
    tflite = tmp_path / "text.tflite"
    tflite.write_text("no model")
    with pytest.raises(ModelError, match="TFLite"):
        Changer(tflite, None)
    with pytest.raises(ModelError, match="no ONNX or TFLite"):
        (tmp_path / "nothing").mkdir()
        subject(tmp_path / "nothing", tmp_path, None, None)


def test_an_error_names_the_model_that_was_typed(
    model: Path,
    manifest: Path,
    own_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(task: str, path: Path, *_: Any, **__: Any) -> Measurement:
        raise ModelError("it does not run", place=str(path / model.name))

    arguments = ["--manifest", str(manifest), "--task", "vad", "--engine", "silero", "--recipe", "dynamic"]
    monkeypatch.setattr(gate, "measure", broken)
    assert main(["quantize", str(model), *arguments]) == 4
    assert f"error: {model}: it does not run" in capsys.readouterr().err
    real = measurement(1.0)
    monkeypatch.setattr(gate, "measure", lambda *args, **_: real if args[1].name == "float" else broken(*args))
    assert main(["quantize", str(model), *arguments]) == 4
    assert f"error: changed, {model}: it does not run" in capsys.readouterr().err
    model.write_bytes(model.read_bytes()[:5000])
    assert main(["quantize", str(model), *arguments]) == 4
    assert f"error: {model}: it is no whole ONNX model" in capsys.readouterr().err


def test_what_stands_beside_a_file_comes_along(model: Path, tmp_path: Path) -> None:
    for name in ("small.json", "small.onnx.json", "other.json"):
        (model.parent / name).write_text("{}")
    folder = subject(model, tmp_path, "wake", "openwakeword").folder
    assert sorted(path.name for path in folder.iterdir()) == ["small.json", "small.onnx", "small.onnx.json"]


def test_a_word_is_only_for_features_of_openwakeword(
    model: Path, manifest: Path, own_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["quantize", str(model), "--manifest", str(manifest), "--task", "vad", "--engine", "silero"]
    assert main([*arguments, "--word", "oww-alexa"]) == 3
    assert "option --word: it is only for features of openWakeWord" in capsys.readouterr().err


def test_custom_operators_and_unknown_ones_are_named(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ModelError, match=r"does not know: my\.own\.Tanh"):
        Graph(network(tmp_path / "own.onnx", domain="my.own"))
    with pytest.raises(ModelError, match="no Conv with constant weights"):
        onnx_recipes.apply(Recipe(kind="dynamic", operators=("Conv",)), Graph(model), (), ())
    with pytest.raises(ModelError, match="needs calibration audio"):
        onnx_recipes.apply(Recipe(kind="static"), Graph(model), (), ())


def test_calibration_audio_is_checked_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    recording(folder / "a.wav", rate=8000)
    recording(folder / "b.wav", seconds=0.1)
    recording(folder / "c.wav")
    (folder / "d.wav").write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        CalibrationSet(folder)
    text = str(caught.value)
    assert "a.wav: it has 8000 samples per second" in text
    assert "b.wav: it is shorter than half a second" in text
    assert "c.wav" not in text
    assert "d.wav: " in text
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="no recording"):
        CalibrationSet(tmp_path / "none")


def test_mistakes_in_all_files_are_told_at_once(
    model: Path, manifest: Path, own_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.write_text('{"audio": "a.wav"}\n{"audio": "gone.wav"}\nno JSON\n')
    recording(manifest.parent / "slow.wav", rate=8000)
    calibration = manifest.with_name("calibration.jsonl")
    calibration.write_text('{"audio": "slow.wav"}\n{"audio": 3}\n')
    grammar = tmp_path / "grammar.yaml"
    grammar.write_text("intents: [")
    arguments = ["quantize", str(model), "--manifest", str(manifest), "--task", "vad", "--engine", "silero"]
    arguments += ["--max-drop", "wer=0.1"]
    assert main([*arguments, "--calibration", str(calibration), "--grammar", str(grammar)]) == 3
    told = capsys.readouterr().err
    assert "option --max-drop: there is no metric 'wer' for vad; there are: frame_error, missed_speech" in told
    for part in ("dev.jsonl:2: ", "dev.jsonl:3: no JSON", "calibration.jsonl:1: it has 8000", "calibration.jsonl:2: "):
        assert part in told
    assert "grammar.yaml" in told
    assert "option --grammar: it is only for intents, and this is measured for vad" in told
    assert main([*arguments[:-2], "--limit", "1", "--calibration", str(calibration)]) == 3
    assert "2 mistakes in the manifest" in capsys.readouterr().err


def test_what_is_calibrated_with_is_not_measured_on(
    model: Path, manifest: Path, own_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(manifest.parent / "b.wav", seconds=2.0)
    (manifest.parent / "copy.wav").write_bytes((manifest.parent / "a.wav").read_bytes())
    arguments = ["quantize", str(model), "--manifest", str(manifest), "--task", "vad", "--engine", "silero"]
    assert main([*arguments, "--calibration", str(manifest.parent)]) == 3
    told = capsys.readouterr().err
    for name in ("a.wav", "copy.wav"):
        assert f"{manifest.parent / name}: the same recording is {manifest.parent / 'a.wav'} in {manifest}" in told
    assert "b.wav" not in told
    texts = manifest.with_name("texts.jsonl")
    texts.write_text('{"text": "Good morning."}\n{"text": "Good night."}\n')
    others = manifest.with_name("others.jsonl")
    others.write_text('{"text": "Good night."}\n{"text": "Good evening."}\n')
    arguments = ["quantize", str(model), "--manifest", str(texts), "--task", "tts", "--engine", "piper"]
    assert main([*arguments, "--calibration", str(others)]) == 3
    assert f"{others}: 'Good night.' stands in {texts}, too" in capsys.readouterr().err
    CalibrationSet(others, texts=True).apart_from([samples.Written(text="Good morning.")], texts)


def test_labels_are_compared_with_the_grammar_before_anything_runs(
    model: Path,
    manifest: Path,
    own_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grammar = manifest.with_name("lights.yaml")
    sentences = "{data: [{sentences: ['turn the light on']}], response: Done.}"
    grammar.write_text(f"language: en\nintents:\n  LightOn: {sentences}\n")
    recording(manifest.parent / "b.wav")
    wrong, right = ('{"audio": "a.wav", "intent": "LightOff"}\n', '{"audio": "b.wav", "intent": "LightOn"}\n')
    arguments = ["quantize", str(model), "--manifest", str(manifest), "--task", "intents", "--engine", "whisper"]
    arguments += ["--grammar", str(grammar), "--recipe", "dynamic", "--dry-run"]
    for text, code in ((wrong, 3), (wrong + right, 0)):
        manifest.write_text(text)
        monkeypatch.setattr(gate, "measure", lambda *_, **__: measurement(1.0))
        if code:
            monkeypatch.setattr(gate, "measure", lambda *_, **__: pytest.fail("it ran"))
        assert main(arguments) == code
        assert "dev.jsonl:1: the grammar has no intent 'LightOff'" in capsys.readouterr().err


def test_another_grammar_is_measured_anew(model: Path, tmp_path: Path) -> None:
    grammar, known = tmp_path / "grammar.yaml", SampleSet(name="dev.jsonl", n=1, sha256="0" * 64)
    keys = {key(model.parent, "intents", "whisper", known)}
    for text in ("one", "two", "two"):
        grammar.write_text(text)
        keys.add(key(model.parent, "intents", "whisper", known, [grammar]))
    assert len(keys) == 3


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        save(tmp_path / "model.onnx", b"abc")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_between_is_told(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        onnx_recipes.apply(Recipe(kind="dynamic"), Graph(model), (), ())


@pytest.mark.parametrize(
    ("options", "code", "cause"),
    [
        (["--recipe", "weights"], 4, "no recipe 'weights' for ONNX; there are: dynamic, static, fp16, nbits"),
        (["--recipe", "dynamic", "--operators", "Konv"], 4, "there is no Konv with constant weights"),
        (
            ["--recipe", "dynamic", "--keep-float", "layer9"],
            3,
            "no layer layer9 that this recipe changes; there is, for",
        ),
    ],
)
def test_what_a_recipe_cannot_do_is_told_before_anything_is_measured(
    options: list[str],
    code: int,
    cause: str,
    model: Path,
    manifest: Path,
    own_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(gate, "measure", lambda *_, **__: pytest.fail("it was measured"))
    arguments = ["quantize", str(model), "--manifest", str(manifest), "--task", "vad", "--engine", "silero"]
    assert main([*arguments, *options]) == code
    assert cause in capsys.readouterr().err


def test_layers_are_blamed_without_a_calibration_set_too(
    model: Path,
    manifest: Path,
    own_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(gate, "measure", lambda task, path, *_, **__: measurement(1.0 if path == model.parent else 0.5))
    arguments = ["quantize", str(model.parent), "--manifest", str(manifest), "--task", "vad", "--engine", "silero"]
    assert main([*arguments, "--recipe", "dynamic", "--keep-float", "layer1"]) == 11
    told = capsys.readouterr().err
    assert "most noise comes from: layer" in told
    assert "layer1 (" not in told
    assert "; keep those layers in float, choose another recipe" in told
    recording(manifest.parent / "a.wav", seconds=0.1)
    assert main([*arguments, "--recipe", "dynamic"]) == 11
    told = capsys.readouterr().err
    assert "most noise" not in told
    assert "; choose another recipe" in told


def test_what_stayed_in_float_at_half_precision_is_noted(
    model: Path, manifest: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "measure", lambda *_, **__: measurement(1.0))
    arguments = ["quantize", str(model), "--manifest", str(manifest), "--task", "vad", "--engine", "silero"]
    assert main([*arguments, "--recipe", "fp16", "--keep-float", "layer1", "--name", "mine"]) == 0
    (note,) = own_store.rglob("edgevoice-provenance.json")
    assert json.loads(note.read_text())["kept_float"] == ["small.onnx:layer1"]


def test_options_of_another_recipe_are_refused(
    model: Path, manifest: Path, own_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quantize", str(model), "--manifest", str(manifest), "--recipe", "fp16", "--block", "32"]) == 3
    assert "the recipe 'fp16' has no --block" in capsys.readouterr().err
    assert main(["quantize", str(model), "--manifest", str(manifest), "--recipe", "static"]) == 3
    assert "needs recordings" in capsys.readouterr().err
    assert main(["quantize", str(model), "--manifest", str(manifest), "--limit", "0"]) == 3
    assert "--limit: it must be 1 at least" in capsys.readouterr().err


def test_a_wake_word_that_is_quantized_already_is_refused(store: ModelStore) -> None:
    with pytest.raises(ModelError, match=r"quantized already \(int8"):
        Changer(store.path("okay_nabu") / "okay_nabu.tflite", None)


# TFLite


def tflite(path: Path, inputs: int = 96) -> Path:
    """Two fully connected layers of 96 by 96 behind one another, made with the runtime's own schema."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")
    rng = np.random.default_rng(3)
    graph = schema.SubGraphT()
    model = schema.ModelT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [0], [4]
    shapes = [[1, inputs], [96, inputs], [1, 96], [96, 96], [1, 96]]
    for number, (name, shape) in enumerate(zip(("in", "w0", "middle", "w1", "out"), shapes, strict=True)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, schema.TensorType.FLOAT32, 0
        if name.startswith("w"):
            buffer = schema.BufferT()
            weights = (rng.standard_normal(shape) / 10).astype(np.float32)
            buffer.data = np.frombuffer(weights.tobytes(), np.uint8)
            tensor.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(tensor)
        if number in (2, 4):
            operator = schema.OperatorT()
            operator.opcodeIndex, operator.inputs, operator.outputs = 0, [number - 2, number - 1, -1], [number]
            operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            operator.builtinOptions = schema.FullyConnectedOptionsT()
            graph.operators.append(operator)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    model.operatorCodes = [code]
    signature, given, result = schema.SignatureDefT(), schema.TensorMapT(), schema.TensorMapT()
    given.name, given.tensorIndex, result.name, result.tensorIndex = "in", 0, "out", 4
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = [given], [result]
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


@pytest.mark.parametrize("kind", ["dynamic", "weights", "static"])
def test_a_tflite_model_gets_smaller_and_still_takes_float(kind: Any, tmp_path: Path) -> None:
    path = tflite(tmp_path / "word.tflite")
    rng = np.random.default_rng(4)
    given = [{"in": rng.standard_normal((1, 96)).astype(np.float32)} for _ in range(8)]
    made = TfliteModel(path).apply(Recipe(kind=kind), (), given)
    assert made == TfliteModel(path).apply(Recipe(kind=kind), (), given)
    assert len(made) < 0.5 * path.stat().st_size
    small = tmp_path / "small.tflite"
    small.write_bytes(made)
    before, after = tflite_run(path, given), tflite_run(small, given)
    assert 10 * np.log10((before**2).sum() / ((after - before) ** 2).sum()) > (15 if kind == "static" else 20)
    with pytest.raises(ModelError, match="quantized already"):
        TfliteModel(small)


def test_tflite_layers_can_stay_in_float(tmp_path: Path) -> None:
    model = TfliteModel(tflite(tmp_path / "word.tflite"))
    assert model.layers() == ["middle", "out"]
    recipe = Recipe(kind="dynamic")
    sizes = [len(model.apply(recipe, kept, ())) for kept in ((), ("out",), ("middle", "out"))]
    assert sizes[0] < sizes[1] < sizes[2]
    given = [{"in": np.random.default_rng(5).standard_normal((1, 96)).astype(np.float32)} for _ in range(4)]
    noise = model.sensitivity(recipe, given, tmp_path)
    assert {each.layer for each in noise} == {"middle", "out"}
    assert all(10 < each.sqnr_db < 100 for each in noise)
    with pytest.raises(ModelError, match="no recipe 'fp16' for TFLite; there are: dynamic, weights, static"):
        Changer(model.path, None).layers(Recipe(kind="fp16"))
    for options in ({"operators": ("Conv",)}, {"per_channel": False}, {"calibration": "entropy"}):
        with pytest.raises(ConfigError, match="only ONNX has a choice"):
            Changer(model.path, None).layers(msgspec.structs.replace(Recipe(kind="static"), **options))
    assert Recipe(kind="dynamic").description(tflite=True) == {"kind": "dynamic"}
