"""Where a running daemon is found, and where it keeps what outlives it."""

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgevoice.errors import DaemonError

SOCKET = "control.sock"
SYSTEM = Path("/run/edgevoice")
"""Where the system service has its socket."""


def runtime_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the socket of a daemon started here: ``$RUNTIME_DIRECTORY`` in a service, else the user's own."""
    if given := environ.get("RUNTIME_DIRECTORY"):
        return Path(given.split(":")[0])  # systemd joins several by colons
    if given := environ.get("XDG_RUNTIME_DIR"):
        return Path(given) / "edgevoice"
    return Path(tempfile.gettempdir()) / f"edgevoice-{os.getuid()}"


def make_private(folder: Path) -> None:
    """Make the folder, for its owner only.

    Raises:
        DaemonError: it cannot be made, or somebody else might have put something into it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise DaemonError(
            f"it cannot be made: {error.strerror or error}",
            place=str(folder),
            remedy="set XDG_RUNTIME_DIR to a folder of yours",
        ) from error
    others = stat.S_IWGRP | stat.S_IWOTH
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & others:
        raise DaemonError(
            "it is no folder that only you can write to", place=str(folder), remedy=f"look at it, then: rm -r {folder}"
        )


def sockets(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where a daemon may be listening: the user's own first, then the system service."""
    return list(dict.fromkeys(folder / SOCKET for folder in (runtime_folder(environ), SYSTEM)))


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """``$STATE_DIRECTORY`` in a service, else the user's folder for state; it need not exist."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    base = environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local/state") / "edgevoice"
