"""What the kernel tells about this process and the board. Files alone are read: a daemon that listens starts no
programs to be asked for its temperature."""

from collections.abc import Sequence
from pathlib import Path

from edgevoice.bench import board, procfs
from edgevoice.health.status import Machine


def read(root: Path = board.ROOT) -> Machine:
    """As it is now.

    Args:
        root: where /sys lies.
    """
    throttling = board.throttling(root, command=_nothing)
    return Machine(
        resident_mb=procfs.status().get("VmRSS"),
        temperature_c=board.temperature(root, command=_nothing),
        throttled=None if throttling is None else throttling.now,
        throttled_before=None if throttling is None else throttling.since_boot,
    )


def _nothing(_arguments: Sequence[str]) -> None:
    return None
