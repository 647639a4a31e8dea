"""``edgevoice wake record``: what is kept of what the user says, and what is asked for once more."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile
from fakes import FakeVad

from edgevoice.__main__ import main
from edgevoice.audio.pcm import RATE, Audio, Float32
from edgevoice.engines.protocols import SpeechScore
from edgevoice.evaluate.recording import read
from edgevoice.listen.endpoint import Options
from edgevoice.wakes.sampling import LEAD, TAIL, Spoken, Trouble, utterances

RIGHT, OTHER = 300.0, 900.0


def tone(hertz: float, seconds: float, level: float = 0.3) -> Float32:
    """Louder and softer, as a word is."""
    at = np.arange(int(seconds * RATE)) / RATE
    shape = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * at)
    found: Float32 = (level * shape * np.sin(2 * np.pi * hertz * at)).astype(np.float32)
    return found


def quiet(seconds: float) -> Float32:
    return np.zeros(int(seconds * RATE), np.float32)


def said(*words: Float32) -> Float32:
    return np.concatenate([part for word in words for part in (quiet(1.5), word)] + [quiet(1.5)])


@pytest.fixture(autouse=True)
def engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A recogniser that takes a deep tone for the phrase."""

    def recognise(audio: Audio) -> str:
        hertz = np.argmax(np.abs(np.fft.rfft(audio.samples))) * RATE / len(audio)
        return "hey computer" if hertz < (RIGHT + OTHER) / 2 else "good morning"

    monkeypatch.setattr("edgevoice.cli.wake.recogniser", lambda config, store: recognise)
    monkeypatch.setattr("edgevoice.evaluate.wake.load_vad", lambda config: FakeVad())
    monkeypatch.setenv("EDGEVOICE_CONFIG", "/dev/null")
    monkeypatch.chdir(tmp_path)


def record(samples: Float32, *options: str) -> int:
    soundfile.write("in.wav", samples, RATE, subtype="PCM_16")
    return main(["wake", "record", "hey computer", "--input", "in.wav", *options])


def test_what_is_good_is_kept_and_what_is_not_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    clipped = np.clip(tone(RIGHT, 0.8, 3.0), -0.5, 0.5)
    words = (
        tone(RIGHT, 0.8),
        quiet(5),
        tone(RIGHT, 14.0),
        tone(OTHER, 0.8),
        clipped,
        tone(RIGHT, 0.2),
        tone(RIGHT, 4.0),
        tone(RIGHT, 0.9),
    )
    assert record(said(*words), "--count", "5") == 0
    told = capsys.readouterr()
    files = sorted(Path("hey_computer").iterdir())
    assert [path.name for path in files] == ["hey_computer-001.wav", "hey_computer-002.wav"]
    assert told.out.count("say 'hey computer'") == 3
    assert told.out.count("it goes on and on") == 1
    for fault in ("sounds like 'good morning'", "it is clipped", "0.2 s of sound", "4.0 s of sound"):
        assert told.out.count(fault) == 1
    assert "2 of 5 are in hey_computer" in told.err
    assert "the same command goes on" in told.err
    assert read(files[0]).seconds == pytest.approx(0.8 + LEAD + TAIL, abs=0.1)


def test_it_goes_on_counting_and_ends_when_there_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert record(said(tone(RIGHT, 0.8)), "--count", "3") == 0
    first = Path("hey_computer/hey_computer-001.wav").read_bytes()
    Path("hey_computer/hey_computer-007.wav").write_bytes(b"another")
    assert record(said(*[tone(RIGHT, 0.8)] * 4), "--count", "3") == 0
    assert sorted(path.name[-7:] for path in Path("hey_computer").iterdir()) == ["001.wav", "007.wav", "008.wav"]
    assert Path("hey_computer/hey_computer-001.wav").read_bytes() == first
    capsys.readouterr()
    assert record(said(tone(RIGHT, 0.8)), "--count", "3") == 0
    assert "3 are in hey_computer already" in capsys.readouterr().out


def test_what_was_recorded_can_be_learned_from() -> None:
    from edgevoice.waketrain.recordings import positives

    assert record(said(*[tone(RIGHT, 0.8)] * 3), "--output", "mine/voice") == 0
    good, wrong = positives(Path("mine/voice"), ["hey", "computer"], None)
    assert (len(good), wrong) == (3, [])


def test_the_recogniser_need_not_be_asked() -> None:
    assert record(said(tone(OTHER, 0.8)), "--unchecked") == 0
    assert len(list(Path("hey_computer").iterdir())) == 1


def test_nothing_that_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert record(said(tone(OTHER, 0.8))) == 5
    assert "nothing in it can be used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--input", "none.wav"], 5, "none.wav"),
        (["--input", "in.wav", "--output", "in.wav/x"], 10, "the folder cannot be made"),
        (["--device", "no such microphone"], 5, "microphone"),
    ],
)
def test_what_cannot_be_recorded(
    capsys: pytest.CaptureFixture[str], options: list[str], code: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write("in.wav", quiet(1), RATE)
    assert main(["wake", "record", "hey computer", *options]) == code
    assert told in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["in.wav"]


def test_a_full_disk_leaves_what_is_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from edgevoice.audio.wavefile import WavSink

    real: Callable[[WavSink, bytes], None] = WavSink._write

    def full(self: WavSink, data: bytes) -> None:
        if "002" in self._path.name:
            raise self._failed(OSError(28, "No space left on device"))
        real(self, data)

    monkeypatch.setattr(WavSink, "_write", full)
    assert record(said(*[tone(RIGHT, 0.8)] * 3)) == 10
    told = capsys.readouterr().err
    assert "No space left" in told and "1 of 10 are in hey_computer" in told
    assert [path.name for path in Path("hey_computer").iterdir()] == ["hey_computer-001.wav"]


def test_ctrl_c_keeps_what_there_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from edgevoice.wakes import sampling

    real = sampling.utterances

    async def stopped(*given: object, **options: object) -> AsyncGenerator[Spoken | Trouble, None]:
        number = 0
        async for each in real(*given, **options):  # type: ignore[arg-type]
            number += 1
            if number == 2:
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(sampling, "utterances", stopped)
    assert record(said(*[tone(RIGHT, 0.8)] * 3)) == 130
    assert "1 of 10 are in hey_computer" in capsys.readouterr().err
    assert len(list(Path("hey_computer").iterdir())) == 1


class Silent:
    """A microphone that is muted for five seconds, then heard, then nobody speaks."""

    eager = True
    lossless: ClassVar[bool] = False

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        hiss = np.random.default_rng(0).integers(-1, 2, 13 * RATE).astype(np.int16)
        heard = np.concatenate([np.zeros(5 * RATE, np.int16), hiss])
        for at in range(0, len(heard), 512):
            yield Audio(heard[at : at + 512], start=at)

    async def close(self) -> None:
        pass


class Deaf:
    """Takes nothing for speech."""

    def open(self) -> "Deaf":
        return self

    def close(self) -> None:
        pass

    def feed(self, audio: Audio) -> list[SpeechScore]:
        return [SpeechScore(0.0, audio.start, audio.end)]


def test_a_microphone_without_sound_is_told() -> None:
    async def go() -> list[Spoken | Trouble]:
        return [each async for each in utterances(Silent(), Deaf(), Options())]

    muted, soft = asyncio.run(go())
    assert isinstance(muted, Trouble) and isinstance(soft, Trouble)
    assert "mute" in muted.why
    assert "nothing is heard that sounds like speech" in soft.why
