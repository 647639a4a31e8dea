"""A mute that outlives the process, and devices that a changed configuration exchanges."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes import FakeStore, RecordingSink, perform
from stage import Engines, configured, reader
from test_assistant_ear import Fed

from edgevoice import wholefile
from edgevoice.assistant import Assistant
from edgevoice.audio.ear import Ear
from edgevoice.audio.exchange import LiveDevices, MicrophoneOpener, Mouth
from edgevoice.audio.pcm import Audio
from edgevoice.audio.source import AudioSource, InputOptions, OutputOptions
from edgevoice.errors import DeviceError, OutputError
from edgevoice.events import Event, Fault, Hearing, Listening, Muted, Reloaded, ReloadRejected
from edgevoice.mute import NAME, MuteMemory
from edgevoice.parts import Loader

ABSENT = DeviceError("there is no such device", place="input.device")


class Room:
    """A daemon's sound: devices by name, and what came of it."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, Fed]] = []
        self.speakers: list[tuple[str, RecordingSink]] = []
        self.absent: set[str] = set()
        self.events: list[Event] = []
        self.assistant: Assistant
        self.mouth = Mouth(RecordingSink())
        self._changed = asyncio.Event()

    async def microphone(self, options: InputOptions) -> AudioSource:
        if options.device in self.absent:
            raise ABSENT
        device = Fed()
        self.opened.append((options.device, device))
        device.queue.put_nowait(Audio(perform("W").samples[:512]))
        return device

    async def speaker(self, options: OutputOptions) -> RecordingSink:
        if options.device in self.absent:
            raise ABSENT
        sink = RecordingSink()
        self.speakers.append((options.device, sink))
        return sink

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, kind: type[Event], times: int = 1) -> None:
        async with asyncio.timeout(20):
            while sum(isinstance(event, kind) for event in self.events) < times:
                self._changed.clear()
                await self._changed.wait()

    def names(self) -> list[str]:
        return [name for name, _ in self.opened]

    def open_now(self) -> list[str]:
        return [name for name, device in self.opened if not device.closed]


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(monkeypatch)


@asynccontextmanager
async def listening(mutes: MuteMemory | None = None) -> AsyncIterator[Room]:
    """A daemon that has started, muted if it was."""
    room, config = Room(), configured()
    muted = mutes is not None and mutes.muted()
    opener = MicrophoneOpener(config.input, room.microphone)
    ear = Ear(opener, first=None if muted else await room.microphone(config.input), muted=muted)
    devices = LiveDevices(ear, opener, room.mouth, room.speaker)
    async with Loader(FakeStore()) as loader:
        parts = await loader.load(config)
        room.assistant = Assistant(
            config, parts, ear, room.mouth, room.emit, loader=loader, devices=devices, mutes=mutes
        )
        running = asyncio.create_task(room.assistant.run())
        await room.until(Muted if muted else Listening)
        try:
            yield room
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await ear.close()


def test_a_crash_during_a_mute_comes_back_muted(engines: Engines, tmp_path: Path) -> None:
    mutes = MuteMemory(tmp_path / "state")

    async def muted() -> None:
        async with listening(mutes) as room:
            await room.assistant.mute()
            assert room.open_now() == []

    async def again() -> None:
        async with listening(mutes) as room:
            assert room.opened == []
            await room.assistant.unmute()
            await room.until(Hearing)
            assert room.open_now() == ["default"]

    asyncio.run(muted())
    assert MuteMemory(tmp_path / "state").muted()
    asyncio.run(again())
    assert not MuteMemory(tmp_path / "state").muted()


def test_it_is_written_only_when_it_changes(engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(MuteMemory, "keep", lambda self, *, muted: kept.append(muted))

    async def go() -> None:
        async with listening(MuteMemory(tmp_path)) as room:
            await room.assistant.unmute()
            await room.assistant.mute()
            await room.assistant.mute()
            await room.assistant.unmute()

    asyncio.run(go())
    assert kept == [True, False]


def test_where_nothing_can_be_written_it_is_muted_all_the_same(
    engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, *, remedy: str) -> None:
        raise OutputError("it cannot be written: No space left on device", place=str(path), remedy=remedy)

    monkeypatch.setattr(wholefile, "write", full)

    async def go() -> None:
        async with listening(MuteMemory(tmp_path)) as room:
            await room.assistant.mute()
            assert room.open_now() == []
            (fault,) = [event for event in room.events if isinstance(event, Fault)]
            assert "No space left" in fault.message
            assert "a restart does not keep" in fault.message

    asyncio.run(go())


def test_a_state_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mutes = MuteMemory(tmp_path / "file")
    assert not mutes.muted()
    for muted in (True, False):
        with pytest.raises(OutputError, match="cannot be written"):
            mutes.keep(muted=muted)


def test_the_memory_is_a_file_that_says_what_it_is(tmp_path: Path) -> None:
    mutes = MuteMemory(tmp_path / "new" / "state")
    mutes.keep(muted=False)
    assert list(tmp_path.iterdir()) == []
    mutes.keep(muted=True)
    assert [path.name for path in (tmp_path / "new/state").iterdir()] == [NAME]
    assert "edgevoice unmute" in (tmp_path / "new/state" / NAME).read_text()
    mutes.keep(muted=False)
    mutes.keep(muted=False)
    assert not mutes.muted()


def test_another_microphone(engines: Engines) -> None:
    async def go() -> None:
        async with listening() as room:
            outcome = await room.assistant.reload(reader("input.device=other"))
            assert isinstance(outcome, Reloaded)
            assert outcome.changed == ("input.device",)
            await room.until(Hearing)
            assert (room.names(), room.open_now()) == (["default", "other"], ["other"])

    asyncio.run(go())


def test_a_microphone_that_is_not_there_leaves_the_one_from_before(engines: Engines) -> None:
    async def go() -> None:
        async with listening() as room:
            room.absent.add("other")
            outcome = await room.assistant.reload(reader("input.device=other", "output.device=loud"))
            assert isinstance(outcome, ReloadRejected)
            assert "there is no such device" in outcome.why
            await room.until(Hearing)
            assert room.open_now() == ["default"]
            assert room.assistant.config.output.device == "default"
            await room.mouth.play(Audio(perform("W").samples))
            assert room.speakers[0][1].played == []

    asyncio.run(go())


def test_another_speaker_is_as_loud_as_was_asked_for(engines: Engines) -> None:
    async def go() -> None:
        async with listening() as room:
            room.mouth.volume = 30  # by voice
            await room.assistant.reload(reader("output.device=other"))
            assert (room.speakers[0][0], room.mouth.volume) == ("other", 30)
            await room.mouth.play(Audio(perform("W").samples))
            assert len(room.speakers[0][1].played) == 1
            await room.assistant.reload(reader("output.device=other", "output.volume=70"))
            assert (len(room.speakers), room.mouth.volume) == (1, 70)
            room.absent.add("third")
            assert isinstance(await room.assistant.reload(reader("output.device=third")), ReloadRejected)
            assert room.names() == ["default"]

    asyncio.run(go())


def test_a_mute_while_the_microphone_is_exchanged_is_one(engines: Engines, tmp_path: Path) -> None:
    mutes = MuteMemory(tmp_path)

    async def go() -> None:
        async with listening(mutes) as room:
            asked, go_on = asyncio.Event(), asyncio.Event()
            open_it = room.microphone

            async def slow(options: InputOptions) -> AudioSource:
                asked.set()
                await go_on.wait()
                return await open_it(options)

            assert isinstance(room.assistant._devices, LiveDevices)
            room.assistant._devices._opener._open = slow
            reloading = asyncio.create_task(room.assistant.reload(reader("input.device=other")))
            await asked.wait()
            muting = asyncio.create_task(room.assistant.mute())
            go_on.set()
            await reloading
            await muting
            assert room.open_now() == []
            assert mutes.muted()

    asyncio.run(go())


def test_another_microphone_while_muted_opens_nothing(engines: Engines, tmp_path: Path) -> None:
    async def go() -> None:
        async with listening(MuteMemory(tmp_path)) as room:
            await room.assistant.mute()
            assert isinstance(await room.assistant.reload(reader("input.device=other")), Reloaded)
            assert room.open_now() == []
            await room.assistant.unmute()
            await room.until(Hearing)
            assert room.open_now() == ["other"]

    asyncio.run(go())
