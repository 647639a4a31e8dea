"""The microphone and the speaker on a virtual sound card."""

import asyncio
import contextlib
import gc
import os
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from soundcard import RATE as CARD_RATE
from soundcard import SoundCard, in_three_takes

from edgevoice.audio import devices, portaudio
from edgevoice.audio.convert import resample
from edgevoice.audio.microphone import Microphone, open_microphone
from edgevoice.audio.pcm import Audio, Int16, concatenate
from edgevoice.audio.source import BATCH, InputOptions, OutputOptions
from edgevoice.audio.speaker import open_speaker
from edgevoice.errors import DeviceError

pytest_plugins = ("soundcard",)


def chirp(rate: int, seconds: float = 1.0) -> Audio:
    """300 to 3000 Hz: its correlation with itself has one sharp peak."""
    at = np.arange(round(rate * seconds)) / rate
    phase = 2 * np.pi * (300 * at + 1350 * at**2 / seconds)
    return Audio(np.round(np.sin(phase) * 12_000).astype(np.int16), rate)


def tone(hertz: float, rate: int, seconds: float) -> Audio:
    at = np.arange(round(rate * seconds)) / rate
    return Audio(np.round(np.sin(2 * np.pi * hertz * at) * 12_000).astype(np.int16), rate)


def likeness(recorded: Int16, played: Int16) -> tuple[float, int]:
    """Highest normalised cross-correlation, and where in the recording ``played`` begins then."""
    long, short = recorded.astype(float), played.astype(float)
    size = len(long) + len(short)
    product: NDArray[Any] = np.fft.irfft(np.fft.rfft(long, size) * np.conj(np.fft.rfft(short, size)), size)
    best = int(product[: len(long)].argmax())
    energy = np.sqrt((long[best : best + len(short)] ** 2).sum() * (short**2).sum())
    return float(product[best] / energy) if energy else 0.0, best


def sounding(audio: Audio) -> Int16:
    """From the first to the last sample that is not silent."""
    loud = np.flatnonzero(np.abs(audio.samples.astype(int)) > 100)
    return audio.samples[loud[0] : loud[-1] + 1] if len(loud) else audio.samples[:0]


async def listen(microphone: Microphone, card: SoundCard, said: Audio) -> Audio:
    """What the microphone hears from its start until ``said`` has been said into it, and half a second more."""
    heard: list[Audio] = []
    saying: asyncio.Task[None] | None = None
    until: int | None = None
    async with contextlib.aclosing(microphone.blocks()) as blocks:
        async for block in blocks:
            assert block.start == (heard[-1].end if heard else 0)
            heard.append(block)
            saying = saying or asyncio.create_task(asyncio.to_thread(card.play_into_microphone, said))
            if saying.done() and until is None:
                await saying
                until = block.end + 8_000
            if until is not None and block.end >= until:
                break
    return concatenate(heard)


@pytest.mark.parametrize(
    "options",
    [
        InputOptions(),
        InputOptions(rate=44_100, block=1_024),
        InputOptions(device=" EDGEVOICE_Mic ", rate=48_000, channel=1),
    ],
)
@in_three_takes
def test_what_is_said_into_the_microphone_arrives(sound_card: SoundCard, options: InputOptions) -> None:
    async def main() -> Audio:
        microphone = open_microphone(options)
        try:
            heard = await listen(microphone, sound_card, chirp(22_050))
            assert microphone.overruns == 0
        finally:
            await microphone.close()
        return heard

    heard = asyncio.run(main())
    assert heard.rate == 16_000
    similar, at = likeness(heard.samples, chirp(16_000).samples)
    assert similar > 0.98
    # The end is as long after the beginning as it was when it was said: nothing was dropped or repeated.
    end, end_at = likeness(heard.samples, chirp(16_000).samples[-4_000:])
    assert end > 0.95
    assert abs(end_at - at - 12_000) <= 2


def test_the_microphone_gives_blocks_of_the_size_asked_for(sound_card: SoundCard) -> None:
    async def main() -> set[int]:
        microphone = open_microphone(InputOptions(rate=44_100, block=800))
        sizes = set()
        async with contextlib.aclosing(microphone.blocks()) as blocks:
            async for block in blocks:
                sizes.add(len(block))
                if block.end >= 8_000:
                    break
        await microphone.close()
        return sizes

    assert asyncio.run(main()) == {800}


def test_a_rate_the_device_does_not_take_falls_back_to_one_it_does(sound_card: SoundCard) -> None:
    async def main() -> tuple[int, int]:
        microphone = open_microphone(InputOptions(rate=4_001))
        speaker = open_speaker(OutputOptions(rate=4_001))
        await microphone.close()
        await speaker.close()
        return microphone.rate, speaker.rate

    # PulseAudio takes any rate; what matters is that the two agree with what was opened.
    assert all(rate in (4_001, 16_000, 44_100, 48_000) for rate in asyncio.run(main()))


def test_a_microphone_that_vanishes_ends_with_an_error(sound_card: SoundCard) -> None:
    async def main() -> None:
        microphone = open_microphone(InputOptions())
        try:
            async with asyncio.timeout(20):
                async for _ in microphone.blocks():
                    sound_card.stop()
        finally:
            await microphone.close()

    with pytest.raises(DeviceError, match="microphone 'default': it has gone"):
        asyncio.run(main())
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]


def test_a_speaker_that_vanishes_ends_with_an_error(sound_card: SoundCard) -> None:
    async def main() -> None:
        speaker = open_speaker(OutputOptions())
        try:
            async with asyncio.timeout(20):
                await speaker.play(tone(440, 24_000, 0.2))
                sound_card.stop()
                await speaker.play(tone(440, 24_000, 5))
        finally:
            await speaker.close()

    with pytest.raises(DeviceError, match="speaker 'default': it has gone"):
        asyncio.run(main())
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]


def test_closing_while_it_is_read_ends_the_reading(sound_card: SoundCard) -> None:
    async def main() -> None:
        microphone = open_microphone(InputOptions())
        async for _ in microphone.blocks():
            await microphone.close()

    with pytest.raises(DeviceError, match="closed while"):
        asyncio.run(main())


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
@in_three_takes
def test_what_is_played_is_heard(sound_card: SoundCard, rate: int) -> None:
    """In pieces of odd lengths, as a synthesizer gives them; no sample is lost at the seams."""
    played = chirp(rate)

    async def main() -> Audio:
        speaker = open_speaker(OutputOptions())
        with sound_card.record_speaker() as recording:
            for at in range(0, len(played), 1_777):
                await speaker.play(Audio(played.samples[at : at + 1_777], rate))
            await speaker.drain()
            recording.wait(recording.audio.seconds + 0.2)
        await speaker.close()
        return recording.audio

    heard = asyncio.run(main())
    assert likeness(heard.samples, resample(played.samples, rate, CARD_RATE))[0] > 0.98
    assert len(sounding(heard)) == pytest.approx(CARD_RATE, rel=0.01)


def test_drain_waits_until_the_last_sample_was_heard(sound_card: SoundCard) -> None:
    """The device swallows its whole buffer ahead of time, so an empty queue is too soon."""

    async def main() -> tuple[float, float]:
        speaker = open_speaker(OutputOptions())
        began = time.monotonic()
        await speaker.play(tone(440, 24_000, 0.25))
        await speaker.drain()
        ended = time.monotonic()
        await speaker.close()
        return speaker._heard_at - began, ended - began

    heard, ended = asyncio.run(main())
    assert ended >= heard >= 0.249


def test_the_volume_is_applied(sound_card: SoundCard) -> None:
    async def main() -> Audio:
        speaker = open_speaker(OutputOptions(volume=50))
        with sound_card.record_speaker() as recording:
            await speaker.play(tone(440, 24_000, 0.3))
            await speaker.drain()
            recording.wait(recording.audio.seconds + 0.2)
        await speaker.close()
        return recording.audio

    heard = sounding(asyncio.run(main()))
    assert np.abs(heard.astype(int)).max() == pytest.approx(12_000 / 8, rel=0.03)


@in_three_takes
def test_a_flush_silences_within_a_block_and_drops_the_rest_of_the_clause(sound_card: SoundCard) -> None:
    async def main() -> tuple[float, Audio]:
        speaker = open_speaker(OutputOptions())
        with sound_card.record_speaker() as recording:
            playing = asyncio.create_task(speaker.play(tone(440, 24_000, 30)))
            await asyncio.to_thread(recording.wait, 0.5)
            flushed = recording.audio.seconds
            speaker.flush()
            async with asyncio.timeout(5):
                await playing  # the other 29 seconds are not waited for
                assert not speaker._queue  # nor is the piece kept that was waiting for room
                await speaker.drain()
            recording.wait(flushed + 0.5)
            heard = recording.audio
            # What comes next is heard, and only that.
            await speaker.play(tone(1_000, 24_000, 0.2))
            await speaker.drain()
            recording.wait(recording.audio.seconds + 0.2)
            after = Audio(recording.audio.samples[len(heard) :], CARD_RATE)
        await speaker.close()
        assert len(sounding(after)) == pytest.approx(0.2 * CARD_RATE, rel=0.05)
        return flushed, heard

    flushed, heard = asyncio.run(main())
    last = np.flatnonzero(np.abs(heard.samples.astype(int)) > 100)[-1] / CARD_RATE
    # The null sink renders 50 ms ahead and the device's buffer holds 20 ms; 300 ms and more were queued.
    assert last - flushed < 0.2


def test_play_waits_for_the_speaker(sound_card: SoundCard) -> None:
    async def main() -> None:
        speaker = open_speaker(OutputOptions())
        with sound_card.record_speaker() as recording:
            await speaker.play(tone(440, 24_000, 2))
            # All but what may be queued, and what the device and the server hold, has been heard.
            assert recording.audio.seconds > 1.0
            assert len(speaker._queue) <= 0.45 * speaker.rate * speaker._frame_bytes
        await speaker.close()

    asyncio.run(main())


@in_three_takes
def test_an_idle_speaker_stops_its_stream_and_starts_again(sound_card: SoundCard, monkeypatch: Any) -> None:
    monkeypatch.setattr("edgevoice.audio.speaker.IDLE_SECONDS", 0.05)

    async def main() -> int:
        speaker = open_speaker(OutputOptions())
        assert not speaker._stream.is_active()
        heard = 0
        with sound_card.record_speaker() as recording:
            for _ in range(3):
                before = recording.audio.seconds
                await speaker.play(tone(440, 24_000, 0.1))
                await speaker.drain()
                stopped = threading.Event()
                while speaker._stream.is_active():
                    await asyncio.to_thread(stopped.wait, 0.01)
                recording.wait(before + 0.4)
            heard = len(sounding(recording.audio))
            loud = np.count_nonzero(np.abs(recording.audio.samples.astype(int)) > 100)
        await speaker.close()
        assert loud == pytest.approx(0.3 * CARD_RATE, rel=0.05)
        return heard

    assert asyncio.run(main()) > 0.3 * CARD_RATE


def test_device_names(sound_card: SoundCard) -> None:
    names = {device.name for device in devices.list_devices()}
    assert {"default", "pulse", "edgevoice_mic", "edgevoice_speaker"} <= names
    assert devices.has_sound_card(True)
    assert devices.has_sound_card(False)
    with pytest.raises(DeviceError, match="did you mean 'edgevoice_mic'"):
        open_microphone(InputOptions(device="edgvoice_mik"))
    with pytest.raises(DeviceError, match="fits 2 devices: 'edgevoice_mic', 'edgevoice_speaker'"):
        open_microphone(InputOptions(device="edgevoice"))
    with pytest.raises(DeviceError, match="fits 2 devices"):
        open_speaker(OutputOptions(device="edgevoice"))
    with pytest.raises(DeviceError, match="there is no channel 63"):
        open_microphone(InputOptions(channel=63))


def test_nothing_is_written_to_standard_error(sound_card: SoundCard, capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        speaker = open_speaker(OutputOptions())
        microphone = open_microphone(InputOptions())
        await anext(microphone.blocks())
        await speaker.play(tone(440, 24_000, 0.1))
        await speaker.drain()
        await microphone.close()
        await speaker.close()

    asyncio.run(main())
    assert capfd.readouterr().err == ""


def test_what_others_write_meanwhile_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), portaudio.quiet():
        os.write(2, b"jack server is not running or cannot be started\nours\n")
        raise RuntimeError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ours\nafter\n"


# The microphone's bookkeeping, without a card -------------------------------------------------------------------


class FakeStream:
    """A stream that never runs; the test calls the callback itself."""

    def __init__(self) -> None:
        self.active = True

    def start_stream(self) -> None: ...

    def close(self) -> None: ...

    def is_active(self) -> bool:
        return self.active


class FakeLibrary:
    def terminate(self) -> None: ...


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> FakeStream:
    made = FakeStream()
    device = devices.Device(
        name="fake", index=0, host_api="fake", inputs=1, outputs=1, rate=16_000, default_input=True, default_output=True
    )
    monkeypatch.setattr(portaudio, "initialize", FakeLibrary)
    monkeypatch.setattr(devices, "read_devices", lambda _: [device])
    monkeypatch.setattr(portaudio, "open_stream", lambda _library, *, rates, **_: (made, rates[0], 1))
    return made


def block(value: int, size: int = 512) -> bytes:
    return np.full(size, value, np.int16).tobytes()


def feed(microphone: Microphone, value: int, status: int = 0) -> None:
    microphone._callback(block(value), 512, {}, status)


@pytest.mark.usefixtures("stream")
def test_an_overrun_is_counted_and_shows_as_a_gap() -> None:
    async def main() -> None:
        microphone = open_microphone(InputOptions(block=512))
        blocks = microphone.blocks()
        first = asyncio.ensure_future(anext(blocks))
        await asyncio.sleep(0)
        while microphone._watch is None:  # noqa: ASYNC110 - the stream starts in a thread
            await asyncio.sleep(0)
        feed(microphone, 1)
        assert (await first).start == 0
        feed(microphone, 2, status=2)  # the device lost something before this block
        assert (await anext(blocks)).start == 1_024
        assert microphone.overruns == 1
        # The consumer sleeps through more than the ring holds: the oldest are lost, the newest are not.
        for value in range(100):
            feed(microphone, value)
        got = await anext(blocks)
        assert got.samples[0] == 100 - 62
        assert got.start == 1_536 + 38 * 512
        assert microphone.overruns == 2
        await blocks.aclose()
        await microphone.close()

    asyncio.run(main())


@pytest.mark.usefixtures("stream")
def test_the_callback_copies_and_hands_off_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held by counting: no conversion, no growth, and one wake-up of the loop however many blocks wait."""

    class Loop:
        wakes = 0

        def call_soon_threadsafe(self, *_: object) -> None:
            Loop.wakes += 1

    def forbidden(*_: object) -> None:
        raise AssertionError("this belongs on the loop, not into the callback")

    async def main() -> None:
        microphone = open_microphone(InputOptions(block=512))
        monkeypatch.setattr("edgevoice.audio.convert.Converter.push", forbidden)
        microphone._loop = Loop()  # type: ignore[assignment]
        data = block(1)
        for _ in range(200):
            microphone._callback(data, 512, {}, 0)
        assert Loop.wakes == 1
        assert len(microphone._ring) == microphone._ring.maxlen == 62
        microphone._ring.clear()
        microphone._woken, microphone.eager = False, False
        wakes = []
        batch = BATCH // 512
        for _ in range(batch + 1):
            microphone._callback(data, 512, {}, 0)
            wakes.append(Loop.wakes - 1)
        assert wakes == [0] * (batch - 1) + [1, 1]  # unless it is eager it gathers a batch first
        microphone.eager = True
        called: list[str] = []
        sys.setprofile(lambda _frame, event, what: called.append(f"{event} {getattr(what, '__name__', '')}"))
        gc.disable()
        before = sys.getallocatedblocks()
        for _ in range(100):
            microphone._callback(data, 512, {}, 0)
        grown = sys.getallocatedblocks() - before
        sys.setprofile(None)
        gc.enable()
        assert {entry for entry in called if entry.startswith("c_call")} <= {
            "c_call append",
            "c_call disable",
            "c_call enable",
            "c_call getallocatedblocks",
            "c_call setprofile",
        }
        assert sum(entry.startswith("call") for entry in called) == 100
        assert grown < 100 * 8  # the list of calls itself
        microphone._loop = None
        await microphone.close()

    asyncio.run(main())


def test_a_device_that_gives_nothing_is_given_up(stream: FakeStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevoice.audio.microphone.WATCH_SECONDS", 0.001)
    monkeypatch.setattr("edgevoice.audio.microphone.DEAF_SECONDS", 0.005)

    async def main() -> None:
        microphone = open_microphone(InputOptions(block=512))
        try:
            await anext(microphone.blocks())
        finally:
            await microphone.close()

    with pytest.raises(DeviceError, match="it has given nothing"):
        asyncio.run(main())
    stream.active = False
    with pytest.raises(DeviceError, match="it has gone"):
        asyncio.run(main())
