"""Where the sound of a short recording begins and ends."""

import numpy as np

from edgevoice.audio.pcm import RATE, Float32

FRAME = RATE // 100
SOFT = 0.02
"""Of the loudest frame's level, -34 dB: below a soft h, above breath and the noise of a quiet room."""


def bounds(samples: Float32) -> tuple[int, int]:
    """First and behind the last sample that is not silent; (0, 0) when all are."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    level = np.sqrt(np.square(frames, dtype=np.float64).mean(axis=1))
    if not len(level) or not level.max() > 0:
        return 0, 0
    loud = np.flatnonzero(level > level.max() * SOFT)
    return int(loud[0]) * FRAME, int(loud[-1] + 1) * FRAME


def trimmed(samples: Float32) -> Float32:
    begin, end = bounds(samples)
    return samples[begin:end]
