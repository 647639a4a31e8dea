"""Wakes that are kept: whole, bounded, labelled, and never in the way."""

import asyncio
import json
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stage
from fakes import LEVELS, FakeAsr, FakeWake, FakeWakeSession, perform
from stage import Engines, configured, reader, staged

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines import registry
from edgevoice.engines.protocols import WakeScore
from edgevoice.errors import DaemonError, OutputError
from edgevoice.evaluate.recording import read
from edgevoice.events import ReloadRejected, TurnEnded, Wake
from edgevoice.flow.worker import Inline, at_once
from edgevoice.health.protocol import VERBS
from edgevoice.listen.own import OwnVoice
from edgevoice.listen.spot import Scorer, Spotter
from edgevoice.listen.wake import Detection
from edgevoice.modelstore import ModelStore
from edgevoice.recordings import Ring
from edgevoice.wakes import keeper, kept
from edgevoice.wakes.keeper import DECIDING, GRID, MISSED, TAIL, WAITING, Keeper
from edgevoice.wakes.options import Options

COMMAND = "...............WWWW......ooookkkk"
END = "." * 80


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(monkeypatch)


def found(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]


def test_a_wake_is_kept_with_what_decided_it(engines: Engines, tmp_path: Path) -> None:
    folder = tmp_path / "wakes"

    async def go() -> None:
        async with staged(f"detection.keep.folder={folder}", "detection.thresholds={computer: 0.9}") as played:
            assert played.assistant.recordings == str(folder)
            await played.play("." * 50 + COMMAND + END + "...s" + END + COMMAND + END)

    asyncio.run(go())
    sounds = sorted(folder.glob("*.wav"))
    first, second = found(folder)
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600] * 4
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (first["word"], first["score"], first["threshold"], first["accepted"]) == ("computer", 1.0, 0.9, True)
    assert (first["kind"], first["outcome"], first["label"], first["confidence"]) == ("wake", "answered", None, None)
    sound = read(sounds[0]).samples
    assert first["start"] % GRID == 0
    assert 3.0 * RATE <= first["at"] - first["start"] < 3.0 * RATE + GRID
    assert len(sound) == first["at"] - first["start"] + TAIL * RATE
    assert sound[first["at"] - first["start"] - 1] == LEVELS["W"]
    assert first["heard"] + second["heard"] == pytest.approx(second["at"] / RATE, abs=0.04)
    assert [path.stem for path in sounds] == [path.stem for path in sorted(folder.glob("*.json"))]


def test_nothing_is_kept_unless_asked_for(engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def go() -> None:
        async with staged() as played:
            await played.play(COMMAND + END)
            with pytest.raises(DaemonError, match=r"detection\.keep\.folder: wakes are not kept"):
                await played.assistant.wake_wrong()
            with pytest.raises(DaemonError, match="not kept"):
                await played.assistant.wake_missed()

    asyncio.run(go())
    assert list(tmp_path.iterdir()) == []


class Doubtful(FakeWake):
    """Is never sure."""

    def open(self) -> FakeWakeSession:
        return Half()


class Half(FakeWakeSession):
    def feed(self, audio: Audio) -> Sequence[WakeScore]:
        return [WakeScore(score.model, 0.6 * score.score, score.end) for score in super().feed(audio)]


def test_what_was_refused_is_kept_once(engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def prove(self: FakeAsr, audio: Audio, phrase: object) -> float:
        looks.append(audio.end / RATE)
        return 0.01

    monkeypatch.setattr(stage, "FakeWake", Doubtful)
    monkeypatch.setattr(FakeAsr, "prove", prove, raising=False)

    async def go() -> None:
        async with staged(f"detection.keep.folder={tmp_path}") as played:
            await played.play("." * 40 + "WWWWWWWWWW" + "." * 30)
            assert len(looks) > 1
            assert played.of("Wake") == []

    asyncio.run(go())
    (one,) = found(tmp_path)
    assert (one["kind"], one["accepted"], one["confidence"], one["score"]) == ("refused", False, 0.01, 0.6)
    assert one["loose"] == 0.05
    assert one["at"] / RATE == looks[-1]


def test_a_wake_takes_the_place_of_a_refusal_of_the_same_doubt(
    engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [0.01, 0.9]
    monkeypatch.setattr(stage, "FakeWake", Doubtful)
    monkeypatch.setattr(FakeAsr, "prove", lambda self, audio, phrase: answers.pop(0), raising=False)

    async def go() -> None:
        async with staged(f"detection.keep.folder={tmp_path}") as played:
            await played.play("." * 40 + "WWWWWWWW" + END)

    asyncio.run(go())
    (one,) = found(tmp_path)
    assert (one["kind"], one["confidence"], one["outcome"]) == ("wake", 0.9, "no_speech")
    assert one["heard"] == pytest.approx(one["at"] / RATE, abs=0.04)


def test_the_last_wake_was_wrong(engines: Engines, tmp_path: Path) -> None:
    async def go() -> None:
        async with staged(f"detection.keep.folder={tmp_path}") as played:
            with pytest.raises(DaemonError, match="no wake has been kept"):
                await played.assistant.wake_wrong()
            await played.play(COMMAND + END)
            await played.play("...............WWWW......")
            assert "computer" in await played.assistant.wake_wrong()  # its turn is not over
            await played.play(END)
        async with staged(f"detection.keep.folder={tmp_path}") as played:  # and after a restart
            await played.assistant.wake_wrong()
            await played.play(COMMAND + END)
            assert "marked as wrong" in await played.assistant.wake_wrong()

    asyncio.run(go())
    assert [each["label"] for each in found(tmp_path)] == [None, "wrong", "wrong"]


def test_a_missed_one_is_kept_when_the_user_says_so(engines: Engines, tmp_path: Path) -> None:
    async def go() -> None:
        async with staged(f"detection.keep.folder={tmp_path}") as played:
            with pytest.raises(DaemonError, match="nothing has been heard"):
                await played.assistant.wake_missed()
            await played.play("." * 150 + "WWW" + "." * 20)
            told, path = await played.assistant.wake_missed()
            assert told == "kept as missed"
            assert path.is_file()

    asyncio.run(go())
    (one,) = found(tmp_path)
    assert (one["kind"], one["label"], one["word"], one["accepted"]) == ("missed", "right", "computer", False)
    sound = read(next(tmp_path.glob("*.wav"))).samples
    assert MISSED * RATE <= len(sound) < MISSED * RATE + GRID
    assert LEVELS["W"] in sound.tolist()


@pytest.mark.parametrize(
    ("script", "labels", "said"),
    [
        ("WWWW" + END + "WWWW.wwww" + END, ["wrong", None], "before"),  # called to be told so
        ("WWWW......wwww" + END, ["wrong"], "just now"),  # told at once
        ("WWWW.kkkk" + END + "." * 600 + "WWWW......wwww" + END, [None, "wrong"], "just now"),
    ],
)
def test_that_was_wrong_by_voice(
    engines: Engines, tmp_path: Path, script: str, labels: list[str | None], said: str
) -> None:
    async def go() -> None:
        async with staged(f"detection.keep.folder={tmp_path}") as played:
            await played.play("." * 20 + script)
            assert played.of("Reply")[-1]["text"] == f"I have noted that I woke by mistake {said}."

    asyncio.run(go())
    assert [each["label"] for each in found(tmp_path)] == labels


def test_how_another_turn_ended_is_not_how_its_turn_did(tmp_path: Path) -> None:
    """The talk key was pushed between the decision and the turn that it begins."""

    async def go() -> None:
        engine, keeps = FakeWake(), Keeper()
        config = configured(f"detection.keep.folder={tmp_path}")
        keeps.use(await keeper.place(config, engine, ModelStore()))
        scorer = await Scorer.open((Inline(), engine), None)
        spotter = Spotter(scorer, engine, config.detection, None)
        audio = perform("." * 30)
        at_once(scorer.feed(audio))
        keeps.decided(spotter, Detection(engine.models[0], 0.9, 2 * RATE), accepted=True)
        keeps.heard(scorer, audio)
        keeps.observe(Wake(at=0, by="push", model="", phrase="", score=1.0))
        keeps.observe(TurnEnded(at=0, outcome="interrupted"))
        keeps.observe(Wake(at=0, by="word", model="computer", phrase="Computer", score=0.9))
        keeps.observe(TurnEnded(at=0, outcome="answered"))
        await keeps.close()

    asyncio.run(go())
    assert [each["outcome"] for each in found(tmp_path)] == ["answered"]


@pytest.mark.parametrize("over", [True, False])
def test_it_is_told_whether_the_assistant_spoke(tmp_path: Path, over: bool) -> None:
    class Own(OwnVoice):
        def __init__(self) -> None:
            pass

        def over_reply(self, position: int) -> bool:
            return over and position == 2 * RATE

    async def go() -> None:
        engine, keeps = FakeWake(), Keeper()
        config = configured(f"detection.keep.folder={tmp_path}")
        keeps.use(await keeper.place(config, engine, ModelStore()))
        scorer = await Scorer.open((Inline(), engine), None)
        spotter = Spotter(scorer, engine, config.detection, None, own=Own())
        at_once(scorer.feed(perform("." * 30)))
        keeps.decided(spotter, Detection(engine.models[0], 0.9, 2 * RATE), accepted=True)
        await keeps.close()

    asyncio.run(go())
    assert [each["over_reply"] for each in found(tmp_path)] == [over]


def test_that_was_wrong_while_nothing_is_kept(engines: Engines) -> None:
    async def go() -> None:
        async with staged() as played:
            await played.play("." * 20 + "WWWW......wwww" + END)
            assert played.of("Reply")[-1]["text"].startswith("I do not keep")

    asyncio.run(go())


def test_a_reload_begins_and_ends_it(engines: Engines, tmp_path: Path) -> None:
    async def go() -> None:
        async with staged() as played:
            await played.assistant.reload(reader(f"detection.keep.folder={tmp_path}"))
            await played.play("." * 40 + COMMAND + END)
            await played.assistant.reload(reader())
            await played.play(COMMAND + END)
            (tmp_path / "file").touch()
            outcome = await played.assistant.reload(reader(f"detection.keep.folder={tmp_path}/file/wakes"))
            assert isinstance(outcome, ReloadRejected)
            assert "detection.keep.folder" in outcome.why

    before = threading.enumerate()
    asyncio.run(go())
    assert threading.enumerate() == before
    (one,) = found(tmp_path)
    assert one["at"] - one["start"] >= 3 * RATE


def test_a_folder_that_cannot_be_written_to_keeps_nobody_from_being_heard(
    engines: Engines, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    async def go() -> None:
        async with staged(f"detection.keep.folder={tmp_path}/file/wakes") as played:
            await played.play(COMMAND + END)
            assert played.of("TurnEnded")[0]["outcome"] == "answered"

    asyncio.run(go())
    assert "detection.keep.folder" in caplog.text


def test_a_full_disk_is_told(
    engines: Engines, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def go() -> None:
        async with staged(f"detection.keep.folder={tmp_path}") as played:
            monkeypatch.setattr("edgevoice.recordings.write", full)
            await played.play(COMMAND + END)
            with pytest.raises(OutputError, match="No space left"):
                await played.assistant.wake_missed()
            with pytest.raises(DaemonError, match="the last wake was not kept"):
                await played.assistant.wake_wrong()

    asyncio.run(go())
    assert "a wake is not kept: No space left" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_moment_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgevoice import recordings

    real = recordings.write

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".json":
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(recordings, "write", full)
    ring = Ring(Options(folder=str(tmp_path)), "detection.keep")
    with pytest.raises(OSError, match="No space left"):
        ring.put(ring.name(1e9, "wake"), {"wav": b"1", "json": b"2"})
    assert list(tmp_path.iterdir()) == []


def test_a_label_makes_nothing_younger(tmp_path: Path) -> None:
    """Both files of a wake go when the older one is too old."""
    ring = Ring(Options(folder=str(tmp_path), max_days=1), "detection.keep", lambda: 1e9)
    name = ring.name(1e9, "wake")
    ring.put(name, {"wav": b"1", "json": b"2"})
    written = (tmp_path / f"{name}.json").stat().st_mtime
    os.utime(tmp_path / f"{name}.wav", (written - 90_000, written - 90_000))
    Ring(Options(folder=str(tmp_path), max_days=1), "detection.keep", lambda: written).tidy()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_hangs_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    put: list[str] = []

    def hang(self: Ring, name: str, files: object) -> None:
        go_on.wait(60)
        put.append(name)

    monkeypatch.setattr(Ring, "put", hang)

    async def go() -> None:
        engine, keeps = FakeWake(), Keeper(lambda: 1e9)
        config = configured(f"detection.keep.folder={tmp_path}")
        keeps.use(await keeper.place(config, engine, ModelStore()))
        scorer = await Scorer.open((Inline(), engine), None)
        spotter = Spotter(scorer, engine, config.detection, None)
        at_once(scorer.feed(perform("." * 30)))
        for at in range(0, 30 * RATE, 3 * RATE):
            keeps.decided(spotter, Detection(engine.models[0], 0.9, at), accepted=True)
        go_on.set()
        await keeps.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(go())
    assert len(put) == len(set(put)) == WAITING
    assert caplog.text.count("the disk is too slow") == 10 - WAITING


def talk(store: ModelStore) -> Audio:
    """20 s of speech with the word and without, in noise that comes and goes."""
    voice: Any = registry.load("tts", "hibari", registry.options_type("tts", "hibari")(), store)
    said = ("Alexa.", "A lesson in electric lights.", "Alexa.", "I like her.", "Alexis, listen.", "Alexa.", "A taxi.")
    pieces = [resample(part.samples, part.rate, RATE) for text in said for part in voice.synthesize(text)]
    speech = np.concatenate([part for piece in pieces for part in (piece, np.zeros(RATE, np.int16))])
    speech = np.resize(speech, 20 * RATE)
    noise = np.random.default_rng(1)
    loud = np.repeat(noise.uniform(5, 800, len(speech) // 4000), 4000)
    return Audio((speech + noise.normal(0, 1, len(speech)) * loud).clip(-32768, 32767).astype(np.int16))


@pytest.mark.parametrize(("engine", "word"), [("openwakeword", "oww-alexa"), ("microwakeword", "alexa")])
def test_a_session_that_begins_later_gives_the_same_scores(engine: str, word: str, store: ModelStore) -> None:
    """Bit for bit, where it has heard as much as the engine says that it remembers."""
    made: Any = registry.load("wake", engine, registry.options_type("wake", engine)(models=(word,)), store)
    heard = talk(store)
    whole = {score.end: score.score for score in made.open().feed(heard)}
    assert max(whole.values()) > 0.9
    for at in range(11 * RATE // GRID * GRID, len(heard), 3 * GRID):
        start = (at - int(keeper.seconds(made) * RATE)) // GRID * GRID
        part = made.open().feed(heard.since(start).until(at))
        late = {score.end: score.score for score in part if score.end > at - DECIDING * RATE}
        assert late
        assert all(whole[end] == score for end, score in late.items())


def test_the_label_commands_are_verbs_of_the_socket() -> None:
    assert {"wrong", "missed"} <= set(VERBS)


def test_a_description_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "20260101T000000.000Z-wake.json").write_text("{}")
    (tmp_path / "20260101T000000.000Z-answered.json").write_text("{}")
    good, wrong = kept.load(tmp_path)
    assert good == []
    assert len(wrong) == 1 and "does not describe a kept wake" in wrong[0]
