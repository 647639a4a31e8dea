"""Whether a service can reach what it needs: as another user, and without home folders."""

import os
import stat
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import edgevoice

HIDDEN = ("home", "root", "run/user")
"""What ``ProtectHome=yes`` hides, below the root."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who is to read; ``user`` is None where there is no such user yet, who then is nobody's owner and in no group."""

    user: int | None
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why something cannot be reached."""

    path: Path
    """What was to be reached."""
    why: str


def program_paths(program: Path) -> list[Path]:
    """All that a Python program is read from: itself, its interpreter, the library, and every folder of packages.

    The first entry of sys.path is left out: it is the folder of the program, or the one that it was started in.
    """
    paths = [program, Path(sys.executable), Path(sys.base_prefix), Path(sysconfig.get_path("stdlib"))]
    paths += [Path(edgevoice.__file__).parent, *(Path(entry) for entry in sys.path[1:])]
    return list(dict.fromkeys(path for path in paths if path.exists()))


def obstacles(paths: Iterable[Path], reader: Reader, root: Path = Path("/")) -> Iterator[Obstacle]:
    """What stands in the way to each of the paths, with every link followed; at most one obstacle for each."""
    for path in paths:
        real = Path(os.path.realpath(path))
        hidden = next((root / name for name in HIDDEN for at in (path, real) if at.is_relative_to(root / name)), None)
        if hidden is not None:
            yield Obstacle(path, f"it lies in {hidden}, and a service of the system sees no home folders")
        elif (closed := next((at for at in _way(real, root) if not _may(at, reader)), None)) is not None:
            yield Obstacle(path, f"the user of the service may not {'enter' if closed.is_dir() else 'read'} {closed}")


def _way(real: Path, root: Path) -> Iterator[Path]:
    """The folders to go through, the outermost first, and then the thing itself."""
    yield from (at for at in reversed(real.parents) if at.is_relative_to(root) and at != root)
    yield real


def _may(path: Path, reader: Reader) -> bool:
    """By the bits of its mode: folders must be entered, files read; lists of access rights are not looked at."""
    found = path.stat()
    wanted = stat.S_IXOTH if stat.S_ISDIR(found.st_mode) else stat.S_IROTH
    if reader.user == found.st_uid:
        wanted <<= 6
    elif found.st_gid in reader.groups:
        wanted <<= 3
    return bool(found.st_mode & wanted)
