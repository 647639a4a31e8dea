"""How far a sentence of a grammar that was read from audio is to be believed.

The search finds the sentence that fits best, whatever was said. Whether it fits well shows in what Whisper would rather
have written along the way. Five figures of that are weighed by logistic regression; docs/speech-to-intent.md says
what they were fitted to, what they are worth, and what did not help.
"""

import math

from edgevoice.engines.asr.whisper_beam import Scored

BIAS = 1.965
WEIGHTS = (0.427, 0.241, 1.466, 0.241, -0.801)
"""Of the features; fitted as tools/fit_confidence.py does, where a set of near misses weighed a fifth of another."""
QUIET = -5.0
"""Below this log-probability of no speech there is speech, and it says no more."""


def features(text: Scored, no_speech: float) -> tuple[float, float, float, float, float]:
    """What the fit of a text is judged by; all are natural logarithms, and at most 0.

    * The worst token: one wrong word in a long sentence makes it another sentence, however well the others fit.
    * All tokens together: speech of other words, none of which is quite impossible.
    * The end: words that the grammar does not know, behind a sentence that it does.
    * The mean log-probability of a token: whether Whisper understands anything at all.
    * The log-probability that there is no speech: in noise alone Whisper hears "thank you", and nothing fits better.
    """
    return text.worst, text.regret, text.end, text.full / (len(text.tokens) + 1), max(no_speech, QUIET)


def confidence(text: Scored, no_speech: float) -> float:
    """Probability that a sentence of the grammar was said, if three of four utterances are one."""
    log_odds = BIAS + sum(weight * value for weight, value in zip(WEIGHTS, features(text, no_speech), strict=True))
    return 1.0 / (1.0 + math.exp(min(-log_odds, 700.0)))
