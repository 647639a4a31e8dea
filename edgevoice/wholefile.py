"""Files that are written whole, or not at all."""

import contextlib
import os
from pathlib import Path

from edgevoice.errors import OutputError


def write(path: Path, content: bytes, *, remedy: str = "") -> None:
    """Put the content in the file's place; it outlasts a power cut from then on.

    Raises:
        OutputError: it cannot be written. What was there before is still there.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())  # a board may lose its power at any time
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(f"it cannot be written: {error.strerror or error}", place=str(path), remedy=remedy) from error
