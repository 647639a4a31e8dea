"""The silence around synthesised speech.

hibari begins every sentence with about 0.3 s of silence and ends it with 0.45 s. The first part delays the reply, the
second makes a text spoken clause by clause limp.
"""

import numpy as np

from edgevoice.audio.pcm import Audio

FRAME = 0.005
"""Seconds over which loudness is measured."""
SILENT = 0.001
"""RMS of full scale (-60 dB) below which a frame is silent: both engines' silence is below 0.0003, the beginning of
the softest sound, an h, above 0.001."""
LEAD = 0.015
"""Seconds kept before the first sound, for what is softer than SILENT."""
CLAUSE_PAUSE = 0.15
SENTENCE_PAUSE = 0.3
"""Seconds kept at most after the last sound of a clause and of a sentence."""


def trim(audio: Audio, *, sentence: bool) -> Audio:
    """Shorten the silence at both ends; nothing is added. Audio that is silent altogether stays as it is."""
    size = int(FRAME * audio.rate)
    frames = audio.float32()[: len(audio) // size * size].reshape(-1, size)
    loud = np.flatnonzero(np.sqrt(np.mean(frames * frames, axis=1)) > SILENT)
    if not len(loud):
        return audio
    start = max(int(loud[0]) * size - int(LEAD * audio.rate), 0)
    pause = SENTENCE_PAUSE if sentence else CLAUSE_PAUSE
    end = (int(loud[-1]) + 1) * size + int(pause * audio.rate)
    return Audio(audio.samples[start:end], audio.rate)
