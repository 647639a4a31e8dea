"""How far a sentence of a grammar that was read from audio is to be believed.

The search finds the sentence that fits best, whatever was said. Whether it fits well shows in what Whisper would rather
have written along the way. Five figures of that are weighed by logistic regression, and the length of the sentence is
set against that of the speech; docs/speech-to-intent.md says what they were fitted to, what they are worth, and what
did not help.
"""

import math
from dataclasses import dataclass

import numpy as np

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.engines.asr.whisper_fit import Fit

BIAS = 1.965
WEIGHTS = (0.427, 0.241, 1.466, 0.241, -0.801)
"""Of the features; fitted as tools/fit_confidence.py does, where a set of near misses weighed a fifth of another."""
QUIET = -5.0
"""Below this log-probability of no speech there is speech, and it says no more."""

SLOWEST = 0.5
"""Seconds of speech for a word. Of 69 orders, clean and in noise, and 200 synthetic commands for a home, 99 in 100 had
less than 0.52; other talk that was taken for a command for a home had 0.6 to 1.2 in the middle."""
PER_SLOWNESS = 6.0
"""For each second more than that. From 4 to 12 it refuses the same."""
FEW, MANY = 3, 10
"""Up to so many words a sentence may fit by accident ("help"), and with so many hardly ..."""
PER_WORD = 0.3
"""... so each one between makes it likelier, in noise. Where every word can be heard well, a word that does not fit is
another word, however long the sentence: "oat milk" is not "almond milk"."""
QUIET_ROOM, LOUD_ROOM = 35.0, 20.0
"""dB from the noise to the loudest speech: of 206 orders all have more than the one, and at 6 dB of kitchen noise the
half have less than the other."""
FRAME = RATE // 50
"""Samples of a frame of energy: 20 ms."""
ABOVE_FLOOR = 9.0
"""dB above the noise at which speech begins ..."""
DEPTH = 30.0
"""... and below the loudest speech."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Audio by its energy."""

    seconds: float
    """Of speech; in noise less than there is, never much more."""
    depth: float
    """dB from the noise, the quietest tenth of the frames, to the loudest speech, the loudest twentieth."""


def sound(samples: Float32) -> Sound:
    """At least 20 ms of audio at 16 kHz."""
    count = len(samples) // FRAME
    energy = np.square(samples[: count * FRAME].reshape(count, FRAME)).mean(axis=1)
    level = 10.0 * np.log10(energy + 1e-12)
    loud = float(np.sort(level)[-max(count // 20, 1) :].mean())
    floor = float(np.percentile(level, 10))
    frames = int((level > max(floor + ABOVE_FLOOR, loud - DEPTH)).sum())
    return Sound(frames * FRAME / RATE, loud - floor)


def features(text: Fit, no_speech: float) -> tuple[float, float, float, float, float]:
    """What the fit of a text is judged by; all are natural logarithms, and at most 0.

    * The worst token: one wrong word in a long sentence makes it another sentence, however well the others fit.
    * All tokens together: speech of other words, none of which is quite impossible.
    * The end: words that the grammar does not know, behind a sentence that it does.
    * The mean log-probability of a token: whether Whisper understands anything at all.
    * The log-probability that there is no speech: in noise alone Whisper hears "thank you", and nothing fits better.
    """
    return text.worst, text.regret, text.end, text.full / (text.tokens + 1), max(no_speech, QUIET)


def length(words: int, heard: Sound) -> float:
    """What the length of a sentence says, as log-odds: two words are no reading of five seconds of speech, and in noise
    a long sentence is believed with words in it that hardly fit."""
    slow = max(heard.seconds / words - SLOWEST, 0.0)
    noise = min(max((QUIET_ROOM - heard.depth) / (QUIET_ROOM - LOUD_ROOM), 0.0), 1.0)
    return PER_WORD * noise * min(max(words - FEW, 0), MANY - FEW) - PER_SLOWNESS * slow


def confidence(text: Fit, no_speech: float, words: int, heard: Sound) -> float:
    """Probability that a sentence of the grammar was said, if three of four utterances are one.

    Args:
        no_speech: log-probability that there is no speech.
        words: of the sentence, one at least.
    """
    log_odds = BIAS + sum(weight * value for weight, value in zip(WEIGHTS, features(text, no_speech), strict=True))
    return 1.0 / (1.0 + math.exp(min(-log_odds - length(words, heard), 700.0)))
