"""Which version of a model is in use.

The versions of a model lie side by side in the store: that of the catalog, and those that were made from it or brought
by the user. A small file, ``NAME.active.json``, says which one the name stands for. It is replaced by a rename, so
whoever reads it sees the old or the new one, also after a power cut.
"""

import os
import re
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgevoice.errors import ModelError
from edgevoice.modelcatalog import Task
from edgevoice.wholefile import sync_folder

CATALOG = "catalog"
"""The version that the catalog describes."""
IDENTITY_DIGITS = 12
"""Digits of a catalog version's digest in the name of its folder."""
HISTORY = 16
"""Earlier versions that are remembered for going back."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IDENTITY = re.compile(rf"[0-9a-f]{{{IDENTITY_DIGITS}}}")


class Pointer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model's name stands for."""

    active: str
    """``catalog``, or the name of a published version."""
    before: tuple[str, ...] = ()
    """What it stood for earlier, the latest last."""

    def after(self, version: str) -> "Pointer":
        """The pointer when ``version`` is used from now on."""
        return Pointer(active=version, before=(*self.before, self.active)[-HISTORY:])


@dataclass(frozen=True, slots=True)
class Version:
    """One installed version of a model; its files are not checked."""

    model: str
    name: str
    """``catalog``, or the name it was published under."""
    path: Path
    size: int
    """Bytes on the disk."""
    active: bool
    """The model's name stands for it."""
    task: Task
    source: str
    licence: str
    origin: str

    def __str__(self) -> str:
        return f"{self.model}@{self.name}"


def split(name: str) -> tuple[str, str | None]:
    """``NAME@VERSION`` -> name and version; the version is None when there is none in it."""
    model, at, version = name.partition("@")
    return model, version if at else None


def check_names(model: str, version: str) -> None:
    """See that a version could be published under these names.

    Raises:
        ModelError: it could not.
    """
    for what, name in (("model", model), ("version", version)):
        if not _NAME.fullmatch(name):
            raise ModelError(
                f"'{name}' cannot be a {what}'s name",
                place=f"{model}@{version}",
                remedy="use letters, digits, '.', '_' and '-', and begin with a letter or a digit",
            )
    if version == CATALOG or is_identity(version):
        raise ModelError(
            f"'{version}' is how the catalog's own version is called",
            place=f"{model}@{version}",
            remedy="choose another name, for example int8",
        )


def is_identity(version: str) -> bool:
    """Whether the end of a folder's name says that it is of the catalog."""
    return _IDENTITY.fullmatch(version) is not None


def pointer_path(root: Path, model: str) -> Path:
    return root / f"{model}.active.json"


def read_pointer(root: Path, model: str) -> Pointer | None:
    """What the model's name stands for; None when that was never said.

    Raises:
        ModelError: the file is damaged.
    """
    path = pointer_path(root, model)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pointer)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"it cannot be read: {error}",
            place=str(path),
            remedy=f"choose a version with: edgevoice models use {model}@VERSION",
        ) from error


def write_pointer(root: Path, model: str, pointer: Pointer) -> None:
    """Replace the file at once, whole.

    Raises:
        OSError: it cannot be written; then the old one stays.
    """
    path, staging = pointer_path(root, model), root / ".staging" / uuid.uuid4().hex
    new, old = staging / "new", staging / "old"
    try:
        staging.mkdir(parents=True)
        if path.exists():
            shutil.copyfile(path, old)
        with new.open("wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(pointer)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        new.rename(path)
        try:
            sync_folder(root)
        except BaseException:
            # Back by what needs no room: the disk may be full.
            if old.exists():
                old.rename(path)
            else:
                path.unlink()
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def earlier(pointer: Pointer, installed: Sequence[str]) -> Pointer | None:
    """The pointer when one goes back to the latest version before that is still installed; None when there is none."""
    before = list(pointer.before)
    while before:
        version = before.pop()
        if version in installed and version != pointer.active:
            return Pointer(active=version, before=tuple(before))
    return None
