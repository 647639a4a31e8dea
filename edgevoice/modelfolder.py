"""One installed model: what was installed, and whether it is still that."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgevoice.errors import ModelError
from edgevoice.modelcatalog import FileSpec, Task
from edgevoice.modelfiles import NOTES, Progress, difference

MANIFEST = f"{NOTES}manifest.json"
STAMP = f"{NOTES}stamp.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was installed; written beside the model's files."""

    name: str
    identity: str
    licence: str
    origin: str
    source: str
    """In words, where it came from."""
    files: dict[str, FileSpec]
    built_from: dict[str, str] = {}
    """Of a built model: file of the source -> its SHA-256."""
    built_with: dict[str, str] = {}
    """Of a built model: package -> version."""
    task: Task | None = None
    """Of a published version: the catalog may not know the model."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with an installed model."""

    model: str
    """Its name; of a published version ``NAME@VERSION``."""
    path: Path
    cause: str
    remedy: str = ""
    """Where it is not to be pulled again."""

    def error(self) -> ModelError:
        remedy = self.remedy or f"repair it with: edgevoice models pull {self.model}"
        return ModelError(self.cause, place=str(self.path), remedy=remedy)


def read_manifest(folder: Path) -> Manifest | None:
    """None when it is missing or damaged."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def write_notes(folder: Path, manifest: Manifest) -> None:
    """Write manifest and stamp beside files that were just hashed."""
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    write_stamp(folder, manifest)


def check_files(
    folder: Path, manifest: Manifest, expected: Mapping[str, FileSpec], what: str, *, thorough: bool, progress: Progress
) -> list[tuple[Path, str]]:
    """What is wrong with the files, and the cause: by size and time where those are as after the last hashing.

    Args:
        what: the model, for the progress.
        thorough: hash always.
    """
    stamp = {} if thorough else _read_stamp(folder)
    if expected.keys() == stamp.keys() and all(_looks(folder / name) == stamp[name] for name in expected):
        return []
    if thorough or stamp:
        progress.step(f"{what}: checking {len(expected)} files")
    wrong = []
    for name, spec in expected.items():
        if cause := difference(folder / name, spec):
            wrong.append((folder / name, cause))
    if not wrong:
        with contextlib.suppress(PermissionError, OSError):  # A store that is read-only is hashed at each start.
            write_stamp(folder, manifest)
    return wrong


def write_stamp(folder: Path, manifest: Manifest) -> None:
    """Keep the sizes and times of files that were just hashed."""
    looks = {name: _looks(folder / name) for name in manifest.files}
    new = folder / f"{STAMP}.{os.getpid()}"
    new.write_bytes(msgspec.json.encode(looks))
    new.rename(folder / STAMP)


def _looks(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns)


def _read_stamp(folder: Path) -> dict[str, tuple[int, int]]:
    try:
        return msgspec.json.decode((folder / STAMP).read_bytes(), type=dict[str, tuple[int, int]])
    except (OSError, msgspec.DecodeError):
        return {}
