"""Hours of listening: does anything grow, drift, get lost or get made up?

    python -m tools.soak --hours 8                  # a recording, as fast as it can be heard
    python -m tools.soak --minutes 60               # the daemon at a virtual sound card, at real speed

A voice says commands at odd intervals, between silence in a quiet room and talk that is no command. Every command has
to be answered with its own intent, and nothing else may wake the daemon. Meanwhile its memory, threads and open files
are counted. The result is a JSON object; the exit code is 1 when a command was not answered or one was made up.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgevoice.audio.pcm import RATE, Int16
from edgevoice.bench.procfs import status
from edgevoice.health.ask import ask
from tools.daemon_process import Daemon
from tools.soundcard import MICROPHONE, virtual_sound_card
from tools.spoken import WAKE, in_room, speak

COMMANDS: Final = {
    "what time is it?": "Time",
    "what is the date?": "Date",
    "turn on the kitchen light.": "LightOn",
    "turn off the bedroom light.": "LightOff",
    "turn off the fan.": "DeviceOff",
    "set the volume to forty percent.": "VolumeSet",
    "dim the bedroom lights to twenty percent.": "LightBrightness",
}
"""Of the default pack, with their intents."""

TALK: Final = (
    "We went to the market in the morning, and it was full of people.",
    "The train will be a quarter of an hour late, as far as I know.",
    "She said that the garden has never been so green as it is this year.",
    "Did you see where I left the keys to the old cupboard?",
    "I should call my brother tonight, his daughter has her birthday.",
)
ANSWERED_WITHIN: Final = 8.0
"""Seconds after a command in which its intent belongs to it. The next one begins later."""
SAMPLE_EVERY: Final = 10.0
"""Seconds of the clock between two looks at the process."""
COUNTED: Final = ("rss_mb", "threads", "files", "tasks", "waiting_s")
"""What must not grow; the last two are known of a daemon that can be asked."""
SETTLED: Final = 0.2
"""Share of the run after which growth counts: before, caches fill."""


@dataclass(frozen=True)
class Said:
    """A command in the recording: sample positions, and what it should be taken for."""

    start: int
    end: int
    intent: str


class Script:
    """What is said, endlessly and the same for a seed: pieces of sound, noise included."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        said = speak([f"{WAKE}, {text}" for text in COMMANDS] + list(TALK))
        self._commands = list(zip(said, COMMANDS.values(), strict=False))
        self._talk = said[len(COMMANDS) :]
        self.said: list[Said] = []
        self.position = 0
        """Samples given so far."""

    def pieces(self) -> Iterator[Int16]:
        """Without an end."""
        while True:
            yield self._quiet(self._random.uniform(ANSWERED_WITHIN + 2.0, 25.0))
            if self._random.random() < 0.3:
                yield self._loud(self._talk[self._random.integers(len(self._talk))])
                yield self._quiet(self._random.uniform(2.0, 6.0))
            samples, intent = self._commands[self._random.integers(len(self._commands))]
            self.said.append(Said(self.position, self.position + len(samples), intent))
            yield self._loud(samples)

    def _quiet(self, seconds: float) -> Int16:
        return self._loud(np.zeros(round(seconds * RATE), np.int16))

    def _loud(self, samples: Int16) -> Int16:
        """At a loudness of its own, in the noise of the room."""
        self.position += len(samples)
        return in_room(samples, self._random.uniform(0.3, 1.0), self._random)


class Watch:
    """Looks at a process from time to time, in a thread.

    Args:
        script: what it hears.
    """

    def __init__(self, pid: int, script: "Script", socket: Path | None = None) -> None:
        self._pid = pid
        self._script = script
        self._socket = socket
        self._stop = threading.Event()
        self.samples: list[dict[str, float]] = []
        self._thread = threading.Thread(target=self._run, name="watch")
        self._thread.start()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(SAMPLE_EVERY):
            try:
                found = status(self._pid)
                files = len(list(Path(f"/proc/{self._pid}/fd").iterdir()))
            except OSError:
                return  # it has ended
            look = {"s": round(time.monotonic() - began, 1), "heard_s": round(self._script.position / RATE, 1)}
            look |= {"rss_mb": found["VmRSS"], "threads": found["Threads"], "files": float(files)}
            if self._socket is not None:
                told = ask("status", paths=[self._socket]).status or {}
                look |= {"tasks": float(told["tasks"]), "waiting_s": max(told["queues_s"].values(), default=0.0)}
            self.samples.append(look)

    def stop(self) -> list[dict[str, float]]:
        self._stop.set()
        self._thread.join()
        return self.samples


def replay(script: Script, hours: float) -> tuple[Sequence[Mapping[str, Any]], list[dict[str, float]], int]:
    """The daemon hears so many hours through a pipe: its events, the looks at it, and where the recording began."""
    events: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "edgevoice", "run", "--json", "--input", "-", "--output", f"{folder}/reply.wav"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as daemon,
    ):
        assert daemon.stdin is not None
        output = daemon.stdout
        assert output is not None
        reader = threading.Thread(target=lambda: events.extend(json.loads(line) for line in output))
        reader.start()
        watch = Watch(daemon.pid, script)
        try:
            for piece in script.pieces():
                daemon.stdin.write(piece.tobytes())
                if script.position >= hours * 3600 * RATE:
                    break
            watch.stop()  # before it gives everything back
            daemon.stdin.close()
            reader.join()
        finally:
            looks = watch.stop()
            if reader.is_alive():
                daemon.kill()
                reader.join()
    return events, looks, 0


def live(script: Script, minutes: float) -> tuple[Sequence[Mapping[str, Any]], list[dict[str, float]], int]:
    """The daemon hears so many minutes at a virtual microphone; its positions are those of the script plus a constant,
    which the first command shows."""
    with virtual_sound_card() as card:
        daemon = Daemon(environment=card.environment)
        try:
            daemon.wait_for("listening")
            watch = Watch(daemon.process.pid, script, daemon.socket)
            command = ["pacat", "--playback", f"--device={MICROPHONE}", "--format=s16le", "--channels=1", "--raw"]
            command += [f"--rate={RATE}", "--latency-msec=100"]
            with subprocess.Popen(command, env={**os.environ, **card.environment}, stdin=subprocess.PIPE) as player:
                assert player.stdin is not None
                for piece in script.pieces():
                    player.stdin.write(piece.tobytes())
                    if script.position >= minutes * 60 * RATE:
                        break
            looks = watch.stop()
            daemon.stop()
        finally:
            daemon.kill()
    return daemon.events, looks, _offset(daemon.events, script.said)


def _offset(events: Sequence[Mapping[str, Any]], said: Sequence[Said]) -> int:
    """How much later the daemon's positions are than those of the script: by the nearest first wakes of both."""
    wakes = [event["at"] for event in events if event["event"] == "wake"]
    return wakes[0] - said[0].start - RATE if wakes and said else 0


def account(
    events: Sequence[Mapping[str, Any]], said: Sequence[Said], offset: int, heard: int
) -> dict[str, list[Mapping[str, Any]]]:
    """What was not as it should be.

    Args:
        offset: of the events' positions to those of ``said``.
        heard: samples that were played; a command so near to the end that its answer may be missing does not count.
    """
    wakes = [event for event in events if event["event"] == "wake"]
    intents = [event for event in events if event["event"] == "intentmatched"]
    missed: list[Mapping[str, Any]] = []
    wrong: list[Mapping[str, Any]] = []
    windows = []
    for each in said:
        begin, end = each.start + offset - RATE, each.end + offset + round(ANSWERED_WITHIN * RATE)
        windows.append((begin, end))
        if each.end + ANSWERED_WITHIN * RATE > heard:
            continue
        found = [event for event in intents if begin <= event["at"] < end]
        if not found:
            missed.append({"seconds": each.start / RATE, "intent": each.intent})
        elif [event["intent"] for event in found] != [each.intent]:
            wrong.append({"seconds": each.start / RATE, "intent": each.intent, "got": [e["text"] for e in found]})
    invented = [event for event in wakes if not any(begin <= event["at"] < end for begin, end in windows)]
    faults = [event for event in events if event["event"] in ("fault", "overrun", "deaf")]
    return {"missed": missed, "wrong": wrong, "invented": invented, "faults": faults}


def slope(looks: Sequence[Mapping[str, float]], name: str) -> float | None:
    """Growth by an hour heard, by least squares, after ``SETTLED``; None where there are fewer than ten looks."""
    kept = [look for look in looks[round(SETTLED * len(looks)) :] if name in look]
    if len(kept) < 10:
        return None
    hours = np.array([look["heard_s"] for look in kept]) / 3600
    return round(float(np.polyfit(hours, [look[name] for look in kept], 1)[0]), 3)


def course(looks: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """Hours heard and the value at eleven looks, from the first to the last: whether it grows on, or came to rest."""
    if not looks:
        return []
    some = [looks[round(tenth / 10 * (len(looks) - 1))] for tenth in range(11)]
    return [(round(look["heard_s"] / 3600, 2), look[name]) for look in some]


def drift(events: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Median answering times of the first and of the last third of the turns, in ms."""
    answers = [event["took_ms"]["answer"] for event in events if "answer" in event.get("took_ms", {})]
    third = len(answers) // 3
    if third < 3:
        return None
    return {"first_third_ms": float(np.median(answers[:third])), "last_third_ms": float(np.median(answers[-third:]))}


def main() -> int:
    parser = argparse.ArgumentParser(description="hours of listening: does anything grow, drift or get lost?")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--hours", type=float, help="so much audio as fast as possible")
    length.add_argument("--minutes", type=float, help="so long at a virtual sound card, at real speed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the result there, with every look at the process")
    args = parser.parse_args()
    script = Script(args.seed)
    events, looks, offset = replay(script, args.hours) if args.minutes is None else live(script, args.minutes)
    found = account(events, script.said, offset, script.position)
    result = {
        "heard_hours": round(script.position / RATE / 3600, 3),
        "commands": len(script.said),
        **{name: len(items) for name, items in found.items()},
        "first_and_last": {name: [looks[0][name], looks[-1][name]] for name in COUNTED if looks and name in looks[0]},
        "memory_by_hours": course(looks, "rss_mb"),
        "growth_an_hour": {name: slope(looks, name) for name in COUNTED},
        "answer": drift(events),
        "details": found,
    }
    print(json.dumps(result, indent=2))
    if args.json is not None:
        args.json.write_text(json.dumps({**result, "looks": looks}, indent=2), "utf-8")
    return int(any(found[name] for name in ("missed", "wrong", "invented")))


if __name__ == "__main__":
    sys.exit(main())
