"""What ``edgevoice eval wake`` reports."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgevoice.engines.protocols import WakeModel
from edgevoice.evaluate import plot, record, score
from edgevoice.evaluate.record import SHOWN, Percentiles, Record, label, ms, share, span
from edgevoice.evaluate.score import Interval
from edgevoice.evaluate.wake import Clip, Done, Woken, holds, threshold, thresholds
from edgevoice.listen.wake import Options as WakeOptions

FORMAT = 1
"""Of the JSON; see docs/evaluation.md."""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Misses against false alarms."""

    n: int
    """Clips that hold the word."""
    misses: int
    miss_rate: float | None
    """None without such clips."""
    miss_interval: Interval
    """95 %, Wilson."""
    hours: float
    """Length of the clips that do not hold it, the gaps between them not counted."""
    false_alarms: int
    """Detections in and behind those clips."""
    false_alarms_per_hour: float | None
    """None without such clips."""
    false_alarms_interval: Interval | None
    """95 %, Garwood, per hour."""


class Point(Rates, frozen=True, kw_only=True):
    """Of the DET curve."""

    threshold: float


class Word(Rates, frozen=True, kw_only=True):
    """One of the wake words by the first stage alone, at its threshold, as if it were listened for alone."""

    word: str
    phrase: str
    threshold: float
    patience: int
    det: list[Point]


class Condition(Rates, frozen=True, kw_only=True):
    """All wake words together, as the daemon listens: clips that hold any of them, and clips that hold none."""

    noise: str | None
    snr_db: float | None
    clips_measured: int
    planned: int
    """Clips there were to be measured; more when it was stopped before the end."""
    extra: int
    """Detections in clips that hold a wake word which are no false alarms by the definition and not right either: a
    second one, or of another word."""
    latency_ms: Percentiles
    rtf: float
    """Computing time by length of the streams, gaps included."""
    cpu_percent: float
    """Processor time by length of the streams: the load of listening on one core."""
    words: list[Word]
    detections: list[Woken]
    refused: list[Woken]
    """What the recogniser looked at and did not believe."""
    clips: list[Clip]


class Report(Record, frozen=True, kw_only=True):
    kind: str
    conditions: list[Condition]


def condition(
    found: Sequence[Done], planned: int, noise: str | None, snr: float | None, options: WakeOptions
) -> Condition:
    """The figures of one condition; ``found`` is not empty.

    Args:
        planned: clips.
    """
    clips = [clip for done in found for clip in done.clips]
    detections = [each for done in found for each in done.detections]
    wanted = {(clip.audio, clip.seed) for clip in clips if clip.holds}
    in_wanted = [each for each in detections if (each.audio, each.seed) in wanted]
    seconds = sum(done.seconds for done in found)
    return Condition(
        noise=noise,
        snr_db=snr,
        clips_measured=len(clips),
        planned=planned,
        **_rates(
            n=sum(len(clip.holds) for clip in clips),
            misses=sum(len(clip.missed) for clip in clips),
            seconds=sum(clip.seconds for clip in clips if not clip.holds),
            alarms=len(detections) - len(in_wanted),
        ),
        extra=sum(not each.right for each in in_wanted),
        latency_ms=record.percentiles([clip.latency_ms for clip in clips if clip.latency_ms is not None]),
        rtf=sum(done.compute for done in found) / seconds,
        cpu_percent=100 * sum(done.cpu for done in found) / seconds,
        words=[_word(word, found, clips, options) for word in found[0].words],
        detections=detections,
        refused=[each for done in found for each in done.refused],
        clips=clips,
    )


def _word(word: WakeModel, found: Sequence[Done], clips: Sequence[Clip], options: WakeOptions) -> Word:
    counts = np.concatenate([done.counts[word.name] for done in found])
    has = np.array([holds(clip.phrase, word) for clip in clips], np.bool_)
    seconds = sum(clip.seconds for clip, inside in zip(clips, has.tolist(), strict=True) if not inside)
    misses, alarms = (counts[has] == 0).sum(axis=0).tolist(), counts[~has].sum(axis=0).tolist()
    levels = thresholds(word, options)
    det = [
        Point(threshold=level, **_rates(n=int(has.sum()), misses=missed, seconds=seconds, alarms=false))
        for level, missed, false in zip(levels, misses, alarms, strict=True)
    ]
    own = det[levels.index(threshold(word, options))]
    return Word(
        word=word.name,
        phrase=word.phrase,
        patience=options.patience or word.patience,
        det=det,
        **msgspec.structs.asdict(own),
    )


def _rates(*, n: int, misses: int, seconds: float, alarms: int) -> dict[str, Any]:
    """The fields of ``Rates``."""
    hours = seconds / 3600
    return {
        "n": n,
        "misses": misses,
        "miss_rate": misses / n if n else None,
        "miss_interval": score.interval(misses, n),
        "hours": hours,
        "false_alarms": alarms,
        "false_alarms_per_hour": alarms / hours if hours else None,
        "false_alarms_interval": score.garwood(alarms, hours) if hours else None,
    }


def report(conditions: Sequence[Condition], *, options: dict[str, Any], peak_mb: float, partial: bool) -> Report:
    head = record.head(FORMAT, options=options, peak_mb=peak_mb, partial=partial)
    return Report(**head, kind="wake", conditions=list(conditions))


# Tables --------------------------------------------------------------------------------------------------------


def tables(report: Report) -> Iterator[str]:
    """The report for a terminal, line by line."""
    yield (
        f"{'condition':10} {'n':>5} {'missed':>6} {'miss %':>6} {'95 %':>12} {'hours':>6} {'false':>5} {'per h':>7} "
        f"{'95 %':>14} {'extra':>5} {'p50 ms':>6} {'p95 ms':>6} {'CPU %':>6}"
    )
    for each in report.conditions:
        yield (
            f"{label(each.snr_db):10} {_rates_text(each)} {each.extra:5d} {ms(each.latency_ms.p50):>6} "
            f"{ms(each.latency_ms.p95):>6} {each.cpu_percent:6.2f}"
        )
    yield ""
    for number, word in enumerate(report.conditions[0].words):
        each_word = [each.words[number] for each in report.conditions]
        if len(report.conditions[0].words) > 1 or any(each.refused for each in report.conditions):
            yield f"'{word.phrase}' alone, by its score alone, threshold {word.threshold:g}"
            for each, one in zip(report.conditions, each_word, strict=True):
                yield f"{label(each.snr_db):10} {_rates_text(one)}"
            yield ""
        yield from _curves(report.conditions, each_word)
    yield from _false_alarms(report.conditions)
    yield f"peak memory of the process: {report.peak_rss_mb:.0f} MB"


def _rates_text(rates: Rates) -> str:
    per_hour = "-" if rates.false_alarms_per_hour is None else f"{rates.false_alarms_per_hour:.2f}"
    interval = rates.false_alarms_interval
    return (
        f"{rates.n:5d} {rates.misses:6d} {share(rates.miss_rate):>6} {span(rates.miss_interval):>12} "
        f"{rates.hours:6.2f} {rates.false_alarms:5d} {per_hour:>7} "
        f"{'-' if interval is None else f'{interval.low:.2f}..{interval.high:.2f}':>14}"
    )


def _curves(conditions: Sequence[Condition], words: Sequence[Word]) -> Iterator[str]:
    """Some points of the DET curves: where they change, and as configured."""
    rows = [
        tuple((point.misses, point.false_alarms) for point in points)
        for points in zip(*(word.det for word in words), strict=True)
    ]
    own = next(at for at, point in enumerate(words[0].det) if point.threshold == words[0].threshold)
    shown = [at for at, row in enumerate(rows) if at == 0 or row != rows[at - 1]]
    if len(shown) > SHOWN:
        shown = [shown[round(at * (len(shown) - 1) / (SHOWN - 1))] for at in range(SHOWN)]
    yield f"'{words[0].phrase}' by its score alone: misses in %, false alarms per hour by threshold (*: as configured)"
    yield f"{'':10}" + "".join(f"{label(each.snr_db):>16}" for each in conditions)
    for at in sorted({*shown, own}):
        cells = []
        for word in words:
            point = word.det[at]
            rate = "-" if point.false_alarms_per_hour is None else f"{point.false_alarms_per_hour:.2f}"
            cells.append(f"{share(point.miss_rate):>9} {rate:>6}")
        yield f"{words[0].det[at].threshold:8.4g}{' *' if at == own else '':2}" + "".join(cells)
    yield ""


def _false_alarms(conditions: Sequence[Condition]) -> Iterator[str]:
    false = []
    for each in conditions:
        others = {(clip.audio, clip.seed) for clip in each.clips if not clip.holds}
        false += [(each, one) for one in each.detections if (one.audio, one.seed) in others]
    if not false:
        return
    yield "false alarms: word, score, clip, second"
    for each, one in false[:SHOWN]:
        yield f"  {one.word} {one.score:.3f}  {one.audio} at {one.at:.1f} s ({label(each.snr_db)})"
    if len(false) > SHOWN:
        yield f"  and {len(false) - SHOWN} more"
    yield ""


# Picture -------------------------------------------------------------------------------------------------------


def draw(report: Report, path: Path) -> None:
    """A picture of the DET curves with their intervals.

    Raises:
        OutputError: it cannot be written. EngineMissingError, EngineBrokenError: matplotlib.
    """

    def curves(axes: Any) -> None:
        several = len(report.conditions[0].words) > 1
        for each in report.conditions:
            for word in each.words:
                name = f"{word.phrase}, {label(each.snr_db)}" if several else label(each.snr_db)
                _draw_word(axes, word, name)
        axes.set_xscale("symlog", linthresh=_resolution(report))
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("false alarms per hour of other speech")
        axes.set_ylabel("wake words missed in %")
        axes.set_title("points: as configured; bars: 95 %")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False)

    plot.save(path, curves)


def _draw_word(axes: Any, word: Word, name: str) -> None:
    points = [
        (point.false_alarms_per_hour or 0.0, 100 * point.miss_rate) for point in word.det if point.miss_rate is not None
    ]
    if not points:
        return
    (line,) = axes.plot(*zip(*points, strict=True), "-", label=name)
    assert word.miss_rate is not None
    rate, misses, interval = word.false_alarms_per_hour or 0.0, 100 * word.miss_rate, word.false_alarms_interval
    across = [[rate - interval.low], [interval.high - rate]] if interval else None
    along = [[misses - 100 * word.miss_interval.low], [100 * word.miss_interval.high - misses]]
    axes.errorbar([rate], [misses], along, across, fmt="o", color=line.get_color(), capsize=3)


def _resolution(report: Report) -> float:
    """One false alarm in all, per hour: below, the axis is linear."""
    hours = max((word.hours for each in report.conditions for word in each.words), default=0.0)
    return 1 / hours if hours else 1.0
