"""Where the parts of a service lie, for the one of the system and for the one of a user."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from edgevoice.errors import ServiceError

UNIT = "edgevoice.service"
USER = "edgevoice"
"""The user that the service of the system runs as."""


@dataclass(frozen=True, slots=True)
class Places:
    """``scope`` are the words by which systemctl and journalctl know whose service is meant."""

    user: bool
    root: Path
    units: Path
    config: Path
    state: Path

    @property
    def scope(self) -> tuple[str, ...]:
        return ("--user",) if self.user else ()

    @property
    def unit(self) -> Path:
        return self.units / UNIT

    @property
    def dropins(self) -> Path:
        return self.units / f"{UNIT}.d"

    @property
    def sysusers(self) -> Path:
        return self.root / "etc/sysusers.d/edgevoice.conf"

    @property
    def tmpfiles(self) -> Path:
        return self.root / "etc/tmpfiles.d/edgevoice.conf"

    @property
    def models(self) -> Path:
        """Of the service of the system, unless it was told otherwise."""
        return self.state / "models"


def system(root: Path = Path("/")) -> Places:
    """The service of the system; ``root`` is another one in tests."""
    return Places(
        user=False,
        root=root,
        units=root / "etc/systemd/system",
        config=root / "etc/edgevoice/edgevoice.yaml",
        state=root / "var/lib/edgevoice",
    )


def user() -> Places:
    """The service of the user who asks."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    return Places(
        user=True,
        root=Path("/"),
        units=config / "systemd/user",
        config=config / "edgevoice/edgevoice.yaml",
        state=state / "edgevoice",
    )


def program() -> Path:
    """The command ``edgevoice`` of this installation, by the name that it was called with: a link that an upgrade
    moves on, and not what it leads to today.

    Raises:
        ServiceError: this edgevoice has no command that a service could start.
    """
    own = Path(sys.prefix) / "bin" / "edgevoice"
    called = Path(os.path.abspath(sys.argv[0]))  # noqa: PTH100 - links are to stay
    if called.is_file() and own.is_file() and called.samefile(own):
        return called
    if own.is_file():
        return own
    raise ServiceError(
        "there is no command edgevoice in this Python",
        place=sys.prefix,
        remedy="install edgevoice with pip, in a virtual environment",
    )
