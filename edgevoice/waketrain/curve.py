"""Misses against false alarms, on material that the network did not learn from."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.engines.wake.embedding import STEP

ASKED = (100.0, 10.0, 5.0, 1.0, 0.5, 0.1)
"""False alarms per hour that thresholds are recommended for. The first is for a first stage with a verifier."""
APART = 12
"""Rows after a false alarm that belong to it: about the second in which the daemon does not wake again."""
TAIL = (4, 60)
"""Alarms between which the curve is taken to be straight in the logarithm, and from which it is carried on to rates
that are too rare to be counted here."""

HIGHEST = 13.0
"""Logit of a threshold at most: its score rounds to 0.999998, above which no score of single precision can be told
from 1."""


FEW = 100
"""Recordings of the phrase with fewer of which neither the word nor its figures are worth much."""
WEAK = 0.3
"""Misses at the lowest threshold, which bounds what a second look can find: from here on it is no wake word. Words that
work have 0.03 to 0.12."""
DEAF = 0.95
"""Misses at the threshold for 0.5 false alarms per hour, by which the score alone decides."""


class Point(msgspec.Struct, frozen=True):
    threshold: float
    miss_rate: float
    false_alarms_per_hour: float


def peaks(logits: Float32) -> list[float]:
    """The false alarms of a recording, each by its highest logit, as a falling threshold would find them."""
    rest, found = logits.astype(np.float64).copy(), []
    while len(rest) and np.isfinite(rest).any():
        at = int(np.argmax(rest))
        found.append(float(rest[at]))
        rest[max(at - APART, 0) : at + APART + 1] = -np.inf
    return found


def share(logit: float) -> float:
    """The score of a logit, as the network's last function gives it."""
    return float(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


def curve(
    right: Sequence[float], wrong: Sequence[float], rows: int
) -> tuple[list[Point], dict[str, float], dict[str, float]]:
    """
    Args:
        right: highest logit of each recording of the phrase. wrong: logits of false alarms in ``rows`` rows.

    Returns:
        The curve, the recommended threshold for each of ``ASKED``, and the share missed at each of those.
    """
    hours = rows * STEP / RATE / 3600
    falls, hits = np.sort(np.asarray(wrong, np.float64))[::-1], np.asarray(right, np.float64)
    levels = np.linspace(-6, 14, 81)
    points = [
        Point(
            round(share(level), 6),
            round(float((hits < level).mean()), 4),
            round(float((falls >= level).sum() / hours), 3),
        )
        for level in levels
    ]
    asked = _levels(falls, hours)
    thresholds = {f"{rate:g}": round(share(level), 6) for rate, level in asked.items()}
    missed = {f"{rate:g}": round(float((hits < level).mean()), 4) for rate, level in asked.items()}
    return points, thresholds, missed


def _levels(falls: NDArray[np.float64], hours: float) -> dict[float, float]:
    """By false alarms per hour: the logit that lets so many through, of those given in falling order."""
    first, last = TAIL[0], min(TAIL[1], len(falls))
    if last - first < 2:
        return dict.fromkeys(ASKED, float(falls[0]) if len(falls) else 0.0)
    slope, offset = np.polyfit(np.log(np.arange(first, last + 1) / hours), falls[first - 1 : last], 1)
    found = {}
    for rate in ASKED:
        number = int(rate * hours)
        level = falls[number] if TAIL[0] <= number < len(falls) else slope * np.log(rate) + offset
        found[rate] = min(float(level), HIGHEST)
    return found


def shortcomings(missed: Mapping[str, float], recordings: int) -> list[str]:
    """What is wrong with a word that was trained, and what helps.

    Args:
        missed: share by false alarms per hour, as from ``curve``. recordings: of the phrase, on which it was measured.
    """
    found, better = [], "take a longer phrase or one that is less like others, or add recordings with --positives"
    if recordings < FEW:
        better = "train it without --minutes, or with more of them"
        found.append(
            f"it was learnt from {recordings} recordings of the phrase, too few for a word or for its thresholds: "
            f"{better}"
        )
    loosest, alone = missed["100"], missed["0.5"]
    if loosest >= WEAK:
        found.append(
            f"{100 * loosest:.0f} % of it is missed even at 100 false alarms per hour, so it will hardly wake: {better}"
        )
    elif alone >= DEAF:
        found.append(
            f"{100 * alone:.0f} % of it is missed where the score alone decides (0.5 false alarms per hour): listen "
            "for it with a recogniser that looks again, or add recordings with --positives"
        )
    return found
