import asyncio
import logging
import os
import resource
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edgevoice.audio.pcm import Audio, Int16, concatenate
from edgevoice.audio.source import BLOCK, AudioSource
from edgevoice.audio.stdin import PipeSource, open_stdin
from edgevoice.audio.wavefile import WavSink, open_file
from edgevoice.errors import AudioFormatError, OutputError


def noise(count: int) -> Int16:
    return np.random.default_rng(1).integers(-20_000, 20_000, count).astype(np.int16)


def tone(rate: int, seconds: float = 1.0) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.sin(2 * np.pi * 500 * np.arange(round(rate * seconds)) / rate) * 0.5


async def read(source: AudioSource) -> Audio:
    """All of a source; its blocks must follow each other."""
    blocks = []
    at = 0
    async for block in source.blocks():
        assert block.start == at
        at = block.end
        blocks.append(block)
    await source.close()
    return concatenate(blocks)


def read_file(path: Path, **options: Any) -> Audio:
    return asyncio.run(read(open_file(path, **options)))


def test_16_khz_mono_comes_through_bit_by_bit(tmp_path: Path) -> None:
    samples = noise(20_001)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    assert np.array_equal(read_file(tmp_path / "a.wav").samples, samples)


@pytest.mark.parametrize(
    ("name", "subtype", "rate", "channels"),
    [
        ("a.wav", "PCM_U8", 8_000, 1),
        ("a.wav", "PCM_16", 96_000, 6),
        ("a.wav", "PCM_24", 44_100, 2),
        ("a.wav", "PCM_32", 22_050, 1),
        ("a.wav", "FLOAT", 48_000, 2),
        ("a.wav", "ULAW", 8_000, 1),
        ("a.flac", "PCM_16", 44_100, 2),
        ("a.flac", "PCM_24", 96_000, 1),
    ],
)
def test_formats(tmp_path: Path, name: str, subtype: str, rate: int, channels: int) -> None:
    wave = np.repeat(tone(rate)[:, np.newaxis], channels, axis=1)
    soundfile.write(tmp_path / name, wave, rate, subtype=subtype)
    audio = read_file(tmp_path / name)
    assert audio.rate == 16_000
    assert abs(len(audio) - 16_000) <= 1
    expected = tone(16_000)[: len(audio)] * 32768
    assert np.abs(audio.samples - expected)[400:-400].max() < 900  # 8 bits: a step is 256, mu-law's are 1024


def test_channels(tmp_path: Path) -> None:
    left, right = noise(3_000), noise(3_000)[::-1]
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000)
    assert np.array_equal(read_file(tmp_path / "a.wav", channel=1).samples, right)
    mixed = read_file(tmp_path / "a.wav").samples
    assert np.abs(mixed - (left.astype(int) + right) / 2).max() <= 1
    with pytest.raises(AudioFormatError, match="there is no channel 2: it has 2"):
        open_file(tmp_path / "a.wav", channel=2)


def test_the_name_does_not_decide_what_a_file_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(2_000), 16_000)
    (tmp_path / "a.wav").rename(tmp_path / "a.raw")
    assert len(read_file(tmp_path / "a.raw")) == 2_000


def test_infinities_and_nans_become_numbers(tmp_path: Path) -> None:
    samples = np.array([np.nan, np.inf, -np.inf, 0.5] * 10, np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert read_file(tmp_path / "a.wav").samples[:4].tolist() == [0, 32767, -32768, 16384]


def header(data: int, *, form: int = 1, bits: int = 16, rate: int = 16_000) -> bytes:
    layout = struct.pack("<IHHIIHH", 16, form, 1, rate, rate * 2, 2, bits)
    return b"RIFF" + struct.pack("<I", data + 36) + b"WAVEfmt " + layout + b"data" + struct.pack("<I", data)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "it is empty"),
        (header(0), "it holds no audio"),
        (b"Dear diary, this is no sound.\n" * 9, "no audio file"),
        (header(100)[:20], "no audio file"),
        (header(100, form=0x7777) + bytes(100), "no audio file"),
        (b"RIFF" + os.urandom(3), "no audio file"),
        (b"fLaC" + bytes(300), "no audio file"),
    ],
)
def test_what_is_no_audio_is_refused_with_its_name(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    before = open_descriptors()
    with pytest.raises(AudioFormatError, match=cause) as caught:
        open_file(path)
    assert caught.value.place == str(path)
    assert caught.value.remedy
    assert open_descriptors() == before


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioFormatError, match="No such file"):
        open_file(tmp_path / "none.wav")
    with pytest.raises(AudioFormatError, match="directory"):
        open_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AudioFormatError, match="not a file"):
        open_file(tmp_path / "pipe")


def test_a_recording_cut_short_is_played_as_far_as_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = noise(8_000)
    path = tmp_path / "cut.wav"
    path.write_bytes(header(16_000) + samples.tobytes()[:10_000])
    with caplog.at_level(logging.WARNING):
        audio = read_file(path)
    assert np.array_equal(audio.samples, samples[:5_000])
    assert "promises 16000 bytes of sound and 10000 are there" in caplog.text


def test_a_recording_of_unknown_length_is_no_reason_to_warn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "piped.wav"
    path.write_bytes(header(0xFFFF_FFFF - 36) + noise(8_000).tobytes())
    with caplog.at_level(logging.WARNING):
        assert len(read_file(path)) == 8_000
    assert not caplog.text


def test_a_damaged_flac_says_where(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(160_000), 16_000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        try:
            audio = read_file(path)
        except AudioFormatError as error:
            assert "damaged" in error.cause and "near" in error.place
        else:
            assert 40_000 < len(audio) < 100_000
            assert "ends after" in caplog.text


def test_a_long_file_is_not_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with path.open("wb") as file:  # an hour that takes no room on the disk
        file.write(header(2 * 16_000 * 3_600))
        file.truncate(44 + 2 * 16_000 * 3_600)

    async def first() -> int:
        source = open_file(path)
        largest = 0
        blocks = source.blocks()
        for _ in range(100):
            await anext(blocks)
            largest = max(largest, source._file.tell())  # what was taken from the disk
        await blocks.aclose()
        await source.close()
        return largest

    assert asyncio.run(first()) <= 100 * BLOCK + 16_000


def test_reading_leaves_the_rest_of_the_program_its_turn(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(100 * BLOCK), 16_000)

    async def main() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await read(open_file(tmp_path / "a.wav"))
        task.cancel()
        return turns

    assert asyncio.run(main()) >= 100


# Writing -------------------------------------------------------------------------------------------------------


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "reply.wav"
    samples = noise(5_000)

    async def main() -> None:
        sink = WavSink(path)
        await sink.play(Audio(samples[:3_000], 24_000))
        await sink.play(Audio(samples[3_000:], 24_000))
        assert not path.exists()
        await sink.drain()
        await sink.close()
        await sink.close()

    asyncio.run(main())
    result, rate = soundfile.read(path, dtype="int16")
    assert rate == 24_000
    assert np.array_equal(result, samples)
    assert path.read_bytes()[:44] == header(10_000, rate=24_000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["reply.wav"]


def test_a_sink_with_a_rate_resamples_to_it(tmp_path: Path) -> None:
    async def main() -> None:
        sink = WavSink(tmp_path / "a.wav", rate=16_000)
        for rate in (48_000, 22_050):
            await sink.play(Audio((tone(rate) * 32767).astype(np.int16), rate))
        await sink.close()

    asyncio.run(main())
    assert soundfile.info(tmp_path / "a.wav").frames == pytest.approx(32_000, abs=2)


def test_nothing_written_is_a_valid_empty_file(tmp_path: Path) -> None:
    asyncio.run(WavSink(tmp_path / "a.wav").close())
    assert (tmp_path / "a.wav").read_bytes() == header(0)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 100 KB: what a full disk looks like to a writer."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("count", [49_980, 500_000])  # the last bytes do not fit at closing, or already while playing
def test_a_full_disk_is_an_error_and_leaves_nothing_but_the_old_file(tmp_path: Path, count: int) -> None:
    path = tmp_path / "reply.wav"
    path.write_bytes(b"old")

    async def main() -> None:
        sink = WavSink(path)
        await sink.play(Audio(noise(count), 16_000))
        await sink.close()

    with pytest.raises(OutputError, match="cannot be written") as caught:
        asyncio.run(main())
    assert caught.value.place == str(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["reply.wav"]
    assert path.read_bytes() == b"old"


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        WavSink(tmp_path / "none" / "reply.wav")
    with pytest.raises(OutputError, match="directory"):
        WavSink(tmp_path)


# Raw PCM -------------------------------------------------------------------------------------------------------


def through_pipe(data: bytes, rate: int, channels: int = 1, **options: Any) -> Audio:
    async def main() -> Audio:
        reader, writer = os.pipe()
        source = PipeSource(rate, channels, descriptor=reader, **options)

        def write() -> None:
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(data)

        writing = asyncio.create_task(asyncio.to_thread(write))
        try:
            return await read(source)
        finally:
            os.close(reader)
            await asyncio.gather(writing, return_exceptions=True)

    return asyncio.run(main())


def test_raw_pcm_from_a_pipe() -> None:
    samples = noise(100_001)
    assert np.array_equal(through_pipe(samples.tobytes(), 16_000).samples, samples)


def test_frames_that_arrive_in_parts_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevoice.audio.stdin.READ_BYTES", 7)
    samples = noise(3_000)
    assert np.array_equal(through_pipe(samples.tobytes(), 16_000, 2, channel=1).samples, samples[1::2])


def test_raw_pcm_is_resampled_and_its_channel_picked() -> None:
    stereo = np.stack([tone(48_000) * 32767, np.zeros(48_000)], axis=1).astype(np.int16)
    picked = through_pipe(stereo.tobytes(), 48_000, 2, channel=0)
    assert len(picked) == pytest.approx(16_000, abs=1)
    assert np.abs(picked.samples - tone(16_000)[: len(picked)] * 32767)[400:-400].max() < 20
    assert not through_pipe(stereo.tobytes(), 48_000, 2, channel=1).samples.any()


def test_raw_pcm_from_a_redirected_file(tmp_path: Path) -> None:
    samples = noise(5_000)
    (tmp_path / "raw").write_bytes(samples.tobytes())
    with (tmp_path / "raw").open("rb") as file:
        assert np.array_equal(asyncio.run(read(PipeSource(16_000, 1, descriptor=file.fileno()))).samples, samples)


def test_a_last_half_frame_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(through_pipe(noise(100).tobytes() + b"x", 16_000)) == 100
    assert "1 bytes are left over" in caplog.text


@pytest.mark.parametrize(("data", "cause"), [(b"", "it is empty"), (header(100), "a WAV file, not raw PCM")])
def test_what_is_no_raw_pcm_is_refused(data: bytes, cause: str) -> None:
    with pytest.raises(AudioFormatError, match=cause):
        through_pipe(data, 16_000)


def test_stdin_options_that_make_no_sense() -> None:
    for arguments in ((0, 1), (16_000, 0), (16_000, 1, "f32le")):
        with pytest.raises(AudioFormatError):
            open_stdin(*arguments)
    with pytest.raises(AudioFormatError, match="no channel 2 of 2"):
        open_stdin(16_000, 2, channel=2)
    master, terminal = os.openpty()
    try:
        with pytest.raises(AudioFormatError, match="keyboard"):
            PipeSource(16_000, 1, descriptor=terminal)
    finally:
        os.close(master)
        os.close(terminal)
