import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from soundcard import SoundCard

from edgevoice.audio.diagnose import Finding, chirp, judge_loopback, judge_recording
from edgevoice.audio.pcm import Audio, Int16
from edgevoice.audio.source import InputOptions, OutputOptions
from edgevoice.cli import doctor
from edgevoice.errors import EngineBrokenError, EngineMissingError

pytest_plugins = ("soundcard",)


def noise(rms: float, seconds: float = 2.0) -> Int16:
    return (
        np.round(np.random.default_rng(0).normal(0, rms, round(16_000 * seconds))).clip(-32768, 32767).astype(np.int16)
    )


def judge(samples: Int16, *, pace: float = 1.0, overruns: int = 0) -> list[Finding]:
    audio = Audio(samples)
    return judge_recording(audio, elapsed=audio.seconds / pace, overruns=overruns, name="USB")


def test_a_good_microphone() -> None:
    (finding,) = judge(noise(300))
    assert finding == Finding("microphone 'USB'", "ok", "it hears: -41 dBFS, peak -28")


@pytest.mark.parametrize(
    ("samples", "options", "state", "text"),
    [
        (np.zeros(32_000, np.int16), {}, "fail", "digital silence"),
        (np.full(32_000, 12, np.int16), {}, "fail", "digital silence"),
        (noise(3), {}, "warning", "very quiet: -81 dBFS"),
        (noise(30_000), {}, "warning", "clipped"),
        ((noise(300) + 2_000).astype(np.int16), {}, "warning", "DC offset of +6.1%"),
        (noise(300), {"pace": 2.75}, "fail", "2.75 seconds of sound per second"),
        (noise(300), {"overruns": 3}, "warning", "lost 3 times"),
    ],
)
def test_a_bad_microphone(samples: Int16, options: dict[str, Any], state: str, text: str) -> None:
    (finding,) = judge(samples, **options)
    assert finding.state == state
    assert text in finding.text
    assert finding.remedy


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_its_own_tone_is_recognised_in_a_noisy_echoing_room(gain: float) -> None:
    random = np.random.default_rng(3)
    echo = random.normal(0, 1, 4_000) * np.exp(-np.arange(4_000) / 800)
    echo /= np.sqrt((echo**2).sum())
    room = random.normal(0, 300, 40_000) + 1_000 * np.sin(2 * np.pi * 50 / 16_000 * np.arange(40_000))
    wet = np.convolve(chirp().samples * gain, echo)
    room[9_000 : 9_000 + len(wet)] += wet
    assert judge_loopback(Audio(room.clip(-32768, 32767).astype(np.int16)), chirp(), "S").state == "ok"


@pytest.mark.parametrize("hertz", [50, 1_000])
def test_noise_and_other_tones_are_not_taken_for_it(hertz: int) -> None:
    tone = 3_000 * np.sin(2 * np.pi * hertz / 16_000 * np.arange(32_000))
    heard = Audio((noise(100) + tone).astype(np.int16))
    assert judge_loopback(heard, chirp(), "S").state == "warning"
    assert judge_loopback(Audio(np.zeros(32_000, np.int16)), chirp(), "S").state == "warning"


def sound(**devices: str) -> list[Finding]:
    config: Any = SimpleNamespace(
        input=InputOptions(device=devices.get("input", "default")),
        output=OutputOptions(device=devices.get("output", "default")),
    )
    return list(doctor._check_sound(config))


def test_it_hears_its_own_tone_through_the_room(sound_card: SoundCard) -> None:
    sound_card.loop_back()
    server, microphone, speaker = sound()
    assert server == Finding("sound", "ok", "through the sound server (pulse)")
    assert microphone.state == "ok"
    assert speaker == Finding("speaker 'default'", "ok", "the microphone hears it")


def test_a_muted_microphone_is_found_out_and_does_not_speak_against_the_speaker(sound_card: SoundCard) -> None:
    _, microphone, speaker = sound()
    assert (microphone.state, speaker.state) == ("fail", "ok")
    assert "muted" in microphone.text


def test_devices_that_are_not_there_are_found_out_one_by_one(sound_card: SoundCard) -> None:
    _, microphone, speaker = sound(input="nope")
    assert (microphone.state, speaker.state) == ("fail", "ok")
    _, speaker, microphone = sound(output="edgevoice")
    assert (speaker.subject, speaker.state) == ("speaker 'edgevoice'", "fail")
    assert microphone.subject == "microphone 'default'"


def test_a_machine_without_sound(sound_card: SoundCard) -> None:
    sound_card.stop()
    microphone, speaker, server = sound()
    assert (microphone.subject, microphone.state) == ("the microphone", "fail")
    assert (speaker.subject, speaker.state) == ("the speaker", "fail")
    assert (server.subject, server.state) == ("sound server", "warning")


def packages(monkeypatch: pytest.MonkeyPatch, error: Exception | None, asr: str = "whisper") -> list[Finding]:
    def require(package: str, **_: object) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr("edgevoice.engines.registry.require", require)
    config: Any = SimpleNamespace(asr=SimpleNamespace(engine=asr), tts=SimpleNamespace(engine="hibari"))
    return list(doctor._check_packages(config))


def test_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [finding.subject for finding in packages(monkeypatch, None)]
    assert "package onnxruntime" in names
    assert "package vosk" not in names
    assert "package vosk" in [finding.subject for finding in packages(monkeypatch, None, asr="vosk")]


def test_a_missing_and_a_broken_package(monkeypatch: pytest.MonkeyPatch) -> None:
    found = packages(monkeypatch, EngineMissingError("it is not installed", remedy="install it with: pip ..."))
    assert {finding.state for finding in found} == {"fail"}
    assert "portaudio19-dev" in next(f.remedy for f in found if f.subject == "package PyAudio")
    found = packages(monkeypatch, EngineBrokenError("it does not import: libatomic.so.1: cannot open"))
    assert found[0].remedy == "sudo apt install libatomic1"


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    return doctor.run(parser.parse_args(arguments))


def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EDGEVOICE_MODELS", str(tmp_path))
    (tmp_path / "edgevoice.yaml").write_text("input: {blok: 512}\n")
    assert run("--no-sound", "--config", str(tmp_path / "edgevoice.yaml")) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAIL     configuration: ") and "blok" in lines[0]
    assert any(line.startswith("ok       package soxr: ") for line in lines)
    assert any(line.startswith("FAIL     model okay_nabu: ") and "models pull okay_nabu" in line for line in lines)
    assert run("--no-sound", "--json", "--config", str(tmp_path / "edgevoice.yaml")) == 1
    findings = json.loads(capsys.readouterr().out)
    assert findings[0].keys() == {"subject", "state", "text", "remedy"}


def test_the_exit_code_counts_failures_and_not_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    for state, code in (("ok", 0), ("warning", 0), ("fail", 1)):
        finding = Finding("x", state, "y")  # type: ignore[arg-type]
        monkeypatch.setattr(doctor, "diagnose", lambda _, finding=finding: iter([finding]))
        assert run() == code
