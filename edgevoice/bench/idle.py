"""The daemon while nobody speaks: its share of a core, and its memory.

It is ``edgevoice run`` in a process of its own, at the microphone where there is one; else quiet noise comes through a
pipe at the pace of a microphone, and what the sound system would take is not in the figure.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from edgevoice.audio.pcm import RATE
from edgevoice.audio.source import BATCH
from edgevoice.bench import stats
from edgevoice.bench.conditions import Conditions
from edgevoice.bench.measure import Tell
from edgevoice.bench.moments import Moments
from edgevoice.bench.procfs import counters, resident, usage
from edgevoice.bench.schema import Series, State, Usage
from edgevoice.bench.speech import noise
from edgevoice.errors import EngineError
from edgevoice.modelstore import ModelStore

SETTLE = 5.0
"""Seconds after it listens before measuring begins."""
INTERVALS = 20
"""Points of a run, each at least a second long."""
_PATIENCE = 120.0
"""Seconds in which it must have loaded: far beyond what a slow board takes."""
_STOP = 10.0


class Daemon(Protocol):
    """What is measured."""

    pid: int
    live: bool

    def wait_until_it_listens(self) -> None: ...
    def stop(self) -> None: ...


class RealDaemon:
    """``edgevoice run`` with these arguments.

    Args:
        live: at the microphone; otherwise it is fed.
    """

    def __init__(self, arguments: Sequence[str], *, live: bool) -> None:
        self.live = live
        self._folder = tempfile.TemporaryDirectory()
        reply = Path(self._folder.name) / "reply.wav"
        command = [sys.executable, "-m", "edgevoice", "run", "--json", "--output", str(reply), *arguments]
        self._process = subprocess.Popen(
            command if live else [*command, "--input", "-"],
            stdin=subprocess.DEVNULL if live else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us
            env=_apart(self._folder.name),
        )
        self.pid = self._process.pid
        self._listening = threading.Event()
        self._ending = threading.Event()
        self._complaints = b""
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._complain)]
        if not live:
            self._threads.append(threading.Thread(target=self._feed))
        for thread in self._threads:
            thread.start()

    def wait_until_it_listens(self) -> None:
        """
        Raises:
            EngineError: it ended, or does not listen.
        """
        if not self._listening.wait(_PATIENCE) or self._process.poll() is not None:
            said = self._complaints.decode(errors="replace").strip().splitlines()
            why = said[-1].removeprefix("edgevoice: error: ") if said else "it said nothing"
            raise EngineError(f"it does not listen: {why}", place="edgevoice run")

    def stop(self) -> None:
        self._ending.set()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._folder.cleanup()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if b'"listening"' in line:
                self._listening.set()
        self._listening.set()  # it has ended: nobody need wait

    def _complain(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._complaints += line

    def _feed(self) -> None:
        """As much at a time as a microphone gathers while only a wake word is waited for, each when it is due."""
        assert self._process.stdin is not None
        block = noise(BATCH / RATE).tobytes()
        began, sent = time.monotonic(), 0
        with contextlib.suppress(OSError):
            while not self._ending.wait(max(began + sent * BATCH / RATE - time.monotonic(), 0.0)):
                self._process.stdin.write(block)
                self._process.stdin.flush()
                sent += 1


def _apart(folder: str) -> dict[str, str]:
    """The environment, with the same models, but without what would mix it up with a service that runs here."""
    found = {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    return found | {
        "EDGEVOICE_MODELS": str(ModelStore().root),
        "RUNTIME_DIRECTORY": folder,
        "STATE_DIRECTORY": folder,
    }


class Idle:
    """One run of the daemon.

    Args:
        daemon: starts it.
        seconds: how long it is looked at.
    """

    def __init__(
        self,
        number: int,
        daemon: Callable[[], Daemon],
        seconds: float,
        *,
        engine: str,
        model: str,
        threads: int = 1,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._number = number
        self._start = daemon
        self._seconds = seconds
        self._labels: dict[str, Any] = {"engine": engine, "model": model, "threads": threads}
        self._clock = clock
        self._wait = wait
        self._conditions = Conditions()
        self._daemon: Daemon | None = None
        self._moments: Moments | None = None
        self._usage: Usage | None = None
        self._state: State = "partial"
        self._why = "stopped"

    def run(self, tell: Tell) -> None:
        tell("idle: loading", 0.0)
        try:
            self._daemon = self._start()
            self._daemon.wait_until_it_listens()
            loaded = resident(self._daemon.pid) or 0.0
            self._wait(SETTLE)
            self._look(self._daemon.pid, loaded, tell)
        except (EngineError, ProcessLookupError) as error:
            self._state, self._why = ("partial" if self._moments and self._moments.points else "failed"), str(error)

    def _look(self, pid: int, loaded: float, tell: Tell) -> None:
        self._conditions.begin()
        own = time.process_time()
        before, energy = counters(pid), self._conditions.energy.joules()
        self._moments = moments = Moments(pid, self._conditions, self._clock)
        step = max(self._seconds / INTERVALS, 1.0)
        with self._conditions.reading_power():
            while moments.seconds < self._seconds:
                self._wait(min(step, max(self._seconds - moments.seconds, 0.1)))
                moments.point()
                tell("idle", min(moments.seconds / self._seconds, 1.0))
        after, spent = counters(pid), self._conditions.energy.joules()
        joules = None if energy is None or spent is None else spent - energy
        taken = after["cpu_user_s"] + after["cpu_system_s"] - before["cpu_user_s"] - before["cpu_system_s"]
        self._flags = self._conditions.flags(taken + time.process_time() - own)
        self._usage = usage(before, after, pid, loaded, moments.seconds, joules)
        self._state, self._why = "measured", ""

    def series(self) -> list[Series]:
        points = self._moments.points if self._moments is not None else []
        shares = [point.cpu_percent for point in points if point.cpu_percent is not None]
        live = self._daemon is not None and self._daemon.live
        return [
            Series(
                kind="idle",
                task="idle",
                variant="microphone" if live else "pipe",
                state=self._state,
                why=self._why,
                group=self._number,
                metrics={"cpu_percent": stats.metric("cpu_percent", shares)} if shares else {},
                usage=self._usage,
                points=tuple(points),
                flags=getattr(self, "_flags", ()),
                **self._labels,
            )
        ]

    def close(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()
