"""Where and with what something was measured."""

import importlib.metadata
import os
import platform
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

PACKAGES = ("edgevoice", "numpy", "onnxruntime", "soxr", "vosk")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    processor: str
    architecture: str
    cores: int
    """That this process may use."""
    system: str
    python: str


def machine() -> Machine:
    return Machine(
        processor=_processor(),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        system=platform.platform(),
        python=platform.python_version(),
    )


def _processor() -> str:
    """What the kernel calls it; on Arm boards the model of the board."""
    try:
        return Path("/proc/device-tree/model").read_text("utf-8").strip("\0\n ")
    except OSError:
        pass
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Of the packages that decide about results, as far as they are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The git commit edgevoice runs from, with ``-dirty`` when files were changed; None when it is no checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def peak_memory() -> float:
    """The most memory this process had (resident), in MB of 1024 * 1024 bytes.

    Not ``getrusage`` where there is something better: a process that was started by a larger one inherits its peak.
    """
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
