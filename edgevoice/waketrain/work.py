"""The pieces of a training, each written whole: what is finished need not be made again, by whoever asks for it."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgevoice import wholefile
from edgevoice.errors import OutputError

REMEDY = "free some space, or name another folder in the environment variable XDG_CACHE_HOME"
KEPT = 30 * 24 * 3600
"""Seconds after its last use that a folder of pieces is thrown away: they are 150 MB, and 30 MB for each phrase."""


class Work:
    """
    Args:
        root: where folders of pieces are.
        recipe: all that these pieces depend on. Those of another recipe lie in another folder.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, root: Path, recipe: Mapping[str, Any]) -> None:
        named = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
        self._folder = root / named
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            os.utime(self._folder)
        except OSError as error:
            raise OutputError(
                f"it cannot be used: {error.strerror or error}", place=str(self._folder), remedy=REMEDY
            ) from error

    def piece(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The arrays of a piece: from the disk when it is finished, else made and kept.

        Raises:
            OutputError: it cannot be written.
        """
        path = self._folder / f"{name}.npz"
        damaged = (OSError, ValueError, EOFError, zipfile.BadZipFile)  # then it is made anew
        with contextlib.suppress(*damaged), path.open("rb") as stream, np.load(stream) as kept:
            return dict(kept)
        arrays = make()
        content = io.BytesIO()
        np.savez(content, **arrays)
        wholefile.write(path, content.getvalue(), remedy=REMEDY)
        return arrays

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def tidy(root: Path) -> None:
    """Throw away what nobody has used for long."""
    for folder in root.iterdir():
        with contextlib.suppress(OSError):  # another training may be tidying, too
            if folder.is_dir() and time.time() - folder.stat().st_mtime > KEPT:
                shutil.rmtree(folder, ignore_errors=True)
