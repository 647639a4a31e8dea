"""An assistant whose microphone goes, comes back and is muted, and one whose detection hangs."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeAsr, FakeTts, FakeVad, FakeWake, FakeWakeSession, RecordingSink, perform

from edgevoice.assistant import Assistant
from edgevoice.audio.ear import Ear
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.audio.source import BLOCK
from edgevoice.config import load
from edgevoice.engines.protocols import WakeScore
from edgevoice.errors import DeviceError
from edgevoice.events import Deaf, Event, Fault, Hearing, Listening, Muted, TurnEnded
from edgevoice.flow.worker import Worker
from edgevoice.parts import Parts, load_skills
from edgevoice.turn import Engines

GONE = DeviceError("it has gone", place="microphone 'fed'")


class Fed:
    """A microphone that hears what it is fed."""

    lossless = False
    eager = True
    name = "fed"

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Audio | DeviceError] = asyncio.Queue()
        self.closed = False

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        at = 0
        while True:
            piece = await self.queue.get()
            if isinstance(piece, DeviceError):
                raise piece
            yield Audio(piece.samples, start=at)
            at += len(piece)

    async def close(self) -> None:
        self.closed = True
        self.queue.put_nowait(DeviceError("it was closed", place="fed"))


class Rig:
    """A running assistant."""

    def __init__(self, assistant: Assistant, ear: Ear, devices: list[Fed], sink: RecordingSink) -> None:
        self.assistant = assistant
        self.ear = ear
        self.devices = devices
        self.sink = sink
        self.events: list[Event] = []
        self.processed = 0
        self.fed = 0
        self.changed = asyncio.Event()
        assistant.on_processed = self._process

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    def _process(self, samples: int) -> None:
        self.processed += samples
        self.changed.set()

    def kinds(self, *wanted: type[Event]) -> list[str]:
        return [type(event).__name__ for event in self.events if not wanted or isinstance(event, wanted)]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    async def feed(self, script: str, *, wait: bool = True) -> None:
        """Let the microphone hear a script; with ``wait``, the wake word's detection as well."""
        audio = perform(script)
        # The room is not quite still.
        samples = audio.samples.copy()
        samples[::100] += np.arange(len(samples[::100]), dtype=np.int16) % 7 * (samples[::100] == 0)
        for at in range(0, len(samples), BLOCK):
            self.devices[-1].queue.put_nowait(Audio(samples[at : at + BLOCK]))
            self.fed += len(samples[at : at + BLOCK])
            if wait:
                await self.until(lambda: self.processed >= self.fed)
            else:
                await asyncio.sleep(0)
                await asyncio.sleep(0)


class HangingWake(FakeWake):
    """Hangs while the gate is closed."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()

    def open(self) -> FakeWakeSession:
        gate = self.gate

        class Session(FakeWakeSession):
            def feed(self, audio: Audio) -> Sequence[WakeScore]:
                gate.wait(20)
                return super().feed(audio)

        return Session()


class SpeechVad(FakeVad):
    """What the room gives is no speech."""

    def open(self):  # type: ignore[no-untyped-def]
        session = super().open()
        feed = session.feed
        session.feed = lambda audio: feed(Audio(audio.samples * (np.abs(audio.samples) > 10), start=audio.start))  # type: ignore[method-assign]
        return session


@asynccontextmanager
async def running(wake: FakeWake | None = None, *, muted: bool = False, plugged: bool = True) -> AsyncIterator[Rig]:
    config = load(Path("/dev/null"), environ={}, overrides=["assistant.earcons=false"])
    workers = {name: Worker(f"edgevoice-{name}") for name in ("wake", "vad", "asr", "tts", "think")}
    parts = Parts(
        wake=(workers["wake"], wake or FakeWake()),
        engines=Engines(
            vad=(workers["vad"], SpeechVad()), asr=(workers["asr"], FakeAsr()), tts=(workers["tts"], FakeTts())
        ),
        skills=load_skills(config, workers["think"]),
    )
    devices: list[Fed] = []
    rig: Rig | None = None

    async def opened() -> Fed:
        devices.append(Fed())
        if rig is not None:
            rig.changed.set()
        return devices[-1]

    sink = RecordingSink()
    ear = Ear(opened, first=await opened() if plugged and not muted else None, muted=muted)
    assistant = Assistant(config, parts, ear, sink, lambda event: made.emit(event))
    made = rig = Rig(assistant, ear, devices, sink)
    task = asyncio.create_task(assistant.run())
    try:
        await rig.until(lambda: bool(rig.events if plugged else devices))
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ear.close()
        for worker in workers.values():
            await worker.close()


TOLD = (Deaf, Hearing, Muted, TurnEnded, Fault)


def test_a_turn_ends_when_the_microphone_goes_and_the_next_one_is_answered() -> None:
    async def main() -> None:
        async with running() as rig:
            await rig.feed("...WWWW....ooo")
            assert "SpeechStarted" in rig.kinds()
            rig.devices[-1].queue.put_nowait(GONE)
            await rig.until(lambda: "TurnEnded" in rig.kinds())
            await rig.until(lambda: len(rig.devices) == 2)
            assert rig.kinds(Deaf, Fault, TurnEnded)[:2] == ["Deaf", "Fault"]
            ended = next(event for event in rig.events if isinstance(event, TurnEnded))
            assert ended.outcome == "failed"
            fault = next(event for event in rig.events if isinstance(event, Fault))
            assert "it has gone" in fault.message
            assert rig.sink.played  # the apology
            await rig.feed("...")
            assert rig.kinds(Deaf, TurnEnded, Hearing, Listening)[-3:] == ["Deaf", "TurnEnded", "Hearing"]
            rig.events.clear()
            await rig.feed("...WWWW....ooookkkk" + "." * 30)
            await rig.until(lambda: "TurnEnded" in rig.kinds())
            assert rig.kinds(*TOLD, Listening) == ["TurnEnded", "Listening"]
            assert next(event for event in rig.events if isinstance(event, TurnEnded)).outcome == "answered"

    asyncio.run(main())


def test_a_mute_ends_the_turn_and_nothing_said_before_it_is_used() -> None:
    async def main() -> None:
        async with running() as rig:
            await rig.feed("...WWWW....ooo")
            await rig.assistant.mute()
            await rig.until(lambda: "TurnEnded" in rig.kinds())
            assert set(rig.kinds(*TOLD)) == {"TurnEnded", "Muted"}
            assert next(event for event in rig.events if isinstance(event, TurnEnded)).outcome == "interrupted"
            assert rig.devices[0].closed
            assert rig.assistant._hub.past(0) == []
            await rig.assistant.unmute()
            await rig.until(lambda: len(rig.devices) == 2)
            rig.fed = rig.processed
            await rig.feed("..WWW")  # the wake word is not complete, neither with what is said after the mute
            await rig.assistant.mute()
            await rig.assistant.unmute()
            await rig.until(lambda: len(rig.devices) == 3)
            rig.fed = rig.processed
            rig.events.clear()
            await rig.feed("W....")
            assert "Wake" not in rig.kinds()
            await rig.feed("WWWW...")
            assert "Wake" in rig.kinds()

    asyncio.run(main())


def test_a_push_to_talk_while_it_is_muted_fails_and_does_not_hang() -> None:
    async def main() -> None:
        async with running(muted=True) as rig:
            assert rig.kinds() == ["Muted"]
            rig.assistant.push_to_talk()
            await rig.until(lambda: "TurnEnded" in rig.kinds())
            await rig.assistant._quiet()
            assert rig.kinds(Fault, TurnEnded, Listening) == ["Fault", "TurnEnded"]
            assert rig.devices == []

    asyncio.run(main())


def test_what_was_said_before_a_mute_is_not_kept_afterwards() -> None:
    async def main() -> None:
        async with running() as rig:
            await rig.feed("WWW...")
            await rig.assistant.mute()
            with pytest.raises(DeviceError, match="it is muted"):
                await rig.assistant.wake_missed()

    asyncio.run(main())


def test_a_gap_that_was_told_as_deafness_is_no_overrun() -> None:
    async def main() -> None:
        async with running() as rig:
            await rig.feed("...")
            await rig.assistant.mute()
            rig.ear._last_at = (rig.ear._last_at or 0) - 100  # a hundred seconds ago
            await rig.assistant.unmute()
            await rig.until(lambda: len(rig.devices) == 2)
            rig.fed = rig.processed
            await rig.feed("...")
            assert rig.kinds()[-2:] == ["Muted", "Hearing"]
            hearing = rig.events[-1]
            assert isinstance(hearing, Hearing)
            assert hearing.lost >= 99 * RATE
            assert hearing.at >= 99 * RATE

    asyncio.run(main())


def test_a_detection_that_takes_nothing_is_stalled() -> None:
    async def main() -> None:
        async with running(wake := HangingWake()) as rig:
            await rig.feed("...")
            wake.gate.clear()
            await rig.feed("." * 44, wait=False)
            assert "Deaf" not in rig.kinds()
            await rig.feed("." * 10, wait=False)
            await rig.until(lambda: "Deaf" in rig.kinds())
            deaf = next(event for event in rig.events if isinstance(event, Deaf))
            assert deaf.cause == "stalled"
            assert deaf.at / RATE < 5.3
            wake.gate.set()
            await rig.until(lambda: "Hearing" in rig.kinds())
            await rig.feed("." * 100, wait=False)
            assert rig.kinds(Deaf, Hearing)[:2] == ["Deaf", "Hearing"]

    asyncio.run(main())


def test_without_a_microphone_at_the_start_it_listens_from_the_first_sound_on() -> None:
    async def main() -> None:
        async with running(plugged=False) as rig:
            await rig.feed("...")
            assert rig.kinds() == ["Hearing"]
            await rig.feed("WWWW...")
            assert rig.kinds()[:2] == ["Hearing", "Wake"]

    asyncio.run(main())
