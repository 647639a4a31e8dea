"""Whisper weights in all the file formats there are, written by hand, small enough for tests.

A torch checkpoint is written opcode by opcode, as torch itself does, because torch is not needed for anything else.
"""

import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevoice.engines.asr.whisper_tokens import byte_alphabet
from edgevoice.export.weights import Dims, _expected, _hugging_face_name

Arrays = Mapping[str, NDArray[Any]]

DIMS = Dims(
    mels=80,
    audio_positions=1500,
    text_positions=448,
    width=64,
    heads=1,
    encoder_layers=1,
    decoder_layers=2,
    vocabulary=51864,
)


def weights(dims: Dims = DIMS) -> dict[str, NDArray[np.float16]]:
    """Random weights under OpenAI's names, in the precision that is published."""
    noise = np.random.default_rng(7)
    arrays = {}
    for name, shape in _expected(dims):
        around = 1.0 if "ln" in name and name.endswith("weight") else 0.0  # as trained norms are
        arrays[name] = (around + noise.standard_normal(shape) * 0.1).astype(np.float16)
    return arrays


def hugging_face(arrays: Arrays) -> dict[str, NDArray[np.float32]]:
    return {f"model.{_hugging_face_name(name)}": array.astype(np.float32) for name, array in arrays.items()}


def ct2(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Under CTranslate2's names, with query, key and value fused."""
    result: dict[str, NDArray[Any]] = {}

    def both(target: str, source: str, names: tuple[str, str] = ("weight", "bias")) -> None:
        for name, part in zip(names, ("weight", "bias"), strict=True):
            result[f"{target}/{name}"] = arrays[f"{source}.{part}"]

    def fused(target: str, source: str, parts: tuple[str, ...]) -> None:
        result[f"{target}/weight"] = np.concatenate([arrays[f"{source}.{part}.weight"] for part in parts])
        zero = np.zeros_like(arrays[f"{source}.query.bias"])
        result[f"{target}/bias"] = np.concatenate([arrays.get(f"{source}.{part}.bias", zero) for part in parts])

    norm = ("gamma", "beta")
    result["decoder/embeddings/weight"] = arrays["decoder.token_embedding.weight"]
    both("encoder/conv1", "encoder.conv1")
    both("encoder/conv2", "encoder.conv2")
    both("encoder/layer_norm", "encoder.ln_post", norm)
    both("decoder/layer_norm", "decoder.ln", norm)
    for side in ("encoder", "decoder"):
        result[f"{side}/position_encodings/encodings"] = arrays[f"{side}.positional_embedding"]
        for layer in range(10):
            block, target = f"{side}.blocks.{layer}", f"{side}/layer_{layer}"
            if f"{block}.attn_ln.weight" not in arrays:
                break
            both(f"{target}/self_attention/layer_norm", f"{block}.attn_ln", norm)
            fused(f"{target}/self_attention/linear_0", f"{block}.attn", ("query", "key", "value"))
            both(f"{target}/self_attention/linear_1", f"{block}.attn.out")
            both(f"{target}/ffn/layer_norm", f"{block}.mlp_ln", norm)
            both(f"{target}/ffn/linear_0", f"{block}.mlp.0")
            both(f"{target}/ffn/linear_1", f"{block}.mlp.2")
            if side == "decoder":
                both(f"{target}/attention/layer_norm", f"{block}.cross_attn_ln", norm)
                fused(f"{target}/attention/linear_0", f"{block}.cross_attn", ("query",))
                fused(f"{target}/attention/linear_1", f"{block}.cross_attn", ("key", "value"))
                both(f"{target}/attention/linear_2", f"{block}.cross_attn.out")
    return result


def write_ct2(path: Path, arrays: Arrays, version: int = 6, specification: str = "WhisperSpec") -> None:
    def text(value: str) -> bytes:
        raw = value.encode() + b"\0"
        return struct.pack("<H", len(raw)) + raw

    kinds = ["float32", "int8", "int16", "int32", "float16"]
    data = struct.pack("<I", version) + text(specification) + struct.pack("<II", 3, len(arrays))
    for name, array in arrays.items():
        data += text(name) + struct.pack("<B", array.ndim) + struct.pack(f"<{array.ndim}I", *array.shape)
        data += struct.pack("<BI", kinds.index(array.dtype.name), array.nbytes) + np.ascontiguousarray(array).tobytes()
    path.write_bytes(data + struct.pack("<I", 1) + text("decoder/projection/weight") + text(next(iter(arrays))))


def write_safetensors(path: Path, arrays: Arrays) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    kinds = {"float32": "F32", "float16": "F16"}
    blobs, at = [], 0
    for name, array in arrays.items():
        blob = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": kinds[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + len(blob)],
        }
        blobs.append(blob)
        at += len(blob)
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + b"".join(blobs))


class _Storage:
    """Stands for a storage in the pickle; written as a persistent reference."""

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.pid = ("storage", _Global("torch", kind), key, "cpu", count)


class _Global:
    """A name that the pickle refers to."""

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name


class _Tensor:
    def __init__(self, storage: _Storage, array: NDArray[Any]) -> None:
        strides = tuple(step // array.itemsize for step in array.strides)
        self.arguments: tuple[Any, ...] = (storage, 0, array.shape, strides, False, OrderedDict())


class _Pickler(pickle._Pickler):
    """Python's pickler in Python, which can be extended."""

    write: Callable[[bytes], None]

    def persistent_id(self, value: Any) -> Any:
        return value.pid if isinstance(value, _Storage) else None

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, _Global):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        elif isinstance(value, _Tensor):
            self.save(_Global("torch._utils", "_rebuild_tensor_v2"))
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(value, save_persistent_id)  # type: ignore[misc]  # not in the stubs


def write_torch(path: Path, arrays: Arrays, *, dims: Mapping[str, int] | None = None, extra: Any = None) -> None:
    """``torch.save`` of a table of tensors; with ``dims`` as OpenAI's files have it.

    Args:
        extra: another object to put into the table, for example a ``_Global``.
    """
    kinds = {"float32": "FloatStorage", "float16": "HalfStorage"}
    with zipfile.ZipFile(path, "w") as archive:
        table: OrderedDict[str, Any] = OrderedDict()
        for number, (name, array) in enumerate(arrays.items()):
            archive.writestr(f"archive/data/{number}", array.tobytes(order="A"))
            table[name] = _Tensor(_Storage(kinds[array.dtype.name], str(number), array.size), array)
        if extra is not None:
            table["extra"] = extra
        with archive.open("archive/data.pkl", "w") as file:
            _Pickler(file, protocol=2).dump(table if dims is None else {"dims": dims, "model_state_dict": table})
        archive.writestr("archive/byteorder", "little")


def write_vocabulary(path: Path) -> list[str]:
    """A file of tokens of 256 bytes and invented words, 50256 in all: what an English-only model has."""
    alphabet = byte_alphabet()
    words = [*alphabet, *(f"Ġ{sign}" for sign in "-'"), "Ġhello"]
    words += [f"Ġw{number}" for number in range(50256 - len(words))]
    path.write_text("\n".join(words), encoding="utf-8")
    return words
