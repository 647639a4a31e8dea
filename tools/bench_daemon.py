"""The whole daemon on a virtual sound card: what it costs to listen, and how soon it answers.

    python -m tools.bench_daemon [--idle 60] [--turns 20] [--json] [-- ARGUMENTS OF edgevoice run]

Idle: CPU seconds per second of the daemon's process, with every engine loaded, while quiet room noise comes in through
PyAudio in real time; and its memory. Turns: spoken commands are played into the microphone in real time; figures are
those of the daemon's own events, from the moment the end of speech is certain (the configured silence is not counted)
to the first audio handed to the sound card.
"""

import argparse
import contextlib
import json
import sys
import threading
import time
from typing import Any

import numpy as np

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines import registry
from edgevoice.engines.protocols import TtsEngine
from edgevoice.modelstore import ModelStore
from tools.daemon_process import Daemon
from tools.soundcard import SoundCard, virtual_sound_card

COMMANDS = (
    "Hey Jarvis, turn on the kitchen light.",
    "Hey Jarvis, what time is it?",
    "Hey Jarvis, set the bedroom light to forty percent.",
    "Hey Jarvis. Is the kitchen light on?",
    "Hey Jarvis, turn off the living room lights, please.",
)
NOISE = 30.0
"""Standard deviation of the room noise, of 32767: -61 dBFS, a quiet room."""
WARM_UP = 5.0
"""Seconds before the measurement begins."""
STEPS = ("silence", "recognition", "intent", "action", "first_audio", "answer")


def speech(voice: TtsEngine, text: str) -> Audio:
    """A command with half a second of quiet before and one second after it."""
    samples = np.concatenate([audio.samples for audio in voice.synthesize(text)])
    parts = [np.zeros(RATE // 2, np.int16), resample(samples, voice.rate, RATE), np.zeros(RATE, np.int16)]
    return with_noise(Audio(np.concatenate(parts)))


def with_noise(audio: Audio) -> Audio:
    noise = np.random.default_rng(0).normal(0.0, NOISE, len(audio))
    return Audio(np.clip(audio.samples + noise, -32767, 32767).astype(np.int16))


def measure_idle(card: SoundCard, daemon: Daemon, seconds: float) -> dict[str, float]:
    """CPU share of one core in percent, and memory in MB, while nobody speaks."""
    import psutil

    process = psutil.Process(daemon.process.pid)
    noise = with_noise(Audio(np.zeros(int((seconds + WARM_UP + 2) * RATE), np.int16)))
    player = threading.Thread(target=card.play_into_microphone, args=(noise,))
    player.start()
    time.sleep(WARM_UP)
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after, took = process.cpu_times(), time.monotonic() - began
    memory = process.memory_full_info()
    player.join()
    used = after.user + after.system - before.user - before.system
    return {
        "cpu_percent": round(100 * used / took, 2),
        "rss_mb": round(memory.rss / 1024**2, 1),
        "unshared_mb": round(memory.uss / 1024**2, 1),
        "threads": process.num_threads(),
    }


def measure_turns(card: SoundCard, daemon: Daemon, voice: TtsEngine, turns: int) -> dict[str, Any]:
    """Milliseconds of every step of the answered turns: median and 95th percentile."""
    for turn in range(turns):
        ended = daemon.count("turnended")
        card.play_into_microphone(speech(voice, COMMANDS[turn % len(COMMANDS)]))
        with contextlib.suppress(AssertionError):  # a turn that did not come is one that was not answered
            daemon.wait_for("turnended", ended + 1)
        print(f"\rturn {turn + 1} of {turns}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    took: dict[str, list[float]] = {step: [] for step in STEPS}
    for event in daemon.events:
        for step, milliseconds in event.get("took_ms", {}).items():
            took[step].append(milliseconds)
    outcomes = [event["outcome"] for event in daemon.events if event["event"] == "turnended"]
    return {
        "turns": turns,
        "answered": outcomes.count("answered"),
        "ms": {
            step: {
                "p50": round(float(np.percentile(values, 50)), 1),
                "p95": round(float(np.percentile(values, 95)), 1),
            }
            for step, values in took.items()
            if values
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--idle", type=float, default=60.0, metavar="SECONDS", help="how long to listen to nothing")
    parser.add_argument("--turns", type=int, default=20, metavar="N", help="commands to speak")
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    parser.add_argument("run", nargs="*", metavar="ARGUMENT", help="handed on to edgevoice run, after --")
    args = parser.parse_args()
    voice: TtsEngine = registry.load("tts", "hibari", None, ModelStore())
    with virtual_sound_card() as card:
        daemon = Daemon("--set", "assistant.earcons=false", *args.run, environment=card.environment)
        try:
            daemon.wait_for("listening")
            result = {
                "idle": measure_idle(card, daemon, args.idle),
                "turns": measure_turns(card, daemon, voice, args.turns),
            }
        finally:
            daemon.kill()
    if args.json:
        print(json.dumps(result))
        return 0
    print("| " + " | ".join(result["idle"]) + " |\n" + "|---" * len(result["idle"]) + "|")
    print("| " + " | ".join(map(str, result["idle"].values())) + " |\n")
    print(f"{result['turns']['answered']} of {args.turns} turns answered\n\n| step | p50 ms | p95 ms |\n|---|---|---|")
    for step, figures in result["turns"]["ms"].items():
        print(f"| {step.replace('_', ' ')} | {figures['p50']} | {figures['p95']} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
