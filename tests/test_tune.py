"""``edgevoice tune``: what is typed, what can be tried, what is written; and one real, tiny run."""

import json
import os
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np
import pytest
import soundfile

from edgevoice import config as configuration
from edgevoice.__main__ import main
from edgevoice.config import Config
from edgevoice.errors import BudgetError, ConfigError, EngineError, GrammarError
from edgevoice.modelstore import ModelStore
from edgevoice.think.grammar import Grammar
from edgevoice.tune import budgets, corpus, inventory, space, write
from edgevoice.tune.budgets import Budgets
from edgevoice.tune.combine import Combination, Inputs
from edgevoice.tune.points import Point, excess
from edgevoice.tune.processes import ProcessMeasurer, configured
from edgevoice.tune.report import keeps, refusal, report
from edgevoice.tune.search import Candidate, Found
from edgevoice.tune.state import Record
from edgevoice.tune.trial import Loaded, Outcome, Trial, Value


def default() -> Config:
    return configuration.load(Path("/dev/null"), environ={})


# Budgets -------------------------------------------------------------------------------------------------------


def test_budgets_have_units() -> None:
    typed = {"latency_p95": "0.6s", "memory": "1.5 GB", "cpu_idle": "5%", "wer": "8%", "intent_accuracy": "97.5%"}
    found = budgets.parse(typed)
    assert found == Budgets(latency_ms=600, memory_mb=1536, cpu_percent=5, wer=0.08, accuracy=0.975)
    again = budgets.parse({"latency_p95": "600ms", "memory": "1536MB", "cpu_idle": None})
    assert again == Budgets(latency_ms=600, memory_mb=1536)
    assert found.typed() == "--latency-p95 600ms --memory 1536MB --cpu-idle 5% --wer 8% --intent-accuracy 97.5%"


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({"latency_p95": "600"}, "option --latency-p95: '600' has no unit; for example 600ms or 0.6s"),
        ({"memory": "400ms"}, "option --memory: 'ms' is none of the units KB"),
        ({"wer": "much"}, "option --wer: 'much' is no number with a unit"),
        ({"intent_accuracy": "101%"}, "101% is more than 100 %"),
        ({"latency_p95": "0ms"}, "it must be more than nothing"),
        ({"latency_p95": "-1ms"}, "is no number with a unit"),
        ({"memory": "nanMB"}, "is no number with a unit"),
    ],
)
def test_bad_budgets(typed: dict[str, str | None], complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        budgets.parse(typed)
    assert complaint in str(raised.value)


def test_all_mistakes_are_told_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    there = tmp_path / "there.yaml"
    there.write_text("")
    code = main(
        f"tune --memory 4 --wer x --time-limit soon --keep asr.whisper.beam --out {there} --json {tmp_path}".split()
    )
    complaint = capsys.readouterr().err
    assert code == 3
    for part in (
        "--memory: '4' has no unit",
        "--wer: 'x'",
        "--time-limit: 'soon'",
        "no key 'asr.whisper.beam'; did you mean 'asr.whisper.beams'?",
        "it is there already",
        "it is a directory",
    ):
        assert part in complaint
    assert there.read_text() == ""


# What can be tried ---------------------------------------------------------------------------------------------

RECOGNISERS = [("whisper", "tiny"), ("whisper", "tiny@q4"), ("vosk", "small")]
VOICES = [("hibari", "heart"), ("piper", "joe")]


def build(keep: list[str], base: Config | None = None, **given: bool) -> space.Space:
    return space.build(base or default(), recognisers=RECOGNISERS, voices=VOICES, cores=4, keep=keep, **given)


def values(trials: tuple[Trial, ...], key: str) -> set[Value]:
    return {dict(trial.settings).get(key) for trial in trials} - {None}


def test_space_has_every_combination_once() -> None:
    found = build([])
    assert len(set(found.hear)) == len(found.hear) == 2 * 3 * 3 * 2 * 2 + 2  # models, threads, beams, prompt, padding
    assert values(found.hear, "asr.whisper.threads") == {1, 2, 4}
    assert values(found.hear, "asr.whisper.model") == {"tiny", "tiny@q4"}
    assert values(found.speak, "tts.engine") == {"hibari", "piper"}
    assert not values(found.hear, "asr.whisper.min_context")  # commands are read with their own
    text = build([], commands=False, free_text=True)
    assert values(text.hear, "asr.whisper.min_context") == {6.0, 12.0, 30.0}
    assert not values(text.hear, "asr.whisper.beams")


def test_what_is_kept_does_not_vary() -> None:
    base = configured(default(), [("asr.whisper.beams", 5), ("asr.whisper.model", "tiny")])
    found = build(["asr.engine", "asr.whisper.model", "asr.whisper.beams", "tts", "input"], base)
    assert values(found.hear, "asr.engine") == {"whisper"}
    assert values(found.hear, "asr.whisper.model") == {"tiny"}
    assert values(found.hear, "asr.whisper.beams") == {5}
    assert [dict(trial.settings) for trial in found.speak] == [
        {"tts.engine": "hibari", "tts.hibari.voice": "heart", "tts.hibari.threads": 1}
    ]
    assert len(found.idle) == 1
    assert values(build([], base).hear, "asr.whisper.beams") == {1, 3, 5, 8}  # one's own value is tried, too


def test_order_of_costs() -> None:
    found = build([])
    few = next(trial for trial in found.hear if dict(trial.settings).get("asr.whisper.beams") == 1)
    more = Trial(few.part, tuple((key, 8 if key.endswith("beams") else value) for key, value in few.settings))
    other = Trial(few.part, tuple((key, 4 if key.endswith("threads") else value) for key, value in more.settings))
    assert found.costs_more(more, few)
    assert found.hears_more(more, few)
    assert not found.costs_more(few, more)
    assert not found.costs_more(few, few)
    assert not found.costs_more(other, few)  # more threads may take less time


def test_every_key_of_a_trial_can_be_kept_and_set() -> None:
    found = build([], free_text=True)
    known = set(space.keys(default()))
    for trial in (*found.idle, *found.speak, *found.hear):
        assert {key for key, _ in trial.settings} <= known
        configured(default(), trial.settings)


def test_inventory(tmp_path: Path) -> None:
    whisper = tmp_path / "whisper"
    whisper.mkdir()
    (whisper / "model.json").write_text('{"kind": "whisper"}')
    store = ModelStore(tmp_path / "store")
    assert inventory.recognisers(store, [str(whisper)]) == [("whisper", str(whisper))]
    for content in ("{", "[]", '{"kind": "other"}'):
        (whisper / "model.json").write_text(content)
        with pytest.raises(ConfigError, match="no model of a recogniser"):
            inventory.recognisers(store, [str(whisper)])
    good, bad = inventory.usable(store, [("whisper", str(whisper)), ("vosk", "vosk-ko"), ("hibari", "heart")])
    assert good == [("whisper", str(whisper)), ("hibari", "heart")]
    assert "not installed" in str(bad[0])


# Parts put together --------------------------------------------------------------------------------------------


def part(kind: str, loaded: float, loading: float, working: float, **outcome: float) -> Record:
    found = Outcome(input=0, peak_mb=working, **outcome)  # type: ignore[arg-type]
    load = Loaded(seconds=1, bare_mb=50, loaded_mb=loaded, peak_mb=loading)
    return Record(trial=Trial(kind, ()), loaded=load, outcomes={0: found})  # type: ignore[arg-type]


def test_memory_of_the_whole() -> None:
    idle = part("idle", 60, 60, 60, cpu_percent=1.0)
    hear = part("hear", 150, 300, 300, latency_ms=100.0)
    speak = part("speak", 90, 90, 90, latency_ms=10.0)
    # Loading the recogniser, with the wake word there: 50 + 10 + 250; all of them: 50 + 10 + 100 + 40.
    assert Combination(hear, speak, idle).point().memory_mb == 310
    busy = part("speak", 90, 90, 290, latency_ms=10.0)
    assert Combination(hear, busy, idle).point().memory_mb == 200 + 200
    assert Combination(hear, busy, idle).impossible(Budgets(memory_mb=363), inputs(1)) == "memory_mb"
    assert Combination(hear, busy, idle).impossible(Budgets(memory_mb=364), inputs(1)) == ""  # the whole may take less


class Waiting:
    """In place of the daemon: this process."""

    pid = os.getpid()
    started: ClassVar[list["Waiting"]] = []

    def __init__(self, arguments: list[str], *, live: bool) -> None:
        self.live = live
        self.read = configuration.load(Path(arguments[0].removeprefix("--config=")), environ={})
        self.typed = arguments[1:]
        self.started.append(self)

    def wait_until_it_listens(self) -> None:
        if self.live:
            raise EngineError("it does not listen: the microphone is busy")

    def stop(self) -> None: ...


def test_idle_load_is_that_of_the_daemon_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevoice.tune.processes.LISTENED", 0.01)
    monkeypatch.setattr("edgevoice.bench.idle.SETTLE", 0.0)
    monkeypatch.setattr("edgevoice.tune.processes.has_sound_card", lambda **_: True)
    monkeypatch.setattr(Waiting, "started", [])
    measurer = ProcessMeasurer(default(), corpus.Corpus((), ""), False, Waiting)
    settings = (("input.block", 2048), ("asr.whisper.beams", 3))
    found = measurer._with_idle(Trial("whole", settings), Outcome(input=7, peak_mb=1.0))
    assert found.cpu_percent is not None
    assert found.peak_mb > 10  # this process has more than the parts had
    assert [daemon.live for daemon in Waiting.started] == [True, False]  # one in use is no reason to give up
    assert Waiting.started[-1].read.input.block == 2048
    assert Waiting.started[-1].typed == ["--set=input.block=2048", "--set=asr.whisper.beams=3"]
    alone = measurer._with_idle(Trial("idle", settings), Outcome(input=0, peak_mb=1.0))
    assert (alone.cpu_percent is not None, alone.peak_mb) == (True, 1.0)  # the other parts are not of it


def inputs(count: int, words: int = 0) -> Inputs:
    return Inputs(recordings=count, commands=count, words=words, sentences=1)


def test_bounds_are_exact() -> None:
    idle, speak = part("idle", 60, 60, 60, cpu_percent=1.0), part("speak", 60, 60, 60, latency_ms=10.0)
    hear = part("hear", 60, 60, 60)
    for number in range(2):
        hear.outcomes[number] = Outcome(input=number, peak_mb=60, latency_ms=1000.0, right=False, words=5, errors=2)
    whole = Combination(hear, speak, idle)
    assert whole.impossible(Budgets(accuracy=0.9), inputs(20)) == ""  # 18 of 20 may still be right
    assert whole.impossible(Budgets(accuracy=0.9), inputs(19)) == "accuracy"
    assert whole.impossible(Budgets(latency_ms=1009), inputs(40)) == ""  # 2 of 40 may be late
    assert whole.impossible(Budgets(latency_ms=1009), inputs(39)) == "latency_ms"
    assert whole.impossible(Budgets(latency_ms=1010), inputs(2)) == ""
    assert whole.impossible(Budgets(wer=0.04), inputs(20, words=100)) == ""
    assert whole.impossible(Budgets(wer=0.04), inputs(20, words=99)) == "wer"


# What is written -----------------------------------------------------------------------------------------------


def test_document_gives_the_configuration_back(tmp_path: Path) -> None:
    base = configuration.load(
        Path("/dev/null"), overrides=["endpoint.silence=0.9", "intents.packs=[mine.yaml]"], environ={}
    )
    settings: list[tuple[str, Value]] = [("asr.whisper.beams", 8), ("tts.engine", "piper"), ("input.block", 1024)]
    tuned = configured(base, settings)
    path = tmp_path / "tuned.yaml"
    write.save(write.document(tuned, settings, ["it was measured", ""]), path)
    text = path.read_text()
    assert text.startswith("# it was measured\n#\n")
    assert "    beams: 8  # tuned\n" in text  # though it is the default
    assert "  silence: 0.9\n" in text
    packs = (str(Path("mine.yaml").absolute()),)
    expected = msgspec.structs.replace(tuned, intents=msgspec.structs.replace(tuned.intents, packs=packs))
    assert configuration.load(path, environ={}) == expected


def test_refusal_names_budgets_that_are_kept() -> None:
    point = Point(latency_ms=641.2, memory_mb=301.0, cpu_percent=1.23, accuracy=0.9518, wer=None, commands=83)
    asked = Budgets(latency_ms=600, memory_mb=400, cpu_percent=1, accuracy=0.97)
    candidate = Candidate(label="whisper", settings=(), point=point, exceeds=excess(point, asked))
    weaker = keeps(candidate, asked)
    assert weaker == Budgets(latency_ms=650, memory_mb=400, cpu_percent=1.3, accuracy=0.951)
    assert not excess(point, weaker)
    found = Found(
        winner=None,
        confirmed=None,
        unconfirmed=(),
        front=(candidate,),
        nearest=candidate,
        candidates=(candidate,),
        dropped=(),
        complete=True,
    )
    whole = report(
        found,
        budgets=asked,
        inputs=inputs(83),
        recordings="made up",
        combinations=1,
        seconds=1,
        versions={},
        options={},
    )
    cause, remedy = refusal(whole)
    assert "latency (by 6.9 %)" in cause
    assert remedy.endswith("--latency-p95 650ms --memory 400MB --cpu-idle 1.3% --intent-accuracy 95.1%")


# Recordings ----------------------------------------------------------------------------------------------------


def manifest(folder: Path, *lines: str) -> Path:
    path = folder / "dev.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def audio(folder: Path, *names: str) -> None:
    for name in names:
        soundfile.write(folder / name, np.zeros(1600, np.int16), 16000)


def test_manifest(tmp_path: Path) -> None:
    audio(tmp_path, "a.wav", "b.wav", "c.wav")
    path = manifest(
        tmp_path,
        '{"audio": "a.wav", "intent": "Time"}',
        '{"audio": "b.wav", "text": "What\'s up?", "who": 3}',
        '{"audio": "c.wav", "intent": "LightOn", "slots": {"area": "kitchen"}, "text": "turn on the kitchen light"}',
    )
    grammar = Grammar.load(default().packs())
    found, warnings = corpus.from_manifest(path, 60, grammar)
    assert warnings == []
    assert found.inputs == Inputs(recordings=3, commands=2, words=8, sentences=len(found.sentences))
    assert found.digest() == corpus.from_manifest(path, 60, grammar)[0].digest()
    fewer, _ = corpus.from_manifest(path, 2, grammar)
    assert fewer.samples == found.samples[:2]
    assert fewer.origin == f"2 of 3 recordings of {tmp_path.name}/dev.jsonl"
    assert fewer.digest() != found.digest()


def test_bad_manifest(tmp_path: Path) -> None:
    audio(tmp_path, "a.wav")
    path = manifest(tmp_path, '{"audio": "a.wav"}', "nonsense", '{"audio": "no.wav", "text": "x"}', '{"text": "x"}')
    with pytest.raises(ConfigError) as raised:
        corpus.from_manifest(path, 60, Grammar.load(default().packs()))
    complaint = str(raised.value)
    assert "4 mistakes" in complaint
    assert "dev.jsonl:1: it has neither 'intent' nor 'text'" in complaint
    assert "dev.jsonl:2: no JSON" in complaint
    assert "no.wav" in complaint


def test_commands_that_are_spoken_mean_what_they_say() -> None:
    grammar = Grammar.load(default().packs())
    chosen = corpus.commands(grammar, 24)
    assert chosen == corpus.commands(grammar, 24)
    assert len({match.intent.name for _, match in chosen}) > 20
    assert all(grammar.match(text) == match for text, match in chosen)


def test_a_grammar_of_free_text_alone_cannot_be_spoken(tmp_path: Path) -> None:
    pack = tmp_path / "free.yaml"
    pack.write_text(
        "intents: {Note: {data: [{sentences: ['write {text}']}]}}\nlists: {text: {wildcard: true}}\n", "utf-8"
    )
    with pytest.raises(GrammarError, match="--manifest"):
        corpus.commands(Grammar.load([pack]), 24)


def test_budgets_about_labels_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio(tmp_path, "a.wav")
    path = manifest(tmp_path, '{"audio": "a.wav", "intent": "Time"}')
    assert main(f"tune --wer 5% --manifest {path} --out {tmp_path / 'o.yaml'}".split()) == 3
    assert "option --wer: no recording has a text" in capsys.readouterr().err
    path = manifest(tmp_path, '{"audio": "a.wav", "text": "hello"}')
    assert main(f"tune --intent-accuracy 5% --manifest {path} --out {tmp_path / 'o.yaml'}".split()) == 3
    assert "option --intent-accuracy: no recording has an intent" in capsys.readouterr().err


# For real ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: ModelStore) -> list[str]:
    """Options of a search between two candidates, on three spoken commands."""
    for model in ("silero-vad", "whisper-tiny.en-int8", "okay_nabu", "hey_jarvis"):
        store.path(model)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(space, "BEAMS", (1,))
    monkeypatch.setattr(space, "PADDINGS", (0.5, 1.0))
    monkeypatch.setattr(space, "_threads", lambda cores: (1,))
    monkeypatch.setattr("edgevoice.tune.processes.LISTENED", 1.0)
    monkeypatch.setattr("edgevoice.bench.idle.SETTLE", 0.1)
    kept = "--keep tts --keep input --keep asr.engine --keep asr.whisper.model --keep asr.whisper.prompt"
    beams = "--set asr.whisper.beams=1"
    return (
        f"tune --limit 3 {kept} {beams} --quiet --out {tmp_path / 'tuned.yaml'} --json {tmp_path / 'all.json'}".split()
    )


def test_a_tiny_run(small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*small, "--latency-p95", "60s", "--memory", "2GB", "--cpu-idle", "100%"]) == 0
    tuned = configuration.load(tmp_path / "tuned.yaml", environ={})
    assert tuned.asr.options["whisper"].padding in (0.5, 1.0)  # type: ignore[attr-defined]
    assert main(["config", "check", "--config", str(tmp_path / "tuned.yaml")]) == 0
    found = json.loads((tmp_path / "all.json").read_text())["found"]
    assert len(found["candidates"]) == 2
    assert found["confirmed"]["memory_mb"] > 50
    assert 0 < found["confirmed"]["cpu_percent"] < 100
    assert found["winner"]["point"]["accuracy"] > 0.5  # of a clear voice
    capsys.readouterr()

    # Other budgets are answered from the state, without a process; and the file that is there is not overwritten.
    state = tmp_path / "tuned.yaml.state"
    before = state.read_bytes()
    assert main([*small, "--memory", "1MB"]) == 10
    assert main([*small, "--force", "--memory", "1MB"]) == BudgetError.exit_code
    complaint = capsys.readouterr().err
    assert "none of 2 combinations keeps --memory 1MB" in complaint
    assert "the nearest is whisper" in complaint
    assert state.read_bytes() == before
    assert main([*small, "--force", "--set", "endpoint.silence=0.9"]) == 3
    assert "configuration is" in capsys.readouterr().err


PROFILES = sorted((Path(configuration.__file__).parent / "data" / "profiles").glob("*.yaml"))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_shipped_profiles_are_configurations_with_evidence(path: Path) -> None:
    configuration.load(path, environ={})
    head = path.read_text("utf-8")
    for part in ("# machine: ", "# with: edgevoice ", "# measured on: ", "once more, as a whole"):
        assert part in head


def test_there_is_a_profile() -> None:
    assert PROFILES
