"""What ``edgevoice eval tts`` reports."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgevoice.evaluate import plot, record
from edgevoice.evaluate.asr_report import Rate, rate
from edgevoice.evaluate.record import SHOWN, Percentiles, Record, ms, share, span
from edgevoice.evaluate.tts import Spoken

FORMAT = 1
"""Of the JSON; see docs/evaluation.md."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """There is only one: nothing is mixed into a voice."""

    n: int
    planned: int
    """Texts there were to be spoken; more than ``n`` when it was stopped before the end."""
    wer: float
    """Of what our recogniser hears: errors of the voice and its own."""
    cer: float
    words: Rate
    characters: Rate
    right: float
    """Share of the texts that were understood without any error."""
    first_audio_ms: Percentiles
    rtf: float | None
    """Computing time by length of the audio; None when nothing could be spoken."""
    cpu_ms: float
    """Mean of a text, without the recogniser."""
    seconds: float
    """Of all audio."""
    loudness_dbfs: Percentiles
    problems: int
    """Texts with one."""
    predictions: list[Spoken]


class Report(Record, frozen=True, kw_only=True):
    kind: str
    conditions: list[Condition]


def condition(found: Sequence[Spoken], planned: int, seed: int) -> Condition:
    """The figures; ``found`` is not empty."""
    words, characters = rate([one.words for one in found], seed), rate([one.characters for one in found], seed)
    seconds = sum(one.seconds for one in found)
    return Condition(
        n=len(found),
        planned=planned,
        wer=words.rate,
        cer=characters.rate,
        words=words,
        characters=characters,
        right=sum(not one.words.wrong for one in found) / len(found),
        first_audio_ms=record.percentiles([one.first_audio_ms for one in found if one.first_audio_ms is not None]),
        rtf=sum(one.compute_ms for one in found) / 1000 / seconds if seconds else None,
        cpu_ms=sum(one.cpu_ms for one in found) / len(found),
        seconds=seconds,
        loudness_dbfs=record.percentiles([one.loudness_dbfs for one in found if one.seconds]),
        problems=sum(bool(one.problems) for one in found),
        predictions=list(found),
    )


def report(conditions: Sequence[Condition], *, options: dict[str, Any], peak_mb: float, partial: bool) -> Report:
    head = record.head(FORMAT, options=options, peak_mb=peak_mb, partial=partial)
    return Report(**head, kind="tts", conditions=list(conditions))


def tables(report: Report) -> Iterator[str]:
    """The report for a terminal, line by line."""
    yield (
        f"{'texts':>5} {'words':>6} {'WER %':>6} {'95 %':>12} {'sub':>4} {'ins':>4} {'del':>4} {'CER %':>6} "
        f"{'95 %':>12} {'first p50':>9} {'p95 ms':>6} {'RTF':>6} {'dBFS':>6} {'problems':>8}"
    )
    for each in report.conditions:
        rtf = "-" if each.rtf is None else f"{each.rtf:.3f}"
        yield (
            f"{each.n:5d} {each.words.said:6d} {share(each.wer):>6} {span(each.words.interval):>12} "
            f"{each.words.substitutions:4d} {each.words.insertions:4d} {each.words.deletions:4d} {share(each.cer):>6} "
            f"{span(each.characters.interval):>12} {ms(each.first_audio_ms.p50):>9} {ms(each.first_audio_ms.p95):>6} "
            f"{rtf:>6} {ms(each.loudness_dbfs.p50):>6} {each.problems:8d}"
        )
    yield ""
    for each in report.conditions:
        yield from _list("problems of the sound, by line of the manifest", _problems(each))
        yield from _list("misheard: line, said, heard", _misheard(each))
    yield f"peak memory of the process: {report.peak_rss_mb:.0f} MB"


def _problems(condition: Condition) -> list[str]:
    return [f"{one.line:5d}  {why}: {one.text}" for one in condition.predictions for why in one.problems]


def _misheard(condition: Condition) -> list[str]:
    wrong = [one for one in condition.predictions if one.words.wrong]
    return [f"{one.line:5d}  {one.said_normalised} -> {one.heard_normalised}" for one in wrong]


def _list(title: str, found: Sequence[str]) -> Iterator[str]:
    if not found:
        return
    yield title
    yield from found[:SHOWN]
    if len(found) > SHOWN:
        yield f"       and {len(found) - SHOWN} more"
    yield ""


def draw(report: Report, path: Path) -> None:
    """A picture of how soon texts are heard, by their length.

    Raises:
        OutputError: it cannot be written. EngineMissingError, EngineBrokenError: matplotlib.
    """

    def points(axes: Any) -> None:
        each = report.conditions[0]
        for name, colour, wrong in (("understood", "#1b6ca8", False), ("misheard", "#d95f02", True)):
            chosen = [
                (len(one.text), one.first_audio_ms)
                for one in each.predictions
                if one.first_audio_ms is not None and bool(one.words.wrong) == wrong
            ]
            axes.plot([at for at, _ in chosen], [time for _, time in chosen], "o", color=colour, label=name, alpha=0.7)
        axes.set_xlabel("characters of the text")
        axes.set_ylabel("first audio in ms")
        axes.set_ylim(bottom=0)
        axes.set_title(f"{each.n} texts, WER {share(each.wer)} %")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, frameon=False)

    plot.save(path, points)
