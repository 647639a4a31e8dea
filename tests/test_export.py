import base64
import dataclasses
import json
import math
import os
import pickle
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import pytest
from checkpoints import DIMS
from numpy.typing import NDArray

from edgevoice.__main__ import main
from edgevoice.engines.asr import whisper_tokens
from edgevoice.engines.asr.whisper_net import WhisperNet
from edgevoice.errors import ModelError, OutputError
from edgevoice.export import checkpoint, ct2, vocabulary, weights
from edgevoice.export.whisper import build_whisper
from edgevoice.modelstore import ModelStore

GRAPHS = ("encoder.onnx", "decoder.onnx", "tokens.json")
BUILT = (*GRAPHS, "model.json")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same small model in every format."""
    arrays = checkpoints.weights()
    folder = tmp_path_factory.mktemp("sources")
    result = {}
    for kind, name in (
        ("ct2", "model.bin"),
        ("safetensors", "model.safetensors"),
        ("torch", "pytorch_model.bin"),
        ("openai", "tiny.en.pt"),
    ):
        (folder / kind).mkdir()
        checkpoints.write_vocabulary(folder / kind / "vocabulary.txt")
        result[kind] = folder / kind / name
    checkpoints.write_ct2(result["ct2"], checkpoints.ct2(arrays))
    checkpoints.write_safetensors(result["safetensors"], checkpoints.hugging_face(arrays))
    checkpoints.write_torch(result["torch"], checkpoints.hugging_face(arrays))
    checkpoints.write_torch(result["openai"], arrays, dims={"n_mels": 80})
    return result


@pytest.fixture(scope="module")
def built(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("built")
    build_whisper(sources["ct2"].parent, target)
    return target


@pytest.mark.parametrize("kind", ["ct2", "safetensors", "torch", "openai"])
def test_every_format_gives_the_same_graphs(kind: str, sources: dict[str, Path], built: Path, tmp_path: Path) -> None:
    steps: list[float] = []
    build_whisper(sources[kind], tmp_path, lambda _what, part: steps.append(part))
    for name in GRAPHS:
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes(), name
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0.0, 1.0)
    description = json.loads((tmp_path / "model.json").read_text())
    assert description["dims"] == DIMS.table
    assert description["source"]["file"] == sources[kind].name


def test_a_second_run_gives_the_same_bytes(sources: dict[str, Path], built: Path, tmp_path: Path) -> None:
    build_whisper(sources["ct2"], tmp_path)
    assert all((tmp_path / name).read_bytes() == (built / name).read_bytes() for name in BUILT)


def test_beams_and_a_shared_prefix_change_nothing(sources: dict[str, Path], tmp_path: Path) -> None:
    """The decoder with a prefix that two beams share, against each text decoded on its own from the beginning."""
    build_whisper(sources["ct2"], tmp_path, precision="float32")
    net = WhisperNet(tmp_path, 1)
    cross = net.encode(np.random.default_rng(1).standard_normal((80, 100)).astype(np.float32))
    prefix, texts = [5, 6, 7], [[11, 12, 13], [21, 22, 23]]
    alone = [net.open(cross).step([*prefix, *text]) for text in texts]

    stepwise = net.open(cross)
    for token in [*prefix, *texts[1]]:
        logits = stepwise.step([token])
    np.testing.assert_allclose(logits, alone[1], atol=1e-4)

    beams = net.open(cross)
    beams.begin(prefix, [-1])
    beams.share()
    beams.step_beams([texts[0][0], texts[1][0]], [0, 0])
    beams.step_beams([texts[0][1], texts[1][1]], [0, 1])
    # They change places: each goes on from the other's past.
    together = beams.step_beams([texts[1][2], texts[0][2]], [1, 0])
    np.testing.assert_allclose(together[::-1], alone, atol=1e-4)
    np.testing.assert_allclose(beams.again(texts[1])[-1], alone[1], atol=1e-4)


def _encoder_in_numpy(arrays: dict[str, NDArray[np.float32]], heads: int, mel: NDArray[np.float32]) -> Any:
    """Keys of the first decoder layer's cross attention, [heads, 64, frames / 2], as Whisper's paper defines them."""

    def linear(name: str, x: Any) -> Any:
        return x @ arrays[f"{name}.weight"].T + arrays.get(f"{name}.bias", 0)

    def norm(name: str, x: Any) -> Any:
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        return (x - x.mean(axis=-1, keepdims=True)) / spread * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    def gelu(x: Any) -> Any:
        return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2

    def split(x: Any) -> Any:
        return x.reshape(len(x), heads, 64).transpose(1, 0, 2)

    x = mel.T
    for conv, stride in (("encoder.conv1", 1), ("encoder.conv2", 2)):
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((1, 1), (0, 0))), 3, axis=0)[::stride]
        x = gelu(np.einsum("tik,oik->to", windows, arrays[f"{conv}.weight"]) + arrays[f"{conv}.bias"])
    x = x + arrays["encoder.positional_embedding"][: len(x)]
    block = "encoder.blocks.0"
    hidden = norm(f"{block}.attn_ln", x)
    query, key, value = (split(linear(f"{block}.attn.{part}", hidden)) for part in ("query", "key", "value"))
    shares = np.exp(query @ key.transpose(0, 2, 1) / 8)
    heard = (shares / shares.sum(axis=-1, keepdims=True)) @ value
    x = x + linear(f"{block}.attn.out", heard.transpose(1, 0, 2).reshape(x.shape))
    x = x + linear(f"{block}.mlp.2", gelu(linear(f"{block}.mlp.0", norm(f"{block}.mlp_ln", x))))
    return split(linear("decoder.blocks.0.cross_attn.key", norm("encoder.ln_post", x))).transpose(0, 2, 1)


def test_the_encoder_computes_what_the_paper_says(tmp_path: Path) -> None:
    arrays = checkpoints.weights(dataclasses.replace(DIMS, width=128, heads=2))
    checkpoints.write_safetensors(tmp_path / "model.safetensors", checkpoints.hugging_face(arrays))
    checkpoints.write_vocabulary(tmp_path / "vocabulary.txt")
    build_whisper(tmp_path, tmp_path / "built", precision="float32")
    mel = np.random.default_rng(1).standard_normal((80, 120)).astype(np.float32)
    exact = _encoder_in_numpy({name: array.astype(np.float32) for name, array in arrays.items()}, 2, mel)
    got = WhisperNet(tmp_path / "built", 1).encode(mel)["cross_key_0"].numpy()
    np.testing.assert_allclose(got, exact, atol=1e-3)


def test_int8_stays_near_float(sources: dict[str, Path], built: Path, tmp_path: Path) -> None:
    build_whisper(sources["ct2"], tmp_path, precision="float32")
    mel = np.random.default_rng(1).standard_normal((80, 200)).astype(np.float32)
    exact, small = (
        net.open(net.encode(mel)).step([50257, 50362]) for net in (WhisperNet(tmp_path, 1), WhisperNet(built, 1))
    )
    assert np.corrcoef(exact, small)[0, 1] > 0.99
    assert sum(path.stat().st_size for path in built.iterdir()) < 0.5 * sum(
        path.stat().st_size for path in tmp_path.iterdir()
    )


# Damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ct2", "safetensors", "torch", "openai"])
@pytest.mark.parametrize("keep", [0, 3, 20, 200, 100_000])
def test_a_truncated_file_is_an_error(kind: str, keep: int, sources: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / sources[kind].name
    path.write_bytes(sources[kind].read_bytes()[:keep])
    with pytest.raises(ModelError, match=path.name):
        weights.load(path)


def test_a_pickle_that_names_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(marker),)

    path = tmp_path / "evil.pt"
    checkpoints.write_torch(path, {"a": np.zeros(3, np.float32)}, extra=Evil())
    with pytest.raises(ModelError, match=r"wants to use 'posix\.mkdir'.*\.safetensors"):
        checkpoint.read(path)
    assert not marker.exists()
    for name in ("builtins.eval", "torch.load", "collections.deque", "torch._utils._rebuild_tensor_v3"):
        module, _, item = name.rpartition(".")
        checkpoints.write_torch(path, {"a": np.zeros(3, np.float32)}, extra=checkpoints._Global(module, item))
        with pytest.raises(ModelError, match="which weights do not need"):
            checkpoint.read(path)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "short.pt"
    checkpoints.write_torch(path, {"a": np.zeros((4, 5), np.float32)})
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["archive/data/0"] = content["archive/data/0"][:40]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError, match="reaches beyond its storage"):
        checkpoint.read(path)


def test_a_strided_tensor_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "strided.pt"
    array = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    checkpoints.write_torch(path, {"a": array})
    np.testing.assert_array_equal(checkpoint.read(path).tensors["a"], array)


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes([0x80, 0x3F, 0x00, 0xC0]))
    assert checkpoint.read(path).tensors["a"].tolist() == [1.0, -2.0]


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("old.pt", pickle.dumps({"a": 1}), "saved again by a newer one"),
        ("model.bin", b"\x05\0\0\0", "neither"),
        ("model.bin", b"\x06\0\0\0", "in the middle of the weights"),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", "damaged"),
        ("model.safetensors", b"\x02\0\0\0\0\0\0\0{}", "no weights named"),
    ],
)
def test_files_of_another_kind(name: str, content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=match):
        weights.load(tmp_path / name)


def test_a_model_of_another_kind(tmp_path: Path) -> None:
    checkpoints.write_ct2(tmp_path / "model.bin", {"a": np.zeros(2, np.float32)}, specification="TransformerSpec")
    with pytest.raises(ModelError, match="it is a TransformerSpec"):
        weights.load(tmp_path / "model.bin")
    arrays = checkpoints.weights()
    arrays["encoder.conv2.bias"] = arrays["encoder.conv2.bias"][:10]
    checkpoints.write_safetensors(tmp_path / "model.safetensors", checkpoints.hugging_face(arrays))
    with pytest.raises(ModelError, match=r"'encoder.conv2.bias' has the shape \(10,\) instead of \(64,\)"):
        weights.load(tmp_path / "model.safetensors")


def test_ct2_int8_weights_are_scaled_back(tmp_path: Path) -> None:
    numbers, scale = np.array([[10, -20], [30, 40]], np.int8), np.array([2.0, 10.0], np.float32)
    checkpoints.write_ct2(tmp_path / "model.bin", {"w/weight": numbers, "w/weight_scale": scale})
    model = ct2.read(tmp_path / "model.bin")
    assert model.variables["decoder/projection/weight"] is model.variables["w/weight"]
    fetched = weights._from_ct2(
        {**model.variables, "encoder/conv1/weight": numbers, "encoder/conv1/weight_scale": scale}
    )
    assert fetched("encoder.conv1.weight").tolist() == [[5.0, -10.0], [3.0, 4.0]]


def test_missing_sources_and_tokens_name_the_remedy(sources: dict[str, Path], built: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(ModelError, match="no such file or directory"):
        build_whisper(tmp_path / "none", target)
    with pytest.raises(ModelError, match=r"no weights \(model\.bin, model\.safetensors"):
        build_whisper(tmp_path, target)
    (tmp_path / "model.safetensors.index.json").touch()
    with pytest.raises(ModelError, match="several files"):
        build_whisper(tmp_path, target)
    alone = tmp_path / "tiny.en.pt"
    alone.symlink_to(sources["openai"])
    with pytest.raises(ModelError, match=r"no file of tokens .*tokenizer\.json there, or name one"):
        build_whisper(alone, target)
    build_whisper(alone, target, tokenizer=sources["openai"].parent / "vocabulary.txt")
    assert (target / "tokens.json").read_bytes() == (built / "tokens.json").read_bytes()
    blocked = tmp_path / "blocked"
    blocked.touch()
    with pytest.raises(OutputError, match="cannot be written"):
        build_whisper(sources["ct2"], blocked)


# Tokens ----------------------------------------------------------------------------------------------------------


def test_every_file_of_tokens_is_read_alike(tmp_path: Path) -> None:
    words = checkpoints.write_vocabulary(tmp_path / "vocabulary.txt")
    numbers = {word: number for number, word in enumerate(words)}
    (tmp_path / "vocab.json").write_text(json.dumps(numbers))
    (tmp_path / "vocabulary.json").write_text(json.dumps(words))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": numbers}}))
    spelt = [whisper_tokens.spell(word) for word in words]
    lines = [base64.b64encode(word) + b" %d" % number for number, word in enumerate(spelt)]
    (tmp_path / "gpt2.tiktoken").write_bytes(b"\n".join(lines) + b"\n")
    for name in ("vocabulary.txt", "vocab.json", "vocabulary.json", "tokenizer.json", "gpt2.tiktoken"):
        assert vocabulary.read(tmp_path / name, len(words)) == spelt, name
    assert vocabulary.find(tmp_path).name == "tokenizer.json"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.json", "{"),
        ("vocab.json", '{"a": "x"}'),
        ("vocab.json", '{"a": 1}'),
        ("vocab.json", '{"\\u4e00": 0}'),
        ("tokenizer.json", '{"model": 5}'),
        ("vocabulary.txt", "a"),
        ("gpt2.tiktoken", "no base64! 5"),
        ("gpt2.tiktoken", "one"),
    ],
)
def test_damaged_tokens(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=name):
        vocabulary.read(tmp_path / name, 2)


def test_special_tokens_follow_from_the_rows() -> None:
    english = vocabulary.special(51864)
    assert (english.end, english.start, english.previous, english.no_speech, english.no_timestamps) == (
        50256,
        50257,
        50360,
        50361,
        50362,
    )
    many = vocabulary.special(51865)
    assert (many.end, many.start, many.transcribe, many.no_timestamps) == (50257, 50258, 50359, 50363)
    assert (many.languages["en"], many.languages["su"], len(many.languages)) == (50259, 50357, 99)
    assert vocabulary.special(51866).languages["yue"] == 50358


def test_what_is_not_speech_is_what_the_published_model_says(store: ModelStore) -> None:
    source = store.path("whisper-tiny.en-ct2")
    published = json.loads((source / "config.json").read_text())
    tokens = vocabulary.read(source / "tokenizer.json", 50256)
    assert vocabulary.not_speech(tokens) == [number for number in published["suppress_ids"] if number < 50256]


def test_the_command_builds_the_same_model(
    sources: dict[str, Path], built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = str(sources["openai"].parent / "vocabulary.txt")
    target = tmp_path / "mine"
    assert main(["models", "build", str(sources["openai"]), str(target), "--tokenizer", tokens]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    for name in GRAPHS:
        assert (target / name).read_bytes() == (built / name).read_bytes(), name
    assert main(["models", "build", str(tmp_path / "none"), str(target)]) == ModelError.exit_code
    assert "there is no such file" in capsys.readouterr().err
