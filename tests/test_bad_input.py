"""What a whole command does with bad input: the message, the exit code, and what is left behind."""

import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeTts

from edgevoice.__main__ import main
from edgevoice.audio.source import OutputOptions
from edgevoice.cli import run as run_command
from edgevoice.errors import DeviceError, ModelError, OutputError
from edgevoice.modelstore import ModelStore

EDGEVOICE = [sys.executable, "-m", "edgevoice"]


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEVOICE_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    return tmp_path


def wav(rate: int, channels: int = 1, frames: int = 800) -> bytes:
    data = bytes(2 * channels * frames)
    layout = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * 2 * channels & 0xFFFF_FFFF, 2 * channels, 16)
    return (
        b"RIFF"
        + struct.pack("<I", len(data) + 36)
        + b"WAVEfmt "
        + layout
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


# Standard output ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_standard_output_is_an_error(empty_folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*EDGEVOICE, "config", "show"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == OutputError.exit_code
    assert done.stderr.startswith("edgevoice: error: standard output: it cannot be written: No space left")
    assert len(done.stderr.splitlines()) == 1


def test_closed_streams_are_no_files_of_ours(empty_folder: Path) -> None:
    script = 'exec 0<&- 1>&- 2>&-; exec "$0" -m edgevoice config init made.yaml'
    done = subprocess.run(["sh", "-c", script, sys.executable], check=False)
    assert done.returncode == 0
    assert "made.yaml" not in (empty_folder / "made.yaml").read_text()


def test_a_reader_that_goes_away_is_no_mistake(empty_folder: Path) -> None:
    process = subprocess.Popen(
        [*EDGEVOICE, "config", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0
    process.stderr.close()


# Stopping -------------------------------------------------------------------------------------------------------


@pytest.fixture
def endless_voice(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A voice that has begun to speak and does not come to an end before the test does."""
    begun, end = threading.Event(), threading.Event()

    class Endless(FakeTts):
        def synthesize(self, text: str) -> Iterator[object]:  # type: ignore[override]
            yield from super().synthesize(text)
            begun.set()
            end.wait(0.2)
            yield from self.synthesize(text)

    monkeypatch.setattr("edgevoice.engines.registry.load", lambda *_: Endless())
    yield begun
    end.set()


def test_sigterm_leaves_no_half_written_file(empty_folder: Path, endless_voice: threading.Event) -> None:
    def stop() -> None:
        endless_voice.wait(10)
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    before = signal.getsignal(signal.SIGTERM)
    stopper.start()
    with pytest.raises(SystemExit) as ended:
        main(["say", "hello", "-o", "said.wav"])
    stopper.join()
    assert ended.value.code == 143
    assert list(empty_folder.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


# The reply's file -----------------------------------------------------------------------------------------------


def test_what_cannot_be_written_is_known_before_anything_is_loaded(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgevoice.parts.Loader.load", lambda *_: pytest.fail("it was loaded"))
    assert main(["run", "--demo", "--output", "no/such/folder.wav"]) == OutputError.exit_code
    assert "make the folder first" in capsys.readouterr().err


def test_a_run_that_fails_keeps_the_reply_of_the_last_one(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ModelError("it is damaged", place="a model")

    (empty_folder / "reply.wav").write_bytes(b"the last one")
    monkeypatch.setattr("edgevoice.parts.load_skills", broken)
    assert main(["run", "--demo"]) == ModelError.exit_code
    assert (empty_folder / "reply.wav").read_bytes() == b"the last one"
    assert [path.name for path in empty_folder.iterdir()] == ["reply.wav"]


def test_a_microphone_without_a_speaker_says_what_to_do(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgevoice.audio.devices import explain_absence

    def none(_: OutputOptions, *, patient: bool) -> None:
        raise explain_absence(record=False, dev=empty_folder)

    monkeypatch.setattr("edgevoice.audio.devices.has_sound_card", lambda **_: True)
    monkeypatch.setattr("edgevoice.audio.speaker.open_speaker", none)
    assert main(["run"]) == DeviceError.exit_code
    assert "a file can be written instead, with --output" in capsys.readouterr().err
    assert run_command.REPLY.exists() is False


def test_half_a_configuration_is_not_left(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text[:10].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert main(["config", "init", "new.yaml"]) == OutputError.exit_code
    assert list(empty_folder.iterdir()) == []


# Recordings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "it is empty (0 bytes)"),
        (wav(16_000)[:20], "no audio file that can be read"),
        (wav(16_000, frames=0), "it holds no audio"),
        (wav(16_000, channels=0), "no audio file that can be read"),
        (wav(0), "no audio file that can be read"),
        (wav(1), "its header says 1 samples per second"),
        (wav(0x7FFF_FFFF), "its header says 2147483647 samples per second"),
        (b"hello, this is a text\n" * 50, "no audio file that can be read"),
        (None, "it is a directory"),
    ],
)
def test_one_bad_recording_among_good_ones(
    empty_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    cause: str,
) -> None:
    from fakes import FakeAsr

    monkeypatch.setattr("edgevoice.engines.registry.load", lambda *_: FakeAsr())
    (empty_folder / "good.wav").write_bytes(wav(16_000))
    if content is None:
        (empty_folder / "bad.wav").mkdir()
    else:
        (empty_folder / "bad.wav").write_bytes(content)
    assert main(["transcribe", "bad.wav", "good.wav"]) == 5
    out, err = capsys.readouterr()
    assert out.startswith("good.wav: ")
    assert err.startswith("edgevoice: error: bad.wav: ")
    assert cause in err


def test_an_mp3_is_read_in_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import asyncio

    import soundfile

    from edgevoice.audio.wavefile import open_file

    time = np.arange(16_000) / 16_000
    soundfile.write(tmp_path / "a.wav", np.sin(2 * np.pi * 440 * time) * 0.3, 16_000, format="MP3")

    async def read() -> int:
        source = open_file(tmp_path / "a.wav")
        total = 0
        async for block in source.blocks():
            total += len(block)
        await source.close()
        return total

    assert asyncio.run(read()) >= 16_000
    assert capfd.readouterr().err == ""


# Wrong usage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run", "--nope"],
        ["say"],
        ["models"],
        ["models", "buy"],
        ["config"],
        ["devices", "--meter", "soon"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "_seconds" not in capsys.readouterr().err


def test_intent_uses_the_packs_of_the_configuration(empty_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (empty_folder / "own.yaml").write_text('intents: {Tea: {data: [{sentences: ["make tea"]}], response: Tea.}}')
    (empty_folder / "edgevoice.yaml").write_text("intents: {packs: [own.yaml]}")
    ask: Callable[..., int] = lambda *more: main(["intent", *more, "--config", "edgevoice.yaml"])  # noqa: E731
    assert ask("make tea") == 0
    assert ask("what time is it") == 0
    assert ask("what time is it", "--no-default") == 1
    assert ask("what time is it", "--set", "intents.default_pack=false") == 1
    assert main(["intent", "make tea"]) == 1


def test_a_defect_shows_itself_and_exits_with_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("edgevoice.cli.config.run", broken)
    assert main(["config", "show"]) == 70
    assert "ZeroDivisionError: a defect" in capsys.readouterr().err


def test_ctrl_c_while_modules_are_loaded_ends_the_program_at_once() -> None:
    code = """
import importlib.abc, os, signal, sys
from edgevoice.start import main
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == sys.argv[-1]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.exit(main())
"""
    for module in ("argparse", "edgevoice.config", "numpy"):
        done = subprocess.run([sys.executable, "-c", code, "config", "show", module], capture_output=True, check=False)
        assert (module, done.returncode, done.stderr) == (module, -signal.SIGINT, b"")


@pytest.mark.parametrize(
    ("key", "code", "complaint"),
    [
        ("wake.microwakeword.models=[okay_nabo]", 4, "no model of that name in the catalog; did you mean 'okay_nabu'?"),
        ("asr.whisper.model=/no/where", 4, "/no/where: there is no such file or folder"),
        ("detection.thresholds={nabu: 0.5}", 3, "detection.thresholds.nabu: no such wake word is loaded"),
        ("detection.commands={nabu: what time is it}", 3, "detection.commands.nabu: no such wake word is loaded"),
        ("detection.commands={okay_nabu: fly to the moon}", 3, "'fly to the moon' is no command"),
    ],
)
def test_a_check_of_the_configuration_sees_models_and_wake_words(
    key: str,
    code: int,
    complaint: str,
    store: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for word in ("okay_nabu", "hey_jarvis"):
        store.path(word)
    monkeypatch.setenv("EDGEVOICE_MODELS", str(store.root))
    assert main(["config", "check", "--config", os.devnull, "--set", key]) == code
    assert complaint in capsys.readouterr().err


def test_a_check_of_the_configuration_before_the_models_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEVOICE_MODELS", str(tmp_path))
    assert main(["config", "check", "--config", os.devnull]) == 0
    told = capsys.readouterr()
    assert "no mistakes" in told.out
    assert "which wake words there are was not looked at" in told.err and "models pull" in told.err
