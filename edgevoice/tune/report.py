"""What came of tuning: as JSON, as a table, and as the evidence at the head of the tuned configuration."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from edgevoice.evaluate import machine
from edgevoice.evaluate.machine import Machine
from edgevoice.tune.budgets import Budgets
from edgevoice.tune.combine import Inputs
from edgevoice.tune.points import Point
from edgevoice.tune.search import NAMES, Candidate, Found
from edgevoice.tune.write import figures

FORMAT = 1
"""Of the JSON; see docs/tune.md."""
_SHOWN = 12
"""Lines of the front on the terminal and in the file; all are in the JSON."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    created: str
    """ISO 8601, UTC."""
    seconds: float
    commit: str | None
    machine: Machine
    versions: dict[str, str]
    options: dict[str, Any]
    budgets: Budgets
    recordings: str
    """What was recognised, in words."""
    inputs: Inputs
    combinations: int
    caution: tuple[str, ...]
    """What else the machine did meanwhile, which makes the figures less trustworthy."""
    found: Found


def report(
    found: Found,
    *,
    budgets: Budgets,
    inputs: Inputs,
    recordings: str,
    combinations: int,
    seconds: float,
    versions: dict[str, str],
    options: dict[str, Any],
    caution: tuple[str, ...] = (),
) -> Report:
    return Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        commit=machine.commit(),
        machine=machine.machine(),
        versions=versions,
        options=options,
        budgets=budgets,
        recordings=recordings,
        inputs=inputs,
        combinations=combinations,
        caution=caution,
        found=found,
    )


def table(report: Report) -> Iterator[str]:
    """The front for a terminal, line by line; a star marks the winner."""
    found = report.found
    if not found.front:
        return
    measured = len(found.candidates)
    yield f"{measured} of {report.combinations} combinations were measured in full; nothing is better than these:"
    yield f"  {'right':>6} {'WER':>6} {'p95 ms':>6} {'MB':>5} {'idle %':>6}  "
    shown = [*found.front[:_SHOWN]]
    if found.winner is not None and found.winner not in shown:
        shown.append(found.winner)
    for candidate in shown:
        yield f"{'*' if candidate == found.winner else ' '} {_row(candidate.point)}  {candidate.label}"
    if len(found.front) > _SHOWN:
        yield f"  and {len(found.front) - _SHOWN} more"
    if found.confirmed is not None:
        yield f"+ {_row(found.confirmed)}  the same once more, as a whole"
    for candidate, point in found.unconfirmed:
        yield f"- {_row(point)}  {candidate.label}: as a whole it does not keep the budgets"


def _row(point: Point) -> str:
    latency = "-" if point.latency_ms is None else f"{point.latency_ms:.0f}"
    costs = f"{latency:>6} {point.memory_mb:5.0f} {point.cpu_percent:6.1f}"
    return f"{_share(point.accuracy):>6} {_share(point.wer):>6} {costs}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def evidence(report: Report) -> Iterator[str]:
    """What the head of the tuned configuration says."""
    found, made = report.found, report.machine
    assert found.winner is not None
    assert found.confirmed is not None
    yield f"edgevoice configuration, tuned by measuring on {report.created[:10]}."
    yield ""
    yield f"machine: {made.processor}, {made.cores} cores, {made.architecture}"
    yield f"with: {', '.join(f'{name} {version}' for name, version in report.versions.items())}"
    yield f"asked for: {report.budgets.typed() or 'nothing'}; preferred: {report.options['prefer']}"
    yield f"measured on: {report.recordings}"
    yield f"tried: {len(found.candidates)} of {report.combinations} combinations in full"
    yield from (f"with caution: {text}" for text in report.caution)
    yield ""
    again = dict(figures(found.confirmed))
    yield f"{'':16} {'in parts':24} once more, as a whole"
    for name, value in figures(found.winner.point):
        yield f"{name:16} {value:24} {again[name]}"
    others = [candidate for candidate in found.front if candidate != found.winner]
    if others:
        yield ""
        yield "Others that nothing is better than everywhere:"
        for candidate in others[:_SHOWN]:
            values = ", ".join(f"{name} {value}" for name, value in figures(candidate.point))
            yield f"- {candidate.label}: {values}"


def refusal(report: Report) -> tuple[str, str]:
    """Cause and remedy of an error when nothing keeps the budgets."""
    nearest = report.found.nearest
    cause = f"none of {report.combinations} combinations keeps {report.budgets.typed()}"
    if nearest is None:
        return cause, ""
    broken = ", ".join(f"{NAMES[name]} ({_by(part)})" for name, part in nearest.exceeds.items())
    values = ", ".join(f"{name} {value}" for name, value in figures(nearest.point))
    cause += f"\nthe nearest is {nearest.label}: {values}\nit misses: {broken}"
    return cause, f"what it keeps is {keeps(nearest, report.budgets).typed()}"


def _by(part: float) -> str:
    return "never met" if math.isinf(part) else f"by {100 * part:.2g} %"


def keeps(candidate: Candidate, budgets: Budgets) -> Budgets:
    """The budgets with those that the candidate does not keep set to what it does, rounded."""
    point = candidate.point
    found: dict[str, float | None] = {}
    for name in candidate.exceeds:
        value = getattr(point, name)
        if value is None:
            found[name] = None
        elif name == "accuracy":
            found[name] = math.floor(1000 * value) / 1000
        else:
            step = {"latency_ms": 10.0, "memory_mb": 5.0, "cpu_percent": 0.1, "wer": 0.001}[name]
            # Rounded twice: a division of floats may leave a little above a whole number.
            found[name] = round(math.ceil(round(value / step, 6)) * step, 6)
    return msgspec.structs.replace(budgets, **found)
