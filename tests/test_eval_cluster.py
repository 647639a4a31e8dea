"""Evaluation on a Dask cluster: a real scheduler and real workers, as processes on the loopback."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import soundfile
from fakes import FakeAsr, FakeVad, perform

from edgevoice.config import Config
from edgevoice.config import load as load_config
from edgevoice.errors import AudioFormatError, ConfigError, EngineError
from edgevoice.evaluate import cluster, intents
from edgevoice.evaluate.cluster import Cluster, Needs
from edgevoice.evaluate.intents import Done
from edgevoice.evaluate.listening import Ears
from edgevoice.evaluate.manifest import Item
from edgevoice.evaluate.work import Local
from edgevoice.flow.worker import Worker
from edgevoice.parts import load_skills

pytest.importorskip("distributed", reason="the extra 'dask' is not installed")

HERE = Path(__file__).parent
MODEL = "EDGEVOICE_TEST_IDENTITY"


def same() -> dict[str, str]:
    """What results depend on; a worker with another environment says something else."""
    return {"model ears": os.environ.get(MODEL, "1")}


def start(stack: ExitStack, *arguments: str, until: str, **environment: str) -> str:
    """A process of the cluster that lives as long as the stack; gives the line that says it is ready."""
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment},
    )
    stack.callback(end, process)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if until in line:
            return line
    raise AssertionError("".join(said))


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


@dataclass(frozen=True)
class Machines:
    stack: ExitStack
    address: str

    def worker(self, **environment: str) -> None:
        start(
            self.stack, "distributed.cli.dask_worker", self.address, "--host=127.0.0.1", "--nthreads=2", "--no-nanny",
            "--no-dashboard", until="Registered to", **environment,
        )  # fmt: skip

    def crew(self, *files: Path, identify: Callable[[], dict[str, str]] = same) -> Cluster:
        return Cluster(self.address, identify, files, patience=5.0)


def scheduler(stack: ExitStack) -> Machines:
    line = start(
        stack, "distributed.cli.dask_scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard", until="Scheduler at:"
    )
    return Machines(stack, line.split()[-1])


@pytest.fixture(scope="module")
def shared() -> Iterator[Machines]:
    """A scheduler and a worker for all tests; starting them takes longer than most tests."""
    with ExitStack() as stack:
        machines = scheduler(stack)
        machines.worker()
        yield machines


@pytest.fixture
def machines(shared: Machines) -> Iterator[Machines]:
    """The same; workers that are added end with the test."""
    with ExitStack() as stack:
        yield Machines(stack, shared.address)


@dataclass(frozen=True)
class Count:
    """What comes of a job of the tests."""

    number: int
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Mortal:
    """Squares numbers, and writes down that it did. When it first gets the fatal one, its whole process is killed."""

    folder: Path
    fatal: int | None = None

    def do(self, job: int) -> Count:
        with (self.folder / "log").open("a") as log:
            log.write(f"{job}\n")
        if job == self.fatal and not (mark := self.folder / "killed").exists():
            mark.touch()
            with (self.folder / "death").open("w"):  # whoever reads it sees its end when we are dead
                os.kill(os.getpid(), signal.SIGKILL)
        if job < 0:
            raise AudioFormatError("it is damaged", place="x.wav", remedy="record it again")
        return Count(job * job)


def fakes(config: Config) -> Ears:
    return Ears(config, FakeVad(), FakeAsr(), load_skills(config, Worker("think")))


def essence(found: dict[int, Done]) -> list[object]:
    """All but times and memory."""
    return [
        (one.audio, one.seed, one.intent, one.slots, one.text, one.end, one.cut_off)
        for number in sorted(found)
        for one in found[number].predictions
    ]


def test_a_cluster_gives_what_one_process_gives(machines: Machines, tmp_path: Path) -> None:
    items = []
    for name, script in (("on", "..ooookkkk.........."), ("off", "..ffffbbbb..........")):
        soundfile.write(tmp_path / f"{name}.wav", perform(script).samples, 16_000)
        items.append(Item(f"{name}.wav", tmp_path / f"{name}.wav", "LightOn", {"area": "kitchen"}, 1))
    noise = tmp_path / "noise.wav"
    soundfile.write(noise, perform("x" * 10).samples, 16_000)
    settings = intents.Settings(load_config(None, environ={}), fakes, noise)
    jobs = [job for jobs in intents.conditions(items, [40.0], [0, 1]) for job in jobs]
    here = dict(intents.run(settings, jobs, Local()))
    there = dict(intents.run(settings, jobs, machines.crew(noise, *(item.path for item in items))))
    assert len(here) == len(jobs) == 6
    assert essence(there) == essence(here)


def test_nothing_is_lost_or_counted_twice_when_a_worker_is_killed(shared: Machines, tmp_path: Path) -> None:
    shared.worker()  # for the other tests, too: one of the two will be left
    os.mkfifo(tmp_path / "death")
    jobs = list(range(40))
    results = shared.crew().run(partial(Mortal, tmp_path, 20), jobs)
    numbers = [next(results)]
    with (tmp_path / "death").open() as death:  # results of the worker that dies here wait on it, not fetched yet
        assert death.read() == ""
    numbers += results
    assert sorted((number, result.number) for number, result in numbers) == [(job, job * job) for job in jobs]
    done = [int(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert set(done) == set(jobs)
    assert done.count(20) == 2


def test_errors_of_jobs_arrive_as_they_are(machines: Machines, tmp_path: Path) -> None:
    with pytest.raises(AudioFormatError, match=r"x\.wav: it is damaged; record it again"):
        list(machines.crew().run(partial(Mortal, tmp_path), [-1]))


def test_every_worker_that_differs_is_named_before_anything_runs(machines: Machines, tmp_path: Path) -> None:
    machines.worker(**{MODEL: "2"})
    with pytest.raises(ConfigError, match=r"worker tcp://127.*: model ears is 2, here it is 1") as caught:
        list(machines.crew().run(partial(Mortal, tmp_path), [1, 2, 3]))
    assert str(caught.value).count("worker tcp") == 1
    assert not (tmp_path / "log").exists()


def test_a_worker_that_joins_later_is_asked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = Needs.here(same, [])
    monkeypatch.setenv(MODEL, "2")
    monkeypatch.setattr(cluster, "_address", lambda: "tcp://late")
    with pytest.raises(ConfigError, match="worker tcp://late: model ears is 2, here it is 1"):
        cluster._do(1, "run", partial(Mortal, tmp_path), needs)


def test_files_that_a_worker_does_not_have(tmp_path: Path) -> None:
    gone, other = tmp_path / "gone.wav", tmp_path / "other.wav"
    gone.write_bytes(b"1")
    other.write_bytes(b"1")
    needs = Needs.here(same, [gone, other])
    assert needs.missing() == []
    gone.unlink()
    other.write_bytes(b"2")
    missing = needs.missing()
    assert missing[0].startswith(f"{gone}: it cannot be read there")
    assert missing[1:] == [f"{other}: it is another file there"]


def test_a_cluster_that_is_not_there_or_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="it is no address"):
        Cluster("somewhere", same, [])
    make = partial(Mortal, tmp_path)
    with ExitStack() as stack:
        machines = scheduler(stack)
        with pytest.raises(EngineError, match="there is no worker"):
            list(Cluster(machines.address, same, [], patience=0.1).run(make, [1]))
        machines.worker()
        results = machines.crew().run(make, list(range(10)))
        next(results)
    with pytest.raises(EngineError, match="the scheduler does not answer any more"):
        list(results)  # which were still there
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.2)
    with pytest.raises(ConfigError, match="no Dask scheduler answers"):
        list(machines.crew().run(make, [1]))
    assert "Traceback" not in capfd.readouterr().err


def test_an_identity_says_which_edgevoice_and_models(tmp_path: Path) -> None:
    path = tmp_path / "vad.onnx"
    path.write_bytes(b"one")
    config = load_config(None, overrides=[f"vad.silero.model={path}"], environ={})
    first = cluster.identity(config, ("vad",))
    assert list(first) == ["edgevoice", f"model {path}"]
    assert cluster.identity(config, ("vad",)) == first
    path.write_bytes(b"two")
    assert cluster.identity(config, ("vad",)) != first
