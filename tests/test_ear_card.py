"""The ear and the speaker on a virtual sound card that goes and comes back."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from soundcard import MICROPHONE, SPEAKER, SoundCard, in_three_takes

from edgevoice.audio.ear import Ear
from edgevoice.audio.microphone import open_microphone, reopen_microphone
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.audio.source import InputOptions, OutputOptions
from edgevoice.audio.speaker import open_speaker
from edgevoice.errors import DeviceError

pytest_plugins = ("soundcard",)


def tone(seconds: float) -> Audio:
    at = np.arange(round(24_000 * seconds)) / 24_000
    return Audio(np.round(np.sin(2 * np.pi * 440 * at) * 12_000).astype(np.int16), 24_000)


class Listening:
    """An ear that is being read, and what it says."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.said: list[str] = []
        self.position = 0
        self.loudest = 0
        """Largest sample since it was last set to 0."""
        self._changed = asyncio.Event()
        ear.on_deaf = lambda cause, _: self._say(cause)
        ear.on_hearing = lambda device, _: self._say(f"hearing {device}")

    def _say(self, what: str) -> None:
        self.said.append(what)
        self._changed.set()

    async def read(self) -> None:
        with contextlib.suppress(DeviceError):
            async for block in self.ear.blocks():
                assert block.start >= self.position
                self.position = block.end
                self.loudest = max(self.loudest, int(np.abs(block.samples.astype(int)).max()))
                self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> float:
        """Wait; gives the seconds that took."""
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        assert holds(), self.said
        return time.monotonic() - began


@asynccontextmanager
async def listening(options: InputOptions, *, gated: bool = True) -> AsyncIterator[Listening]:
    """``gated``, for the virtual microphone is digitally silent while nobody speaks."""
    ear = Ear(lambda: reopen_microphone(options), first=open_microphone(options), gated=gated)
    heard = Listening(ear)
    reading = asyncio.create_task(heard.read())
    try:
        await heard.until(lambda: heard.position > RATE // 2)
        yield heard
    finally:
        await ear.close()
        await reading


def leftover() -> list[str]:
    """Threads, but for the one that a progress bar of another test may have left."""
    return [thread.name for thread in threading.enumerate() if thread.name not in ("MainThread", "tqdm_monitor")]


@in_three_takes
def test_the_sound_server_is_killed_and_comes_back(sound_card: SoundCard) -> None:
    """The speaker has the library open as well, and speaks again afterwards."""

    async def main() -> None:
        speaker = open_speaker(OutputOptions())
        async with listening(InputOptions()) as heard:
            await speaker.play(tone(0.2))
            await speaker.drain()
            for _ in range(2):
                heard.said.clear()
                sound_card.stop()
                assert await heard.until(lambda: heard.said == ["device"]) < 5
                await asyncio.to_thread(sound_card.start)
                assert await heard.until(lambda: heard.said == ["device", "hearing default"]) < 5
            heard.loudest = 0
            saying = asyncio.create_task(asyncio.to_thread(sound_card.play_into_microphone, tone(0.5)))
            await heard.until(lambda: heard.loudest > 10_000)
            await saying
            with sound_card.record_speaker() as recording:
                await speaker.play(tone(0.3))
                await speaker.drain()
                assert np.abs(recording.wait(recording.audio.seconds + 0.2).samples.astype(int)).max() > 10_000
        await speaker.close()

    sound_card.start()  # in a second take
    asyncio.run(main())
    assert leftover() == []


@in_three_takes
def test_the_microphone_alone_vanishes_and_comes_back_as_another_one(sound_card: SoundCard) -> None:
    """Chosen by its name, it has another number then."""

    async def main() -> None:
        speaker = open_speaker(OutputOptions(device=SPEAKER))
        async with listening(InputOptions(device=MICROPHONE), gated=False) as heard:
            await asyncio.to_thread(sound_card.unload_microphone)
            # PulseAudio gives the stream another source, which is silent; then the microphone is looked for.
            assert await heard.until(lambda: heard.said[-2:] == ["silence", "device"]) < 5.5
            await asyncio.to_thread(sound_card.load_microphone)
            heard.loudest = 0
            saying = asyncio.create_task(asyncio.to_thread(sound_card.play_into_microphone, tone(5)))
            assert await heard.until(lambda: heard.said[-1] == f"hearing {MICROPHONE}") < 5
            await heard.until(lambda: heard.loudest > 10_000)
            await saying
        await speaker.close()

    sound_card.start()  # in a second take
    asyncio.run(main())
    assert leftover() == []


def test_mute_closes_the_microphone(sound_card: SoundCard) -> None:
    def recorders() -> str:
        return sound_card.pactl("list", "source-outputs").strip()

    async def main() -> None:
        async with listening(InputOptions()) as heard:
            assert "Source Output #" in await asyncio.to_thread(recorders)
            await heard.ear.mute()
            position = heard.position
            assert await asyncio.to_thread(recorders) == ""
            assert heard.position == position
            heard.ear.unmute()
            assert await heard.until(lambda: heard.said == ["hearing default"] and heard.position > position) < 5
            assert "Source Output #" in await asyncio.to_thread(recorders)

    sound_card.start()  # in a second take
    asyncio.run(main())
    assert leftover() == []


@in_three_takes
def test_a_reply_into_a_speaker_that_has_gone_fails_and_the_next_one_is_heard(sound_card: SoundCard) -> None:
    async def main() -> None:
        speaker = open_speaker(OutputOptions())
        await speaker.play(tone(0.2))
        sound_card.stop()
        with pytest.raises(DeviceError, match="speaker 'default': it has gone"):
            await speaker.play(tone(5))
        with pytest.raises(DeviceError):
            await speaker.play(tone(0.2))
        await asyncio.to_thread(sound_card.start)
        with sound_card.record_speaker() as recording:
            await speaker.play(tone(0.3))
            await speaker.drain()
            heard = recording.wait(recording.audio.seconds + 0.2)
        await speaker.close()
        loud = np.flatnonzero(np.abs(heard.samples.astype(int)) > 100)
        assert (loud[-1] - loud[0]) / heard.rate == pytest.approx(0.3, abs=0.02)  # and nothing of the lost ones

    sound_card.start()  # in a second take
    asyncio.run(main())
    assert leftover() == []


@in_three_takes
def test_a_server_that_came_back_between_two_replies_costs_none(sound_card: SoundCard) -> None:
    async def main() -> None:
        speaker = open_speaker(OutputOptions())
        sound_card.stop()
        await asyncio.to_thread(sound_card.start)
        with sound_card.record_speaker() as recording:
            await speaker.play(tone(0.3))
            await speaker.drain()
            assert np.abs(recording.wait(recording.audio.seconds + 0.2).samples.astype(int)).max() > 10_000
        await speaker.close()

    sound_card.start()  # in a second take
    asyncio.run(main())
    assert leftover() == []


def test_a_speaker_may_be_missing_at_the_start(sound_card: SoundCard) -> None:
    async def main() -> None:
        sound_card.stop()
        with pytest.raises(DeviceError):
            open_speaker(OutputOptions())
        speaker = open_speaker(OutputOptions(), patient=True)
        with pytest.raises(DeviceError):
            await speaker.play(tone(0.1))
        await asyncio.to_thread(sound_card.start)
        await speaker.play(tone(0.1))
        await speaker.drain()
        await speaker.close()

    sound_card.start()  # in a second take
    asyncio.run(main())
    assert leftover() == []


@in_three_takes
def test_a_sound_server_that_hangs_and_goes_on(sound_card: SoundCard) -> None:
    async def main() -> None:
        async with listening(InputOptions()) as heard:
            sound_card.freeze(frozen=True)
            try:
                assert await heard.until(lambda: heard.said == ["no_frames"]) < 5.5
            finally:
                sound_card.freeze(frozen=False)
            assert await heard.until(lambda: heard.said[-1] == "hearing default") < 9

    sound_card.start()  # in a second take
    asyncio.run(main())
    assert leftover() == []
