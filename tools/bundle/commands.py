"""Running what a bundle is made with."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.bundle.target import BundleError

LAST_LINES = 15
"""Of what a command that failed had printed: its last words, without scrolling its first ones away."""


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command, and give what it prints.

    Raises:
        BundleError: it is missing, or it failed; with its last words.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise BundleError(f"{words[0]} is missing") from error
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:])
        raise BundleError(f"this failed with exit code {done.returncode}: {' '.join(words[:8])}\n{said}")
    return done.stdout


def pip(*arguments: str | Path, env: dict[str, str] | None = None) -> str:
    """Run pip of this Python."""
    return run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, env=env)


def only(paths: Sequence[Path], what: str) -> Path:
    """The one path that there must be.

    Raises:
        BundleError: there are none, or several.
    """
    if len(paths) != 1:
        raise BundleError(f"{what}: one was expected, there are {len(paths)}: {', '.join(map(str, paths)) or 'none'}")
    return paths[0]
