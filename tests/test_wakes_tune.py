"""What kept wakes say about a threshold: replayed exactly, counted honestly, applied only on request."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from fakes import FakeAsr, FakeWake

from edgevoice.__main__ import main
from edgevoice.audio.pcm import RATE, Audio, Reblock
from edgevoice.automaton import Automaton
from edgevoice.config import Config
from edgevoice.engines.protocols import WakeModel, WakeScore
from edgevoice.errors import DaemonError
from edgevoice.evaluate.recording import read
from edgevoice.flow.worker import Inline
from edgevoice.health.protocol import Answer
from edgevoice.listen.spot import Scorer, Spotter
from edgevoice.listen.wake import Detection, Options, Verify
from edgevoice.modelstore import ModelStore
from edgevoice.recordings import wav
from edgevoice.wakes import keeper, kept
from edgevoice.wakes.keeper import Keeper
from edgevoice.wakes.kept import Found, Kept
from edgevoice.wakes.replay import hear, same
from edgevoice.wakes.tradeoff import ENOUGH, Report, tune

STEP = RATE // 100
LAMP = WakeModel("hey_lamp", "Hey Lamp", threshold=0.5, patience=1)
OTHER = WakeModel("hey_fan", "Hey Fan", threshold=0.5, patience=1)
NO_LOOK = Options(verify=Verify(engine="none"))


class Levels(FakeWake):
    """The score of 10 ms is its last sample, in ten thousandths; the other word's is its first."""

    models: Sequence[WakeModel] = (LAMP, OTHER)

    def open(self) -> "Reading":  # type: ignore[override]
        return Reading()


class Reading:
    def __init__(self) -> None:
        self._reblock = Reblock(STEP)

    def feed(self, audio: Audio) -> Sequence[WakeScore]:
        return [
            WakeScore(number, int(step.samples[-1 + number]) / 10_000, step.end)
            for step in self._reblock.push(audio)
            for number in (0, 1)
        ]

    def close(self) -> None:
        pass


class Believer(FakeAsr):
    """Believes by the loudest sample of what it gets: the confidence is the last digit, in tenths."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def prove(self, audio: Audio, phrase: Automaton) -> float:
        self.asked += 1
        return int(audio.samples.max()) % 10 / 10


def write(folder: Path, number: int, level: float, label: str | None, **changed: Any) -> Found:
    """A kept wake in which the score goes up once, for 50 ms before the decision."""
    samples = np.zeros(int(3.5 * RATE), np.int16)
    at = 3 * RATE
    samples[at - 5 * STEP : at] = round(level * 10_000)
    samples[at - 5 * STEP] = 0
    told = Kept(
        kind="wake",
        made="2026-11-23T08:00:00.000+00:00",
        word="hey_lamp",
        score=round(level * 10_000) / 10_000,
        accepted=True,
        threshold=0.5,
        loose=0.5,
        engine="openwakeword",
        model="",
        start=0,
        at=at,
        heard=3600.0,
        label=label,  # type: ignore[arg-type]
        edgevoice="0",
    )
    folder.mkdir(exist_ok=True)
    path = folder / f"20261123T0800{number:02}.000Z-{changed.get('kind', 'wake')}.json"
    path.write_bytes(kept.encode(msgspec.structs.replace(told, **changed)))
    path.with_suffix(".wav").write_bytes(wav([Audio(samples)]))
    return Found(path, kept.read(path))


def room(folder: Path, right: Sequence[float], wrong: Sequence[float], **changed: Any) -> list[Found]:
    found = [write(folder, number, score, "right", **changed) for number, score in enumerate(right)]
    return found + [write(folder, 30 + number, score, "wrong", **changed) for number, score in enumerate(wrong)]


def tuned(found: Sequence[Found], options: Options = NO_LOOK, asr: FakeAsr | None = None, **more: Any) -> Report:
    return tune(found, [LAMP], (Levels(), asr), options, {"hey_lamp": ""}, folder="wakes", **more)


GOOD = (0.8, 0.82, 0.84, 0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98)


def test_misses_and_false_alarms_by_threshold(tmp_path: Path) -> None:
    report = tuned([*room(tmp_path, GOOD, (0.55, 0.61)), write(tmp_path, 50, 0.7, None)])
    (word,) = report.words
    assert (word.said, word.not_said, word.unlabelled, word.threshold) == (10, 2, 1, 0.5)
    assert report.hours == 13.0
    row = word.row(0.6)
    assert (row.misses, row.false_alarms, row.unlabelled, row.complete) == (0, 1, 1, True)
    assert row.false_alarms_per_day is not None
    assert row.false_alarms_per_day.low < 24 / 13 < row.false_alarms_per_day.high
    assert (word.row(0.9).misses, word.row(0.9).false_alarms, word.row(0.9).unlabelled) == (5, 0, 0)
    assert word.row(0.9).miss_interval.low < 0.5 < word.row(0.9).miss_interval.high
    # The false alarms end above 0.61, misses begin above 0.8: the middle.
    assert (word.verdict, word.recommended) == ("better", 0.7)
    assert [each.key for each in report.better()] == ["detection.thresholds.hey_lamp"]


@pytest.mark.parametrize(
    ("right", "wrong", "verdict"),
    [
        (GOOD[1:], (0.6,), "few_labels"),
        (GOOD, (), "no_mistakes"),
        (GOOD, (0.6,), "best"),  # one fewer may be chance
        (GOOD, (0.99,), "best"),
        ((*GOOD, 0.99), (0.97, 0.985), "best"),
    ],
)
def test_nothing_is_recommended_without_a_reason(
    tmp_path: Path, right: Sequence[float], wrong: Sequence[float], verdict: str
) -> None:
    (word,) = tuned(room(tmp_path, right, wrong)).words
    assert (word.verdict, word.recommended) == (verdict, None)
    assert len(GOOD) == ENOUGH


def test_what_was_never_kept_is_not_taken_for_silence(tmp_path: Path) -> None:
    """Below the score from which on wakes were kept, others may have scored as much."""
    found = room(tmp_path, (*GOOD, 0.3, 0.31, 0.32), (0.6,))
    (word,) = tuned(found, msgspec.structs.replace(NO_LOOK, thresholds={"hey_lamp": 0.64})).words
    assert not word.row(0.3).complete
    assert word.row(0.3).misses == 0
    assert word.recommended is None


def test_what_woke_and_was_done_may_be_taken_for_right(tmp_path: Path) -> None:
    found = [write(tmp_path, number, score, None, outcome="answered") for number, score in enumerate(GOOD)]
    found += [write(tmp_path, 30, 0.7, None, outcome="not_understood"), write(tmp_path, 31, 0.61, "wrong")]
    found.append(write(tmp_path, 32, 0.6, "wrong"))
    (without,), (word,) = tuned(found).words, tuned(found, assume=True).words
    assert (without.said, without.assumed, without.unlabelled) == (0, 0, 11)
    assert (word.said, word.assumed, word.unlabelled, word.recommended) == (10, 10, 1, 0.7)


def test_the_second_look_is_taken_again_and_its_threshold_tried(tmp_path: Path) -> None:
    """Confidences: 0.4 of the right ones, 0.1 of the wrong ones; all score alike."""
    found = room(tmp_path, [0.8004] * 10, [0.8001] * 2)
    asr = Believer()
    report = tuned(found, Options(verify=Verify(threshold=0.05)), asr)
    assert asr.asked < 12 * 4  # once for each moment, whatever is tried
    assert report.look is not None
    assert (report.look.row(0.05).false_alarms, report.look.row(0.2).false_alarms) == (2, 0)
    assert (report.look.row(0.4).misses, report.look.row(0.5).misses) == (0, 10)
    assert report.look.recommended == 0.2
    assert [each.key for each in report.better()] == ["detection.verify.threshold"]


def test_what_was_decided_over_a_reply_is_not_counted(tmp_path: Path) -> None:
    found = [*room(tmp_path, (0.9,), (0.6,)), write(tmp_path, 50, 0.7, "wrong", over_reply=True)]
    report = tuned(found)
    assert report.over_reply == 1
    assert report.words[0].not_said == 1


def test_what_was_said_before_is_another_wake(tmp_path: Path) -> None:
    found = write(tmp_path, 0, 0.3, "wrong", kind="refused", accepted=False)
    sound = read(found.audio).samples.copy()
    sound[RATE : RATE + 10 * STEP] = 9_900
    found.audio.write_bytes(wav([Audio(sound)]))
    (word,) = tuned([found]).words
    assert word.row(0.5).false_alarms == 0
    assert word.row(0.28).false_alarms == 1


def test_a_replay_gives_identical_scores(tmp_path: Path, store: ModelStore) -> None:
    """Through the spotter, a folder, and back: bit for bit, behind a gate, in pieces of any length."""
    from test_wakes_keeper import talk

    from edgevoice.engines import registry

    made: Any = registry.load(
        "wake", "openwakeword", registry.options_type("wake", "openwakeword")(models=("oww-alexa",)), store
    )
    vad: Any = registry.load("vad", "silero", registry.options_type("vad", "silero")(), store)
    heard = talk(store)

    async def live() -> None:
        keeps = Keeper()
        config = configured(f"detection.keep.folder={tmp_path}")
        keeps.use(await keeper.place(config, made, store))
        scorer = await Scorer.open((Inline(), made), (Inline(), vad))
        keeps.prepare(scorer)
        spotter = Spotter(scorer, made, NO_LOOK, None)
        due = 0
        for at in range(0, len(heard), 3000):
            piece = heard.since(at).until(at + 3000)
            for score in await scorer.feed(piece):
                if score.end >= due:
                    due = score.end + 20_000
                    found = Detection(made.models[score.model], score.score, score.end)
                    keeps.decided(spotter, found, accepted=True)
            keeps.heard(scorer, piece)
        await keeps.close()

    asyncio.run(live())
    found, wrong = kept.load(tmp_path)
    assert len(found) > 8 and wrong == []
    assert len({each.kept.score for each in found}) > 8
    for each in found:
        word = next(word for word in made.models if word.name == each.kept.word)
        again = hear(each, made, word, word.patience)
        assert same(again, word.patience)
        other = msgspec.structs.replace(each.kept, score=np.nextafter(each.kept.score or 0.5, 1.0))
        assert not same(hear(Found(each.path, other), made, word, word.patience), word.patience)


def configured(*overrides: str) -> Config:
    from stage import configured as plain

    return plain(*overrides)


# The command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that keeps wakes, engines that are fakes, and no daemon."""

    def nobody(do: str) -> Answer:
        raise DaemonError("no edgevoice is running")

    monkeypatch.setattr("edgevoice.evaluate.wake.load_engine", lambda config: Levels())
    monkeypatch.setattr("edgevoice.evaluate.wake.load_asr", lambda config: FakeAsr())
    monkeypatch.setattr("edgevoice.wakes.digest.digests", lambda *_: {"hey_lamp": ""})
    monkeypatch.setattr("edgevoice.health.ask.ask", nobody)
    file = tmp_path / "edgevoice.yaml"
    file.write_text(f"# my house\ndetection:\n  # all of it\n  keep: {{folder: {tmp_path / 'wakes'}}}\n")
    monkeypatch.setenv("EDGEVOICE_CONFIG", str(file))
    return tmp_path


def wake(*arguments: str) -> int:
    return main(["wake", *arguments])


def test_the_threshold_is_written_where_it_is_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room(home / "wakes", GOOD, (0.55, 0.61))
    before = (home / "edgevoice.yaml").read_text()
    assert wake("tune") == 0
    told = capsys.readouterr().out
    assert "recommended: 0.7 instead of 0.5: 0 missed and 0 false alarms instead of 0 and 2" in told
    assert "with --apply" in told
    assert (home / "edgevoice.yaml").read_text() == before
    asked: list[str] = []

    def daemon(do: str) -> Answer:
        asked.append(do)
        return Answer(ok=True, told="in force: detection.thresholds")

    monkeypatch.setattr("edgevoice.health.ask.ask", daemon)
    assert wake("tune", "--apply") == 0
    told, log = capsys.readouterr()
    assert "+    hey_lamp: 0.7" in told
    assert "in force: detection.thresholds" in log
    assert asked == ["status", "reload"]
    after = (home / "edgevoice.yaml").read_text()
    assert after == before.replace("detection:\n", "detection:\n  thresholds:\n    hey_lamp: 0.7\n")
    assert wake("tune", "--apply") == 0
    assert "nothing is applied" in capsys.readouterr().err
    assert (home / "edgevoice.yaml").read_text() == after


def test_without_a_daemon_it_says_when_it_comes_into_force(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room(home / "wakes", GOOD, (0.6, 0.61))
    assert wake("tune", "--apply") == 0
    assert "edgevoice reload (no edgevoice is running)" in capsys.readouterr().err


def test_too_few_labels_apply_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room(home / "wakes", GOOD[:3], (0.6,))
    before = (home / "edgevoice.yaml").read_text()
    assert wake("tune", "--apply") == 0
    told = capsys.readouterr()
    assert "too few labels" in told.out and "nothing is applied" in told.err
    assert (home / "edgevoice.yaml").read_text() == before


def test_what_else_decides_it_is_told(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    room(home / "wakes", GOOD, (0.6, 0.61))
    monkeypatch.setenv("EDGEVOICE_DETECTION__THRESHOLDS", "{hey_lamp: 0.52}")
    assert wake("tune", "--apply") == 3
    assert "something else decides it" in capsys.readouterr().err


def test_a_file_that_cannot_be_changed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room(home / "wakes", GOOD, (0.6, 0.61))
    (home / "edgevoice.yaml").write_text(f"x: &x\ndetection:\n  keep: {{folder: {home / 'wakes'}}}\n  thresholds: *x\n")
    assert wake("tune", "--apply") == 3  # the file is not one of ours at all
    (home / "edgevoice.yaml").write_text(
        f"detection:\n  keep: {{folder: {home / 'wakes'}}}\n  commands: &x {{}}\n  thresholds: *x\n"
    )
    assert wake("tune", "--apply") == 3
    assert "write it in yourself" in capsys.readouterr().err


def test_figures_as_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room(home / "wakes", GOOD, (0.6, 0.61))
    assert wake("tune", "--json", "--word", "hey_lamp") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["words"][0]["recommended"] == 0.7
    assert found["words"][0]["rows"][0]["false_alarms"] == 2


def test_what_cannot_be_counted_is_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "wakes"
    room(folder, GOOD, (0.6, 0.61))
    write(folder, 40, 0.9, "right").audio.unlink()
    write(folder, 41, 0.9, "right").audio.write_bytes(b"no sound")
    short = write(folder, 42, 0.9, "right")
    short.audio.write_bytes(wav([Audio(np.ones(RATE, np.int16))]))
    write(folder, 43, 0.9, "right").path.write_text("{")
    write(folder, 44, 0.9, "right", word="hey_bear")
    write(folder, 45, 0.9, "right", word="", kind="missed", score=None)
    write(folder, 46, 0.9, "right", model="another")
    write(folder, 47, 0.9, "right", score=0.87)
    write(folder, 48, 0.9, "wrong", over_reply=True)
    (folder / "notes.txt").touch()
    (folder / "20261123T080048.000Z-answered.json").write_text("{}")
    assert wake("tune") == 0
    told = capsys.readouterr().out
    assert told.count("left out:") == 4
    for text in (
        "080040.000Z-wake.wav: it cannot be read",
        "080041.000Z-wake.wav: it is no audio file",
        "080042.000Z-wake.wav: it ends before the wake",
        "080043.000Z-wake.json: it does not describe a kept wake",
        "1 kept of 'hey_bear', which is not listened for",
        "right --word NAME",
        "1 were kept with another model",
        "1 do not give the score again",
        "1 kept while the assistant spoke",
        "said: 12; not said: 2",
    ):
        assert text in told


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["tune", "--keep", "none"], 3, "none: it cannot be looked into"),
        (["tune", "--keep", "."], 3, "no wake is kept in it yet"),
        (["tune", "--word", "hey_lamb"], 3, "did you mean 'hey_lamp'"),
        (["tune", "--set", "detection.keep.folder=null"], 3, "no wakes are kept"),
        (["label", "photo.jpg", "right"], 3, "it is no kept wake"),
        (["label", "20261123T080000.000Z-wake.wav", "right"], 3, "it cannot be read"),
        (["wrong"], 14, "no edgevoice is running"),
        (["missed"], 14, "no edgevoice is running"),
    ],
)
def test_what_cannot_be_done(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(home)
    room(home / "wakes", GOOD, ())
    assert wake(*arguments) == code
    assert told in capsys.readouterr().err


def test_labels_by_hand(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / "wakes"
    first, second = write(folder, 0, 0.9, None), write(folder, 1, 0.8, "right")
    assert wake("label", str(first.audio), str(second.path), "wrong") == 0
    assert [kept.read(each.path).label for each in (first, second)] == ["wrong", "wrong"]
    assert wake("label", str(first.path), "right", "--word", "hey_fan") == 0
    assert (kept.read(first.path).label, kept.read(first.path).word) == ("right", "hey_fan")
    assert first.path.stat().st_mode & 0o777 == 0o600
    assert "right: hey_fan, 2026-11-23" in capsys.readouterr().out
    # One that is none keeps the others from being labelled by half.
    assert wake("label", str(second.path), str(folder / "20261123T080009.000Z-wake.wav"), "right") == 3
    assert kept.read(second.path).label == "wrong"


def test_a_label_that_cannot_be_written(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = write(home / "wakes", 0, 0.9, None)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgevoice.wakes.kept.write", full)
    assert wake("label", str(found.path), "wrong") == 10
    assert "No space left" in capsys.readouterr().err
    assert kept.read(found.path).label is None


def test_missed_is_told_to_the_daemon(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = write(home / "wakes", 0, 0.9, "right", kind="missed", word="", score=None, accepted=False)
    told: Callable[[str], Answer] = lambda do: Answer(ok=True, told=f"kept as {do}", path=str(found.path))  # noqa: E731
    monkeypatch.setattr("edgevoice.health.ask.ask", told)
    assert wake("missed") == 0
    assert "which word was it? edgevoice wake label" in capsys.readouterr().out
    assert wake("missed", "--word", "hey_lamp") == 0
    assert "which word" not in capsys.readouterr().out
    assert kept.read(found.path).word == "hey_lamp"
