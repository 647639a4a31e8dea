"""``edgevoice say``, from its arguments to the file."""

import argparse
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import RecordingSink

from edgevoice.audio.source import OutputOptions
from edgevoice.cli import say
from edgevoice.errors import AudioError, ConfigError, EdgeVoiceError, ModelError, OutputError, TextError


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("EDGEVOICE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    say.add_arguments(parser)
    return say.run(parser.parse_args(arguments))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_writes_a_wav_file_and_tells_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.wav"
    assert run("It", "is 7:05 pm.", "-o", str(path), "--json", "--verbose") == 0
    samples, rate = soundfile.read(path, dtype="int16")
    told = capsys.readouterr()
    figures = json.loads(told.out)
    assert rate == 24_000
    assert 0.8 < len(samples) / rate < 3
    assert figures["audio_s"] == pytest.approx(len(samples) / rate, abs=0.001)
    assert figures["engine"] == "hibari"
    assert figures["first_audio_s"] > 0
    assert re.search(r"hibari: loaded in .* first audio after .* real-time factor of", told.err)
    assert files(tmp_path) == ["a.wav"]


def test_it_reads_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Grüße. Zwei.".encode())))
    assert run("-", "-o", str(tmp_path / "a.wav")) == 0
    assert soundfile.info(tmp_path / "a.wav").duration > 0.8


@pytest.mark.parametrize(
    ("data", "complaint"),
    [(b"", "nothing in it"), (b"\xff\xfe", "no UTF-8 text"), (b"x" * (say.MAX_BYTES + 1), "is longer than")],
)
def test_standard_input_that_is_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, complaint: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(TextError, match=complaint):
        run("-", "-o", str(tmp_path / "a.wav"))
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["\U0001f600"], TextError),
        (["안녕하세요"], TextError),
        (["Fine. 안녕하세요."], TextError),
        (["Hi.", "--engine", "hibri"], ConfigError),
        (["Hi.", "--speed", "fast"], ConfigError),
        (["Hi.", "--speed", "9"], ConfigError),
        (["Hi.", "--voice", "nobody"], ModelError),
        (["Hi.", "--engine", "piper", "--voice", "/nothing/here"], ModelError),
    ],
)
def test_mistakes_are_named_and_leave_no_file(tmp_path: Path, arguments: list[str], kind: type[EdgeVoiceError]) -> None:
    with pytest.raises(kind):
        run(*arguments, "-o", str(tmp_path / "a.wav"))
    assert files(tmp_path) == []


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (tmp_path / "no" / "a.wav", tmp_path, pipe):
        with pytest.raises(OutputError):
            run("Hi.", "-o", str(place))
    assert pipe.is_fifo()


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgevoice.audio import wavefile

    path = tmp_path / "a.wav"
    path.write_bytes(b"old")

    def full(self: object, data: bytes) -> None:
        raise wavefile._cannot_write(path, OSError(28, "No space left on device"))

    monkeypatch.setattr(wavefile.WavSink, "_write", full)
    with pytest.raises(OutputError, match="No space left on device"):
        run("Hi.", "-o", str(path))
    assert files(tmp_path) == ["a.wav"]
    assert path.read_bytes() == b"old"


def test_without_a_file_it_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = RecordingSink()
    asked: list[OutputOptions] = []

    def open_speaker(options: OutputOptions) -> RecordingSink:
        asked.append(options)
        return sink

    monkeypatch.setattr("edgevoice.audio.speaker.open_speaker", open_speaker)
    assert run("Hello.", "--set", "output.volume=40", "--speed", "1.5") == 0
    assert asked[0].volume == 40
    assert np.max(np.abs(np.concatenate([audio.samples for audio in sink.played]))) > 1000


def test_a_speaker_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_speaker(options: OutputOptions) -> RecordingSink:
        raise AudioError("no speaker")

    monkeypatch.setattr("edgevoice.audio.speaker.open_speaker", open_speaker)
    with pytest.raises(AudioError, match="no speaker"):
        run("Hello.")
