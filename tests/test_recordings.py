"""Debug recordings: whole, private, bounded, and never in the way."""

import asyncio
import io
import itertools
import json
import logging
import threading
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fakes import LEVELS, seconds
from stage import Engines, Played, reader, staged

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.errors import OutputError
from edgevoice.events import Reloaded, ReloadRejected, TurnEnded, Wake
from edgevoice.flow.hub import Hub
from edgevoice.recorder import LONGEST, WAITING, Recorder
from edgevoice.recordings import Options, Shelf, wav

COMMAND = "...............WWWW......ooookkkk"
END = "." * 80
HOUR = 3600.0


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(monkeypatch)


def read(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def test_a_turn_is_kept_from_before_its_wake_to_its_end(engines: Engines, tmp_path: Path) -> None:
    folder = tmp_path / "turns"

    async def go() -> None:
        async with staged(f"debug.recordings.folder={folder}") as stage:
            assert stage.assistant.recordings == str(folder)
            await stage.play(COMMAND + END + COMMAND + END)

    asyncio.run(go())
    sounds, told = sorted(folder.glob("*.wav")), sorted(folder.glob("*.json"))
    assert (len(sounds), len(told)) == (2, 2)
    assert {path.stat().st_mode & 0o777 for path in [*sounds, *told]} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    sound, turn = read(sounds[0]), json.loads(told[0].read_text("utf-8"))
    kinds = [event["event"] for event in turn["events"]]
    assert (kinds[0], kinds[-1]) == ("wake", "turnended")
    begin, end = turn["start"], turn["start"] + len(sound)
    wake, ended = turn["events"][0]["at"], turn["events"][-1]["at"]
    assert wake - begin == pytest.approx(1.5 * RATE, abs=512)
    assert end == pytest.approx(ended, abs=512)
    assert sound[int(seconds("...............") * RATE) - begin + 1] == LEVELS["W"]
    assert told[0].stem == sounds[0].stem
    assert told[0].stem.endswith("-answered")


def test_nothing_is_recorded_unless_asked_for(
    engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def go() -> None:
        async with staged() as stage:
            assert stage.assistant.recordings is None
            await stage.play(COMMAND + END)

    asyncio.run(go())
    assert list(tmp_path.iterdir()) == []


def test_a_reload_begins_and_ends_it(engines: Engines, tmp_path: Path) -> None:
    async def go() -> None:
        async with staged() as stage:
            outcome = await stage.assistant.reload(reader(f"debug.recordings.folder={tmp_path}"))
            assert outcome == Reloaded(at=0, changed=("debug.recordings.folder",))
            await stage.play(COMMAND + END)
            await stage.assistant.reload(reader())
            assert stage.assistant.recordings is None
            await stage.play(COMMAND + END)

    before = threading.enumerate()
    asyncio.run(go())
    assert len(list(tmp_path.glob("*.wav"))) == 1
    assert threading.enumerate() == before


def test_a_folder_that_cannot_be_written_to(engines: Engines, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    wrong = f"debug.recordings.folder={tmp_path}/file/turns"

    async def go() -> None:
        async with staged(wrong) as stage:  # at the start it is a warning, for nobody is to be deaf because of it
            await stage.play(COMMAND + END)
            assert stage.of("TurnEnded")[0]["outcome"] == "answered"
        async with staged() as stage:
            outcome = await stage.assistant.reload(reader(wrong))
            assert isinstance(outcome, ReloadRejected)
            assert "debug.recordings.folder" in outcome.why

    asyncio.run(go())
    assert "no recordings can be kept there" in caplog.text


def shelf(folder: Path, clock: Callable[[], float], megabytes: int = 1, days: int = 1) -> Shelf:
    return Shelf(Options(folder=str(folder), max_megabytes=megabytes, max_days=days), clock)


SECOND = [Audio(np.zeros(RATE, np.int16), start=5)]


def test_the_oldest_make_room(tmp_path: Path) -> None:
    (tmp_path / "mine.wav").write_bytes(b"x" * 900_000)
    ticks = (1e9 + tick / 2 for tick in itertools.count())  # the clock is read twice a turn
    full = shelf(tmp_path, lambda: next(ticks))
    for _ in range(60):  # 32 KB each
        full.keep(SECOND, [], "answered")
    sounds = sorted(tmp_path.glob("2001*.wav"))
    size = sum(path.stat().st_size for path in tmp_path.glob("2001*"))
    assert 950_000 < size <= 1_000_000
    assert sounds[-1].name == "20010909T014739.000Z-answered.wav"
    assert len(list(tmp_path.glob("2001*.json"))) == len(sounds)
    assert (tmp_path / "mine.wav").exists()


def test_what_is_too_old_goes_also_when_nothing_is_recorded(tmp_path: Path) -> None:
    kept = shelf(tmp_path, lambda: 1e9)
    kept.keep(SECOND, [], "answered")
    written = next(tmp_path.glob("*.wav")).stat().st_mtime
    shelf(tmp_path, lambda: written + 23 * HOUR).tidy()
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".x.wav.part").touch()
    shelf(tmp_path, lambda: written + 25 * HOUR).tidy()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_the_recording_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.open", full)
    shelf(tmp_path, lambda: 1e9).keep(SECOND, [], "answered")
    assert "a turn is not recorded: No space left on device" in caplog.text
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="No space left"):
        shelf(tmp_path, lambda: 1e9).check()


def test_a_gap_in_the_capture_is_silence() -> None:
    pieces = [Audio(np.full(10, 7, np.int16), start=100), Audio(np.full(10, 8, np.int16), start=115)]
    with wave.open(io.BytesIO(wav(pieces))) as file:
        found = np.frombuffer(file.readframes(100), np.int16)
    assert found.tolist() == [7] * 10 + [0] * 5 + [8] * 10
    assert len(wav([])) == 44


def test_a_turn_that_never_ends_is_kept_in_bounds(tmp_path: Path) -> None:
    async def go() -> None:
        hub = Hub(Played(), preroll=RATE, on_gap=lambda lost, at: None)
        recorder = Recorder(shelf(tmp_path, lambda: 1e9, megabytes=10), hub)
        recorder.observe(Wake(at=0, by="push", model="", phrase="", score=1.0))
        for start in (*range(0, 200 * RATE, RATE), 10_000 * RATE):  # and then a gap of hours
            assert hub.on_audio is not None
            hub.on_audio(Audio(np.ones(RATE, np.int16), start=start))
        recorder.observe(TurnEnded(at=0, outcome="answered"))
        assert hub.on_audio is None
        await recorder.close()

    asyncio.run(go())
    assert len(read(next(tmp_path.glob("*.wav")))) == LONGEST * RATE


def test_a_disk_that_hangs_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    kept: list[str] = []

    def hang(self: Shelf, pieces: object, events: object, outcome: str) -> None:
        go_on.wait(60)
        kept.append(outcome)

    monkeypatch.setattr(Shelf, "keep", hang)

    async def go() -> None:
        hub = Hub(Played(), preroll=RATE, on_gap=lambda lost, at: None)
        recorder = Recorder(shelf(tmp_path, lambda: 1e9), hub)
        for _ in range(10):
            recorder.observe(Wake(at=0, by="push", model="", phrase="", score=1.0))
            recorder.observe(TurnEnded(at=0, outcome="answered"))
        go_on.set()
        await recorder.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(go())
    assert len(kept) == WAITING
    assert caplog.text.count("the disk is too slow") == 10 - WAITING
