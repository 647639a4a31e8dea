"""What an assistant costs and how right it is, as one point; budgets, and what dominates what."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import msgspec

from edgevoice.tune.budgets import Budgets

T = TypeVar("T")
Prefer = Literal["accuracy", "latency", "memory", "cpu"]
PERCENT = 95
"""Of the latencies that keep the budget: it is one for the 95th percentile."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    latency_ms: float | None
    """95th percentile from the end of speech to the first audio of the reply; None when nothing was ever heard."""
    memory_mb: float
    cpu_percent: float
    accuracy: float | None
    """Share of the commands; None where none were measured."""
    wer: float | None
    commands: int = 0
    """What the accuracy was counted over."""
    words: int = 0
    """What the word error rate was counted over."""

    @property
    def losses(self) -> tuple[float, ...]:
        """Five figures of which less is better."""
        return (
            0.0 if self.accuracy is None else 1.0 - self.accuracy,
            0.0 if self.wer is None else self.wer,
            math.inf if self.latency_ms is None else self.latency_ms,
            self.memory_mb,
            self.cpu_percent,
        )


def percentile(latencies: Sequence[float]) -> float | None:
    """The smallest of the values that ``PERCENT`` of them do not exceed; None of nothing. (Nearest rank: a budget is
    kept exactly when at most one in twenty is above it.)"""
    if not latencies:
        return None
    return sorted(latencies)[-(-PERCENT * len(latencies) // 100) - 1]


def excess(point: Point, budgets: Budgets) -> dict[str, float]:
    """By field of ``Budgets`` that is not kept: by how much, as a part of the budget."""
    found: dict[str, float] = {}
    for field in ("latency_ms", "memory_mb", "cpu_percent", "wer"):
        limit, value = getattr(budgets, field), getattr(point, field)
        if limit is None:
            continue
        value = math.inf if value is None and field == "latency_ms" else value
        if value is not None and value > limit:
            # A budget of 0 has no parts; then by how many thousandths of the figure's own unit.
            found[field] = (value - limit) / (limit or 0.001)
    if budgets.accuracy is not None and point.accuracy is not None and point.accuracy < budgets.accuracy:
        found["accuracy"] = (budgets.accuracy - point.accuracy) / budgets.accuracy
    return found


def dominates(one: Point, other: Point) -> bool:
    """Whether it is nowhere worse and somewhere better."""
    return one.losses != other.losses and all(a <= b for a, b in zip(one.losses, other.losses, strict=True))


def front(items: Sequence[T], point: Callable[[T], Point]) -> list[T]:
    """Those that no other dominates; of equal ones the first."""
    kept: dict[tuple[float, ...], T] = {}
    for item in items:
        if not any(dominates(point(other), point(item)) for other in items):
            kept.setdefault(point(item).losses, item)
    return list(kept.values())


def layers(points: Sequence[Point]) -> list[int]:
    """For each, the number of the front it is on when fronts are taken away one after another."""
    found = [-1] * len(points)
    left = set(range(len(points)))
    number = 0
    while left:
        top = {at for at in left if not any(dominates(points[other], points[at]) for other in left)}
        for at in top:
            found[at] = number
        left -= top
        number += 1
    return found


def order(point: Point, prefer: Prefer) -> tuple[float, ...]:
    """The less, the better. First what is preferred, then errors, then the product of latency, memory and idle CPU, in
    which a tenth of one counts as much as a tenth of another. So nothing comes before what dominates it."""
    wrong, wer, latency, memory, cpu = point.losses
    first = {"accuracy": wrong, "latency": latency, "memory": memory, "cpu": cpu}[prefer]
    # The sum of the three ends the order of those whose product is the same because one factor is 0 or infinite.
    return (first, wrong, wer, latency * max(memory, 1e-9) * max(cpu, 1e-9), latency, memory + cpu)
