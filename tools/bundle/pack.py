"""From a folder to one archive: the same bytes for the same files, whoever makes it, when and where."""

import gzip
import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of the members of a zip file that have none; there is none earlier."""
SUMS = "SHA256SUMS"
RUNNABLE = ("install.sh",)


def files(folder: Path) -> Iterator[Path]:
    """The files in a folder, sorted as bytes are, whatever the language of the machine."""
    yield from sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: os.fsencode(path))


def write_sums(folder: Path) -> str:
    """Write the check sums of all files but the one that they are in, as sha256sum reads them; their own digest."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files(folder)
        if path.name != SUMS
    ]
    text = "".join(lines).encode()
    (folder / SUMS).write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def unpacked_kilobytes(wheels: list[Path]) -> int:
    """What wheels take on the disk when they are installed, the compiled Python files with them."""
    total = 0
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                # A compiled file is about as large as its source; every file fills its last block of 4 KiB by half.
                total += member.file_size * (2 if member.filename.endswith(".py") else 1) + 2048
    return total // 1024


def write_archive(folder: Path, target: Path, seconds: int) -> None:
    """Write a folder as a .tar.gz, under its own name.

    gzip, because every system has it; what is in a bundle is packed already, so that a better one would gain little.

    Args:
        seconds: the time of every file in it, since 1970.
    """
    partial = target.with_name(target.name + ".part")
    with (
        partial.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for path in files(folder):
            info = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            info.size = path.stat().st_size
            info.mtime = seconds
            info.mode = 0o755 if path.name in RUNNABLE else 0o644
            info.uname = info.gname = "root"
            with path.open("rb") as stream:
                archive.addfile(info, stream)
    partial.replace(target)
