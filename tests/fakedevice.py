"""A microphone without hardware, and an event loop whose time passes only while everybody waits: hours of faults in
milliseconds, without a sleep."""

import asyncio
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import numpy as np

from edgevoice.audio.pcm import RATE, Audio, Int16
from edgevoice.audio.source import BLOCK
from edgevoice.errors import DeviceError

T = TypeVar("T")

Make = Callable[[int, int], Int16]
"""(start, length) -> samples."""


ENDS = EOFError()
"""Ends the stream, as a device does not."""

Plan = Iterable[tuple[float, Make | Exception | None]]
"""(seconds, what it gives); None: nothing for so long; an exception is raised, or ends it."""


_ROOM = np.random.default_rng(0).integers(-30, 30, 10 * RATE, dtype=np.int16)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())
        self._now = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def jump(timeout: float | None = None) -> Any:
            ready = select(0)
            if not ready:
                assert timeout is not None, "everybody waits, and nothing will ever happen"
                self._now += max(timeout, 0.0)
            return ready

        selector.select = jump

    def time(self) -> float:
        return self._now


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run``, in virtual time; without threads."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)


def noise(start: int, length: int) -> Int16:
    """What a quiet room gives."""
    return np.take(_ROOM, np.arange(start, start + length), mode="wrap")


def constant(value: int) -> Make:
    return lambda _start, length: np.full(length, value, np.int16)


class FakeDevice:
    """Gives what is written, at the pace of time, and then noise for ever.

    Args:
        drift: how much faster than time its clock is: 0.01 is 1 %.
        paced: let time pass; False gives everything at once.
    """

    lossless = False

    def __init__(
        self,
        plan: Plan = (),
        *,
        name: str = "fake",
        drift: float = 0.0,
        paced: bool = True,
    ) -> None:
        self.name = name
        self.eager = True
        self.closed = False
        self._plan = plan
        self._pace = BLOCK / RATE / (1 + drift) if paced else 0.0
        self._failure = asyncio.Event()

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        at = 0
        for seconds, make in [*self._plan, (1e9, noise)]:
            if isinstance(make, Exception):
                await self._sleep(seconds)
                if make is ENDS:
                    return
                raise make
            if make is None:
                await self._sleep(seconds)
                continue
            for _ in range(round(seconds * RATE / BLOCK)):
                await self._sleep(self._pace)
                yield Audio(make(at, BLOCK), start=at)
                at += BLOCK

    async def _sleep(self, seconds: float) -> None:
        if not self.closed:
            await asyncio.sleep(0)
            try:
                async with asyncio.timeout(seconds):
                    await self._failure.wait()
            except TimeoutError:
                return
        raise DeviceError("it was closed while it was being read", place="fake")

    async def close(self) -> None:
        self.closed = True
        self._failure.set()


class Cupboard:
    """Opens devices one after the other; an exception in their place is raised, and the last one stays."""

    def __init__(self, *devices: Callable[[], FakeDevice] | DeviceError) -> None:
        self._devices = list(devices)
        self.opened: list[FakeDevice] = []
        self.tries: list[float] = []
        """The loop's time at each try to open one."""

    async def __call__(self) -> FakeDevice:
        self.tries.append(asyncio.get_running_loop().time())
        assert all(device.closed for device in self.opened), "two devices are open"
        device = self._devices.pop(0) if len(self._devices) > 1 else self._devices[0]
        if isinstance(device, DeviceError):
            raise device
        self.opened.append(device())
        return self.opened[-1]
