"""The kind of machine that packages are for, and which entries of a lock file it needs."""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

GLIBC = (2, 28)
"""The oldest C library that the ready-made packages of the lock file run on; that of Debian 10."""
OLDEST_TAG = 17
"""manylinux_2_17 is the oldest tag that there is for 64-bit Arm (PEP 599)."""


class BundleError(Exception):
    """It cannot be made; the message says why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A processor and a version of CPython, on Linux with glibc."""

    arch: str
    """As ``uname -m`` calls it."""
    python: str
    """Such as ``3.11``."""

    @property
    def tag(self) -> str:
        """Of CPython, as file names of wheels have it."""
        return "cp" + self.python.replace(".", "")

    @property
    def markers(self) -> dict[str, str]:
        """What decides whether an entry of the lock file is meant for this target (PEP 508)."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.arch,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    @property
    def pip_options(self) -> list[str]:
        """Let pip choose wheels for this target in place of the machine that it runs on."""
        platforms = [f"manylinux_2_{minor}_{self.arch}" for minor in range(GLIBC[1], OLDEST_TAG - 1, -1)]
        options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}"]
        options += [f"--abi={abi}" for abi in (self.tag, "abi3", "none")]
        return [*options, *(f"--platform={platform}" for platform in [*platforms, f"manylinux2014_{self.arch}"])]


def locked(lock: Path, target: Target) -> dict[str, str]:
    """The entries of a lock file that a target needs, by name: lines for a requirements file of pip's, without markers.

    pip evaluates markers for the Python that it runs in, whatever it is told to download for.
    """
    entries = {}
    for entry in re.split(r"\n(?=[a-z])", lock.read_text("utf-8")):
        pinned, _, hashes = entry.partition(" \\\n")
        requirement, _, marker = pinned.partition(" ; ")
        if not marker or Marker(marker).evaluate(target.markers):
            entries[requirement.partition("==")[0]] = f"{requirement} \\\n{hashes.rstrip()}\n"
    return entries
