"""Two results side by side: what differs between them, how much, and how sure that is."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np

from edgevoice.bench import resample
from edgevoice.bench.schema import Accuracy, Interval, Metric, Result, Series

Verdict = Literal["better", "worse", "no difference seen", "too few values"]

SHARES = ("missed_percent", "unanswered_percent", "cut_off_percent")
"""Metrics whose samples are 100 for each time that something happened, and 0 for each other: their median says
nothing, their mean is the share."""
MAIN = {"engine": "rtf", "turn": "answer_ms", "soak": "answer_ms", "idle": "cpu_percent", "contention": "chunk_ms"}
"""The one figure of each kind of series that is always shown."""
_DISTURBING = ("background_load", "throttling", "swapping")
_MEMORY = ("peak_mb", "loaded_mb", "unshared_mb")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure in two results."""

    series: str
    """Its key."""
    title: str
    """The same for people."""
    metric: str
    unit: str
    better: Literal["lower", "higher"]
    main: bool
    a: float
    b: float
    n_a: int
    n_b: int
    how: Literal["ratio", "difference"]
    """``difference`` for shares and for what may be 0."""
    value: float
    """b / a, or b - a in the unit (shares: percentage points)."""
    interval: Interval | None
    """95 %; the range of all ratios where one side has fewer than ``resample.FEW`` values."""
    verdict: Verdict
    disturbed: bool
    """Background load, heat or swapping was flagged in one of them: it may be all of the difference."""


class Rightness(msgspec.Struct, frozen=True, kw_only=True):
    """One share of errors or successes in two results."""

    name: str
    """The same in both results."""
    title: str
    metric: str
    better: Literal["lower", "higher"]
    a: float
    b: float
    n_a: int
    n_b: int
    paired: bool
    """They were counted over the same recordings, one by one."""
    value: float
    """b - a, of 1."""
    interval: Interval | None
    verdict: Verdict


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    changes: tuple[Change, ...]
    accuracy: tuple[Rightness, ...]
    only_a: tuple[str, ...]
    """What only the first has measured."""
    only_b: tuple[str, ...]
    failed: tuple[str, ...]
    """What failed in one or both, with the reason."""


def compare(a: Result, b: Result) -> Comparison:
    """Everything that both have measured."""
    first, second = a.by_key(), b.by_key()
    called_a, called_b = titles(a), titles(b)
    both = [key for key in first if key in second]
    of_a, of_b = ({_name(one): one for one in result.accuracy} for result in (a, b))
    failed = [
        f"{called[series.key]}: failed in {letter}: {series.why}"
        for letter, result, called in (("A", a, called_a), ("B", b, called_b))
        for series in result.series
        if series.state == "failed"
    ]
    return Comparison(
        changes=tuple(change for key in both for change in _changes(called_a[key], first[key], second[key])),
        accuracy=tuple(_rightness(of_a[name], of_b[name]) for name in of_a if name in of_b),
        only_a=(
            *(called_a[key] for key in first if key not in second),
            *(name for name in of_a if name not in of_b),
        ),
        only_b=(
            *(called_b[key] for key in second if key not in first),
            *(name for name in of_b if name not in of_a),
        ),
        failed=tuple(failed),
    )


def title(series: Series) -> str:
    """What a series is called for people, without its model."""
    if series.kind != "engine":
        return f"{series.kind} {series.variant}".strip()
    threads = f"{series.threads} thread{'s' * (series.threads > 1)}"
    return " ".join(part for part in (series.task, series.engine + " *" * series.peer, series.variant, threads) if part)


def titles(result: Result) -> dict[str, str]:
    """By key, what each series is called: the key itself where nothing else tells two of them apart."""
    found = {key: title(series) for key, series in result.by_key().items()}
    called = Counter(found.values())
    return {key: text if called[text] == 1 else key for key, text in found.items()}


def middle(name: str, metric: Metric) -> float:
    """The figure that a metric is compared by."""
    return float(np.mean(metric.samples)) if name in SHARES else metric.summary.median


def _changes(called: str, a: Series, b: Series) -> Iterator[Change]:
    for name, metric in a.metrics.items():
        if name in b.metrics:
            yield _change(called, (a, b), name, metric, b.metrics[name])
    if a.usage is not None and b.usage is not None:
        for name in _MEMORY:
            one, other = getattr(a.usage, name), getattr(b.usage, name)
            if one is not None and other is not None and one > 0:
                yield _made(called, (a, b), name, "MB", "lower", (one, other), (1, 1), ("ratio", other / one, None))


def _change(called: str, series: tuple[Series, Series], name: str, a: Metric, b: Metric) -> Change:
    counts = (a.summary.n, b.summary.n)
    values = (middle(name, a), middle(name, b))
    how: Literal["ratio", "difference"] = "difference"
    if name in SHARES:
        share, limits = resample.shares(
            sum(value > 0 for value in a.samples), len(a.samples), sum(value > 0 for value in b.samples), len(b.samples)
        )
        found: tuple[float, Interval | None] = (100 * share, Interval(low=100 * limits.low, high=100 * limits.high))
    else:
        lots = (a.samples, b.samples, a.inputs, b.inputs)
        ratio = resample.ratio(*lots)
        how = "difference" if ratio is None else "ratio"
        found = ratio or resample.difference(*lots)
    return _made(called, series, name, a.unit, a.better, values, counts, (how, *found))


def _made(
    called: str,
    series: tuple[Series, Series],
    name: str,
    unit: str,
    better: Literal["lower", "higher"],
    values: tuple[float, float],
    counts: tuple[int, int],
    found: tuple[Literal["ratio", "difference"], float, Interval | None],
) -> Change:
    how, value, interval = found
    return Change(
        series=series[0].key,
        title=called,
        metric=name,
        unit=unit,
        better=better,
        main=name == MAIN[series[0].kind],
        a=values[0],
        b=values[1],
        n_a=counts[0],
        n_b=counts[1],
        how=how,
        value=value,
        interval=interval,
        verdict=_verdict(interval, 1.0 if how == "ratio" else 0.0, better)
        if resample.enough(*counts)
        else "too few values",
        disturbed=any(flag.kind in _DISTURBING for one in series for flag in one.flags),
    )


def _rightness(a: Accuracy, b: Accuracy) -> Rightness:
    found = resample.paired(a.each, b.each)
    interval = None
    if found is not None:
        interval = found[1]
    elif a.interval is not None and b.interval is not None:
        interval = resample.between(a.value, a.interval, b.value, b.interval)
    return Rightness(
        name=_name(a),
        title=" ".join(part for part in (a.task, a.engine + " *" * a.peer, a.variant) if part)
        + ("" if a.condition == "clean" else f" ({a.condition})"),
        metric=a.metric,
        better=a.better,
        a=a.value,
        b=b.value,
        n_a=a.n,
        n_b=b.n,
        paired=found is not None,
        value=b.value - a.value,
        interval=interval,
        verdict=_verdict(interval, 0.0, a.better),
    )


def _name(one: Accuracy) -> str:
    """The same in other results."""
    model = one.model.rpartition("/")[2]
    parts = ["peer" if one.peer else "", one.task, one.engine, model, one.variant, one.metric, one.condition]
    return "/".join(part for part in parts if part)


def _verdict(interval: Interval | None, neutral: float, better: str) -> Verdict:
    if interval is None:
        return "too few values"
    if interval.low <= neutral <= interval.high:
        return "no difference seen"
    return "better" if (interval.high < neutral) == (better == "lower") else "worse"


def shown(changes: Sequence[Change], everything: bool) -> list[Change]:
    """What is worth a line: the main figure of each series, and where a difference was seen."""
    return [one for one in changes if everything or one.main or one.verdict in ("better", "worse")]
