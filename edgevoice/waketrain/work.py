"""The folder of a training under way: finished pieces, each written whole, so that it can be stopped at any moment."""

import contextlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgevoice import wholefile
from edgevoice.errors import OutputError

REMEDY = "free some space, or choose another place with --output"


class Work:
    """
    Args:
        recipe: all that the pieces depend on. Pieces of another recipe are thrown away.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        self._folder = folder
        wanted = json.dumps(recipe, sort_keys=True).encode()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            before = (folder / "recipe.json").read_bytes() if (folder / "recipe.json").exists() else None
            if before != wanted:
                for piece in folder.glob("*.npz"):
                    piece.unlink()
        except OSError as error:
            raise OutputError(
                f"it cannot be used: {error.strerror or error}", place=str(folder), remedy=REMEDY
            ) from error
        wholefile.write(folder / "recipe.json", wanted, remedy=REMEDY)

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
