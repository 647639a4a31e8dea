"""Misses against false alarms, on material that the network did not learn from."""

from collections.abc import Sequence

import msgspec
import numpy as np

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


def curve(right: Sequence[float], wrong: Sequence[float], rows: int) -> tuple[list[Point], dict[str, float]]:
    """
    Args:
        right: highest logit of each recording of the phrase. wrong: logits of false alarms in ``rows`` rows.

    Returns:
        The curve, and the recommended threshold for each of ``ASKED``.
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
    first, last = TAIL[0], min(TAIL[1], len(falls))
    if last - first < 2:
        return points, {f"{rate:g}": round(share(float(falls[0]) if len(falls) else 0.0), 6) for rate in ASKED}
    counts = np.log(np.arange(first, last + 1) / hours)
    slope, offset = np.polyfit(counts, falls[first - 1 : last], 1)
    found = {}
    for rate in ASKED:
        number = int(rate * hours)
        level = falls[number] if TAIL[0] <= number < len(falls) else slope * np.log(rate) + offset
        found[f"{rate:g}"] = round(share(min(float(level), HIGHEST)), 6)
    return points, found
