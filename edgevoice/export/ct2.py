"""Reads the weights of a CTranslate2 ``model.bin``.

Layout (little-endian), as the CTranslate2 converters of binary version 6 write it: u32 version; name of the
specification; u32 its revision; u32 number of variables; per variable its name, u8 rank, u32 per dimension, u8 type,
u32 number of bytes, the data; then u32 number of aliases and per alias two names. A name is a u16 length that counts
a closing NUL, and the bytes.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevoice.errors import ModelError

BINARY_VERSION = 6
_TYPES: tuple[type[np.generic], ...] = (np.float32, np.int8, np.int16, np.int32, np.float16)
"""By the type's number in the file."""
_REMEDY = "fetch it again; it must be the model.bin of a CTranslate2 Whisper model"


@dataclass(frozen=True, slots=True)
class Ct2Model:
    specification: str
    """For example ``WhisperSpec``."""
    variables: dict[str, NDArray[Any]]
    """Views into the file's bytes, by name; an alias has its own entry."""


class _Cursor:
    def __init__(self, data: bytes, place: str) -> None:
        self._data = data
        self._at = 0
        self._place = place

    def take(self, size: int) -> memoryview:
        if self._at + size > len(self._data):
            raise ModelError(
                f"the file ends after {len(self._data)} bytes in the middle of the weights",
                place=self._place,
                remedy=_REMEDY,
            )
        piece = memoryview(self._data)[self._at : self._at + size]
        self._at += size
        return piece

    def number(self, code: str) -> int:
        value: int = struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]
        return value

    def name(self) -> str:
        raw = bytes(self.take(self.number("H")))
        try:
            return raw.rstrip(b"\0").decode("utf-8")
        except UnicodeDecodeError as error:
            raise ModelError("it holds a name that is no text", place=self._place, remedy=_REMEDY) from error


def read(path: Path) -> Ct2Model:
    """All variables of a ``model.bin``.

    Raises:
        ModelError: it cannot be read, is truncated, or is no model.bin of a version known here.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror}", place=str(path)) from error
    cursor = _Cursor(data, str(path))
    version = cursor.number("I")
    if version != BINARY_VERSION:
        raise ModelError(
            f"it starts with {version} where CTranslate2's binary version {BINARY_VERSION} should stand",
            place=str(path),
            remedy=_REMEDY,
        )
    specification = cursor.name()
    cursor.number("I")  # the specification's revision: the names of the variables tell what is needed
    variables: dict[str, NDArray[Any]] = {}
    for _ in range(cursor.number("I")):
        name = cursor.name()
        shape = tuple(cursor.number("I") for _ in range(cursor.number("B")))
        code = cursor.number("B")
        size = cursor.number("I")
        if code >= len(_TYPES):
            raise ModelError(f"'{name}' has the unknown type {code}", place=str(path), remedy=_REMEDY)
        dtype = np.dtype(_TYPES[code]).newbyteorder("<")
        raw = cursor.take(size)
        if size != int(np.prod(shape, dtype=np.int64)) * dtype.itemsize:
            raise ModelError(f"'{name}' of shape {shape} has {size} bytes", place=str(path), remedy=_REMEDY)
        variables[name] = np.frombuffer(raw, dtype).reshape(shape)
    for _ in range(cursor.number("I")):
        alias, name = cursor.name(), cursor.name()
        if name not in variables:
            raise ModelError(f"'{alias}' stands for '{name}', which is not there", place=str(path), remedy=_REMEDY)
        variables[alias] = variables[name]
    return Ct2Model(specification, variables)
