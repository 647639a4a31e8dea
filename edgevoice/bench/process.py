"""What is measured runs in a process of its own, which does what comes through a pipe: its memory is its own, and it
takes no time while others are measured."""

import contextlib
import multiprocessing
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol

from edgevoice.bench.procfs import status, unshared
from edgevoice.bench.schema import Usage
from edgevoice.errors import EdgeVoiceError, EngineError

_PATIENCE = 5.0
"""Seconds that a process may take to end after it was told to, or to finish what was interrupted; an engine's own
threads may hang."""


@dataclass(frozen=True)
class Outcome:
    """What came of one input."""

    values: dict[str, list[float]]
    """By name of the metric."""
    audio_s: float
    """Length of what was heard or spoken; 0 where it has none."""
    text: str = ""
    """What was understood."""


class Subject(Protocol):
    """Something to be measured, with all its inputs."""

    @property
    def inputs(self) -> Sequence[str]: ...

    def run(self, number: int) -> Outcome: ...

    def close(self) -> None: ...


Load = Callable[[], Subject]
"""Makes a subject in the new process; it must be possible to pickle it."""


@dataclass(frozen=True)
class Loaded:
    pid: int
    load_s: float
    """Imports of the engine's packages included."""
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Ran:
    outcome: Outcome
    wall_s: float
    cpu_s: float
    """Of all threads."""


@dataclass
class _Counters:
    """What the system has counted for this process."""

    wall_s: float = 0.0
    usage: resource.struct_rusage = field(default_factory=lambda: resource.getrusage(resource.RUSAGE_SELF))


class Served(Protocol):
    """A subject wherever it runs; ``Process`` is the real one."""

    def load(self) -> Loaded: ...
    def run(self, number: int) -> Ran: ...
    def usage(self) -> Usage: ...
    def close(self) -> None: ...


class Process:
    """A subject in a process of its own."""

    def __init__(self, load: Load, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._name = name
        self._child = context.Process(target=serve, args=(theirs, load), name=name, daemon=True)
        with uninterrupted():
            self._child.start()
        theirs.close()  # so that its end is noticed here
        self._waiting = 1  # answers that are to come: the first one says that it is loaded

    def load(self) -> Loaded:
        """Wait until it is loaded.

        Raises:
            EdgeVoiceError: it could not be.
        """
        answer: Loaded = self._answer()
        return answer

    def run(self, number: int) -> Ran:
        """
        Raises:
            EdgeVoiceError: it failed, or the process was killed.
        """
        self._ask(number)
        answer: Ran = self._answer()
        return answer

    def usage(self) -> Usage:
        """What it took since it was loaded. A run that was interrupted here is waited for, but not for long.

        Raises:
            EdgeVoiceError: it was killed, or does not answer.
        """
        while self._waiting:
            self._expect()
            with contextlib.suppress(EdgeVoiceError):
                self._answer()
        self._ask("usage")
        self._expect()
        answer: Usage = self._answer()
        return answer

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._pipe.close()
        self._child.join(0.0 if self._waiting else _PATIENCE)
        if self._child.is_alive():
            self._child.kill()
            self._child.join()

    def _ask(self, what: int | str) -> None:
        self._waiting += 1  # first: what is interrupted in between must not leave an answer unread
        try:
            self._pipe.send(what)
        except OSError:
            self._waiting = 0
            raise self._killed() from None

    def _expect(self) -> None:
        if not self._pipe.poll(_PATIENCE):
            raise EngineError(f"it did not answer within {_PATIENCE:g} seconds", place=self._name)

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._waiting = 0
            raise self._killed() from None
        self._waiting -= 1
        if isinstance(answer, EdgeVoiceError):
            raise answer
        return answer

    def _killed(self) -> EngineError:
        self._child.join(_PATIENCE)
        code = self._child.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
        return EngineError(
            f"its process ended {how}", place=self._name, remedy="it may have been too much memory: see dmesg"
        )


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Processes that are started in here let Ctrl-C be: it is for us, who ask them for what was measured."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which they inherit, from their first moment on
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def serve(pipe: Connection, load: Load) -> None:
    """In the child: load, then run the inputs whose numbers come, until nothing more does."""
    bare = status()["VmRSS"]
    began = time.perf_counter()
    try:
        subject = load()
    except Exception as error:  # noqa: BLE001 - the parent is told
        pipe.send(_told(error))
        return
    taken = time.perf_counter() - began
    loaded, start = status()["VmRSS"], _Counters()
    pipe.send(Loaded(multiprocessing.current_process().pid or 0, taken, tuple(subject.inputs)))
    with contextlib.suppress(EOFError, BrokenPipeError):
        while (request := pipe.recv()) is not None:
            pipe.send(_usage(start, bare, loaded) if request == "usage" else _run(subject, request, start))
    subject.close()


def _run(subject: Subject, number: int, counters: _Counters) -> Ran | EdgeVoiceError:
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        outcome = subject.run(number)
    except Exception as error:  # noqa: BLE001 - the parent is told
        return _told(error)
    taken = time.perf_counter() - wall
    counters.wall_s += taken
    return Ran(outcome, taken, time.process_time() - cpu)


def _told(error: Exception) -> EdgeVoiceError:
    if isinstance(error, EdgeVoiceError):
        return error
    traceback.print_exc(file=sys.stderr)
    return EngineError(f"{type(error).__name__}: {str(error).strip() or 'no reason given'}")


def _usage(start: _Counters, bare: float, loaded: float) -> Usage:
    now, then, sizes = resource.getrusage(resource.RUSAGE_SELF), start.usage, status()
    return Usage(
        wall_s=round(start.wall_s, 3),
        cpu_user_s=round(now.ru_utime - then.ru_utime, 3),
        cpu_system_s=round(now.ru_stime - then.ru_stime, 3),
        minor_faults=now.ru_minflt - then.ru_minflt,
        major_faults=now.ru_majflt - then.ru_majflt,
        voluntary_switches=now.ru_nvcsw - then.ru_nvcsw,
        involuntary_switches=now.ru_nivcsw - then.ru_nivcsw,
        bare_mb=bare,
        loaded_mb=loaded,
        peak_mb=sizes["VmHWM"],
        unshared_mb=unshared(),
        threads=int(sizes["Threads"]),
        energy_j=None,
    )
