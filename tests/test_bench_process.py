"""A subject in a process of its own: really started, with what fails there told here."""

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgevoice.bench import process as processes
from edgevoice.bench.contention import burning
from edgevoice.bench.process import Outcome, Process
from edgevoice.bench.procfs import counters, cpu_seconds, resident, usage
from edgevoice.errors import EngineError, ModelError


@dataclass(frozen=True)
class Sample:
    fail: str = ""

    def __call__(self) -> "SampleSubject":
        if self.fail == "load":
            raise ModelError("it is not there", place="model x", remedy="fetch it")
        if self.fail == "defect":
            raise ValueError("seven is no number")
        if self.fail == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return SampleSubject()


class SampleSubject:
    inputs: Sequence[str] = ("fine", "error", "death")

    def __init__(self) -> None:
        self._kept = b""

    def run(self, number: int) -> Outcome:
        if number == 1:
            raise EngineError("it did not work", place="here")
        if number == 2:
            os._exit(3)
        if number == 3:
            threading.Event().wait()
        self._kept = bytes(range(256)) * 80_000  # 20 MB
        return Outcome({"first_ms": [float(os.getpid())]}, 1.5, "text")

    def close(self) -> None: ...


def test_what_it_gives_and_what_it_took() -> None:
    process = Process(Sample(), "sample")
    try:
        loaded = process.load()
        assert loaded.inputs == ("fine", "error", "death")
        assert loaded.pid != os.getpid()
        ran = process.run(0)
        assert (ran.outcome.audio_s, ran.outcome.text) == (1.5, "text")
        assert ran.outcome.values == {"first_ms": [float(loaded.pid)]}
        assert ran.wall_s > 0
        with pytest.raises(EngineError, match="it did not work"):
            process.run(1)
        took = process.usage()
        assert took.loaded_mb >= (took.bare_mb or 0.0) > 5
        assert took.peak_mb >= took.loaded_mb + 15
        assert took.minor_faults > 1000
        assert took.threads >= 1
        assert resident(loaded.pid) is not None
    finally:
        process.close()
    assert resident(loaded.pid) is None


def test_a_process_that_dies_is_no_riddle() -> None:
    process = Process(Sample(), "sample")
    process.load()
    with pytest.raises(EngineError, match="its process ended with code 3") as caught:
        process.run(2)
    assert caught.value.place == "sample"
    with pytest.raises(EngineError, match="ended with code 3"):
        process.usage()
    process.close()
    killed = Process(Sample("kill"), "sample")
    with pytest.raises(EngineError, match="its process ended by signal 9"):
        killed.load()
    killed.close()


def test_ctrl_c_is_not_for_it() -> None:
    process = Process(Sample(), "sample")
    before = signal.getsignal(signal.SIGINT)
    pid = process.load().pid
    os.kill(pid, signal.SIGINT)
    assert process.run(0).outcome.text == "text"
    assert signal.getsignal(signal.SIGINT) is before
    process.close()


def test_errors_of_loading_arrive(capfd: pytest.CaptureFixture[str]) -> None:
    process = Process(Sample("load"), "sample")
    with pytest.raises(ModelError) as caught:
        process.load()
    assert str(caught.value) == "model x: it is not there; fetch it"
    process.close()
    defect = Process(Sample("defect"), "sample")
    with pytest.raises(EngineError, match="ValueError: seven is no number"):
        defect.load()
    defect.close()
    assert "Traceback" in capfd.readouterr().err  # for who has to mend it


def test_busy_processes_are_busy_and_go() -> None:
    before = children()
    with burning(2):
        burners = children() - before
        while not any(cpu_seconds(burner) > 0.05 for burner in burners):
            pass
    assert len(burners) >= 2
    assert not any(child in burners and cpu_seconds(child) > 0.05 for child in children())


def children() -> set[int]:
    tasks = Path("/proc/self/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text("ascii").split()}


def test_processor_time_grows_with_work() -> None:
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) <= before:
        pass
    with pytest.raises(ProcessLookupError):
        cpu_seconds(2**22 + 1)


def test_what_another_process_took() -> None:
    pid = os.getpid()
    before = counters(pid)
    sum(range(2_000_000))
    after = counters(pid)
    took = usage(before, after, pid, 10.0, 1.0, None)
    assert took.threads >= 1
    assert took.peak_mb > 10
    assert took.bare_mb is None
    with pytest.raises(ProcessLookupError):
        counters(2**22 + 1)


def test_one_that_hangs_is_not_waited_for_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.01)
    process = Process(Sample(), "sample")
    try:
        process.load()
        process._ask(3)  # what Ctrl-C leaves behind: asked, and no answer read
        with pytest.raises(EngineError, match="sample: it did not answer"):
            process.usage()
    finally:
        process.close()
