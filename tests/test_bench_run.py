"""``edgevoice bench run``: what is planned, what is refused, what is kept, and what is printed."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from benchfakes import Bench, Script
from fakes import FakeAsr, FakeTts, FakeVad, FakeWake, perform
from test_bench_schema import BOARD

from edgevoice.__main__ import main
from edgevoice.bench import accuracy, manifests, measure, peers, plan, schema, session, table
from edgevoice.bench.measure import Limits, Spec
from edgevoice.bench.peers import Theirs
from edgevoice.bench.session import Session
from edgevoice.bench.speech import Recording
from edgevoice.cli import bench_run
from edgevoice.config import Config
from edgevoice.config import load as load_config
from edgevoice.errors import ConfigError, EngineError, EngineMissingError, ModelError, OutputError

PARTS = (Recording("one", perform("ooookkkk").samples, "turn on the kitchen light"),)


def wanted(config: Config | None = None, **changes: Any) -> plan.Wanted:
    fields: dict[str, Any] = {"recordings": PARTS, "threads": (1, 2)} | changes
    return plan.Wanted(config=config or load_config(None, environ={}), **fields)


def labels(specs: Sequence[Spec]) -> list[str]:
    return [spec.label + " *" * spec.peer for spec in specs]


# The plan ------------------------------------------------------------------------------------------------------


def test_recognisers_over_threads_and_variants() -> None:
    found = plan.specs("asr", wanted(engines=frozenset({"whisper", "faster-whisper", "pocketsphinx"})))
    assert labels(found) == [
        "asr whisper plain 1 thread",
        "asr whisper stream 1 thread",
        "asr whisper plain 2 threads",
        "asr whisper stream 2 threads",
        "asr faster-whisper plain 1 thread *",
        "asr faster-whisper plain 2 threads *",
        "asr pocketsphinx plain 1 thread *",
        "asr pocketsphinx stream 1 thread *",
    ]
    assert len({key(spec) for spec in found}) == len(found)
    loads: list[Any] = [spec.load for spec in found[:2]]
    assert [load.load.options.partials for load in loads] == [False, True]  # partial texts cost time, and are not asked


def key(spec: Spec) -> str:
    return measure.series(spec, 0, "measured").key


def test_the_configured_engine_is_first_and_its_options_count() -> None:
    config = load_config(None, overrides=["tts.engine=piper", "tts.piper.speed=1.5"], environ={})
    found = plan.specs("tts", wanted(config, threads=(3,)))
    assert labels(found)[:2] == ["tts piper 3 threads", "tts hibari 3 threads"]
    load: Any = found[0].load
    assert (load.load.options.speed, load.load.options.threads) == (1.5, 3)
    ours = ["wake microwakeword 1 thread", "wake openwakeword 1 thread"]
    assert labels(plan.specs("wake", wanted())) == [*ours, "wake openwakeword 1 thread *"]
    assert plan.specs("wake", wanted())[0].model == "okay_nabu+hey_jarvis"


def test_a_peer_has_another_key_than_our_engine_of_the_same_name() -> None:
    found = plan.specs("tts", wanted(engines=frozenset({"piper"}), threads=(peers.module("piper").OWN_THREADS,)))
    ours, theirs = map(key, found)
    assert ours != theirs


def test_every_peer_has_what_a_peer_needs() -> None:
    for name in peers.PEERS:
        peer = peers.module(name)
        assert peer.TASK in plan.ENGINE_TASKS
        assert peer.MODEL is None or isinstance(peer.MODEL, str)
        assert peer.THREADS or peer.OWN_THREADS >= 1
        assert isinstance(peer.STREAMS, bool)


@pytest.mark.parametrize("name", peers.PEERS)
def test_a_peer_that_is_not_installed_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("faster_whisper", "vosk", "sherpa_onnx", "pocketsphinx", "piper", "openwakeword"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it could not be found
    with pytest.raises(EngineMissingError, match="not installed"):
        Theirs(name, None, 1)()


def test_a_peer_without_a_model_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevoice.bench.peers.sherpa_onnx.package", lambda: None)
    with pytest.raises(ModelError, match="none is named") as caught:
        Theirs("sherpa-onnx", None, 1)()
    assert "--peer-model sherpa-onnx=FOLDER" in caught.value.remedy


def test_a_peer_whose_folder_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevoice.bench.peers.sherpa_onnx.package", lambda: None)
    monkeypatch.setattr("edgevoice.bench.peers.openwakeword.package", lambda: None)
    for name in ("sherpa-onnx", "openwakeword"):
        with pytest.raises(ModelError, match=r"it has no|it does not have"):
            Theirs(name, str(tmp_path), 1)()


# A session -----------------------------------------------------------------------------------------------------


def fake_session(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> Session:
    class Group(measure.Group):
        def __init__(self, number: int, specs: Sequence[Spec], limits: Limits) -> None:
            super().__init__(number, specs, limits, start=bench.start, clock=bench.clock)

    monkeypatch.setattr(session, "Group", Group)
    return Session({"seconds": 1}, describe=lambda: BOARD, clock=bench.clock)


def test_what_is_absent_failed_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    made = fake_session(monkeypatch, bench)
    missing = EngineMissingError("it is not installed", place="package b", remedy="install it")
    scripts = {
        "A": Script(lambda _: 0.1, inputs=("one",)),
        "B": Script(lambda _: 0.1, load_error=missing),
        "C": Script(lambda _: 0.1, load_error=EngineError("broken")),
    }
    specs = [bench.spec(name, script) for name, script in scripts.items()]
    made.take_all(specs, Limits(loads=1), lambda what, part: None, [Recording("one", PARTS[0].samples, "text one")])
    result = made.result(partial=False)
    assert [(series.engine, series.state) for series in result.series] == [("A", "measured"), ("C", "failed")]
    (absent,) = result.absent
    assert (absent.engine, absent.why, absent.remedy) == ("B", "package b: it is not installed", "install it")
    assert all(served.closed for served in bench.started)
    printed = "\n".join(table.tables(result))
    assert "asr B: package b: it is not installed; install it" in printed
    assert "failed: broken" in printed


def test_an_interrupted_session_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    made = fake_session(monkeypatch, bench)
    script = Script(lambda _: 0.1, inputs=("one",), run_error=(6, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        made.take_all([bench.spec("A", script)], Limits(loads=1), lambda what, part: None, PARTS)
    result = made.result(partial=True)
    (series,) = result.series
    assert (series.state, series.metrics["rtf"].summary.n) == ("partial", 4)
    assert bench.started[0].closed
    assert "stopped before the end" in "\n".join(table.tables(result))


class Interrupted:
    """A stage that is stopped while what it measured is gathered."""

    def __init__(self) -> None:
        self.stops = 1
        self.closed = False

    def run(self, tell: measure.Tell) -> None: ...

    def series(self) -> list[schema.Series]:
        if self.stops:
            self.stops -= 1
            raise KeyboardInterrupt
        return [measure.series(Bench.spec("A", Script(lambda _: 0.1)), 0, "measured")]

    def close(self) -> None:
        self.closed = True


def test_ctrl_c_while_results_are_gathered_loses_none() -> None:
    made = Session({}, describe=lambda: BOARD, clock=lambda: 0.0)
    stage = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        made.take(stage, lambda what, part: None)
    assert [series.engine for series in made.result(partial=True).series] == ["A"]
    assert stage.closed


def test_word_errors_are_counted_once_for_each_model() -> None:
    pytest.importorskip("jiwer")
    bench = Bench()
    parts = [
        Recording("a", PARTS[0].samples, "Turn on the kitchen light."),
        Recording("b", PARTS[0].samples, ""),
        Recording("c", PARTS[0].samples, "What time is it?"),
    ]
    specs = [bench.spec("A", Script(lambda _: 0.1), variant=name) for name in ("plain", "plain", "stream")]
    heard = [
        (specs[0], {0: "turn on a kitchen light", 1: "nobody knows", 2: "what time is it"}),
        (specs[1], {0: "other threads"}),
        (specs[2], {1: "nobody knows"}),
    ]
    (found,) = accuracy.word_errors(heard, parts)
    assert (found.n, found.variant) == (9, "plain")
    assert found.value == pytest.approx(1 / 9)
    assert found.interval is not None


# The command ---------------------------------------------------------------------------------------------------


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench_run.add_arguments(parser)
    return parser.parse_args(arguments)


def test_what_is_told_about_defaults_is_so() -> None:
    parser = argparse.ArgumentParser()
    bench_run.add_arguments(parser)
    text = " ".join(parser.format_help().split())
    assert f"(default: {Limits().seconds:g})" in text
    assert f"(default: {100 * Limits().narrow:g})" in text
    assert f"(default: {bench_run.RECORDINGS})" in text


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--only", "asr,wak", "--engines", "whispr", "--variants", "loud", "--json", str(tmp_path)]
    assert main(["bench", "run", *arguments, "--peer-model", "vosk=./none"]) == 3
    told = capsys.readouterr().err
    for part in ("'wak'; did you mean 'wake'?", "'whispr'; did you mean 'whisper'?", "'loud'", "./none", str(tmp_path)):
        assert part in told


def test_a_manifest_with_mistakes_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "dev.jsonl"
    manifest.write_text('{"audio": "none.wav"}\n{"text": "no audio"}\nno json\n')
    assert main(["bench", "run", "--only", "asr", "--manifest", str(manifest)]) == 3
    told = capsys.readouterr().err
    for line in (1, 2, 3):
        assert f"dev.jsonl:{line}:" in told


@dataclass(frozen=True)
class Fakes:
    """In place of the engines of the registry, in this process and in those it starts."""

    task: str
    engine: str
    options: Any

    def __call__(self) -> Any:
        return {"wake": FakeWake, "vad": FakeVad, "asr": FakeAsr, "tts": FakeTts}[self.task]()


def test_a_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "on.wav", perform("..ooookkkk..").samples, 16_000)
    (tmp_path / "dev.jsonl").write_text('{"audio": "on.wav", "text": "Turn on the kitchen light."}\n')
    monkeypatch.setattr(plan, "Ours", Fakes)
    monkeypatch.setattr("edgevoice.bench.subjects.Ours", Fakes)
    monkeypatch.setattr("edgevoice.bench.measure.Limits", partial(Limits, loads=1))
    out = tmp_path / "out.json"
    options = {
        "--only": "wake,vad,asr,tts,contention",
        "--engines": "microwakeword,silero,whisper,hibari",
        "--threads": "1",
        "--seconds": "0.2",
        "--busy": "1",
        "--manifest": str(tmp_path / "dev.jsonl"),
        "--json": str(out),
    }
    code = main(["bench", "run", *(word for pair in options.items() for word in pair)])
    assert code == 0
    result = schema.read(out)
    assert not result.partial
    assert {series.key for series in result.series} == {
        "engine/wake/microwakeword/okay_nabu+hey_jarvis/t1",
        "engine/vad/silero/silero-vad/t1",
        "engine/asr/whisper/whisper-tiny.en-int8/plain/t1",
        "engine/asr/whisper/whisper-tiny.en-int8/stream/t1",
        "engine/tts/hibari/heart/t1",
        "contention/wake/microwakeword/okay_nabu+hey_jarvis/busy 0/t1",
        "contention/wake/microwakeword/okay_nabu+hey_jarvis/busy 1/t1",
    }
    assert all(series.state == "measured" for series in result.series)
    assert all(series.usage is not None for series in result.series if series.kind == "engine")
    assert result.options["typed"]["threads"] == [1]
    assert result.board.cores >= 1
    printed = capsys.readouterr().out
    assert re.search(r"^whisper +plain +1 +\d", printed, re.MULTILINE)
    assert "busy 1" in printed


def test_ctrl_c_writes_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench_run, "_measure", interrupt)
    out = tmp_path / "out.json"
    assert main(["bench", "run", "--json", str(out)]) == 130
    assert schema.read(out).partial


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_stop_does_not_cut_off_the_saving(
    number: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = schema.write

    def impatient(result: schema.Result, path: Path) -> None:
        for again in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), again)
        write(result, path)

    monkeypatch.setattr(bench_run, "_measure", lambda *_: os.kill(os.getpid(), number))
    monkeypatch.setattr(schema, "write", impatient)
    out = tmp_path / "out.json"
    try:
        found = main(["bench", "run", "--json", str(out)])
    except SystemExit as stopped:
        found = int(str(stopped.code))
    assert found == code
    assert schema.read(out).partial
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def run_with(monkeypatch: pytest.MonkeyPatch, bench: Bench, scripts: dict[str, Script], *arguments: str) -> int:
    """The command with these recognisers, as one task."""

    def measured(args: object, config: object, given: object, session: Session, tell: measure.Tell) -> None:
        specs = [bench.spec(name, script) for name, script in scripts.items()]
        session.take_all(specs, Limits(loads=1, seconds=1.0), tell, [Recording("", PARTS[0].samples, "")] * 2)

    fake_session(monkeypatch, bench)  # its groups
    monkeypatch.setattr(bench_run, "_measure", measured)
    return main(["bench", "run", *arguments])


def test_what_could_not_be_measured_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    scripts = {
        "whisper": Script(lambda _: 0.1),
        "B": Script(lambda _: 0.1, load_error=EngineError("broken")),
        "C": Script(lambda _: 0.1, run_error=(7, EngineError("killed"))),
    }
    code = run_with(monkeypatch, Bench(), scripts, "--json", str(out))
    printed = capsys.readouterr()
    assert code == EngineError.exit_code
    assert [series.engine for series in schema.read(out).series] == ["whisper", "C", "B"]  # it is written all the same
    assert not schema.read(out).partial
    assert "whisper" in printed.out
    assert "2 of what was to be measured could not be\n" in printed.err
    assert "engine/asr/B/m/t1: broken" in printed.err
    assert "engine/asr/C/m/t1: killed" in printed.err


MISSING = EngineMissingError("it is not installed", place="package x", remedy="install it")


@pytest.mark.parametrize(
    ("absent", "arguments", "code"),
    [
        ("pocketsphinx", [], 0),  # few have it
        ("pocketsphinx", ["--engines", "whisper,pocketsphinx"], 6),  # somebody wants it
        ("whisper", [], 6),  # it is configured
    ],
)
def test_what_is_absent_is_an_error_where_it_was_asked_for(
    absent: str, arguments: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripts = {"vosk": Script(lambda _: 0.1), absent: Script(lambda _: 0.1, load_error=MISSING)}
    assert run_with(monkeypatch, Bench(), scripts, *arguments) == code
    assert (f"asr {absent}: package x: it is not installed; install it" in capsys.readouterr().err) == bool(code)


def test_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    scripts = {"pocketsphinx": Script(lambda _: 0.1, load_error=MISSING)}
    assert run_with(monkeypatch, Bench(), scripts) == EngineError.exit_code
    assert "nothing was measured\nasr pocketsphinx: package x" in capsys.readouterr().err


def test_a_disk_that_is_full_does_not_take_the_tables_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OutputError("it cannot be written: No space left on device")

    monkeypatch.setattr(bench_run, "_measure", lambda *_: None)
    monkeypatch.setattr(schema, "write", full)
    assert main(["bench", "run", "--json", str(tmp_path / "out.json")]) == OutputError.exit_code
    assert "processor" in capsys.readouterr().out


MANIFESTS = {
    "commands": '{"audio": "a.wav", "intent": "LightOn", "slots": {"area": "kitchen"}}',
    "wake": '{"audio": "a.wav"}\n{"audio": "b.wav", "phrase": "hey jarvis"}',
    "speech": '{"audio": "a.wav", "speech": [[0.1, 0.5]]}',
    "texts": '{"audio": "a.wav", "text": "what they said"}',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.zeros(16_000, np.int16), 16_000)
    for name, text in MANIFESTS.items():
        (tmp_path / f"{name}.jsonl").write_text(f"{text}\n")
    return tmp_path


def test_manifests_are_known_by_what_they_say(folder: Path) -> None:
    typed = [word for name in MANIFESTS for word in ("--manifest", str(folder / f"{name}.jsonl"))]
    _, given = bench_run._checked(parse(*typed))
    assert [item.intent for item in given.commands] == ["LightOn"]
    assert [item.phrase for item in given.wake] == [None, "hey jarvis"]
    assert len(given.speech) == 1
    assert [(part.text, len(part.samples)) for part in given.texts] == [("what they said", 16_000)]
    assert [part.name for part in given.of("wake", "texts")] == ["a.wav", "b.wav"]
    assert bench_run._checked(parse())[1] == manifests.Given()


def test_two_manifests_of_a_kind_are_refused(folder: Path) -> None:
    other = folder / "other.jsonl"
    other.write_text(MANIFESTS["wake"] + "\n")
    with pytest.raises(ConfigError, match="it is for wake, and so is"):
        bench_run._checked(parse("--manifest", str(folder / "wake.jsonl"), "--manifest", str(other)))


def test_a_manifest_of_commands_is_checked_with_the_grammar(folder: Path) -> None:
    (folder / "commands.jsonl").write_text(MANIFESTS["commands"].replace("LightOn", "LightUp"))
    with pytest.raises(ConfigError, match="no intent 'LightUp'"):
        bench_run._checked(parse("--manifest", str(folder / "commands.jsonl")))


def test_an_evaluation_is_a_stage_that_may_be_stopped() -> None:
    class Does:
        def do(self, job: int) -> int:
            if job == 3:
                raise KeyboardInterrupt
            return 10 * job

    def judge(done: list[int]) -> list[schema.Accuracy]:
        assert done == [10, 20]
        made = schema.Accuracy(
            task="asr", engine="e", model="m", metric="wer", better="lower", value=0.1, interval=None, n=len(done)
        )
        return [made]

    stage = accuracy.Evaluated("numbers", Does, [1, 2, 3, 4], judge)
    made = Session({}, describe=lambda: BOARD, clock=lambda: 0.0)
    with pytest.raises(KeyboardInterrupt):
        made.take(stage, lambda what, part: None)
    assert [one.n for one in made.result(partial=True).accuracy] == [2]
    assert accuracy.Evaluated("nothing", Does, [], judge).accuracy() == []


def test_what_was_typed_stands_in_the_result() -> None:
    args = parse("--only", "asr", "--peer-model", "vosk=vosk-ko", "--manifest", "x.jsonl")
    typed = bench_run._options(args, load_config(Path(os.devnull), environ={}))["typed"]
    assert (typed["only"], typed["peer_model"], typed["manifest"]) == (("asr",), ["vosk=vosk-ko"], ["x.jsonl"])
