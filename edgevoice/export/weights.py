"""Whisper's weights in one form, whatever file they came from.

The names are those of OpenAI's own checkpoints; ``K`` below stands for a layer's number. All arrays are float32. The
key projections have no bias.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import Float32
from edgevoice.errors import ModelError
from edgevoice.export import checkpoint, ct2

HEAD_WIDTH = 64
"""Every published Whisper model has heads of this width, so the number of heads follows from the model's."""
ENGLISH_VOCABULARY = 51864
"""Rows of the embedding of an English-only model; the others have more."""
_SHAPES_REMEDY = "it must be a Whisper model (tiny, base, small, medium or large; English-only or multilingual)"


@dataclass(frozen=True, slots=True)
class Dims:
    mels: int
    audio_positions: int
    text_positions: int
    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    vocabulary: int

    @property
    def multilingual(self) -> bool:
        return self.vocabulary > ENGLISH_VOCABULARY

    @property
    def table(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Weights:
    dims: Dims
    tensors: Mapping[str, Float32]

    def __getitem__(self, name: str) -> Float32:
        return self.tensors[name]


def load(path: Path) -> Weights:
    """The weights of a file, whose kind is told by its name and content.

    Args:
        path: ``model.bin`` of CTranslate2, ``*.safetensors``, ``pytorch_model.bin``, or an OpenAI ``*.pt``.

    Raises:
        ModelError: it is damaged, or no Whisper model.
    """
    if path.suffix == ".bin" and _starts_with(path, ct2.BINARY_VERSION.to_bytes(4, "little")):
        model = ct2.read(path)
        if model.specification != "WhisperSpec":
            raise ModelError(f"it is a {model.specification}", place=str(path), remedy=_SHAPES_REMEDY)
        return _collect(path, _from_ct2(model.variables))
    content = checkpoint.read(path)
    if content.dims is not None:
        return _collect(path, lambda name: content.tensors[name])
    prefix = "model." if any(name.startswith("model.") for name in content.tensors) else ""
    return _collect(path, lambda name: content.tensors[prefix + _hugging_face_name(name)])


def _starts_with(path: Path, start: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(start)) == start
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror}", place=str(path)) from error


def _collect(path: Path, get: Callable[[str], NDArray[Any]]) -> Weights:
    try:
        dims = _dims(get)
        tensors: dict[str, Float32] = {}
        for name, shape in _expected(dims):
            array = np.ascontiguousarray(get(name), dtype=np.float32)
            if array.shape != shape:
                raise ModelError(
                    f"'{name}' has the shape {array.shape} instead of {shape}", place=str(path), remedy=_SHAPES_REMEDY
                )
            tensors[name] = array
    except KeyError as error:
        raise ModelError(f"it has no weights named {error}", place=str(path), remedy=_SHAPES_REMEDY) from error
    return Weights(dims, tensors)


def _dims(get: Callable[[str], NDArray[Any]]) -> Dims:
    vocabulary, width = get("decoder.token_embedding.weight").shape
    return Dims(
        mels=get("encoder.conv1.weight").shape[1],
        audio_positions=get("encoder.positional_embedding").shape[0],
        text_positions=get("decoder.positional_embedding").shape[0],
        width=width,
        heads=width // HEAD_WIDTH,
        encoder_layers=_layers(get, "encoder"),
        decoder_layers=_layers(get, "decoder"),
        vocabulary=vocabulary,
    )


def _layers(get: Callable[[str], NDArray[Any]], side: str) -> int:
    count = 0
    try:
        while True:
            get(f"{side}.blocks.{count}.attn_ln.weight")
            count += 1
    except KeyError:
        return count


def _expected(dims: Dims) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of all weights of a model."""
    width = dims.width
    yield "encoder.conv1.weight", (width, dims.mels, 3)
    yield "encoder.conv1.bias", (width,)
    yield "encoder.conv2.weight", (width, width, 3)
    yield "encoder.conv2.bias", (width,)
    yield "encoder.positional_embedding", (dims.audio_positions, width)
    yield "decoder.token_embedding.weight", (dims.vocabulary, width)
    yield "decoder.positional_embedding", (dims.text_positions, width)
    for norm in ("encoder.ln_post", "decoder.ln"):
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)
    for side, layers in (("encoder", dims.encoder_layers), ("decoder", dims.decoder_layers)):
        for layer in range(layers):
            block = f"{side}.blocks.{layer}"
            for attention in ("attn", "cross_attn") if side == "decoder" else ("attn",):
                for part in ("query", "key", "value", "out"):
                    yield f"{block}.{attention}.{part}.weight", (width, width)
                    if part != "key":
                        yield f"{block}.{attention}.{part}.bias", (width,)
                yield f"{block}.{attention}_ln.weight", (width,)
                yield f"{block}.{attention}_ln.bias", (width,)
            yield f"{block}.mlp_ln.weight", (width,)
            yield f"{block}.mlp_ln.bias", (width,)
            yield f"{block}.mlp.0.weight", (4 * width, width)
            yield f"{block}.mlp.0.bias", (4 * width,)
            yield f"{block}.mlp.2.weight", (width, 4 * width)
            yield f"{block}.mlp.2.bias", (width,)


_HUGGING_FACE_OUTER = {
    "encoder.positional_embedding": "encoder.embed_positions.weight",
    "decoder.positional_embedding": "decoder.embed_positions.weight",
    "decoder.token_embedding.weight": "decoder.embed_tokens.weight",
    "encoder.ln_post.weight": "encoder.layer_norm.weight",
    "encoder.ln_post.bias": "encoder.layer_norm.bias",
    "decoder.ln.weight": "decoder.layer_norm.weight",
    "decoder.ln.bias": "decoder.layer_norm.bias",
}
_HUGGING_FACE_INNER = {
    "cross_attn_ln": "encoder_attn_layer_norm",
    "cross_attn": "encoder_attn",
    "attn_ln": "self_attn_layer_norm",
    "attn": "self_attn",
    "mlp_ln": "final_layer_norm",
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "out": "out_proj",
}


def _hugging_face_name(name: str) -> str:
    if name in _HUGGING_FACE_OUTER:
        return _HUGGING_FACE_OUTER[name]
    name = name.replace(".blocks.", ".layers.").replace(".mlp.0.", ".fc1.").replace(".mlp.2.", ".fc2.")
    return ".".join(_HUGGING_FACE_INNER.get(part, part) for part in name.split("."))


_CT2_OUTER = {
    "encoder.positional_embedding": "encoder/position_encodings/encodings",
    "decoder.positional_embedding": "decoder/position_encodings/encodings",
    "decoder.token_embedding.weight": "decoder/embeddings/weight",
    "encoder.ln_post": "encoder/layer_norm",
    "decoder.ln": "decoder/layer_norm",
}
_CT2_ATTENTION = {"attn": "self_attention", "cross_attn": "attention"}
_CT2_PARTS = {
    # Part of which fused matrix, and which of its equal parts of rows.
    ("attn", "query"): ("linear_0", 0, 3),
    ("attn", "key"): ("linear_0", 1, 3),
    ("attn", "value"): ("linear_0", 2, 3),
    ("attn", "out"): ("linear_1", 0, 1),
    ("cross_attn", "query"): ("linear_0", 0, 1),
    ("cross_attn", "key"): ("linear_1", 0, 2),
    ("cross_attn", "value"): ("linear_1", 1, 2),
    ("cross_attn", "out"): ("linear_2", 0, 1),
}
_CT2_MLP = {"0": "linear_0", "2": "linear_1"}
_CT2_NORM = {"weight": "gamma", "bias": "beta"}


def _from_ct2(variables: Mapping[str, NDArray[Any]]) -> Callable[[str], NDArray[Any]]:
    def fetch(name: str) -> NDArray[Any]:
        array = variables[name]
        if array.dtype.kind == "i":
            scales = variables[f"{name}_scale"]  # CTranslate2 divides by the scale: one for each row
            return np.asarray(array / scales.astype(np.float32)[:, None], dtype=np.float32)
        return array

    def get(name: str) -> NDArray[Any]:
        if name in _CT2_OUTER:
            return fetch(_CT2_OUTER[name])
        owner, _, kind = name.rpartition(".")
        if owner in _CT2_OUTER:
            return fetch(f"{_CT2_OUTER[owner]}/{_CT2_NORM[kind]}")
        if ".blocks." not in name:
            return fetch(name.replace(".", "/"))
        side, _, layer, module, *rest = name.split(".")
        block = f"{side}/layer_{layer}"
        if module.endswith("_ln"):
            inner = "ffn" if module == "mlp_ln" else _CT2_ATTENTION[module.removesuffix("_ln")]
            return fetch(f"{block}/{inner}/layer_norm/{_CT2_NORM[kind]}")
        if module == "mlp":
            return fetch(f"{block}/ffn/{_CT2_MLP[rest[0]]}/{kind}")
        fused, part, parts = _CT2_PARTS[module, rest[0]]
        return np.split(fetch(f"{block}/{_CT2_ATTENTION[module]}/{fused}/{kind}"), parts)[part]

    return get
