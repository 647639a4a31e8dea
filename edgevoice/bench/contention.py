"""Whether the wake word and the voice activity detector keep up with the microphone while others take the processor.

Blocks come at the pace of a microphone; a deadline is missed when one is done later than the next one is due. As many
processes as there are cores compute without a pause, at the same priority.
"""

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

import msgspec

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.bench.conditions import Conditions
from edgevoice.bench.measure import Member, Spec, Start, Tell, metrics, series
from edgevoice.bench.process import Loaded, Outcome, Process, Ran, Served, uninterrupted
from edgevoice.bench.schema import Flag, Series, State
from edgevoice.bench.speech import Recording
from edgevoice.errors import EdgeVoiceError


@dataclass(frozen=True)
class Listening:
    """Makes the subject: engines that hear every block."""

    loads: tuple[Callable[[], Any], ...]
    part: Recording
    block: int

    def __call__(self) -> "ListeningSubject":
        return ListeningSubject([load() for load in self.loads], self.part, self.block)


class ListeningSubject:
    """
    Args:
        clock, wait: exchanged in tests.
    """

    def __init__(
        self,
        engines: Sequence[Any],
        part: Recording,
        block: int,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._engines = engines
        self._part = part
        self._block = block
        self._clock = clock
        self._wait = wait

    @property
    def inputs(self) -> Sequence[str]:
        return [self._part.name]

    def run(self, number: int) -> Outcome:
        """``chunk_ms``: from when a block is due to when all engines have heard it; ``missed_percent``: 100 for each
        that was done later than the next one was due."""
        samples, length = self._part.samples, self._block / RATE
        sessions = [engine.open() for engine in self._engines]
        values: dict[str, list[float]] = {"chunk_ms": [], "missed_percent": []}
        began = self._clock()
        for at in range(0, len(samples) - self._block + 1, self._block):
            audio = Audio(samples[at : at + self._block], start=at)
            due = began + audio.end / RATE
            if (early := due - self._clock()) > 0:
                self._wait(early)
            for session in sessions:
                session.feed(audio)
            late = self._clock() - due
            values["chunk_ms"].append(1000 * late)
            values["missed_percent"].append(100.0 if late > length else 0.0)
        for session in sessions:
            session.close()
        return Outcome(values, Audio(samples).seconds)

    def close(self) -> None:
        for engine in self._engines:
            engine.close()


def _burn() -> None:
    parent = os.getppid()
    while True:
        for _ in range(1_000_000):
            pass
        if os.getppid() != parent:  # who started it was killed
            return


@contextlib.contextmanager
def burning(count: int) -> Iterator[None]:
    """So many processes compute without a pause meanwhile."""
    context = multiprocessing.get_context("spawn")
    processes: list[BaseProcess] = [context.Process(target=_burn, daemon=True) for _ in range(count)]
    try:
        with uninterrupted():
            for process in processes:
                process.start()
        yield
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()


Burning = Callable[[int], contextlib.AbstractContextManager[None]]


class Contention:
    """Listens alone, then beside others; a series each.

    Args:
        spec: what listens, with ``variant`` left to this.
        busy: processes that take the processor.
    """

    def __init__(
        self, number: int, spec: Spec, busy: int, *, start: Start = Process, burning: Burning = burning
    ) -> None:
        self._number = number
        self._spec = spec
        self._busy = (0, busy)
        self._start = start
        self._burning = burning
        self._conditions = Conditions()
        self._served: Served | None = None
        self._loaded: Loaded | None = None
        self._ran: list[Ran] = []
        self._flags: list[tuple[Flag, ...]] = []
        self._state: State = "partial"
        self._why = "stopped"

    def run(self, tell: Tell) -> None:
        tell("contention: loading", 0.0)
        try:
            self._served = self._start(self._spec.load, "contention")
            self._loaded = self._served.load()
            for number, busy in enumerate(self._busy):
                tell(f"contention: {busy} busy processes", number / len(self._busy))
                with self._burning(busy):
                    self._listen(self._served)
            self._state, self._why = "measured", ""
        except EdgeVoiceError as error:
            self._state, self._why = "failed", str(error)

    def _listen(self, served: Served) -> None:
        self._conditions.begin()
        own = time.process_time()
        ran = served.run(0)
        self._conditions.sample()
        self._ran.append(ran)
        self._flags.append(self._conditions.flags(ran.cpu_s + time.process_time() - own))

    def series(self) -> list[Series]:
        found = []
        for number, busy in enumerate(self._busy):
            state = self._state if number >= len(self._ran) else "measured"
            made = series(self._spec, self._number, state, "" if state == "measured" else self._why)
            made = msgspec.structs.replace(made, variant=f"busy {busy}")
            if number < len(self._ran) and self._served is not None and self._loaded is not None:
                member = Member(
                    self._spec, self._served, self._loaded, [self._loaded.load_s], [], [[self._ran[number]]]
                )
                # What takes the processor is meant to; that something did is no news.
                flags = tuple(flag for flag in self._flags[number] if not busy or flag.kind != "background_load")
                made = msgspec.structs.replace(made, inputs=self._loaded.inputs, metrics=metrics(member), flags=flags)
            found.append(made)
        return found

    def close(self) -> None:
        if self._served is not None:
            self._served.close()
