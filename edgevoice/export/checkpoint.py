"""Reads the tensors of ``model.safetensors``, ``pytorch_model.bin`` and OpenAI ``.pt`` files, without torch.

A torch checkpoint is a zip file: ``<name>/data.pkl``, a pickle of the structure, and ``<name>/data/<key>``, the raw
elements of each storage. A pickle can name any function to be called, so this reader looks names up in a table of
the few that tensors need and refuses every other.
"""

import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from edgevoice.errors import ModelError

Tensors = dict[str, NDArray[Any]]

_SAFETENSORS_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "bf16", "I64": "<i8", "I32": "<i4", "I8": "i1"}
_STORAGE_TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    tensors: Tensors
    """By name, in the file's own type; bfloat16 as float32."""
    dims: Mapping[str, int] | None
    """The ``dims`` of an OpenAI checkpoint; None for the others."""


def read(path: Path) -> Checkpoint:
    """The tensors of a checkpoint; its kind is told by its content.

    Raises:
        ModelError: it cannot be read, is damaged, of an unknown kind, or names code that tensors do not need.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror}", place=str(path)) from error
    if head == b"PK\x03\x04":
        return _torch(path)
    if path.suffix == ".safetensors":
        return Checkpoint(_safetensors(path), None)
    raise ModelError(
        "it is neither a .safetensors file nor a torch checkpoint in zip format",
        place=str(path),
        remedy="a checkpoint saved by torch before version 1.6 must be saved again by a newer one",
    )


def _safetensors(path: Path) -> Tensors:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    try:
        if size > len(data) - 8:
            raise ValueError("the file ends inside its header")
        header = json.loads(data[8 : 8 + size])
        if not isinstance(header, dict):
            raise ValueError("the header is no table")
        tensors: Tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            start, end = entry["data_offsets"]
            if not 0 <= start <= end <= len(data) - 8 - size:
                raise ValueError(f"the file ends before '{name}'")
            kind = _SAFETENSORS_TYPES[entry["dtype"]]
            tensors[name] = _array(memoryview(data)[8 + size + start : 8 + size + end], kind).reshape(entry["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    return tensors


def _array(raw: bytes | memoryview, kind: str) -> NDArray[Any]:
    if kind == "bf16":  # the upper half of a float32
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.frombuffer(raw, kind)


def _damaged(path: Path, cause: str) -> ModelError:
    return ModelError(f"it is damaged: {cause}", place=str(path), remedy="fetch it again")


@dataclass(frozen=True, slots=True)
class _StorageType:
    kind: str


def _rebuild_tensor(
    storage: NDArray[Any], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> NDArray[Any]:
    """What ``torch._utils._rebuild_tensor_v2`` gives: a strided view of a storage."""
    if len(size) != len(stride) or min((offset, *size, *stride)) < 0:
        raise ValueError(f"a tensor of size {size} and stride {stride}")
    if 0 in size:
        return np.zeros(size, storage.dtype)
    last = offset + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
    if last >= len(storage):
        raise ValueError(f"a tensor of size {size} reaches beyond its storage")
    strides = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False)


def _rebuild_parameter(data: NDArray[Any], *_: object) -> NDArray[Any]:
    return data


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): _StorageType(kind) for name, kind in _STORAGE_TYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, storage: Callable[[str], bytes], path: Path) -> None:
        super().__init__(io.BytesIO(data))
        self._storage = storage
        self._path = path
        self._read: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            self._refuse(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        tag, kind, key, _location, _count = pid
        if tag != "storage" or not isinstance(kind, _StorageType) or not isinstance(key, str):
            raise ValueError(f"a reference to something that is no storage: {tag!r}")
        if key not in self._read:
            self._read[key] = _array(self._storage(key), kind.kind)
        return self._read[key]

    def _refuse(self, what: str) -> NoReturn:
        raise ModelError(
            f"it wants to use '{what}', which weights do not need",
            place=str(self._path),
            remedy="such a file can run any program; use a .safetensors file, or one from a source you trust",
        )


def _torch(path: Path) -> Checkpoint:
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
            if len(pickles) != 1:
                raise ValueError("it has no data.pkl")
            root = pickles[0].removesuffix("data.pkl")
            if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
                raise ValueError("its numbers are big-endian")
            unpickler = _Unpickler(archive.read(pickles[0]), lambda key: archive.read(f"{root}data/{key}"), path)
            content = unpickler.load()
    except (
        OSError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        IndexError,
        AttributeError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    if not isinstance(content, dict):
        raise _damaged(path, "it holds no table of tensors")
    dims = None
    if "model_state_dict" in content:
        dims, content = content.get("dims"), content["model_state_dict"]
        if not isinstance(dims, dict) or not isinstance(content, dict):
            raise _damaged(path, "it lacks its dims or its weights")
    return Checkpoint({str(name): value for name, value in content.items() if isinstance(value, np.ndarray)}, dims)
