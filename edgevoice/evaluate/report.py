"""What ``edgevoice eval intents`` reports: figures by condition and of refusal, as JSON and as tables."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from edgevoice.evaluate import score
from edgevoice.evaluate.intents import Utterance
from edgevoice.evaluate.record import SHOWN, Percentiles, Record, head, label, ms, percentiles, share, span
from edgevoice.evaluate.score import Bin, Confusion, Interval, Point, Prediction, SlotErrors

FORMAT = 1
"""Of the JSON; see docs/evaluation.md."""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    noise: str | None
    snr_db: float | None
    n: int
    """Commands measured."""
    planned: int
    """Commands there were to be measured; more than ``n`` when it was stopped before the end."""
    accuracy: float
    """Share that is right by the benchmark's own rule: an additional slot passes."""
    accuracy_interval: Interval
    """95 %, Wilson."""
    strict_accuracy: float
    strict_interval: Interval
    refused: float
    """Share for which no intent was found."""
    cut_off: float
    """Share for which listening ended before the speech did."""
    latency_ms: Percentiles
    """Without commands that were cut off, or in which nothing was heard."""
    rtf: float
    """Computing time of the engines and the grammar by length of the recordings."""
    compute_ms: float
    """Mean of a command."""
    engine_ms: dict[str, float]
    """The same by engine."""
    cpu_ms: float
    """Mean processor time of a command, of the whole process."""
    slots: dict[str, SlotErrors]
    confusions: list[Confusion]
    calibration: list[Bin]
    slot_calibration: list[Bin]
    predictions: list[Prediction]


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    n: int
    """Utterances that are no commands."""
    refused: float
    """Share of them that was refused."""
    refused_interval: Interval
    curve: list[Point]
    accepted: list[Utterance]
    utterances: list[Utterance]


class Report(Record, frozen=True, kw_only=True):
    conditions: list[Condition]
    rejection: Rejection | None


def condition(predictions: Sequence[Prediction], planned: int, noise: str | None, snr: float | None) -> Condition:
    """The figures of one condition; ``predictions`` is not empty."""
    n = len(predictions)
    correct, strict = sum(each.correct for each in predictions), sum(each.strict for each in predictions)
    latencies = [each.latency_ms for each in predictions if each.latency_ms is not None]
    engines = sorted({name for each in predictions for name in each.engine_ms})
    return Condition(
        noise=noise,
        snr_db=snr,
        n=n,
        planned=planned,
        accuracy=correct / n,
        accuracy_interval=score.interval(correct, n),
        strict_accuracy=strict / n,
        strict_interval=score.interval(strict, n),
        refused=sum(each.intent is None for each in predictions) / n,
        cut_off=sum(each.cut_off for each in predictions) / n,
        latency_ms=percentiles(latencies),
        rtf=sum(each.compute_ms for each in predictions) / 1000 / sum(each.seconds for each in predictions),
        compute_ms=sum(each.compute_ms for each in predictions) / n,
        engine_ms={name: sum(each.engine_ms.get(name, 0.0) for each in predictions) / n for name in engines},
        cpu_ms=sum(each.cpu_ms for each in predictions) / n,
        slots=score.slot_errors(predictions),
        confusions=score.confusions(predictions),
        calibration=score.calibration(score.answers(predictions)),
        slot_calibration=score.calibration(score.slot_answers(predictions)),
        predictions=list(predictions),
    )


def rejection(utterances: Sequence[Utterance], conditions: Sequence[Condition]) -> Rejection | None:
    """The figures of refusal; None without a single utterance."""
    if not utterances:
        return None
    refused = sum(each.intent is None for each in utterances)

    curve = score.curve(
        [each.acceptance for each in utterances],
        [[each.acceptance for each in condition.predictions] for condition in conditions],
    )
    return Rejection(
        n=len(utterances),
        refused=refused / len(utterances),
        refused_interval=score.interval(refused, len(utterances)),
        curve=curve,
        accepted=[each for each in utterances if each.intent is not None],
        utterances=list(utterances),
    )


def report(
    conditions: Sequence[Condition],
    utterances: Sequence[Utterance],
    *,
    options: dict[str, Any],
    peak_mb: float,
    partial: bool,
) -> Report:
    return Report(
        **head(FORMAT, options=options, peak_mb=peak_mb, partial=partial),
        conditions=list(conditions),
        rejection=rejection(utterances, conditions),
    )


# Tables --------------------------------------------------------------------------------------------------------


def tables(report: Report) -> Iterator[str]:
    """The report for a terminal, line by line."""
    yield from _conditions(report.conditions)
    yield ""
    yield from _slots(report.conditions)
    yield from _confusions(report.conditions)
    yield from _calibration(report.conditions)
    if report.rejection is not None:
        yield from _rejection(report.rejection, report.conditions)
    yield f"peak memory of the process: {report.peak_rss_mb:.0f} MB"


def _conditions(conditions: Sequence[Condition]) -> Iterator[str]:
    yield (
        f"{'condition':10} {'n':>5} {'right':>6} {'95 %':>12} {'strict':>6} {'95 %':>12} {'refused':>7} {'cut off':>7} "
        f"{'p50 ms':>6} {'p95 ms':>6} {'RTF':>6} {'ms':>6} {'CPU ms':>6}"
    )
    for each in conditions:
        yield (
            f"{label(each.snr_db):10} {each.n:5d} {share(each.accuracy):>6} {span(each.accuracy_interval):>12} "
            f"{share(each.strict_accuracy):>6} {span(each.strict_interval):>12} {share(each.refused):>7} "
            f"{share(each.cut_off):>7} {ms(each.latency_ms.p50):>6} {ms(each.latency_ms.p95):>6} "
            f"{each.rtf:6.3f} {each.compute_ms:6.0f} {each.cpu_ms:6.0f}"
        )


def _slots(conditions: Sequence[Condition]) -> Iterator[str]:
    names = sorted({name for each in conditions for name in each.slots})
    if not names:
        return
    width = max(map(len, names)) + 2
    yield "errors by slot: missed + wrong + extra, of those said"
    yield f"{'':{width}}" + "".join(f"{label(each.snr_db):>16}" for each in conditions)
    none = SlotErrors(0, 0, 0, 0)
    for name in names:
        found = [each.slots.get(name, none) for each in conditions]
        cells = (f"{slot.missed}+{slot.wrong}+{slot.extra} of {slot.said}" for slot in found)
        yield f"{name:{width}}" + "".join(f"{cell:>16}" for cell in cells)
    yield ""


def _confusions(conditions: Sequence[Condition]) -> Iterator[str]:
    found = score.confusions(each for condition in conditions for each in condition.predictions)
    if not found:
        return
    yield "confusions in all conditions together: said -> heard"
    for each in found[:SHOWN]:
        yield f"{each.n:5d}  {each.slot}: {_value(each.said)} -> {_value(each.heard)}"
    if len(found) > SHOWN:
        yield f"       and {len(found) - SHOWN} more"
    yield ""


def _calibration(conditions: Sequence[Condition]) -> Iterator[str]:
    predictions = [each for condition in conditions for each in condition.predictions]
    for what, answers in (("intent and slots", score.answers(predictions)), ("slot", score.slot_answers(predictions))):
        if answers:
            yield f"confidence ({what}): how many answers, their mean confidence, how many of them are right"
            for each in score.calibration(answers):
                bounds = f"{each.low:.2f} to {each.high:.2f}"
                yield f"  {bounds} {each.n:6d} {share(each.confidence):>6} {share(each.right):>6}"
            yield ""


def _rejection(rejection: Rejection, conditions: Sequence[Condition]) -> Iterator[str]:
    yield (
        f"no commands: {rejection.n} utterances, {share(rejection.refused)} % refused "
        f"({span(rejection.refused_interval)})"
    )
    for each in rejection.accepted[:SHOWN]:
        confidence = "" if each.confidence is None else f" ({each.confidence:.2f})"
        yield f"  {each.audio} {each.start:.1f} to {each.end:.1f} s: '{each.text}' -> {each.intent}{confidence}"
    if len(rejection.accepted) > SHOWN:
        yield f"  and {len(rejection.accepted) - SHOWN} more"
    yield "  threshold  refused   commands lost: " + " ".join(f"{label(each.snr_db):>7}" for each in conditions)
    for point in _some(rejection.curve, SHOWN):
        lost = " ".join(f"{share(each):>7}" for each in point.lost)
        yield f"  {min(point.threshold, 1.0):9.4f} {share(point.refused):>8}                   {lost}"
    yield ""


def _some(points: Sequence[Point], count: int) -> Iterable[Point]:
    if len(points) <= count:
        return points
    return [points[round(at * (len(points) - 1) / (count - 1))] for at in range(count)]


def _value(value: object) -> str:
    return "nothing" if value is None else str(value)
