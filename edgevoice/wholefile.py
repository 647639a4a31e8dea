"""Files that are written whole, or not at all."""

import contextlib
import os
import stat
from pathlib import Path

from edgevoice.errors import OutputError


def write(path: Path, content: bytes, *, remedy: str = "", like: os.stat_result | None = None) -> None:
    """Put the content in the file's place; it outlasts a power cut from then on.

    Args:
        like: whose rights and owner it gets, the latter as far as that is allowed; None: a new file's.

    Raises:
        OutputError: it cannot be written. What was there before is still there; or, where only the folder cannot be put
            on the disk, the new content, until the next power cut.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as stream:
            if like is not None:
                os.fchmod(stream.fileno(), stat.S_IMODE(like.st_mode))
                with contextlib.suppress(PermissionError):
                    os.fchown(stream.fileno(), like.st_uid, like.st_gid)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # a board may lose its power at any time
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(f"it cannot be written: {error.strerror or error}", place=str(path), remedy=remedy) from error


def sync_folder(folder: Path) -> None:
    """Put on the disk what was renamed or removed in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
