"""How far a sentence of a grammar that was read from audio is to be believed.

The search finds the sentence that fits best, whatever was said. Whether it fits well shows in what Whisper would rather
have written along the way. Four figures of that are weighed by logistic regression; docs/speech-to-intent.md says
what they were fitted to, what they are worth, and what did not help.
"""

import math

from edgevoice.engines.asr.whisper_beam import Scored

BIAS = 4.996
WEIGHTS = (0.469, 0.212, 1.482, 0.242)
"""Of the features, as tools/fit_confidence.py prints them."""


def features(text: Scored) -> tuple[float, float, float, float]:
    """What the fit of a text is judged by; all are natural logarithms, and at most 0.

    * The worst token: one wrong word in a long sentence makes it another sentence, however well the others fit.
    * All tokens together: speech of other words, none of which is quite impossible.
    * The end: words that the grammar does not know, behind a sentence that it does.
    * The mean log-probability of a token: whether Whisper understands anything at all, as it does not in noise.
    """
    return text.worst, text.regret, text.end, text.full / (len(text.tokens) + 1)


def confidence(text: Scored) -> float:
    """Probability that a sentence of the grammar was said, if two of three utterances are one."""
    log_odds = BIAS + sum(weight * value for weight, value in zip(WEIGHTS, features(text), strict=True))
    return 1.0 / (1.0 + math.exp(min(-log_odds, 700.0)))
