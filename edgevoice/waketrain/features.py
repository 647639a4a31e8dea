"""Windows of the features that all words of the engine share."""

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import Float32, from_float32
from edgevoice.engines.wake.embedding import MEL_FRAMES, SIZE, STEP, VECTORS, WINDOW, Front

Int64 = NDArray[np.int64]

WARM = -(-WINDOW // MEL_FRAMES)
"""Vectors of a stream that still know of what was before it."""


def vectors(front: Front, sound: Float32) -> tuple[Float32, list[int]]:
    """Of a sound in [-1, 1] at 16 kHz: vectors [n, 96], one every 80 ms, and the sample behind each."""
    found = list(front.open().push(from_float32(sound, 16_000)))
    rows = np.stack([vector for vector, _ in found]) if found else np.zeros((0, SIZE), np.float32)
    return rows, [end for _, end in found]


def padded(rows: Float32) -> Float32:
    """With the rows before the first that its window needs: it is taken to have been like that all the time."""
    result: Float32 = np.concatenate([np.repeat(rows[:1], VECTORS - 1, axis=0), rows])
    return result


def gather(rows: Float32, last: Int64) -> Float32:
    """Windows [n, 1536] that end with these rows of [m, 96]."""
    chosen = last[:, None] + np.arange(1 - VECTORS, 1)
    result: Float32 = rows[chosen].reshape(len(last), VECTORS * SIZE).astype(np.float32)
    return result


def ending_at(sample: int) -> int:
    """The first row that has heard a sample."""
    return -(-sample // STEP) - 1
