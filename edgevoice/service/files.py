"""The files that a service is made of, as they are shipped.

They lie in ``systemd/`` of a checkout and in ``edgevoice/data/systemd/`` of an installed package.
"""

import re
from pathlib import Path

from edgevoice.errors import ServiceError

PLACEHOLDER = "/opt/edgevoice/bin/edgevoice"
"""The program in the shipped units, which are valid as they stand."""

BOARDS = {
    r"Raspberry Pi Zero 2": "pi-zero-2",
    r"Raspberry Pi 3|Raspberry Pi Compute Module 3": "pi-3",
    r"Raspberry Pi (4|400)|Raspberry Pi Compute Module 4": "pi-4",
    r"Raspberry Pi (5|500)|Raspberry Pi Compute Module 5": "pi-5",
    r"Jetson": "jetson",
}
"""What the device tree calls a board, and the profile of its limits."""


def folder() -> Path:
    """Where the shipped files lie."""
    package = Path(__file__).resolve().parent.parent
    packaged = package / "data" / "systemd"
    return packaged if packaged.is_dir() else package.parent / "systemd"


def names(kind: str) -> tuple[str, ...]:
    """The shipped drop-ins of a kind, ``boards`` or ``allow``, by name."""
    return tuple(sorted(path.stem for path in (folder() / kind).glob("*.conf")))


def text(name: str) -> str:
    """A shipped file.

    Raises:
        ServiceError: this installation is not whole.
    """
    try:
        return (folder() / name).read_text("utf-8")
    except OSError as error:
        raise ServiceError(
            "it is missing in this installation", place=str(folder() / name), remedy="install edgevoice anew"
        ) from error


def unit(name: str, program: Path, models: Path | None) -> str:
    """A shipped unit that starts ``program``, with the models of a folder other than its own where one is given.

    Raises:
        ServiceError: the path cannot stand in a unit.
    """
    for path in (program, *([models] if models else [])):
        if re.search(r"[\s%$\"'\\;]", str(path)):
            raise ServiceError(
                "a path with a space or one of % $ \" ' \\ ; in it cannot be started as a service",
                place=str(path),
                remedy="install edgevoice in /opt/edgevoice",
            )
    written = text(name).replace(f"={PLACEHOLDER} ", f"={program} ")
    if models is not None:
        written = written.replace(
            "\n[Install]", f"\n# As it was when this was installed.\nEnvironment=EDGEVOICE_MODELS={models}\n\n[Install]"
        )
    return written


def board(root: Path = Path("/")) -> str | None:
    """The profile for this board, or None where there is none for it."""
    try:
        model = (root / "proc/device-tree/model").read_text("utf-8", "replace").rstrip("\0")
    except OSError:
        return None
    return next((name for pattern, name in BOARDS.items() if re.search(rf"({pattern})\b", model)), None)
