"""Starts the process that measures a model, and takes back what it found.

A process of its own, because a model that was just changed may take everything down with it, and because the most
memory that a process had cannot be reset. ``edgevoice.quantize.probe`` is what runs in it.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import msgspec

from edgevoice import errors
from edgevoice.engines import registry
from edgevoice.errors import EdgeVoiceError, EngineError
from edgevoice.modelfiles import Progress, Silent
from edgevoice.quantize.metric import Measurement, Task


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured; paths are absolute."""

    task: Task
    engine: str
    model: str
    manifest: str
    limit: int | None = None
    options: dict[str, Any] = {}
    reference: str | None = None
    grammars: tuple[str, ...] = ()
    alarms_per_hour: float = 0.5


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An error of edgevoice's own that ended the measurement."""

    kind: str
    cause: str
    place: str
    remedy: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What the process says, one JSON line each."""

    done: int = 0
    total: int = 0
    result: Measurement | None = None
    failure: Failure | None = None


def default_engine(task: Task) -> str:
    return registry.names("asr" if task == "intents" else task)[0]


def run(job: Job, progress: Progress | None = None) -> Measurement:
    """Measure in a new process.

    Raises:
        EdgeVoiceError: what the measurement raised. EngineError: the process died.
    """
    progress = progress or Silent()
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgevoice.quantize.probe", str(writing)],
            stdin=subprocess.PIPE,
            stdout=complaints,
            stderr=complaints,
            pass_fds=(writing,),
        )
        os.close(writing)
        result = None
        try:
            assert process.stdin is not None
            with process.stdin:
                process.stdin.write(msgspec.json.encode(job))
            for message in _messages(reading):
                if message.failure is not None:
                    raise _error(message.failure)
                if message.result is not None:
                    result = message.result
                else:
                    progress.advance(message.done, message.total)
            code = process.wait()
        finally:
            process.kill()
            process.wait()
        if result is None:
            complaints.seek(0)
            raise _death(job, code, complaints.read())
    return result


def _messages(reading: int) -> Iterator[Message]:
    with open(reading, "rb") as lines:
        for line in lines:
            yield msgspec.json.decode(line, type=Message)


def _error(failure: Failure) -> EdgeVoiceError:
    kind: type[EdgeVoiceError] = getattr(errors, failure.kind)
    return kind(failure.cause, place=failure.place, remedy=failure.remedy)


def _death(job: Job, code: int, complaints: bytes) -> EngineError:
    lines = [line for line in complaints.decode("utf-8", "replace").splitlines() if line.strip()]
    last = f": {lines[-1].strip():.300}" if lines else ""
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return EngineError(
        f"the process that measured it {how}{last}",
        place=job.model,
        remedy="the machine may have run out of memory" if code == -signal.SIGKILL else "",
    )
