"""Two lots of measurements side by side: how much they differ, and how sure that is. Draws are fixed: the same values
give the same intervals.

The bootstrap is that of Efron & Tibshirani, An Introduction to the Bootstrap (1993): two samples are drawn each on its
own (chapter 8.3), limits are percentiles (chapter 13), and what lies close in time is drawn in blocks (chapter 8.6),
because a machine that is slow now is slow in the next moment too.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgevoice import bootstrap
from edgevoice.bench.schema import Counted, Interval
from edgevoice.bootstrap import DRAWS, Values

FEW = 5
"""Values, rounds or inputs below which nothing is drawn: of four values a bootstrap's 95 % hold the median in 7 of 8
cases at most. The range of all ratios stands in for the interval then."""
BLOCKED = 64
"""Values from which they are drawn in blocks. Blocks of the cube root of the number (Hall, Horowitz & Jing 1995) make
the interval of fewer too narrow by more than 3 %."""


Inputs = Sequence[int]


def ratio(
    a: Sequence[float], b: Sequence[float], inputs_a: Inputs = (), inputs_b: Inputs = ()
) -> tuple[float, Interval | None] | None:
    """median(b) / median(a) with its 95 % interval; None where a median is or could be 0. No interval of one value
    each.

    Args:
        a, b: in the order of measuring.
        inputs_a, inputs_b: the number of the input of each value, or nothing: see ``medians``.
    """
    below, above = medians(a, b, inputs_a, inputs_b)
    if min(below.min(), above.min()) <= 0:
        return None
    value = float(np.median(b) / np.median(a))
    if max(len(a), len(b)) == 1:
        return value, None
    if min(len(a), len(b)) < FEW:
        return value, (Interval(low=min(b) / max(a), high=max(b) / min(a)) if min(a) > 0 else None)
    return value, _limits(above / below)


def difference(
    a: Sequence[float], b: Sequence[float], inputs_a: Inputs = (), inputs_b: Inputs = ()
) -> tuple[float, Interval | None]:
    """median(b) - median(a), as ``ratio``: for what may be 0."""
    value = float(np.median(b) - np.median(a))
    if max(len(a), len(b)) == 1:
        return value, None
    if min(len(a), len(b)) < FEW:
        return value, Interval(low=min(b) - max(a), high=max(b) - min(a))
    below, above = medians(a, b, inputs_a, inputs_b)
    return value, _limits(above - below)


def enough(count: int, other: int) -> bool:
    """Whether so many values of each could show a difference at all: if both were the same, all of one would lie above
    all of the other by chance in less than one of 20 cases (exact rank test, two-sided)."""
    return 2 / math.comb(count + other, count) <= 0.05


def medians(
    a: Sequence[float], b: Sequence[float], inputs_a: Inputs = (), inputs_b: Inputs = ()
) -> tuple[Values, Values]:
    """The medians of ``DRAWS`` resamples of each. What is drawn is what differs by chance: whole rounds, because what
    disturbs one value disturbs its neighbours; where there are too few of them, inputs, the same ones of both; and
    where inputs are not known, values.
    """
    random = np.random.default_rng(0)
    rounds_a, rounds_b = _rounds(inputs_a), _rounds(inputs_b)
    if inputs_a and inputs_b and min(rounds_a[-1], rounds_b[-1]) + 1 >= FEW:
        return _of_groups(a, rounds_a, _positions(rounds_a[-1] + 1, random)), _of_groups(
            b, rounds_b, _positions(rounds_b[-1] + 1, random)
        )
    shared = sorted(set(inputs_a))
    if len(shared) >= FEW and shared == sorted(set(inputs_b)):
        drawn = random.integers(0, len(shared), (DRAWS, len(shared)))
        return tuple(  # type: ignore[return-value]
            _of_groups(values, [shared.index(one) for one in inputs], drawn)
            for values, inputs in ((a, inputs_a), (b, inputs_b))
        )
    one, other = (np.asarray(values, np.float64) for values in (a, b))
    return np.median(one[_positions(len(one), random)], axis=1), np.median(
        other[_positions(len(other), random)], axis=1
    )


def _rounds(inputs: Inputs) -> list[int]:
    """The number of the round of each value: inputs are taken in their order, so a smaller one begins the next."""
    found = [0] if inputs else []
    for before, now in pairwise(inputs):
        found.append(found[-1] + (now < before))
    return found


def _of_groups(values: Sequence[float], groups: Sequence[int], drawn: NDArray[np.int64]) -> Values:
    """The median of the values of all groups that were drawn together, for each draw.

    Args:
        groups: the number of the group of each value.
        drawn: numbers of groups, a row for each draw.
    """
    order = np.argsort(values, kind="stable")
    ordered, numbers = np.asarray(values, np.float64)[order], np.asarray(groups)[order]
    count = int(numbers.max()) + 1
    often = np.zeros((len(drawn), count), np.int64)
    np.add.at(often, (np.arange(len(drawn))[:, None], drawn), 1)
    reached = np.cumsum(often[:, numbers], axis=1)
    total = reached[:, -1:]
    lower = np.argmax(reached >= (total + 1) // 2, axis=1)
    upper = np.argmax(reached >= total // 2 + 1, axis=1)
    found: Values = (ordered[lower] + ordered[upper]) / 2
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
    of = [first[name].of for name in sorted(first)]
    more = [second[name].wrong - first[name].wrong for name in sorted(first)]
    found = bootstrap.share(more, of)
    return None if found is None else (sum(more) / sum(of), Interval(low=found[0], high=found[1]))


def _positions(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    length = 1 if count < BLOCKED else round(count ** (1 / 3))
    starts = random.integers(0, count, (DRAWS, -(-count // length), 1))
    return ((starts + np.arange(length)) % count).reshape(DRAWS, -1)[:, :count]


def _limits(drawn: Values) -> Interval:
    low, high = bootstrap.limits(drawn)
    return Interval(low=low, high=high)
