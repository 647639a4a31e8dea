"""What ``edgevoice eval asr`` reports."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgevoice.evaluate import errors, plot, record
from edgevoice.evaluate.asr import Transcription
from edgevoice.evaluate.errors import Errors
from edgevoice.evaluate.record import SHOWN, Percentiles, Record, label, ms, share, span
from edgevoice.evaluate.score import Interval

FORMAT = 1
"""Of the JSON; see docs/evaluation.md."""
_COLUMNS = 112
"""Of a text on the terminal; it is whole in the JSON."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Errors in words, or in characters."""

    rate: float
    """Errors by what was said; may pass 1."""
    interval: Interval | None
    """95 %, by bootstrap over the recordings; None for a single one."""
    said: int
    substitutions: int
    insertions: int
    deletions: int


def rate(each: Sequence[Errors], seed: int) -> Rate:
    """Of recordings or texts in which something is said."""
    found = errors.total(each)
    return Rate(
        rate=found.wrong / found.said,
        interval=errors.interval([one.wrong for one in each], [one.said for one in each], seed),
        said=found.said,
        substitutions=found.substitutions,
        insertions=found.insertions,
        deletions=found.deletions,
    )


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    noise: str | None
    snr_db: float | None
    n: int
    """Recordings measured."""
    planned: int
    """Recordings there were to be measured; more than ``n`` when it was stopped before the end."""
    wer: float
    cer: float
    words: Rate
    characters: Rate
    right: float
    """Share of the recordings without any error."""
    latency_ms: Percentiles
    rtf: float
    """Computing time by length of the recordings."""
    compute_ms: float
    """Mean of a recording."""
    cpu_ms: float
    predictions: list[Transcription]


class Report(Record, frozen=True, kw_only=True):
    kind: str
    conditions: list[Condition]


def condition(
    found: Sequence[Transcription], planned: int, noise: str | None, snr: float | None, seed: int
) -> Condition:
    """The figures of one condition; ``found`` is not empty."""
    words, characters = rate([one.words for one in found], seed), rate([one.characters for one in found], seed)
    return Condition(
        noise=noise,
        snr_db=snr,
        n=len(found),
        planned=planned,
        wer=words.rate,
        cer=characters.rate,
        words=words,
        characters=characters,
        right=sum(not one.words.wrong for one in found) / len(found),
        latency_ms=record.percentiles([one.latency_ms for one in found]),
        rtf=sum(one.compute_ms for one in found) / 1000 / sum(one.seconds for one in found),
        compute_ms=sum(one.compute_ms for one in found) / len(found),
        cpu_ms=sum(one.cpu_ms for one in found) / len(found),
        predictions=list(found),
    )


def report(conditions: Sequence[Condition], *, options: dict[str, Any], peak_mb: float, partial: bool) -> Report:
    head = record.head(FORMAT, options=options, peak_mb=peak_mb, partial=partial)
    return Report(**head, kind="asr", conditions=list(conditions))


def tables(report: Report) -> Iterator[str]:
    """The report for a terminal, line by line."""
    yield (
        f"{'condition':10} {'n':>5} {'words':>6} {'WER %':>6} {'95 %':>12} {'sub':>5} {'ins':>5} {'del':>5} "
        f"{'CER %':>6} {'95 %':>12} {'p50 ms':>6} {'p95 ms':>6} {'RTF':>6} {'CPU ms':>6}"
    )
    for each in report.conditions:
        yield (
            f"{label(each.snr_db):10} {each.n:5d} {each.words.said:6d} {share(each.wer):>6} "
            f"{span(each.words.interval):>12} {each.words.substitutions:5d} {each.words.insertions:5d} "
            f"{each.words.deletions:5d} {share(each.cer):>6} {span(each.characters.interval):>12} "
            f"{ms(each.latency_ms.p50):>6} {ms(each.latency_ms.p95):>6} {each.rtf:6.3f} {each.cpu_ms:6.0f}"
        )
    yield ""
    yield from _worst(report.conditions)
    yield f"peak memory of the process: {report.peak_rss_mb:.0f} MB"


def _worst(conditions: Sequence[Condition]) -> Iterator[str]:
    wrong = [(one, each) for each in conditions for one in each.predictions if one.words.wrong]
    if not wrong:
        return
    wrong.sort(key=lambda pair: -pair[0].words.wrong / max(pair[0].words.said, 1))
    yield "the worst: errors, recording, said, heard"
    for one, each in wrong[:SHOWN]:
        yield f"{one.words.wrong:5d} of {one.words.said:3d}  {one.audio} ({label(each.snr_db)})"
        for text in (one.said_normalised, one.heard_normalised):
            yield f"      {textwrap.shorten(text, _COLUMNS, placeholder=' ...')}"
    if len(wrong) > SHOWN:
        yield f"      and {len(wrong) - SHOWN} more"
    yield ""


def draw(report: Report, path: Path) -> None:
    """A picture of the word error rate against SNR.

    Raises:
        OutputError: it cannot be written. EngineMissingError, EngineBrokenError: matplotlib.
    """

    def curves(axes: Any) -> None:
        points = [(each.snr_db, each.wer, each.words.interval) for each in report.conditions]
        plot.against_snr(axes, "word error rate", points, "#1b6ca8")
        points = [(each.snr_db, each.cer, each.characters.interval) for each in report.conditions]
        plot.against_snr(axes, "character error rate", points, "#d95f02")
        axes.set_ylabel("errors in %")
        axes.set_ylim(bottom=0)
        axes.set_title(f"{report.conditions[0].n} recordings")

    plot.save(path, curves)
