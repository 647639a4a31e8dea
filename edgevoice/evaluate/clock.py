"""Real-time listening without waiting for it: a loop whose time passes only while everybody waits, and workers whose
steps take on that clock what they were measured to take.

Audio arrives at the pace of a microphone, a step begins when its audio is there and its thread is free, and ends after
the time that the same step took on this machine. So a recording of ten seconds is heard in the time that computing
takes, and the moment of a decision is the one at which it would have fallen. What is not counted is the time of the
event loop itself (well under a millisecond a block). Steps run one at a time, so two engines never compete for the
processor, as they would on a board with a single core.
"""

import asyncio
import selectors
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ParamSpec, TypeVar

from edgevoice.flow.worker import Worker

P = ParamSpec("P")
T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Lets time pass instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits and nothing will ever happen")
            self.now += max(timeout, 0.0)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0 and jumps to the next thing to be done. Nothing may happen in other threads."""

    def __init__(self) -> None:
        self._simulated = _Selector()
        super().__init__(self._simulated)

    def time(self) -> float:
        return self._simulated.now


class Stopwatch:
    """How long the steps of each worker took.

    Args:
        clock: gives seconds; exchanged in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = defaultdict(float)
        """By worker: seconds of all its steps."""

    def measure(self, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        """What the function gives, and how many seconds it took."""
        begun = self._clock()
        try:
            result = function(*args, **kwargs)
        finally:
            taken = self._clock() - begun
            self.seconds[name] += taken
        return result, taken


class SimulatedWorker(Worker):
    """Does its steps at once, in the loop's own thread, and gives their results when they would have been ready.

    A step that is cancelled while it is queued is done all the same; recognition never queues a second one.
    """

    def __init__(self, name: str, watch: Stopwatch) -> None:
        super().__init__(name)  # whose thread begins with its first step, and so never
        self._watch = watch
        self._free = 0.0

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        now = asyncio.get_running_loop().time()
        result, taken = self._watch.measure(self.name, function, *args, **kwargs)
        self._free = max(self._free, now) + taken
        await asyncio.sleep(self._free - now)
        self._raise_failure()
        return result

    def post(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        self._guard(partial(function, *args, **kwargs))

    async def close(self) -> None:
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure


class MeasuredWorker(Worker):
    """A real worker, with its steps measured."""

    def __init__(self, name: str, watch: Stopwatch) -> None:
        super().__init__(name)
        self._watch = watch

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def measured() -> tuple[T, float]:
            return self._watch.measure(self.name, function, *args, **kwargs)

        result, _ = await super().call(measured)
        return result


def run(main: Coroutine[Any, Any, T], *, realtime: bool) -> T:
    """Run a coroutine to its end, on the machine's clock or on a simulated one."""
    with asyncio.Runner(loop_factory=None if realtime else SimulatedLoop) as runner:
        return runner.run(main)
