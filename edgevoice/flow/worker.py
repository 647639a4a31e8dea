"""One FIFO thread per engine: the only bridge between the event loop and blocking work."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_END: Any = object()


class Caller(Protocol):
    """Runs what blocks."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...
    def post(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None: ...


class Inline:
    """Runs functions where they are called, for those who have all the time there is: an evaluation."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    def post(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        function(*args, **kwargs)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, as those do that call ``Inline``."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("it waits for something")


class Worker:
    """Runs functions one after the other in a thread of its own.

    Cancelling an ``await call(...)`` returns at once; a step in flight finishes in the thread, a step still queued is
    dropped. ``post`` is for what must happen in any case, such as closing a session: it is queued behind the step in
    flight and so runs before the next session's first step.

    Args:
        clock: seconds of a clock that never jumps.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self._since: float | None = None
        """When the step in flight began; written by the thread alone."""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._failure: Exception | None = None

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in the thread and wait for its result; what it raises is raised here."""
        result = await asyncio.wrap_future(self._executor.submit(self._step, partial(function, *args, **kwargs)))
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return result

    def post(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Queue a function whose result nobody waits for. If it fails, the next ``call`` or ``close`` raises that."""
        self._executor.submit(self._guard, partial(function, *args, **kwargs))

    def busy(self) -> float:
        """Seconds that the step in flight has been running; 0 when there is none."""
        since = self._since
        return 0.0 if since is None else self._clock() - since

    def _step(self, function: Callable[[], T]) -> T:
        self._since = self._clock()
        try:
            return function()
        finally:
            self._since = None

    def _guard(self, function: Callable[[], object]) -> None:
        try:
            self._step(function)
        except Exception as error:  # noqa: BLE001 - raised by the next call
            self._failure = error

    async def iterate(self, make: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
        """Run an iterator in the thread, step by step. Wrap in ``contextlib.aclosing``: it then ends in the thread
        even when the consumer was cancelled."""
        iterator = await self.call(make)
        try:
            while (item := await self.call(next, iterator, _END)) is not _END:
                yield item
        finally:
            if (close := getattr(iterator, "close", None)) is not None:
                self.post(close)

    async def close(self) -> None:
        """Wait until everything queued has run, then end the thread. Nothing queued is dropped."""
        await self.call(lambda: None)
        self._executor.shutdown(wait=True)
