"""Files that are checked while they are written, for everything that brings models to this machine."""

import contextlib
import glob
import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from edgevoice.errors import ModelError
from edgevoice.modelcatalog import FileSpec

NOTES = "edgevoice-"
"""Files in a model's folder whose names begin with this are edgevoice's own notes, not the model's."""
BLOCK = 1 << 20
"""Bytes read at a time: large enough that the loop costs nothing, small enough for a board with 512 MB."""


class Progress(Protocol):
    """Who is told how far a pull is."""

    def step(self, text: str) -> None:
        """Something new begins; a few words about what."""

    def advance(self, done: int, total: int) -> None:
        """``done`` of ``total`` bytes of this step are there."""


class Silent:
    """Tells nobody."""

    def step(self, text: str) -> None:
        pass

    def advance(self, done: int, total: int) -> None:
        pass


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def difference(path: Path, spec: FileSpec) -> str | None:
    """What is wrong with a file, in words, or None. The hash is taken only when the size is right."""
    if not path.is_file():
        return "the file is missing"
    size = path.stat().st_size
    if size != spec.size:
        return f"the file is damaged: it has {size} bytes and must have {spec.size}"
    found = sha256_of(path)
    if found != spec.sha256:
        return f"the file is damaged: its SHA-256 is {found} and must be {spec.sha256}"
    return None


def copy_checked(source: BinaryIO, target: Path, spec: FileSpec, place: str) -> None:
    """Write a file and see that it is what it must be. It stays behind only when it is.

    Raises:
        ModelError: another size or hash. OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    try:
        with target.open("wb") as out:
            for block in blocks(source):
                size += len(block)
                if size > spec.size:
                    raise ModelError(f"it has more than the {spec.size} bytes it must have", place=place)
                digest.update(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        if size != spec.size:
            raise ModelError(f"it has {size} bytes and must have {spec.size}", place=place)
        if digest.hexdigest() != spec.sha256:
            raise ModelError(f"its SHA-256 is {digest.hexdigest()} and must be {spec.sha256}", place=place)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def model_files(path: Path) -> dict[str, FileSpec]:
    """What every file of a model looks like, edgevoice's own notes left out; of a single file that one.

    Raises:
        ModelError: there is none.
    """
    found = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    base = path.parent if path.is_file() else path
    files = {
        each.relative_to(base).as_posix(): FileSpec(size=each.stat().st_size, sha256=sha256_of(each))
        for each in found
        if not each.name.startswith(NOTES)
    }
    if not files:
        raise ModelError("there is no file of a model in it", place=str(path))
    return files


def marks(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Other ones when what lies at the path is exchanged or written to: of each file name, inode, size and time. Of a
    folder all files, edgevoice's own notes left out; of a file also those beside it whose names begin like its own,
    such as the network of a wake word or the description of a voice. Empty when nothing is there."""
    found = path.rglob("*") if path.is_dir() else path.parent.glob(f"{glob.escape(path.stem)}*")
    made = []
    for each in sorted(found):
        with contextlib.suppress(OSError):  # it vanishes meanwhile
            if each.is_file() and not each.name.startswith(NOTES):
                seen = each.stat()
                made.append((str(each), seen.st_ino, seen.st_size, seen.st_mtime_ns))
    return tuple(made)


def sync_tree(folder: Path) -> None:
    """Put every file and folder under ``folder`` on the disk, so that a power cut after a rename finds them whole."""
    for parent, _, names in os.walk(folder):
        for path in [Path(parent), *(Path(parent) / name for name in names)]:
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def bytes_under(folder: Path) -> int:
    """Bytes of all files under a folder; a file that vanishes meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def versions_of(*packages: str) -> dict[str, str]:
    """Of Python and of those packages that are installed: what decides about the bytes of a built model."""
    found = {"python": sys.version.split()[0]}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
