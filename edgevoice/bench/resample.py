"""Two lots of measurements side by side: how much they differ, and how sure that is. Draws are fixed: the same values
give the same intervals.

The bootstrap is that of Efron & Tibshirani, An Introduction to the Bootstrap (1993): two samples are drawn each on its
own (chapter 8.3), limits are percentiles (chapter 13), and what lies close in time is drawn in blocks (chapter 8.6),
because a machine that is slow now is slow in the next moment too.
"""

from collections.abc import Sequence

import numpy as np

from edgevoice.bench.schema import Counted, Interval
from edgevoice.bench.stats import DRAWS, Values

FEW = 5
"""Values below which no interval is drawn: of four values a bootstrap's 95 % are the median's in 7 of 8 cases at most.
The range of all ratios stands in for it."""
BLOCKED = 64
"""Values from which they are drawn in blocks. Blocks of the cube root of the number (Hall, Horowitz & Jing 1995) make
the interval of fewer too narrow by more than 3 %."""


def ratio(
    a: Sequence[float], b: Sequence[float], inputs_a: Sequence[int] = (), inputs_b: Sequence[int] = ()
) -> tuple[float, Interval | None] | None:
    """median(b) / median(a) with its 95 % interval; None where a median is or could be 0. No interval of one value
    each.

    Args:
        a, b: in the order of measuring.
        inputs_a, inputs_b: the number of the input of each value; then as many values are drawn of each input as there
            are, because the inputs were chosen and not drawn.
    """
    if min(a) <= 0 or min(b) <= 0:
        below, above = medians(a, inputs_a, seed=0), medians(b, inputs_b, seed=1)
        if below.min() <= 0 or above.min() <= 0:
            return None
    value = float(np.median(b) / np.median(a))
    if max(len(a), len(b)) == 1:
        return value, None
    if min(len(a), len(b)) < FEW:
        return value, (Interval(low=min(b) / max(a), high=max(b) / min(a)) if min(a) > 0 else None)
    return value, _limits(medians(b, inputs_b, seed=1) / medians(a, inputs_a, seed=0))


def difference(
    a: Sequence[float], b: Sequence[float], inputs_a: Sequence[int] = (), inputs_b: Sequence[int] = ()
) -> tuple[float, Interval | None]:
    """median(b) - median(a), as ``ratio``: for what may be 0."""
    value = float(np.median(b) - np.median(a))
    if max(len(a), len(b)) == 1:
        return value, None
    if min(len(a), len(b)) < FEW:
        return value, Interval(low=min(b) - max(a), high=max(b) - min(a))
    return value, _limits(medians(b, inputs_b, seed=1) - medians(a, inputs_a, seed=0))


def medians(samples: Sequence[float], inputs: Sequence[int] = (), *, seed: int) -> Values:
    """The medians of ``DRAWS`` resamples; each input is drawn from on its own."""
    values = np.asarray(samples, np.float64)
    random = np.random.default_rng(seed)
    lots = [values]
    if inputs:
        numbers = np.asarray(inputs)
        lots = [values[numbers == number] for number in np.unique(numbers)]
    drawn = [lot[_positions(len(lot), random)] for lot in lots]
    found: Values = np.median(np.concatenate(drawn, axis=1), axis=1)
    return found


def shares(wrong_a: int, of_a: int, wrong_b: int, of_b: int) -> tuple[float, Interval]:
    """The difference of two shares, b - a, with its 95 % interval: method 10 of Newcombe (1998), which holds also
    where nothing or everything was wrong."""
    from edgevoice.evaluate import score

    one, other = score.interval(wrong_a, of_a), score.interval(wrong_b, of_b)
    if one is None or other is None:
        raise ValueError("a share of nothing")
    a, b = wrong_a / of_a, wrong_b / of_b
    return b - a, between(a, Interval(low=one.low, high=one.high), b, Interval(low=other.low, high=other.high))


def between(a: float, of_a: Interval, b: float, of_b: Interval) -> Interval:
    """The interval of b - a, out of the interval of each (Newcombe 1998; Zou & Donner 2008): they are independent."""
    low = b - a - ((b - of_b.low) ** 2 + (of_a.high - a) ** 2) ** 0.5
    high = b - a + ((of_b.high - b) ** 2 + (a - of_a.low) ** 2) ** 0.5
    return Interval(low=low, high=high)


def paired(a: Sequence[Counted], b: Sequence[Counted]) -> tuple[float, Interval] | None:
    """The difference of two error rates, b - a, over the same recordings, which are drawn (errors within one go
    together). None where they are not the same, or fewer than two.
    """
    first, second = {one.name: one for one in a}, {one.name: one for one in b}
    same = len(a) == len(b) == len(first) and first.keys() == second.keys()
    if not same or len(a) < 2 or any(first[name].of != second[name].of for name in first):
        return None
    names = sorted(first)
    of = np.array([first[name].of for name in names], np.float64)
    more = np.array([second[name].wrong - first[name].wrong for name in names], np.float64)
    drawn = np.random.default_rng(0).integers(0, len(names), (DRAWS, len(names)))
    total = of[drawn].sum(axis=1)
    limits = _limits(more[drawn].sum(axis=1)[total > 0] / total[total > 0])
    return float(more.sum() / of.sum()), limits


def _positions(count: int, random: np.random.Generator) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    length = 1 if count < BLOCKED else round(count ** (1 / 3))
    starts = random.integers(0, count, (DRAWS, -(-count // length), 1))
    return ((starts + np.arange(length)) % count).reshape(DRAWS, -1)[:, :count]


def _limits(drawn: Values) -> Interval:
    low, high = np.percentile(drawn, [2.5, 97.5]).tolist()
    return Interval(low=low, high=high)
