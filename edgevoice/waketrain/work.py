"""The pieces of a training, each written whole: what is finished need not be made again, by whoever asks for it."""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from edgevoice import wholefile
from edgevoice.errors import OutputError

REMEDY = "free some space, or name another folder in the environment variable XDG_CACHE_HOME"
KEPT = 30 * 24 * 3600
"""Seconds after its last use that a folder of pieces is thrown away: they are 150 MB, and 30 MB for each phrase."""


USERS = "users.lock"
"""Shared by all trainings that use a folder; whoever has it alone may remove the folder."""
WRITER = "writer.lock"
"""Of the one that writes a piece: several trainings may make the same one at the same time."""


class Work:
    """A folder of pieces, which nobody removes until this is closed.

    Args:
        root: where folders of pieces are.
        recipe: all that these pieces depend on. Those of another recipe lie in another folder.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, root: Path, recipe: Mapping[str, Any]) -> None:
        named = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
        self._folder = root / named
        with self._told():
            self._users = _use(self._folder)

    def __enter__(self) -> "Work":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._users.close()

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
        with self._told():
            self._folder.mkdir(parents=True, exist_ok=True)  # the user may have removed it meanwhile
            with (self._folder / WRITER).open("ab") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                wholefile.write(path, content.getvalue(), remedy=REMEDY)
        return arrays

    def remove(self) -> None:
        """Throw the pieces away, unless another training uses them: then it does so at its end. This is closed."""
        _remove(self._folder, self._users)
        self.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"it cannot be used: {error.strerror or error}", place=str(self._folder), remedy=REMEDY
            ) from error


def _use(folder: Path) -> IO[bytes]:
    """The lock on a folder, shared with others. Open until it is given back."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = (folder / USERS).open("ab")
        except FileNotFoundError:  # it was removed just now
            continue
        fcntl.flock(lock, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat((folder / USERS).stat(), os.fstat(lock.fileno())):
                os.utime(folder)
                return lock
        lock.close()  # of a folder that was removed while this waited


def _remove(folder: Path, lock: IO[bytes]) -> None:
    with contextlib.suppress(BlockingIOError):  # it is in use
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


def tidy(root: Path) -> None:
    """Throw away what nobody has used for long, and nobody uses now."""
    for folder in root.iterdir():
        with contextlib.suppress(OSError):  # another training may be tidying, too
            if folder.is_dir() and time.time() - folder.stat().st_mtime > KEPT:
                with (folder / USERS).open("ab") as lock:
                    _remove(folder, lock)
