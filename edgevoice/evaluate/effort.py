"""Audio in the blocks of a microphone, and what it takes to hear it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgevoice.audio.pcm import Audio, Int16


def blocks(audio: Int16, size: int, start: int = 0) -> Iterator[Audio]:
    """The audio piece by piece.

    Args:
        start: index of its first sample since capture began.
    """
    for at in range(0, len(audio), size):
        yield Audio(audio[at : at + size], start=start + at)


@dataclass
class Effort:
    """Seconds that were spent in ``counted``."""

    compute: float = 0.0
    last: float = 0.0
    """Of ``compute``, what came last."""
    cpu: float = 0.0
    """Processor time of the whole process, all threads."""

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what is done in here."""
        begun, processor = time.perf_counter(), time.process_time()
        yield
        self.last = time.perf_counter() - begun
        self.compute += self.last
        self.cpu += time.process_time() - processor
