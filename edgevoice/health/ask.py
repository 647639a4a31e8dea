"""Asking a running daemon, from a command."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgevoice.errors import DaemonError
from edgevoice.health.place import sockets
from edgevoice.health.protocol import Answer, Request, Verb

PATIENCE = 10.0
"""Seconds for an answer that is given at once; a daemon that takes longer hangs."""

RELOAD_PATIENCE = 300.0
"""Seconds for a reload: it loads models, and waits for a moment without a turn."""

_CHUNK = 65536


def ask(do: Verb, *, paths: Sequence[Path] | None = None, patience: float | None = None) -> Answer:
    """The daemon's answer.

    Args:
        paths: the sockets to try, the first first; those of a user's own and of the system's service when None.

    Raises:
        DaemonError: no daemon answers, or it refuses.
    """
    if patience is None:
        patience = RELOAD_PATIENCE if do == "reload" else PATIENCE
    answer = msgspec.json.decode(_exchange(do, sockets() if paths is None else paths, patience), type=Answer)
    if not answer.ok:
        raise DaemonError(answer.error, place=f"the running daemon, asked for '{do}'")
    return answer


def _exchange(do: Verb, paths: Sequence[Path], patience: float) -> bytes:
    command = f"wake {do}" if do in ("wrong", "missed") else do
    for path in paths:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
            daemon.settimeout(patience)
            try:
                daemon.connect(str(path))
                daemon.sendall(msgspec.json.encode(Request(do=do)) + b"\n")
                return _line(daemon, path)
            except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
                continue  # none there, or what a dead one has left
            except PermissionError as error:
                raise DaemonError(
                    f"it belongs to another user than {os.getuid()}",
                    place=str(path),
                    remedy=f"ask as root or as its owner: sudo edgevoice {command}",
                ) from error
            except TimeoutError as error:
                raise DaemonError(
                    f"it has not answered within {patience:g} s",
                    place=str(path),
                    remedy="look into its log; if it hangs, a service manager with a watchdog restarts it",
                ) from error
            except OSError as error:
                raise DaemonError(f"it cannot be asked: {error.strerror or error}", place=str(path)) from error
    raise DaemonError(
        "no edgevoice is running",
        place=", ".join(map(str, paths)),
        remedy="start it: edgevoice run, or, as a service: systemctl start edgevoice",
    )


def _line(daemon: socket.socket, path: Path) -> bytes:
    got = b""
    while not got.endswith(b"\n"):
        piece = daemon.recv(_CHUNK)
        if not piece:
            raise DaemonError("it hung up before it had answered", place=str(path), remedy="look into its log")
        got += piece
    return got
