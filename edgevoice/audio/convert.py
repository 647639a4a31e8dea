"""Frames of any rate and channel count to the mono int16 that edgevoice works with, and how loud they are."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE, Float32, Int16
from edgevoice.engines.registry import require

Channel = int | Literal["mix"]
"""Which channel is taken: its number, 0 being the first, or the mean of all."""

FULL_SCALE = 32_768
"""One unit of float audio in int16 steps. With 32768 int16 -> float32 -> int16 gives back the same samples."""

SILENCE_DBFS = -120.0
"""What a level of zero is reported as: below anything 16 bits can hold (-90 dBFS), and still a number for JSON."""

CLIPPED = 32_700
"""A sample this large counts as clipped: some converters and mixers stop a few steps short of full scale."""


def to_int16(samples: Float32) -> Int16:
    """Float samples in [-1, 1) as int16; what lies outside is clipped."""
    scaled: Float32 = np.rint(samples * np.float32(FULL_SCALE))
    result: Int16 = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return result


class Converter:
    """Turns a stream of interleaved frames into mono int16 at another rate, with the resampler's state kept between
    pieces; does no I/O.

    Resampling is soxr's "HQ" (band-limited, 20 bits). It runs in float32: soxr adds dither to int16, seeded by the
    clock, and the same recording must give the same samples each time and digital silence must stay zero.

    Args:
        rate: samples per second of what comes in.
        channels: channels of what comes in.
        channel: the one taken, or "mix". It must be below ``channels``.
        target: samples per second of what goes out.
    """

    def __init__(self, rate: int, channels: int = 1, channel: Channel = "mix", target: int = RATE) -> None:
        if isinstance(channel, int) and not 0 <= channel < channels:
            raise ValueError("there is no such channel")
        self.rate = rate
        self.target = target
        self._channels = channels
        self._channel: Channel = 0 if channels == 1 else channel
        self._soxr: Any = None
        if rate != target:
            self._soxr = require("soxr").ResampleStream(rate, target, 1, dtype="float32", quality="HQ")
            self._soxr.resample_chunk(np.zeros(0, np.float32))

    def push(self, frames: NDArray[Any]) -> Int16:
        """Take frames of shape [n, channels] (or [n] when there is one), int16 or float32 in [-1, 1).

        Gives what is ready of the mono result, shape [m]; with a resampler it lags some milliseconds behind.
        """
        mono = frames.reshape(-1, self._channels)
        if self._channel != "mix":
            picked = mono[:, self._channel]
            if self._soxr is None and picked.dtype == np.int16:
                return np.ascontiguousarray(picked)
            samples = picked.astype(np.float32)
        else:
            samples = mono.mean(axis=1, dtype=np.float32)
        if frames.dtype == np.int16:
            samples *= np.float32(1 / FULL_SCALE)
        if self._soxr is None:
            return to_int16(samples)
        return to_int16(self._soxr.resample_chunk(samples))

    def finish(self) -> Int16:
        """The rest at the end of the stream; afterwards a new stream may begin."""
        if self._soxr is None:
            return np.zeros(0, np.int16)
        rest: Float32 = self._soxr.resample_chunk(np.zeros(0, np.float32), last=True)
        self._soxr.clear()
        return to_int16(rest)

    def reset(self) -> None:
        """Forget what was pushed: the next piece begins a new stream."""
        if self._soxr is not None:
            self._soxr.clear()


def resample(samples: Int16, rate: int, target: int) -> Int16:
    """A whole recording at another rate; shape [n] -> [n * target / rate]."""
    converter = Converter(rate, target=target)
    return np.concatenate([converter.push(samples), converter.finish()])


def dbfs(amplitude: float) -> float:
    """An amplitude (1.0 is full scale) in dB below full scale; never less than -120."""
    return max(20 * math.log10(amplitude), SILENCE_DBFS) if amplitude > 0 else SILENCE_DBFS


@dataclass(frozen=True, slots=True)
class Level:
    """How loud a piece of audio is."""

    peak: float
    """Largest sample in dBFS."""
    rms: float
    """Root mean square in dBFS, without the DC offset; a full-scale sine has -3."""
    offset: float
    """Mean of the samples, -1..1: what a microphone's DC offset shows as."""
    clipped: int
    """Number of samples at full scale."""
    silent: bool
    """Every sample is the same: digital silence, which no working microphone gives."""


def measure(samples: Int16) -> Level:
    """The level of mono samples, shape [n]; nothing counts as silence."""
    if not len(samples):
        return Level(SILENCE_DBFS, SILENCE_DBFS, 0.0, 0, True)
    scaled = samples.astype(np.float32) / np.float32(FULL_SCALE)
    magnitude = np.abs(samples.astype(np.int32))
    return Level(
        peak=dbfs(float(magnitude.max()) / FULL_SCALE),
        rms=dbfs(float(scaled.std(dtype=np.float64))),
        offset=float(scaled.mean(dtype=np.float64)),
        clipped=int(np.count_nonzero(magnitude >= CLIPPED)),
        silent=bool(samples.min() == samples.max()),
    )
