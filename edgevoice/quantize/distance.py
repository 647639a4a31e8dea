"""How different two recordings of one sentence sound: mel-cepstral distance along the best alignment.

Kubichek, "Mel-cepstral distance measure for objective speech quality assessment", IEEE Pacific Rim Conference, 1993;
aligned by dynamic time warping (Sakoe and Chiba, 1978, IEEE Trans. ASSP 26, 1), since a changed model may also speak a
little faster or slower.
"""

import math

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines.asr.whisper_mel import HOP, WINDOW, log_mel

MELS = 80
COEFFICIENTS = 13
"""Cepstral coefficients 1 to 13, as is usual; the 0th is loudness, in which voices differ by a mere gain."""
RANGE_DB = 60.0
"""What is quieter than the loudest by more than this is silence: nobody hears in which way a pause is silent."""
_SCALE = 10.0 * math.sqrt(2.0) / math.log(10.0)


def mel_cepstral_distance(one: Audio, other: Audio) -> tuple[float, int]:
    """Sum of the distances in dB along the best alignment, and its number of steps: their ratio is the distance.

    Raises:
        ValueError: one of them is shorter than a frame.
    """
    first, second = cepstra(one), cepstra(other)
    squares = np.zeros((len(first), len(second)))
    for one_column, other_column in zip(first.T, second.T, strict=True):
        squares += (one_column[:, None] - other_column[None]) ** 2
    return _align(_SCALE * np.sqrt(squares))


def cepstra(audio: Audio) -> NDArray[np.float64]:
    """Mel cepstra, shape [frames, COEFFICIENTS], a frame every 10 ms."""
    samples = Audio(resample(audio.samples, audio.rate, RATE)).float32()
    if len(samples) < WINDOW + HOP:
        raise ValueError("the audio is shorter than a frame")
    powers = log_mel(samples, MELS).T.astype(np.float64) * 4.0  # decades of power, but for a constant
    powers = np.maximum(powers, powers.max() - RANGE_DB / 10.0)
    amplitudes = powers * (math.log(10.0) / 2.0)
    centres = (np.arange(MELS) + 0.5) * (math.pi / MELS)
    cosines = np.cos(np.outer(centres, np.arange(1, COEFFICIENTS + 1))) * (2.0 / MELS)
    result: NDArray[np.float64] = amplitudes @ cosines
    return result


def _align(costs: NDArray[np.float64]) -> tuple[float, int]:
    """The cheapest path from corner to corner by steps down, right and diagonal: its cost, and the cells on it.

    A whole diagonal at a time, for the cells of one depend on those of the two before only.
    """
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    steps = np.zeros((rows + 1, columns + 1), np.int64)
    total[0, 0] = 0.0
    for diagonal in range(rows + columns - 1):
        row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        column = diagonal - row
        before = np.stack([total[row, column], total[row, column + 1], total[row + 1, column]])
        count = np.stack([steps[row, column], steps[row, column + 1], steps[row + 1, column]])
        best = before.argmin(axis=0)  # the diagonal step where it is as cheap
        at = np.arange(len(row))
        total[row + 1, column + 1] = before[best, at] + costs[row, column]
        steps[row + 1, column + 1] = count[best, at] + 1
    return float(total[rows, columns]), int(steps[rows, columns])
