"""Changing a system step by step: only what is not as it should be, with a word about each step."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from edgevoice import wholefile
from edgevoice.errors import OutputError, ServiceError

PATIENCE = 400.0
"""Seconds a command may take: more than the longest start of the service, whose units allow 300."""


class Change(msgspec.Struct, frozen=True):
    """One step."""

    kind: Literal["write", "remove", "run"]
    what: str
    """A path, or a command."""
    done: bool
    """False: it was only asked what would be done."""


Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command of the system.

    Raises:
        ServiceError: it is not there, or does not end.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except FileNotFoundError as error:
        raise ServiceError(
            "it is not installed",
            place=command[0],
            remedy="the service needs systemd; without it, start 'edgevoice run'",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"it did not end within {PATIENCE:g} s", place=" ".join(command)) from error


class Changes:
    """Does the steps, or only tells them; ``made`` holds those that were not there already."""

    def __init__(self, tell: Callable[[Change], None], *, dry_run: bool, run: Run = run) -> None:
        self.dry_run = dry_run
        self.made: list[Change] = []
        self._tell = tell
        self._run = run

    def _note(self, kind: Literal["write", "remove", "run"], what: str) -> None:
        change = Change(kind, what, done=not self.dry_run)
        self.made.append(change)
        self._tell(change)

    def write(self, path: Path, text: str) -> bool:
        """Have a file with this text that everybody may read; whether it was not so already.

        Raises:
            OutputError: it cannot be written.
        """
        if path.is_file() and path.read_bytes() == text.encode():
            return False
        if not self.dry_run:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                wholefile.write(path, text.encode())
                path.chmod(0o644)
            except OSError as error:
                raise OutputError(f"it cannot be written: {error.strerror}", place=str(path)) from error
        self._note("write", str(path))
        return True

    def remove(self, path: Path) -> bool:
        """Have no such file or folder; whether there was one.

        Raises:
            OutputError: it cannot be removed.
        """
        if not path.exists() and not path.is_symlink():
            return False
        if not self.dry_run:
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            except OSError as error:
                raise OutputError(f"it cannot be removed: {error.strerror}", place=str(path)) from error
        self._note("remove", str(path))
        return True

    def command(self, *words: str) -> None:
        """Run a command that changes something.

        Raises:
            ServiceError: it failed, with what it said.
        """
        if not self.dry_run:
            answer = self._run(words)
            if answer.returncode:
                said = " ".join((answer.stderr or answer.stdout).split())
                raise ServiceError(said or f"it failed with exit code {answer.returncode}", place=" ".join(words))
        self._note("run", " ".join(words))

    def ask(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command that changes nothing, in a dry run too."""
        return self._run(words)
