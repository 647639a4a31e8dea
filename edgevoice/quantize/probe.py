"""The process that measures one model: ``python -m edgevoice.quantize.probe FD``, a job as JSON on its input.

What it has to say goes as JSON lines to the file descriptor FD, where no library writes. See ``probing``.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from edgevoice.errors import EdgeVoiceError, GateError
from edgevoice.modelfiles import model_files
from edgevoice.quantize.findings import Findings, Tell
from edgevoice.quantize.metric import Measurement, Task, metric
from edgevoice.quantize.probing import Failure, Job, Message


def measure(job: Job, tell: Tell) -> Measurement:
    """Do the job, here and now.

    Args:
        tell: is called with the number of recordings that are done, and of all.

    Raises:
        EdgeVoiceError: see ``edgevoice.quantize.gate.measure``.
    """
    found = _probe(job.task)(job, tell)
    try:
        metrics = tuple(
            metric(each.name, each.parts, unit=each.unit, lower_is_better=each.lower) for each in found.figures
        )
    except ValueError as error:
        raise GateError(
            f"no metric, no publication: {error}", place=job.manifest, remedy="give other, or more, recordings"
        ) from error
    p50, p95 = np.percentile(found.latencies_ms, [50, 95]) if found.latencies_ms else (0.0, 0.0)
    return Measurement(
        task=job.task,
        engine=job.engine,
        metrics=metrics,
        parts={each.name: each.parts for each in found.figures},
        samples=found.samples,
        size=sum(spec.size for spec in model_files(Path(job.model)).values()),
        load_ms=round(found.load_ms, 3),
        rss_mb=round(found.rss_mb, 1),
        latency_of=found.latency_of,
        latency_p50_ms=round(float(p50), 3),
        latency_p95_ms=round(float(p95), 3),
    )


def _probe(task: Task) -> Callable[[Job, Tell], Findings]:
    # Only now: each brings engines that the others do not need, and that would count as memory.
    match task:
        case "asr":
            from edgevoice.quantize.probe_asr import probe
        case "intents":
            from edgevoice.quantize.probe_intents import probe
        case "wake":
            from edgevoice.quantize.probe_wake import probe
        case "vad":
            from edgevoice.quantize.probe_vad import probe
        case "tts":
            from edgevoice.quantize.probe_tts import probe
    return probe


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us.
    with os.fdopen(int(arguments[0]), "wb", buffering=0) as out:
        job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
        try:
            message = Message(result=measure(job, lambda done, total: _send(out, Message(done=done, total=total))))
        except EdgeVoiceError as error:
            failure = Failure(kind=type(error).__name__, cause=error.cause, place=error.place, remedy=error.remedy)
            message = Message(failure=failure)
        _send(out, message)
    return 0


def _send(out: BinaryIO, message: Message) -> None:
    # A pipe takes a long line in parts.
    left = memoryview(msgspec.json.encode(message) + b"\n")
    while left:
        left = left[out.write(left) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
