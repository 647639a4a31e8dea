"""The daemon as its own process on a virtual sound card: spoken to, answering, interrupted and stopped."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from soundcard import SoundCard, in_three_takes

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines import registry
from edgevoice.health.ask import ask
from edgevoice.modelstore import ModelStore
from tools.daemon_process import Daemon

pytest_plugins = ("soundcard",)


@contextlib.contextmanager
def daemon(*arguments: str) -> Iterator[Daemon]:
    running = Daemon(*arguments)
    try:
        running.wait_for("listening")
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def speak(store: ModelStore) -> Callable[[str], Audio]:
    """English speech with half a second of quiet around it."""
    for name in ("okay_nabu", "hey_jarvis", "silero-vad", "whisper-tiny.en-int8"):
        store.path(name)
    voice = registry.load("tts", "hibari", None, store)

    def say(text: str) -> Audio:
        samples = np.concatenate([audio.samples for audio in voice.synthesize(text)])
        quiet = np.zeros(RATE // 2, np.int16)
        return Audio(np.concatenate([quiet, resample(samples, voice.rate, RATE), quiet]))

    return say


def transcribe(audio: Audio, store: ModelStore) -> str:
    engine = registry.load("asr", "whisper", None, store)
    session = engine.open()
    session.feed(Audio(resample(audio.samples, audio.rate, RATE)))
    text: str = session.finish().text
    return text.lower()


@in_three_takes
def test_a_spoken_command_is_answered_with_speech(
    sound_card: SoundCard, speak: Callable[[str], Audio], store: ModelStore
) -> None:
    with daemon("--set", "assistant.earcons=false") as running, sound_card.record_speaker() as recording:
        sound_card.play_into_microphone(speak("Hey Jarvis, turn on the kitchen light."))
        ended = running.wait_for("turnended")
        assert ended["outcome"] == "answered", running.events
        matched = running.wait_for("intentmatched")
        assert matched["slots"]["area"] == "kitchen"
        reply = running.wait_for("reply")["text"]
        heard = transcribe(recording.audio, store)
        assert running.stop() == 0
    assert "kitchen" in heard
    assert "light is on" in heard
    assert "kitchen" in reply.lower()
    assert "Traceback" not in running.complaints


@in_three_takes
def test_barge_in_over_the_sound_card(sound_card: SoundCard, speak: Callable[[str], Audio]) -> None:
    with daemon("--set", "assistant.earcons=false") as running:
        sound_card.play_into_microphone(speak("Hey Jarvis, what can you do?"))
        running.wait_for("speaking")
        sound_card.play_into_microphone(speak("Hey Jarvis, never mind."))
        first, second = running.wait_for("turnended"), running.wait_for("turnended", 2)
        assert first["outcome"] == "interrupted"
        assert second["outcome"] == "silent"
        assert running.stop() == 0


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_in_the_middle_of_a_turn(
    with_signal: int, sound_card: SoundCard, speak: Callable[[str], Audio]
) -> None:
    with daemon() as running:
        sound_card.play_into_microphone(speak("Hey Jarvis."))
        running.wait_for("wake")
        assert running.stop(with_signal) == 0
        assert running.events[-1]["event"] == "turnended"
    assert "Traceback" not in running.complaints


@in_three_takes
def test_push_to_talk_by_signal(sound_card: SoundCard, speak: Callable[[str], Audio]) -> None:
    with daemon() as running:
        os.kill(running.process.pid, signal.SIGUSR1)
        assert running.wait_for("wake")["by"] == "push"
        sound_card.play_into_microphone(speak("What time is it?"))
        assert running.wait_for("turnended")["outcome"] == "answered"
        assert running.stop() == 0


def test_the_sound_card_vanishes_and_comes_back(sound_card: SoundCard, speak: Callable[[str], Audio]) -> None:
    with daemon() as running:
        sound_card.play_into_microphone(speak("Hey Jarvis, stop."))
        running.wait_for("turnended")
        sound_card.stop()
        assert running.wait_for("deaf")["cause"] in ("device", "no_frames")
        assert asked(running)["state"] == "deaf"
        sound_card.start()
        running.wait_for("hearing")
        sound_card.play_into_microphone(speak("Hey Jarvis, what time is it?"))
        assert running.wait_for("turnended", 2)["outcome"] == "answered"
        assert asked(running)["reopened"] >= 1
        assert running.stop() == 0
    assert "Traceback" not in running.complaints


def asked(running: Daemon) -> dict[str, Any]:
    """What the running daemon says about itself."""
    status = ask("status", paths=[running.socket]).status
    assert status is not None
    return status


def test_commands_and_signals_reach_the_daemon(sound_card: SoundCard, speak: Callable[[str], Audio]) -> None:
    with daemon() as running:
        ask("mute", paths=[running.socket])
        running.wait_for("muted")
        assert asked(running)["state"] == "muted"
        os.kill(running.process.pid, signal.SIGUSR2)
        running.wait_for("hearing")
        os.kill(running.process.pid, signal.SIGHUP)
        assert running.wait_for("reloaded")["changed"] == []
        ask("talk", paths=[running.socket])
        running.wait_for("wake")
        sound_card.play_into_microphone(speak("What time is it?"))
        assert running.wait_for("turnended")["outcome"] == "answered"
        status = asked(running)
        assert status["wakes"] == {"push": 1}
        assert status["last_turn"]["took_ms"]["answer"] > 0
        assert {use["task"] for use in status["models"]} >= {"wake", "vad", "asr"}
        assert running.stop() == 0
    assert "Traceback" not in running.complaints


def test_a_recording_is_answered_into_a_file(speak: Callable[[str], Audio], store: ModelStore, tmp_path: Path) -> None:
    import soundfile

    path, reply = tmp_path / "command.flac", tmp_path / "reply.wav"
    audio = speak("Hey Jarvis, turn on the kitchen light.")
    soundfile.write(path, np.repeat(audio.samples[:, None], 2, axis=1), audio.rate)
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice", "run", "--input", str(path), "--output", str(reply)],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    for step in ("wake", "transcript", "intent", "action", "reply", "answered"):
        assert step in done.stdout
    samples, rate = soundfile.read(reply, dtype="int16")
    assert "kitchen" in transcribe(Audio(samples, rate), store)


def test_a_recording_gives_the_same_events_every_time(speak: Callable[[str], Audio], tmp_path: Path) -> None:
    """Also in blocks of another length, as they come through a pipe."""
    import soundfile

    audio = speak("Hey Jarvis, turn on the kitchen light.")
    path = tmp_path / "command.flac"
    soundfile.write(path, audio.samples, audio.rate)

    def events(argument: str, given: bytes) -> list[dict[str, Any]]:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "edgevoice",
                "run",
                "--json",
                "--input",
                argument,
                "--output",
                str(tmp_path / "r.wav"),
            ],
            input=given,
            capture_output=True,
            check=True,
        )
        return [json.loads(line) | {"took_ms": None} for line in done.stdout.splitlines()]

    first = events(str(path), b"")
    assert [event["event"] for event in first].count("turnended") == 1
    assert events(str(path), b"") == first
    assert events("-", audio.samples.tobytes()) == first


def test_the_demonstration_speaks_to_itself(tmp_path: Path, store: ModelStore) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice", "run", "--demo"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
    )
    assert "the voice itself says" in done.stderr
    assert done.stdout.count("answered") == 2, done.stdout
    assert (tmp_path / "reply.wav").stat().st_size > 10_000
    assert (tmp_path / "command.wav").stat().st_size > 10_000
