"""What a process and the board did in each interval of a long run."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgevoice.bench import board
from edgevoice.bench.conditions import Conditions
from edgevoice.bench.procfs import cpu_seconds, resident
from edgevoice.bench.schema import Flag, Point

SLOWER = 1.1
"""How much longer steps may take in the last quarter of a run than in the first before it is said."""


class Moments:
    """
    Args:
        pid: of the process that is looked at.
        clock: gives seconds.
    """

    def __init__(
        self, pid: int, conditions: Conditions, clock: Callable[[], float], *, root: Path = board.ROOT
    ) -> None:
        self._pid = pid
        self._conditions = conditions
        self._clock = clock
        self._root = root
        self._began = self._at = clock()
        self._cpu = cpu_seconds(pid)
        self._joules = conditions.energy.joules()
        self.points: list[Point] = []

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    @property
    def since_point(self) -> float:
        """Seconds since the last point, or the beginning."""
        return self._clock() - self._at

    def point(self, latencies_ms: Sequence[float] = ()) -> Point:
        """End an interval.

        Args:
            latencies_ms: of the steps in it.

        Raises:
            ProcessLookupError: the process has ended.
        """
        now, cpu, joules = self._clock(), cpu_seconds(self._pid), self._conditions.energy.joules()
        passed = now - self._at
        throttling = board.throttling(self._root)
        known = joules is not None and self._joules is not None and passed > 0
        made = Point(
            seconds=round(now - self._began, 3),
            temperature_c=board.temperature(self._root),
            frequency_mhz=board.frequency(self._root),
            throttled=None if throttling is None else bool(throttling.now),
            latency_ms=float(np.median(latencies_ms)) if len(latencies_ms) else None,
            latency_p95_ms=float(np.percentile(latencies_ms, 95)) if len(latencies_ms) else None,
            cpu_percent=round(100 * max(cpu - self._cpu, 0.0) / passed, 2) if passed > 0 else None,
            rss_mb=resident(self._pid),
            power_w=round(((joules or 0.0) - (self._joules or 0.0)) / passed, 3) if known else None,
        )
        self._at, self._cpu, self._joules = now, cpu, joules
        self.points.append(made)
        return made


def slowed(points: Sequence[Point]) -> Flag | None:
    """Said when the steps became slower in the course of a run."""
    latencies = [point.latency_ms for point in points if point.latency_ms is not None]
    quarter = len(latencies) // 4
    if not quarter:
        return None
    first, last = float(np.median(latencies[:quarter])), float(np.median(latencies[-quarter:]))
    if last <= SLOWER * first:
        return None
    return Flag(
        kind="throttling", text=f"steps took {last / first - 1:.0%} longer in the last quarter than in the first"
    )
