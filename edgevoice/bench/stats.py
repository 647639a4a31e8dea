"""Medians, percentiles and their intervals. Draws are fixed: the same values give the same intervals."""

from collections.abc import Sequence

import numpy as np

from edgevoice import bootstrap
from edgevoice.bench.schema import MOST_SAMPLES, Interval, Metric, Summary

LARGE = 500
"""Values from which the bootstrap's limits of a median are taken from their formula instead of by drawing."""
_Z = 1.959964
"""Standard deviations of a normal distribution between which 95 % lie."""


def median_interval(samples: Sequence[float]) -> Interval | None:
    """95 % confidence interval of the median: percentile bootstrap (Efron 1979). None for fewer than two values.

    Of many values the resampled median is an order statistic whose rank is normal with the standard deviation
    sqrt(n) / 2, so its percentiles are known without drawing.
    """
    count = len(samples)
    if count < 2:
        return None
    values = np.sort(np.asarray(samples, np.float64))
    if count > LARGE:
        half = _Z * count**0.5 / 2
        low, high = int(np.floor((count - 1) / 2 - half)), int(np.ceil((count - 1) / 2 + half))
        return Interval(low=float(values[max(low, 0)]), high=float(values[min(high, count - 1)]))
    limits = bootstrap.limits(np.median(values[bootstrap.draws(count)], axis=1))
    return Interval(low=limits[0], high=limits[1])


def relative_half_width(samples: Sequence[float]) -> float:
    """Half of the median's interval, as a part of the median; infinite for fewer than two values."""
    interval = median_interval(samples)
    if interval is None:
        return float("inf")
    middle = float(np.median(samples))
    width = (interval.high - interval.low) / 2
    return width / abs(middle) if middle else (0.0 if width == 0 else float("inf"))


def paired_ratio(samples: Sequence[float], base: Sequence[float]) -> tuple[float, Interval | None]:
    """The median of samples[i] / base[i] with its interval; pairs whose base is 0 do not count.

    Raises:
        ValueError: they are not pairs, or there is none.
    """
    if len(samples) != len(base):
        raise ValueError("samples of different numbers are no pairs")
    ratios = [one / other for one, other in zip(samples, base, strict=True) if other]
    if not ratios:
        raise ValueError("there is no pair")
    return float(np.median(ratios)), median_interval(ratios)


def summary(samples: Sequence[float]) -> Summary:
    """
    Raises:
        ValueError: there are no samples.
    """
    if not len(samples):
        raise ValueError("no values have no median")
    values = np.asarray(samples, np.float64)
    median, p95, p99 = np.percentile(values, [50, 95, 99]).tolist()
    return Summary(
        n=len(values),
        median=median,
        interval=median_interval(samples),
        p95=p95,
        p99=p99,
        low=float(values.min()),
        high=float(values.max()),
    )


UNITS: dict[str, tuple[str, str]] = {
    "_ms": ("ms", "lower"),
    "_s": ("s", "lower"),
    "_percent": ("percent", "lower"),
    "rtf": ("x", "lower"),
    "_x": ("x", "lower"),
    "_mb": ("MB", "lower"),
    "_j": ("J", "lower"),
}
"""Endings of the names of metrics, with their units and which way is better."""


def metric(name: str, samples: Sequence[float], inputs: Sequence[int] = ()) -> Metric:
    """A metric as it is written; its unit follows from its name.

    Args:
        inputs: the number of the input for each sample, or nothing.
    """
    unit, better = next(found for ending, found in UNITS.items() if name.endswith(ending))
    kept: list[float] = [float(f"{value:.6g}") for value in samples]
    numbers = tuple(inputs)
    if len(kept) > MOST_SAMPLES:
        chosen = np.sort(np.random.default_rng(0).choice(len(kept), MOST_SAMPLES, replace=False))
        kept = [kept[at] for at in chosen.tolist()]
        numbers = ()
    return Metric(
        unit=unit,  # type: ignore[arg-type]
        better=better,  # type: ignore[arg-type]
        samples=tuple(kept),
        inputs=numbers,
        summary=summary(samples),
    )
