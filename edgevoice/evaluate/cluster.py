"""Jobs of an evaluation, done by a Dask cluster: by other machines, or by a fleet of boards.

Recordings are not sent, they are read by every worker under the path they have here (a shared folder, or copies).
Before the first job every worker is asked whether it has them, and the same edgevoice and models; one that joins later
is asked before its first job. A job whose worker dies is done again by another, and a result counts once.
"""

import contextlib
import hashlib
import importlib
import itertools
import logging
import queue
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from edgevoice.engines.registry import require
from edgevoice.errors import ConfigError, EdgeVoiceError, EngineError
from edgevoice.evaluate import machine
from edgevoice.evaluate.work import Bench

J = TypeVar("J")
R = TypeVar("R")
K = TypeVar("K")

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
"""How long a scheduler may take to answer: it does in milliseconds, or over a bad network in a second."""
LOOK_SECONDS = 5.0
"""How often it is looked whether there are workers while no result comes."""
PATIENCE_SECONDS = 120.0
"""How long it is waited for a worker while there is none: a board boots in less."""
HEAD = 1 << 16
"""Bytes of a file that are compared besides its size: to read all of a corpus on every worker would take as long as
the work."""
_SHOWN = 5
"""Problems of a worker that are named."""

Identity = Mapping[str, str]
"""What results depend on, by name."""


def identity(config: Any, tasks: Sequence[str]) -> Identity:
    """Of this process: its edgevoice, and the models that a configuration needs for these tasks.

    Raises:
        ModelError: a model is not there.
    """
    from edgevoice import __version__
    from edgevoice.modelstore import ModelStore

    store, found = ModelStore(), {"edgevoice": f"{__version__}, source {_SOURCE}"}
    for task in tasks:
        options = getattr(config, task).chosen
        for name in (*getattr(options, "models", ()), *([options.model] if hasattr(options, "model") else ())):
            found[f"model {name}"] = _digest(store.path(name))
    return found


def _digest(*paths: Path, root: Path | None = None) -> str:
    """Of files and of all files in folders: their names and contents."""
    hashed = hashlib.sha256()
    for path in paths:
        for file in sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]:
            # What a store writes beside a model tells when it was looked at, not what it is.
            if file.name.startswith("edgevoice-"):
                continue
            hashed.update(str(file.relative_to(root or (path if path.is_dir() else path.parent))).encode() + b"\0")
            with file.open("rb") as stream:
                hashed.update(hashlib.file_digest(stream, "sha256").digest())
    return hashed.hexdigest()[:12]


_ROOT = Path(__file__).parents[1]
_SOURCE = _digest(*sorted(_ROOT.rglob("*.py")), root=_ROOT)
"""Taken when this is imported: a worker that has run for long still has the code it began with, whatever lies on its
disk by now."""


@dataclass(frozen=True)
class Needs:
    """What a worker must have."""

    identify: Callable[[], Identity]
    identity: Identity
    files: tuple[tuple[Path, int, bytes], ...]
    """Path, bytes, digest of the beginning."""
    packages: Mapping[str, str]

    @classmethod
    def here(cls, identify: Callable[[], Identity], files: Sequence[Path]) -> "Needs":
        return cls(identify, identify(), tuple((path, *_head(path)) for path in files), machine.versions())

    def missing(self) -> list[str]:
        """What this process lacks, in words."""
        try:
            mine = self.identify()
        except EdgeVoiceError as error:
            return [str(error)]
        found = [
            f"{name} is {mine.get(name, 'not there')}, here it is {wanted}"
            for name, wanted in self.identity.items()
            if mine.get(name) != wanted
        ]
        for path, size, head in self.files:
            try:
                if _head(path) != (size, head):
                    found.append(f"{path}: it is another file there")
            except OSError as error:
                found.append(f"{path}: it cannot be read there: {error.strerror}")
        return found

    def other(self) -> list[str]:
        """Packages of other versions than here, in words."""
        mine = machine.versions()
        return [
            f"{name} {mine.get(name, 'missing')} (here {wanted})"
            for name, wanted in self.packages.items()
            if name != "edgevoice" and mine.get(name) != wanted
        ]


def _head(path: Path) -> tuple[int, bytes]:
    with path.open("rb") as stream:
        return path.stat().st_size, hashlib.blake2b(stream.read(HEAD), digest_size=16).digest()


# On a worker ---------------------------------------------------------------------------------------------------

_busy = threading.Lock()
"""A worker with several threads does one job at a time all the same: engines and times are a process's own."""
_benches: dict[str, Bench[Any, Any]] = {}
"""That of the last run."""


def _inspect(needs: Needs) -> tuple[list[str], list[str]]:
    return needs.missing(), needs.other()


def _needs(needs: Needs) -> Needs:
    return needs


def _do(job: Any, run: str, make: Callable[[], Bench[Any, Any]], needs: Needs) -> Any:
    with _busy:
        if run not in _benches:
            if missing := needs.missing():
                raise ConfigError(_listed(missing), place=f"worker {_address()}")
            _benches.clear()
            _benches[run] = make()
        return _benches[run].do(job)


def _address() -> str:
    return str(importlib.import_module("distributed").get_worker().address)


def _put(finished: "queue.SimpleQueue[Any]", key: Any, _: Any) -> None:
    finished.put(key)


def _listed(problems: Sequence[str]) -> str:
    more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return ", ".join(problems[:_SHOWN]) + more


# Here ----------------------------------------------------------------------------------------------------------


class Cluster:
    """The workers of a Dask scheduler.

    Args:
        address: ``tcp://host:port``.
        identify: what results depend on; other processes must be able to import it by name.
        files: absolute paths of what is read.
        patience: seconds without any worker after which it is given up.
    """

    def __init__(
        self,
        address: str,
        identify: Callable[[], Identity],
        files: Sequence[Path],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._place = f"option --scheduler {address}"
        if not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d+", address):
            raise ConfigError("it is no address", place=self._place, remedy="for example: tcp://192.168.1.10:8786")
        self._address = address
        self._identify = identify
        self._files = files
        self._patience = patience

    def run(self, make: Callable[[], Bench[J, R]], jobs: Sequence[J]) -> Iterator[tuple[int, R]]:
        """See ``Crew.run``.

        Raises:
            EngineMissingError: Dask is not installed. ConfigError: there is no scheduler, or a worker lacks something.
            EngineError: the scheduler or all workers have gone, or a job killed every worker that took it.
        """
        distributed = require("distributed", extra="dask")
        # What it would tell, with tracebacks, comes as errors of ours.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        needs = Needs.here(self._identify, self._files)
        try:
            client = distributed.Client(self._address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"no Dask scheduler answers: {error}", place=self._place, remedy="start one with: dask scheduler"
            ) from error
        run = uuid.uuid4().hex
        try:
            with self._failures(distributed):
                self._inspect(client, needs, run)
                yield from self._results(client, run, make, needs, jobs)
        finally:
            # It cannot be undone any more, and an error on the way out must not hide the one that led here.
            with contextlib.suppress(OSError, TimeoutError):
                client.close(timeout=CONNECT_SECONDS)

    def _results(
        self, client: Any, run: str, make: Callable[[], Bench[J, R]], needs: Needs, jobs: Sequence[J]
    ) -> Iterator[tuple[int, R]]:
        # As a task and not as data: should the worker that holds it die, it is made again.
        shared = client.submit(_needs, needs, key=f"{run}-needs", pure=False)
        futures = client.map(
            _do, jobs, key=[f"{run}-{number}" for number in range(len(jobs))], pure=False,
            run=run, make=make, needs=shared,
        )  # fmt: skip
        try:
            for number, future in self._finished(client, dict(enumerate(futures))):
                yield number, self._result(client, future)
                futures[number] = None  # so that the cluster may forget it
        finally:
            with contextlib.suppress(OSError, TimeoutError):
                client.cancel([future for future in futures if future is not None], force=True)

    def _inspect(self, client: Any, needs: Needs, run: str) -> None:
        """
        Raises:
            ConfigError: with everything that any worker lacks.
        """
        self._wait_for_workers(client)
        futures = {
            address: client.submit(
                _inspect, needs, key=f"{run}-inspect-{number}", pure=False, workers=[address], allow_other_workers=False
            )
            for number, address in enumerate(sorted(client.nthreads()))
        }
        problems: list[str] = []
        other: dict[str, list[str]] = {}
        for address, future in self._finished(client, futures, bound=True):
            try:
                missing, packages = future.result()
            except ModuleNotFoundError as error:
                missing, packages = [f"edgevoice, or a part of it, is not installed there: {error}"], []
            problems += [f"worker {address}: {each}" for each in missing[:_SHOWN]]
            if len(missing) > _SHOWN:
                problems.append(f"worker {address}: and {len(missing) - _SHOWN} more")
            if packages:
                other[address] = packages
        for address, packages in sorted(other.items()):
            log.warning("worker %s has %s: results may differ in the last digits", address, ", ".join(packages))
        if problems:
            raise ConfigError(
                "not every worker can do the work\n" + "\n".join(problems),
                place=self._place,
                remedy="install the same edgevoice and models there and start it again; give files the same paths",
            )

    def _wait_for_workers(self, client: Any) -> None:
        if not client.nthreads():
            log.warning("%s has no worker yet; waiting for one", self._address)
        for _ in self._waiting(client):
            if client.nthreads():
                return
            with contextlib.suppress(TimeoutError):
                client.wait_for_workers(1, timeout=min(LOOK_SECONDS, self._patience))

    def _finished(self, client: Any, futures: Mapping[K, Any], *, bound: bool = False) -> Iterator[tuple[K, Any]]:
        """Each future once, with its key, as soon as it is finished or has failed.

        Args:
            bound: the keys are addresses, and what only that worker can do is left out when the worker has gone.
        """
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for key, future in futures.items():
            future.add_done_callback(partial(_put, finished, key))
        left = dict(futures)
        waiting = self._waiting(client)
        while left:
            try:
                key = finished.get(timeout=min(LOOK_SECONDS, self._patience))
            except queue.Empty:
                next(waiting)
                if bound:
                    there = client.nthreads()
                    left = {key: future for key, future in left.items() if key in there}
                continue
            waiting = self._waiting(client)
            if (future := left.pop(key, None)) is not None:
                yield key, future

    def _waiting(self, client: Any) -> Iterator[None]:
        """Goes on for as long as there is hope.

        Raises:
            EngineError: there has been no worker for too long.
        """
        looks = max(round(self._patience / LOOK_SECONDS), 1)
        without = 0
        for _ in itertools.count():
            without = 0 if client.nthreads() else without + 1
            if without > looks:
                raise EngineError(
                    "there is no worker", place=self._place, remedy="start some with: dask worker ADDRESS"
                )
            yield

    def _result(self, client: Any, future: Any) -> Any:
        """A worker may die between the end of a job and now: then this waits until it has been done again."""
        waiting = self._waiting(client)
        while True:
            try:
                return future.result(timeout=LOOK_SECONDS)
            except TimeoutError:
                next(waiting)

    @contextlib.contextmanager
    def _failures(self, distributed: Any) -> Iterator[None]:
        """Turns what Dask raises into errors of ours."""

        try:
            yield
        except distributed.KilledWorker as error:
            raise EngineError(
                f"one recording killed every worker that took it, {error.last_worker.address} the last",
                place=self._place,
                remedy="it may have been too much memory",
            ) from error
        except ModuleNotFoundError as error:
            raise ConfigError(f"a worker lacks a package: {error}", place=self._place) from error
        except (
            distributed.CancelledError,
            distributed.comm.CommClosedError,
            distributed.client.FutureCancelledError,
        ) as error:
            raise EngineError("the scheduler does not answer any more", place=self._place) from error
