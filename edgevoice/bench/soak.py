"""Turn after turn for minutes, without a pause: what heat does to speed and time does to memory."""

import contextlib
import time
from collections.abc import Callable

import msgspec

from edgevoice.bench.conditions import Conditions
from edgevoice.bench.measure import Member, Spec, Start, Tell, metrics, series
from edgevoice.bench.moments import Moments, slowed
from edgevoice.bench.process import Loaded, Process, Ran, Served
from edgevoice.bench.schema import Flag, Series, State
from edgevoice.errors import EdgeVoiceError

INTERVALS = 120
"""Points of a soak: what a plot can show, and enough turns in each for a median; at least a second each."""


class Soak:
    """
    Args:
        spec: what is done again and again; its ``main`` metric is the latency of the points.
        seconds: how long.
    """

    def __init__(
        self,
        number: int,
        spec: Spec,
        seconds: float,
        *,
        start: Start = Process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._number = number
        self._spec = spec
        self._seconds = seconds
        self._start = start
        self._clock = clock
        self._conditions = Conditions()
        self._served: Served | None = None
        self._loaded: Loaded | None = None
        self._cold = 0.0
        self._rounds: list[list[Ran]] = []
        self._moments: Moments | None = None
        self._flags: list[Flag] = []
        self._state: State = "partial"
        self._why = "stopped"

    def run(self, tell: Tell) -> None:
        tell("soak: loading", 0.0)
        try:
            self._served = self._start(self._spec.load, "soak")
            self._loaded = self._served.load()
            self._cold = 1000 * self._served.run(0).wall_s
            with self._conditions.reading_power():
                self._soak(self._served, self._loaded, tell)
            self._state, self._why = "measured", ""
        except (EdgeVoiceError, ProcessLookupError) as error:
            self._state, self._why = ("partial" if self._rounds else "failed"), str(error)

    def _soak(self, served: Served, loaded: Loaded, tell: Tell) -> None:
        self._conditions.begin()
        own = time.process_time()
        self._moments = moments = Moments(loaded.pid, self._conditions, self._clock)
        step = max(self._seconds / INTERVALS, 1.0)
        latencies: list[float] = []
        try:
            while moments.seconds < self._seconds:
                self._rounds.append([])
                for number in range(len(loaded.inputs)):
                    ran = served.run(number)
                    self._rounds[-1].append(ran)
                    self._conditions.sample()
                    latencies += ran.outcome.values.get(self._spec.main, [])
                    if moments.since_point >= step:
                        moments.point(latencies)
                        latencies = []
                        tell("soak", min(moments.seconds / self._seconds, 1.0))
                    if moments.seconds >= self._seconds:
                        break
        finally:
            taken = sum(ran.cpu_s for runs in self._rounds for ran in runs)
            self._flags = list(self._conditions.flags(taken + time.process_time() - own))

    def series(self) -> list[Series]:
        made = series(self._spec, self._number, self._state, self._why)
        if self._served is None or self._loaded is None:
            return [made]
        member = Member(self._spec, self._served, self._loaded, [self._loaded.load_s], [self._cold], self._rounds)
        points = self._moments.points if self._moments is not None else []

        usage = None
        with contextlib.suppress(EdgeVoiceError):
            usage = self._served.usage()
        slower = slowed(points)
        return [
            msgspec.structs.replace(
                made,
                inputs=self._loaded.inputs,
                metrics=metrics(member),
                usage=usage,
                points=tuple(points),
                flags=(*self._flags, *([slower] if slower else [])),
            )
        ]

    def close(self) -> None:
        if self._served is not None:
            self._served.close()
