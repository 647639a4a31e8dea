"""Intervals by drawing what was measured again and again (Efron, 1979, Ann. Statist. 7, 1; percentiles of the draws).

Draws are fixed: the same values give the same intervals. What is drawn are recordings, because errors within one go
together.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2_000
"""The ends of a 95 % interval then rest on 50 draws each, and differ by about a fiftieth of it from one set of draws to
another; it takes milliseconds."""

Values = NDArray[np.float64]


def draws(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Positions of ``count`` values drawn from as many; shape [DRAWS, count]."""
    return np.random.default_rng(seed).integers(0, count, (DRAWS, count))


def limits(values: Values) -> tuple[float, float]:
    """Between which 95 % of the values lie."""
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return low, high


def share(counts: ArrayLike, weights: ArrayLike, seed: int = 0) -> tuple[float, float] | None:
    """The interval of sum(counts) / sum(weights), each by recording; None where nothing weighs anything."""
    above, below = _sums(counts, weights, draws(np.size(counts), seed))
    kept = below > 0  # a draw of nothing but recordings that weigh nothing has no share
    return limits(above[kept] / below[kept]) if kept.any() else None


def change(before: tuple[ArrayLike, ArrayLike], after: tuple[ArrayLike, ArrayLike]) -> tuple[float, float] | None:
    """The interval of the difference of two shares, after - before, over the same recordings.

    Args:
        before, after: counts and weights by recording, as many of each.
    """
    drawn = draws(np.size(before[0]))
    (above, below), (above_then, below_then) = _sums(*after, drawn), _sums(*before, drawn)
    kept = (below > 0) & (below_then > 0)
    return limits(above[kept] / below[kept] - above_then[kept] / below_then[kept]) if kept.any() else None


def _sums(counts: ArrayLike, weights: ArrayLike, drawn: NDArray[np.int64]) -> tuple[Values, Values]:
    return np.asarray(counts, np.float64)[drawn].sum(axis=1), np.asarray(weights, np.float64)[drawn].sum(axis=1)
