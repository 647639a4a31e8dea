"""What every source and every sink keeps, whatever is behind it."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakedevice import FakeDevice
from soundcard import SoundCard

from edgevoice.audio.ear import Ear
from edgevoice.audio.microphone import open_microphone, reopen_microphone
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.audio.source import BLOCK, AudioSink, AudioSource, InputOptions, OutputOptions
from edgevoice.audio.speaker import open_speaker
from edgevoice.audio.stdin import PipeSource
from edgevoice.audio.wavefile import WavSink, open_file
from edgevoice.errors import AudioError, EdgeVoiceError

pytest_plugins = ("soundcard",)

Opened = AbstractAsyncContextManager[AudioSource]


def tone(rate: int, seconds: float) -> Audio:
    at = np.arange(round(rate * seconds)) / rate
    return Audio(np.round(np.sin(2 * np.pi * 440 * at) * 8_000).astype(np.int16), rate)


@pytest.fixture(
    params=["file", "realtime file", "pipe", "microphone", "fake device", "ear", "late ear", "ear on a file"]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Opened]:
    """Opens the source; a second of sound at 44.1 kHz is behind it, or a microphone."""
    kind: str = request.param
    if kind in ("microphone", "ear", "late ear"):
        request.getfixturevalue("sound_card")

    @asynccontextmanager
    async def source() -> AsyncIterator[AudioSource]:
        if kind == "microphone":
            yield open_microphone(InputOptions())
        elif kind == "fake device":
            yield FakeDevice(paced=False)
        elif kind in ("ear", "late ear"):
            first = open_microphone(InputOptions()) if kind == "ear" else None
            yield Ear(lambda: reopen_microphone(InputOptions()), first=first)
        elif kind == "pipe":
            reader, writer = os.pipe()
            with os.fdopen(writer, "wb") as pipe:
                writing = asyncio.create_task(
                    asyncio.to_thread(_write, pipe.fileno(), tone(44_100, 1).samples.tobytes())
                )
                writing.add_done_callback(lambda _: pipe.close())
                try:
                    yield PipeSource(44_100, 1, descriptor=reader)
                finally:
                    os.close(reader)
                    await asyncio.gather(writing, return_exceptions=True)
        else:
            soundfile.write(tmp_path / "a.wav", tone(44_100, 1).samples, 44_100)
            file = open_file(tmp_path / "a.wav", realtime=kind == "realtime file")
            yield Ear(no_more, first=file) if kind == "ear on a file" else file

    return source


async def no_more() -> AudioSource:
    raise AssertionError("a recording is not opened again")


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(descriptor, data) :]


def test_blocks_follow_each_other_on_one_clock(opened: Callable[[], Opened], request: pytest.FixtureRequest) -> None:
    late = request.node.callspec.id == "late ear"  # for which time has passed before the first sound

    async def main() -> None:
        async with opened() as source:
            at = 0
            sizes: list[int] = []
            async with contextlib.aclosing(source.blocks()) as blocks:
                async for block in blocks:
                    assert block.rate == RATE
                    assert block.samples.dtype == np.int16
                    assert block.samples.ndim == 1
                    assert block.start == at or (late and not sizes)
                    at = block.end
                    sizes.append(len(block))
                    if at >= RATE * 2:
                        break
            assert set(sizes[:-1]) == {BLOCK}
            assert 0 < sizes[-1] <= BLOCK
            if source.lossless:
                assert abs(at - RATE) <= 1  # it ends by itself, and nothing is missing
            await source.close()

    asyncio.run(main())


def test_a_source_may_be_closed_twice_and_leaves_nothing_behind(opened: Callable[[], Opened]) -> None:
    async def main() -> None:
        async with opened() as source:
            async with contextlib.aclosing(source.blocks()) as blocks:
                await anext(blocks)
            await source.close()
            await source.close()

    asyncio.run(main())
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]


def test_a_source_may_be_closed_before_it_is_read(opened: Callable[[], Opened]) -> None:
    async def main() -> None:
        async with opened() as source:
            await source.close()
            with pytest.raises(AudioError, match="closed"):
                await anext(source.blocks())

    asyncio.run(main())


def test_reading_can_be_cancelled(opened: Callable[[], Opened]) -> None:
    async def main() -> None:
        async with opened() as source:
            began = asyncio.Event()

            async def read() -> None:
                async with contextlib.aclosing(source.blocks()) as blocks:
                    async for _ in blocks:
                        began.set()
                await asyncio.Event().wait()

            task = asyncio.create_task(read())
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await source.close()
            assert asyncio.all_tasks() <= {asyncio.current_task(), *_writers()}

    def _writers() -> set[asyncio.Task[object]]:
        return {task for task in asyncio.all_tasks() if "to_thread" in repr(task.get_coro())}

    asyncio.run(main())


# Sinks ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "speaker"])
def sink_opener(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], AudioSink]:
    if request.param == "file":
        return lambda: WavSink(tmp_path / "a.wav", rate=RATE)
    card: SoundCard = request.getfixturevalue("sound_card")
    assert card
    return lambda: open_speaker(OutputOptions())


def test_any_rate_is_taken(sink_opener: Callable[[], AudioSink]) -> None:
    async def main() -> None:
        sink = sink_opener()
        for rate in (8_000, 22_050, 24_000, 48_000):
            await sink.play(tone(rate, 0.2))
        await sink.drain()
        await sink.close()

    asyncio.run(main())


def test_a_flush_is_possible_at_any_time(sink_opener: Callable[[], AudioSink]) -> None:
    async def main() -> None:
        sink = sink_opener()
        sink.flush()
        playing = asyncio.create_task(sink.play(tone(24_000, 0.2)))
        await asyncio.sleep(0)
        sink.flush()
        await playing
        sink.flush()
        await sink.drain()
        await sink.play(Audio(np.zeros(0, np.int16), 24_000))
        await sink.drain()
        await sink.close()

    asyncio.run(main())


def test_a_sink_may_be_closed_twice_and_leaves_nothing_behind(sink_opener: Callable[[], AudioSink]) -> None:
    async def main() -> None:
        sink = sink_opener()
        await sink.play(tone(24_000, 0.1))
        await sink.close()
        await sink.close()
        with pytest.raises(EdgeVoiceError, match="closed"):
            await sink.play(tone(24_000, 1.0))

    asyncio.run(main())
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]


def test_a_cancelled_play_leaves_a_sink_that_works(sink_opener: Callable[[], AudioSink]) -> None:
    """Barge-in: flush, then cancel, then the next turn speaks."""

    async def main() -> None:
        sink = sink_opener()
        playing = asyncio.create_task(sink.play(tone(24_000, 5.0)))
        for _ in range(3):
            await asyncio.sleep(0)
        sink.flush()
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        async with asyncio.timeout(5):
            await sink.play(tone(24_000, 0.2))
            await sink.drain()
        await sink.close()

    asyncio.run(main())
