"""Jobs of an evaluation, done in this process or by several on this machine.

What comes of a job follows from the job and what makes the worker, never from who does it or what was done before: so
any number of workers, here or elsewhere (``edgevoice.evaluate.cluster``), gives the same results.
"""

import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from edgevoice.errors import EngineError

J = TypeVar("J")
R = TypeVar("R")
J_contra = TypeVar("J_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Measured(Protocol):
    """What comes of a job."""

    @property
    def peak_mb(self) -> float:
        """Most memory so far of the process that did it."""


class Bench(Protocol[J_contra, R_co]):
    """Does jobs, in one process. It loads what it needs for its first job, so that what goes wrong is raised there."""

    def do(self, job: J_contra) -> R_co: ...


class Crew(Protocol):
    """Who does the jobs."""

    def run(self, make: Callable[[], Bench[J, R]], jobs: Sequence[J]) -> Iterator[tuple[int, R]]:
        """Do the jobs: give the number of each, and what came of it, as they are finished; each once.

        Args:
            make: gives what does them. Other processes must be able to import it by name.

        Raises:
            EdgeVoiceError: a job failed, or nobody is left to do it.
        """


@dataclass(frozen=True)
class Local:
    """Processes of this machine."""

    workers: int = 1
    """With 1 everything happens in this process."""

    def run(self, make: Callable[[], Bench[J, R]], jobs: Sequence[J]) -> Iterator[tuple[int, R]]:
        if self.workers == 1:
            bench = make()
            for number, job in enumerate(jobs):
                yield number, bench.do(job)
            return
        pool = ProcessPoolExecutor(
            min(self.workers, max(len(jobs), 1)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(make,),
        )
        try:
            numbers = {pool.submit(_do, job): number for number, job in enumerate(jobs)}
            for future in as_completed(numbers):
                yield numbers[future], future.result()
        except BrokenProcessPool as error:
            raise EngineError(
                "a worker process was killed", remedy="it may have been too much memory: try fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_bench: list[Bench[Any, Any]] = []
"""Of a worker process: exactly one."""


def _start(make: Callable[[], Bench[Any, Any]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which lets us finish the job at hand
    logging.basicConfig(level=logging.ERROR)  # the parent has shown the warnings about the grammar
    _bench.append(make())


def _do(job: Any) -> Any:
    return _bench[0].do(job)
