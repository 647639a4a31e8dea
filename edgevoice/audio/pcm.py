"""PCM audio as it flows through edgevoice."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Rate in Hz of everything between the microphone's resampler and the engines: what all of them are trained on."""

Int16 = NDArray[np.int16]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A piece of mono audio."""

    samples: Int16
    """Shape [n], mono, full scale +-32767."""
    rate: int = RATE
    """Samples per second."""
    start: int = 0
    """Index of the first sample since capture began: the one clock. 0 for audio that was never captured."""

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def end(self) -> int:
        """Index of the sample after the last one."""
        return self.start + len(self.samples)

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def float32(self) -> Float32:
        """The samples in [-1, 1)."""
        return self.samples.astype(np.float32) / np.float32(32768.0)

    def since(self, start: int) -> "Audio":
        """The part from capture index ``start`` on; empty when the audio ends before it."""
        skip = min(max(start - self.start, 0), len(self.samples))
        return Audio(self.samples[skip:], self.rate, self.start + skip)

    def until(self, end: int) -> "Audio":
        """The part before capture index ``end``; empty when the audio begins behind it."""
        return Audio(self.samples[: max(end - self.start, 0)], self.rate, self.start)


def from_float32(samples: Float32, rate: int, start: int = 0) -> Audio:
    """Audio from float samples in [-1, 1]; what lies outside is clipped."""
    scaled = np.clip(samples, -1.0, 1.0) * np.float32(32767.0)
    return Audio(np.round(scaled).astype(np.int16), rate, start)


def concatenate(pieces: Iterable[Audio]) -> Audio:
    """Join consecutive pieces of one rate. Nothing gives an empty Audio at 16 kHz.

    Raises:
        ValueError: the pieces have different rates.
    """
    parts = list(pieces)
    if not parts:
        return Audio(np.zeros(0, np.int16))
    if len({part.rate for part in parts}) > 1:
        raise ValueError("audio of different rates cannot be joined")
    return Audio(np.concatenate([part.samples for part in parts]), parts[0].rate, parts[0].start)


class Reblock:
    """Cuts a stream of any block lengths into blocks of exactly ``size`` samples; does no I/O.

    A gap in the stream (a block that does not start where the last one ended) drops the incomplete rest, so
    every block given out is contiguous.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a block holds at least one sample")
        self._size = size
        self._rest = Audio(np.zeros(0, np.int16))

    def push(self, audio: Audio) -> list[Audio]:
        """Take the next piece of the stream, give the blocks that are now complete."""
        whole = self.push_whole(audio)
        return [
            Audio(whole.samples[at : at + self._size], whole.rate, whole.start + at)
            for at in range(0, len(whole), self._size)
        ]

    def push_whole(self, audio: Audio) -> Audio:
        """The same blocks in one piece; empty when none is complete."""
        rest = self._rest
        if len(rest) and rest.end == audio.start:
            audio = concatenate([rest, audio])
        whole = len(audio) - len(audio) % self._size
        self._rest = Audio(audio.samples[whole:], audio.rate, audio.start + whole)
        return Audio(audio.samples[:whole], audio.rate, audio.start)

    def reset(self) -> None:
        """Forget the incomplete rest."""
        self._rest = Audio(np.zeros(0, np.int16))
