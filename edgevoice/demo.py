"""A recording to try edgevoice on where there is neither a microphone nor a file: spoken by its own voice."""

import numpy as np

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines.protocols import TtsEngine

SPOKEN = ("Hey Jarvis, turn on the kitchen light.", "Hey Jarvis. Is the kitchen light on?")
"""Once in one breath, once with a pause. The wake word is one that the default voice pronounces as its model was
trained; it says the other default word, "Okay Nabu", with another vowel."""
LEAD, TAIL = 1.0, 5.0
"""Seconds of quiet before and after a command; the tail is long enough for its reply."""
NOISE = 3.0
"""Standard deviation of the background, of 32767: no room is digitally silent."""


def recording(tts: TtsEngine) -> Audio:
    """The commands of ``SPOKEN`` with quiet around them, at 16 kHz; the same at every call."""
    pieces = []
    for text in SPOKEN:
        spoken = np.concatenate([audio.samples for audio in tts.synthesize(text)])
        pieces += [
            np.zeros(int(LEAD * RATE), np.int16),
            resample(spoken, tts.rate, RATE),
            np.zeros(int(TAIL * RATE), np.int16),
        ]
    samples = np.concatenate(pieces).astype(np.float64)
    noise = np.random.default_rng(0).normal(0.0, NOISE, len(samples))
    return Audio(np.clip(samples + noise, -32767, 32767).astype(np.int16))
