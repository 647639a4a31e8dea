"""A comparison as text for a terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from edgevoice.bench.compare import Change, Comparison, Rightness, shown
from edgevoice.bench.differences import Difference
from edgevoice.bench.schema import Result
from edgevoice.bench.table import UNKNOWN

_HEADINGS = {
    "machine": "The machines differ",
    "versions": "The versions differ",
    "options": "The options differ",
    "trust": "With caution",
}
CHANCE = 20
"""Of so many 95 % intervals one lies beside the truth."""


def lines(
    names: tuple[str, str],
    results: tuple[Result, Result],
    comparison: Comparison,
    besides: Sequence[Difference],
    *,
    everything: bool,
) -> Iterator[str]:
    """
    Args:
        names: of the files.
        everything: also figures without a difference that are not the main one of their series.
    """
    for letter, name, result in zip("AB", names, results, strict=True):
        board = result.board.model or result.board.processor or f"{UNKNOWN} machine"
        yield f"{letter}  {name}  {result.created}  {board}"
    for about, found in groupby(besides, key=lambda one: one.about):
        yield from ("", f"{_HEADINGS[about]}:", *(f"  {one.text}" for one in found))
    changes = shown(comparison.changes, everything)
    yield from _figures(changes)
    yield from _accuracy(comparison.accuracy)
    yield from _coverage(comparison)
    yield from _sum(comparison, len(comparison.changes) - len(changes))


def number(value: float, unit: str = "") -> str:
    """Three digits that say something."""
    magnitude = abs(value) or 100.0
    digits = 0 if magnitude >= 100 else 1 if magnitude >= 10 else 2 if magnitude >= 1 else 3 if magnitude >= 0.1 else 4
    text = f"{value:.{digits}f}"
    return f"{text} %" if unit == "percent" else text if unit in ("", "x") else f"{text} {unit}"


def changed(one: Change) -> str:
    if one.how == "ratio":
        return f"x {one.value:.2f}"
    return f"{one.value:+.1f} points" if one.unit == "percent" else f"{one.value:+.3g} {one.unit}".strip()


def verdict(one: Change) -> str:
    seen = one.verdict in ("better", "worse")
    return f"{one.verdict}, but disturbed" if seen and one.disturbed else one.verdict


def limits(one: Change | Rightness) -> str:
    if one.interval is None:
        return "-"
    scale, sign = (100.0, "+.1f") if isinstance(one, Rightness) else (1.0, ".2f" if one.how == "ratio" else "+.3g")
    return f"{one.interval.low * scale:{sign}} to {one.interval.high * scale:{sign}}"


def _figures(changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        return
    rows = [("", "A", "B", "B / A", "95 %", "")]
    where = [""]
    for title, found in groupby(changes, key=lambda one: one.title):
        rows.append((title, "", "", "", "", ""))
        rows += [
            (
                f"  {one.metric}",
                number(one.a, one.unit),
                number(one.b, one.unit),
                changed(one),
                limits(one),
                verdict(one),
            )
            for one in found
        ]
        where.append(title)
    yield ""
    yield from _aligned(rows)


def _accuracy(found: Sequence[Rightness]) -> Iterator[str]:
    if not found:
        return
    rows = [("", "A", "B", "points", "95 %", "")]
    for one in found:
        how = "" if one.paired else " (other recordings, or unknown which)"
        rows.append(
            (
                f"{one.title}: {one.metric.replace('_', ' ')}",
                f"{one.a:.2%}",
                f"{one.b:.2%}",
                f"{100 * one.value:+.1f}",
                limits(one),
                one.verdict + how,
            )
        )
    yield ""
    yield from _aligned(rows)


def _coverage(comparison: Comparison) -> Iterator[str]:
    for heading, found in (
        ("Only in A", comparison.only_a),
        ("Only in B", comparison.only_b),
        ("Failed", comparison.failed),
    ):
        if found:
            yield from ("", f"{heading}:", *(f"  {name}" for name in found))


def _sum(comparison: Comparison, hidden: int) -> Iterator[str]:
    every: list[Change | Rightness] = [*comparison.changes, *comparison.accuracy]
    judged = [one for one in every if one.verdict != "too few values"]
    seen = [one for one in judged if one.verdict != "no difference seen"]
    yield ""
    if not every:
        yield "They have nothing in common that could be compared."
        return
    if not seen:
        yield f"No difference seen in {len(judged)} figures."
    else:
        chance = round(len(judged) / CHANCE)
        yield (
            f"A difference in {len(seen)} of {len(judged)} figures; chance alone would show about {chance}. "
            "The intervals hold what varied within each run, not what varies from one run to another."
        )
    if hidden:
        yield f"{hidden} more without a difference are shown by --all."


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The first and the last column to the left, the others to the right."""
    whole = [row for row in rows if any(row[1:])]
    widths = [max(len(row[at]) for row in whole) for at in range(len(rows[0]))]
    for row in rows:
        if not any(row[1:]):
            yield row[0]
            continue
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells[1:-1], row[-1]]).rstrip()
