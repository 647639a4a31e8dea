"""Bring a model's files from a source of the catalog into a folder, each checked before it stays there."""

import errno
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from edgevoice.errors import ModelError
from edgevoice.modelcatalog import (
    ArchiveSource,
    Catalog,
    FileSpec,
    Model,
    PackageSource,
    PathSource,
    Source,
    UrlSource,
    WheelSource,
    is_inside,
)
from edgevoice.modeldownload import download
from edgevoice.modelfiles import Progress, blocks, bytes_under, copy_checked

POLL = 0.2
"""Seconds between two looks at how far pip is: smooth enough for a progress bar."""

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What zipfile raises over an archive it cannot read; the last two for encryption and unknown compression."""


def describe(source: Source) -> str:
    """A source in a few words, for lists and errors."""
    match source:
        case WheelSource():
            return f"wheel {source.package} {source.version}"
        case UrlSource():
            return f"url {source.base or next(iter(source.files.values()))}"
        case ArchiveSource():
            return f"archive {source.url}"
        case PackageSource():
            return f"package {source.package}"
        case PathSource():
            return f"path {source.folder}"
        case _:
            return f"built from {source.source}"


def bytes_to_fetch(model: Model, source: Source) -> int:
    """Bytes a source needs on the disk beside the installed model, while it is fetched."""
    return source.size if isinstance(source, WheelSource | ArchiveSource) else 0


def fetch(
    catalog: Catalog, model: Model, source: Source, target: Path, *, scratch: Path, kept: Path, progress: Progress
) -> None:
    """Fetch a model's files from one source into ``target``.

    Args:
        scratch: an empty folder on the same disk, for what is only needed meanwhile.
        kept: a folder for interrupted downloads, which go on there next time.

    Raises:
        ModelError: the source cannot be reached, lacks a file, or a file is not what it must be. OSError: disk.
    """
    match source:
        case WheelSource():
            wheel = _pip_download(source, scratch, progress)
            _from_zip(wheel, model.files, source.folder, source.members, target, describe(source))
        case UrlSource():
            for name, spec in model.files.items():
                address = (
                    source.files.get(name) or f"{source.base}{'' if str(source.base).endswith('/') else '/'}{name}"
                )
                progress.step(f"{model.name}: downloading {name}")
                part = kept / spec.sha256
                download(address, part, spec, progress)
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                part.rename(target / name)
        case ArchiveSource():
            progress.step(f"{model.name}: downloading {source.url.rpartition('/')[2]}")
            part = kept / source.sha256
            download(source.url, part, FileSpec(size=source.size, sha256=source.sha256), progress)
            progress.step(f"{model.name}: unpacking")
            _unpack(part, source, target)
            part.unlink()
        case PackageSource():
            spec_found = importlib.util.find_spec(source.package)
            if spec_found is None or not spec_found.submodule_search_locations:
                raise ModelError("it is not installed", place=describe(source))
            folder = Path(next(iter(spec_found.submodule_search_locations))) / source.folder
            _from_folder(folder, model.files, source.members, target)
        case PathSource():
            _from_folder(catalog.place.parent / Path(source.folder).expanduser(), model.files, source.members, target)
        case _:
            raise AssertionError(f"{describe(source)}: is built, not fetched")


def _from_folder(folder: Path, files: Mapping[str, FileSpec], members: Mapping[str, str], target: Path) -> None:
    for name, spec in files.items():
        path = folder / members.get(name, name)
        try:
            stream = path.open("rb")
        except OSError as error:
            raise ModelError(f"it cannot be read: {error.strerror}", place=str(path)) from error
        with stream:
            copy_checked(stream, target / name, spec, str(path))


def _from_zip(
    archive: Path, files: Mapping[str, FileSpec], folder: str, members: Mapping[str, str], target: Path, place: str
) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            for name, spec in files.items():
                member = members.get(name) or (f"{folder}/{name}" if folder else name)
                try:
                    entry = opened.getinfo(member)
                except KeyError:
                    raise ModelError(f"it has no member {member}", place=place) from None
                with opened.open(entry) as stream:
                    copy_checked(cast(BinaryIO, stream), target / name, spec, f"{place}: {member}")
    except _DAMAGED as error:
        raise ModelError(f"it cannot be unpacked: {error}", place=place) from error


def _unpack(archive: Path, source: ArchiveSource, target: Path) -> None:
    """Unpack what lies in the folder ``strip``; nothing may leave ``target`` or be larger than was said."""
    prefix = f"{source.strip}/" if source.strip else ""
    left = source.unpacked
    found = False
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                name = entry.filename.rstrip("/")
                if not is_inside(name) or stat.S_ISLNK(entry.external_attr >> 16):
                    raise ModelError(f"its member '{name}' would be written outside the model", place=source.url)
                if entry.is_dir() or not name.startswith(prefix):
                    continue
                path = target / name.removeprefix(prefix)
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as stream, path.open("wb") as out:
                    for block in blocks(cast(BinaryIO, stream)):
                        left -= len(block)
                        if left < 0:
                            raise ModelError(f"it unpacks to more than {source.unpacked} bytes", place=source.url)
                        out.write(block)
                found = True
    except _DAMAGED as error:
        raise ModelError(f"it cannot be unpacked: {error}", place=source.url) from error
    if not found:
        raise ModelError(f"it has nothing in the folder '{source.strip}'", place=source.url)


def _pip_download(source: WheelSource, scratch: Path, progress: Progress) -> Path:
    """Fetch a wheel with the pip of this interpreter, so that the user's mirrors, proxies and offline folders hold."""
    progress.step(f"fetching {source.package} {source.version} with pip")
    wheels = scratch / "wheels"
    options: list[list[str]] = [[]]
    if source.platform:
        options.append(["--platform", source.platform, "--python-version", "3.11", "--implementation", "cp"])
    problem = ""
    for option in options:
        status, output = _pip(
            ["download", "--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check",
             "--progress-bar", "off", "--dest", str(wheels), *option, f"{source.package}=={source.version}"],
            scratch, lambda: progress.advance(min(bytes_under(scratch), source.size), source.size),
        )  # fmt: skip
        found = sorted(wheels.glob("*.whl"))
        if status == 0 and found:
            return found[0]
        if os.strerror(errno.ENOSPC) in output:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(scratch))
        problem = _reason(output) or f"pip ended with status {status}"
    raise ModelError(f"pip could not fetch it: {problem}", place=describe(source))


def _pip(arguments: list[str], scratch: Path, poll: Callable[[], None]) -> tuple[int, str]:
    """Run pip. Its temporary files lie in ``scratch``: on many boards /tmp is memory, and too small for a model."""
    temporary = scratch / "tmp"
    temporary.mkdir(exist_ok=True)
    log = scratch / "pip.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pip", *arguments],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(temporary)},
        )  # fmt: skip
        try:
            while True:
                try:
                    status = process.wait(POLL)
                    break
                except subprocess.TimeoutExpired:
                    poll()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    shutil.rmtree(temporary, ignore_errors=True)
    return status, log.read_text(encoding="utf-8", errors="replace")


def _reason(output: str) -> str:
    """The line of pip's output that says what went wrong.

    Without a connection pip warns, tries on, and in the end says that there is no such package; that is not the cause.
    """
    lines = [line.strip() for line in output.splitlines()]
    if lost := next((line for line in lines if "connection broken by" in line), None):
        detail = lost.partition("connection broken by ")[2].rpartition("'")[0].rpartition(": ")[2].strip("')")
        return f"it cannot reach the package index; is there a network? ({detail})"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if errors:
        return errors[-1]
    return next((line for line in reversed(lines) if line), "")
