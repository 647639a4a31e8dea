"""Whether a result is worse than a baseline: beyond what is tolerated, and beyond what chance explains."""

from collections.abc import Iterator, Mapping

import msgspec

from edgevoice.bench import compare_table
from edgevoice.bench.compare import Change, Comparison, Rightness

TOLERANCE = 10.0
"""Percent by which a figure may be worse. Two runs on the same quiet machine differ by a few percent for reasons that
no interval of either knows: where memory came to lie, how warm the board was."""
POINTS = 1.0
"""Percentage points by which a share (errors, missed blocks) may be worse."""
STARTING = ("load_s", "cold_ms")
"""Judged only where a tolerance is named: the first use depends on what the system still had in its memory."""

_FAILED = ": failed in B: "


class Check(msgspec.Struct, frozen=True, kw_only=True):
    passed: bool
    judged: int
    """Figures and shares that were compared."""
    worse: tuple[str, ...]
    """A sentence for each that is worse, with the figures."""
    unsure: tuple[str, ...]
    """The same of times of which there are too few values to tell: chance may explain them, so they do not fail."""
    gone: tuple[str, ...]
    """What the baseline has and the result has not; it fails too, or a crash would pass."""


def check(comparison: Comparison, tolerances: Mapping[str, float], *, subset: bool = False) -> Check:
    """
    Args:
        tolerances: by metric, in percent or, of shares, percentage points; others have ``TOLERANCE`` and ``POINTS``.
        subset: the result need not have everything that the baseline has.
    """
    changes = [one for one in comparison.changes if one.metric not in STARTING or one.metric in tolerances]
    sure = [one for one in changes if one.verdict != "too few values" or one.unit == "MB"]
    unsure = [*_slower([one for one in changes if one not in sure], tolerances)]
    worse = [*_slower(sure, tolerances), *_wronger(comparison.accuracy, tolerances)]
    failed = [text.replace(_FAILED, ": it failed: ", 1) for text in comparison.failed if _FAILED in text]
    gone = failed if subset else [*failed, *(f"{name}: it is only in the baseline" for name in comparison.only_a)]
    judged = len(sure) + len(comparison.accuracy)
    return Check(
        passed=not worse and not gone and judged > 0,
        judged=judged,
        worse=tuple(worse),
        unsure=tuple(unsure),
        gone=tuple(dict.fromkeys(gone)),
    )


def _slower(changes: list[Change], tolerances: Mapping[str, float]) -> Iterator[str]:
    for one in changes:
        if one.verdict not in ("worse", "too few values"):
            continue
        if one.how == "ratio":
            tolerance = tolerances.get(one.metric, TOLERANCE)
            # Twice as much is as far from the same as half as much: what is better when higher is turned around.
            worse = 100 * ((one.value if one.better == "lower" else 1 / one.value) - 1)
            amount, unit = f"{worse:.1f} %", "%"
        else:
            tolerance = tolerances.get(one.metric, POINTS if one.unit == "percent" else 0.0)
            worse = one.value if one.better == "lower" else -one.value
            amount, unit = compare_table.changed(one), "points" if one.unit == "percent" else one.unit
        if worse > tolerance:
            sure = "one value each, so without an interval" if one.interval is None else f"95 % {_sure(one)}"
            yield (
                f"{one.title}: {one.metric} {compare_table.number(one.a, one.unit)} -> "
                f"{compare_table.number(one.b, one.unit)}: {amount} worse ({sure}), "
                f"{tolerance:g} {unit} are allowed{'; but the machine was disturbed' if one.disturbed else ''}"
            )


def _wronger(accuracy: tuple[Rightness, ...], tolerances: Mapping[str, float]) -> Iterator[str]:
    for one in accuracy:
        tolerance = tolerances.get(one.metric, POINTS)
        worse = 100 * (one.value if one.better == "lower" else -one.value)
        if one.verdict in ("worse", "too few values") and worse > tolerance:
            sure = "no interval is known" if one.interval is None else f"95 % {compare_table.limits(one)} points"
            yield (
                f"{one.title}: {one.metric} {one.a:.2%} -> {one.b:.2%}: {worse:.1f} points worse ({sure}), "
                f"{tolerance:g} points are allowed"
            )


def _sure(one: Change) -> str:
    return ("x " if one.how == "ratio" else "") + compare_table.limits(one)
