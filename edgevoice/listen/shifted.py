"""An echo's path that is known but for a shift in time: a device that starts again, or stumbles, is heard some
milliseconds sooner or later than before. How many is found in the first moments of what is heard.

The shift is where the cross-correlation with the echo that was to be expected, whitened, is highest: C. H. Knapp,
G. C. Carter, "The generalized correlation method for estimation of time delay", IEEE Trans. ASSP 24(4), 1976 (PHAT).
"""

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE, Float32

MOST = int(0.08 * RATE)
"""Samples of a shift. Starts of a device were up to 8 ms apart; where it stumbles that is known much worse."""
EVERY = 8
"""Steps, 64 ms, after which it is looked for again: with 16 the echo was 2 dB louder in the first 0.3 s."""
LONGEST = 64
"""Steps after which it is not looked for any more: then the path is another one."""
AUDIBLE = 1e-6
"""Mean square of an echo, -60 dB, from which on it is looked for."""
EXPLAINED = 0.7
"""Share of what is heard that may be left without the shifted echo, at most, for it to be believed in."""


class Search:
    """Looks for a shift.

    Args:
        path: what is known, as partitions in the frequency domain: of ``block`` samples each, padded to twice as many.
        block: samples of a step.
    """

    def __init__(self, path: NDArray[np.complex64], block: int) -> None:
        self._path = path
        self._block = block
        self._heard: list[Float32] = []
        self._expected: list[Float32] = []
        self._left: list[Float32] = []
        self.over = False
        """It was not found."""

    def push(self, spectra: NDArray[np.complex64], heard: Float32, left: Float32) -> NDArray[np.complex64] | None:
        """
        Args:
            spectra: of what was played, for each partition.
            heard: the next step.
            left: of that, by what has been learned meanwhile.

        Returns:
            The shifted path, once it leaves less than what was learned.
        """
        expected: Float32 = np.fft.irfft((spectra * self._path).sum(axis=0))[self._block :].astype(np.float32)
        if not self._heard and float(expected @ expected) < AUDIBLE * self._block:
            return None
        self._heard.append(heard)
        self._expected.append(expected)
        self._left.append(left)
        steps = len(self._heard)
        if steps % EVERY:
            return None
        self.over = steps >= LONGEST
        heard, expected = np.concatenate(self._heard), np.concatenate(self._expected)
        by = lag(heard, expected)
        rest = heard - moved(expected, by)
        energy, otherwise = float(rest @ rest), sum(float(left @ left) for left in self._left)
        if energy >= EXPLAINED * float(heard @ heard) or energy >= otherwise:
            return None
        samples: Float32 = np.fft.irfft(self._path, axis=1)[:, : self._block].astype(np.float32)
        parts = moved(samples.ravel(), by).reshape(samples.shape)
        return np.fft.rfft(parts, 2 * self._block, axis=1).astype(np.complex64)


def lag(heard: Float32, expected: Float32) -> float:
    """By how many samples, ``MOST`` at most, something is heard later than expected."""
    size = 1 << (2 * len(heard) - 1).bit_length()
    cross = np.fft.rfft(heard, size) * np.fft.rfft(expected, size).conj()
    cross /= np.abs(cross) + np.float32(1e-9)
    around = np.fft.irfft(cross, size)
    around = np.concatenate([around[-MOST:], around[: MOST + 1]])
    best = int(around.argmax())
    if not 0 < best < 2 * MOST:
        return float(best - MOST)
    before, there, after = (float(value) for value in around[best - 1 : best + 2])
    return best - MOST + 0.5 * (before - after) / (before - 2 * there + after)


def moved(samples: Float32, by: float) -> Float32:
    """The same so many samples later, ``MOST`` at most; what leaves it at one end is lost."""
    size = len(samples) + 2 * MOST
    spectrum = np.fft.rfft(samples, size)
    spectrum *= np.exp(-2j * np.pi * by / size * np.arange(len(spectrum)))
    result: Float32 = np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)
    return result
