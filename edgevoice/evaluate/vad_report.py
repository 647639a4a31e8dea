"""What ``edgevoice eval vad`` reports."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgevoice.evaluate import errors, plot, record
from edgevoice.evaluate.record import Percentiles, Record, label, ms, share, span
from edgevoice.evaluate.score import Interval
from edgevoice.evaluate.vad import BINS, LOGIT, STEP, Detection, Done

FORMAT = 1
"""Of the JSON; see docs/evaluation.md."""
POINTS = 101
"""Of the ROC curve at most."""
_DRAWS = 500
"""Resamples for the interval of the area: a third digit of its ends is not looked at."""

Counts = NDArray[np.int64] | NDArray[np.float64]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """If every frame with at least this probability were speech, for itself."""

    threshold: float
    missed: float
    """Share of the frames of speech."""
    false: float
    """Share of the other frames."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    noise: str | None
    snr_db: float | None
    n: int
    """Recordings measured."""
    planned: int
    speech_frames: int
    other_frames: int
    frame_error: float
    """Share of all frames that was taken for the wrong thing."""
    frame_error_interval: Interval | None
    """95 %, by bootstrap over the recordings; None for a single one. So are the others."""
    missed_speech: float | None
    """Share of the frames of speech; None without any."""
    missed_speech_interval: Interval | None
    false_speech: float | None
    """Share of the other frames."""
    false_speech_interval: Interval | None
    roc_auc: float | None
    """Chance that a frame of speech has a higher probability than another frame; None when there is but one kind."""
    roc_auc_interval: Interval | None
    roc: list[Point]
    start_lag_ms: Percentiles
    end_lag_ms: Percentiles
    rtf: float
    cpu_ms: float
    """Mean processor time of a recording."""
    predictions: list[Detection]


class Report(Record, frozen=True, kw_only=True):
    kind: str
    conditions: list[Condition]


def condition(found: Sequence[Done], planned: int, noise: str | None, snr: float | None, seed: int) -> Condition:
    """The figures of one condition; ``found`` is not empty."""
    each = [done.detection for done in found]
    speech, other = [one.speech_frames for one in each], [one.other_frames for one in each]
    missed, false = [one.missed_frames for one in each], [one.false_frames for one in each]
    wrong = [one.missed_frames + one.false_frames for one in each]
    every = [one.speech_frames + one.other_frames for one in each]
    counts = np.stack([done.counts for done in found])
    return Condition(
        noise=noise,
        snr_db=snr,
        n=len(each),
        planned=planned,
        speech_frames=sum(speech),
        other_frames=sum(other),
        frame_error=errors.rate(sum(wrong), sum(every)) or 0.0,
        frame_error_interval=errors.interval(wrong, every, seed),
        missed_speech=errors.rate(sum(missed), sum(speech)),
        missed_speech_interval=errors.interval(missed, speech, seed),
        false_speech=errors.rate(sum(false), sum(other)),
        false_speech_interval=errors.interval(false, other, seed),
        roc_auc=area(counts.sum(axis=0)),
        roc_auc_interval=_area_interval(counts, seed),
        roc=curve(counts.sum(axis=0)),
        start_lag_ms=record.percentiles([lag for one in each for lag in one.start_lags_ms]),
        end_lag_ms=record.percentiles([lag for one in each for lag in one.end_lags_ms]),
        rtf=sum(one.compute_ms for one in each) / 1000 / sum(one.seconds for one in each),
        cpu_ms=sum(one.cpu_ms for one in each) / len(each),
        predictions=each,
    )


def area(counts: Counts) -> float | None:
    """The area under the ROC curve, which is the statistic of Mann and Whitney (1947); frames of one bin tie.

    Args:
        counts: shape [2, BINS], see ``Done.counts``.
    """
    other, speech = counts.astype(np.float64)
    if not other.sum() or not speech.sum():
        return None
    below = np.cumsum(other) - other
    return float((speech * (below + other / 2)).sum() / speech.sum() / other.sum())


def _area_interval(counts: Counts, seed: int) -> Interval | None:
    """
    Args:
        counts: shape [recordings, 2, BINS].
    """
    if len(counts) < 2:
        return None
    used = counts[:, :, counts.any(axis=(0, 1))]
    flat = used.reshape(len(used), -1).astype(np.float64)
    draw = np.random.default_rng(seed)
    areas = []
    for _ in range(_DRAWS):
        times = np.bincount(draw.integers(0, len(used), len(used)), minlength=len(used))
        found = area((times @ flat).reshape(used.shape[1:]))
        if found is not None:
            areas.append(found)
    if not areas:
        return None
    low, high = np.percentile(areas, [2.5, 97.5])
    return Interval(float(low), float(high))


def curve(counts: Counts) -> list[Point]:
    """Of the thresholds at which something changes; empty when there is but one kind of frames."""
    other, speech = counts.astype(np.float64)
    if not other.sum() or not speech.sum():
        return []
    used = np.flatnonzero(counts.any(axis=0))
    if len(used) > POINTS:
        used = used[np.linspace(0, len(used) - 1, POINTS).round().astype(int)]
    missed, false = (np.cumsum(speech) - speech) / speech.sum(), 1 - (np.cumsum(other) - other) / other.sum()
    logits = np.linspace(-LOGIT, LOGIT, BINS) - STEP / 2
    return [
        Point(threshold=float(1 / (1 + np.exp(-logits[at]))), missed=float(missed[at]), false=float(false[at]))
        for at in used.tolist()
    ]


def report(conditions: Sequence[Condition], *, options: dict[str, Any], peak_mb: float, partial: bool) -> Report:
    head = record.head(FORMAT, options=options, peak_mb=peak_mb, partial=partial)
    return Report(**head, kind="vad", conditions=list(conditions))


def tables(report: Report) -> Iterator[str]:
    """The report for a terminal, line by line."""
    yield "percent of frames; lags in ms, median and 95th percentile"
    yield (
        f"{'condition':10} {'n':>5} {'error':>6} {'95 %':>12} {'missed':>6} {'95 %':>12} {'false':>6} {'95 %':>12} "
        f"{'AUC':>7} {'start':>12} {'end':>12} {'RTF':>7}"
    )
    for each in report.conditions:
        area = "-" if each.roc_auc is None else f"{each.roc_auc:.4f}"
        yield (
            f"{label(each.snr_db):10} {each.n:5d} {share(each.frame_error):>6} {span(each.frame_error_interval):>12} "
            f"{share(each.missed_speech):>6} {span(each.missed_speech_interval):>12} "
            f"{share(each.false_speech):>6} {span(each.false_speech_interval):>12} {area:>7} "
            f"{_lag(each.start_lag_ms):>12} {_lag(each.end_lag_ms):>12} {each.rtf:7.4f}"
        )
    yield ""
    yield f"peak memory of the process: {report.peak_rss_mb:.0f} MB"


def _lag(lag: Percentiles) -> str:
    return f"{ms(lag.p50)}, {ms(lag.p95)}"


def draw(report: Report, path: Path) -> None:
    """A picture of the ROC curve of every condition.

    Raises:
        OutputError: it cannot be written. EngineMissingError, EngineBrokenError: matplotlib.
    """

    def curves(axes: Any) -> None:
        for each in report.conditions:
            area = "" if each.roc_auc is None else f": area {each.roc_auc:.4f}"
            at = [100 * point.false for point in each.roc], [100 * (1 - point.missed) for point in each.roc]
            (line,) = axes.plot(*at, label=f"{label(each.snr_db)}{area}")
            if each.false_speech is not None and each.missed_speech is not None:
                axes.plot(100 * each.false_speech, 100 * (1 - each.missed_speech), "o", color=line.get_color())
        axes.set_xlabel("other frames taken for speech in %")
        axes.set_ylabel("frames of speech detected in %")
        axes.set_title("points: as configured, with hysteresis")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False)

    plot.save(path, curves)
