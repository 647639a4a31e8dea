"""Native libraries that write to standard error whatever they are told."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

_moved: list[int] = []
"""Where standard error really is while it is moved away."""


def give_up() -> None:
    """Put standard error back although the library that was to be kept quiet has not returned."""
    for real in _moved:
        os.dup2(real, 2)


@contextlib.contextmanager
def without_noise(noise: re.Pattern[bytes]) -> Iterator[None]:
    """Keep lines that begin like ``noise`` off standard error; what else is written meanwhile comes out afterwards.

    It moves the file descriptor, which belongs to the whole process: not for two threads at once. Should the library
    hang, ``give_up`` brings standard error back.
    """
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        real = os.dup(2)
    except OSError:  # a daemon without standard error has nothing to keep clean
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        _moved.append(real)
        try:
            yield
        finally:
            os.dup2(real, 2)
            _moved.remove(real)
            kept.seek(0)
            for line in kept:
                if not noise.match(line):
                    os.write(real, line)
            os.close(real)
