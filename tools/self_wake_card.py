"""Whether the assistant wakes itself, and whether a person is heard over it: the daemon on a virtual sound card.

    python -m tools.self_wake_card --people DIR [--replies 20] [--levels=-10,-5,0] [--set KEY=VALUE]

needs PulseAudio, as tools/soundcard.py says, the models of the default configuration, and a folder of recordings (FLAC)
of people who say "Alexa". It takes 6 s for a reply, two of them for each that is asked for and each level.

The loudspeaker is mixed into the microphone. "Hey Jarvis" has the assistant say a sentence that holds "Alexa", which it
listens for as well; then the same again with a person who says "Alexa" in its middle. A reply that did not come, or
during which the machine stood still, is said again. ``--set detection.playback.cancel=false`` leaves the echo in,
``--set detection.playback.own_voice=false`` lets it take its own voice for a person.

The level of the echo is that of the loudest frame of 2048 samples against the person's loudest, in dB. A line of JSON
for each: how many replies woke it ("self"), how many persons did ("heard"), which, and how often sound was lost
because the machine was busy ("overruns"): then the figures are worth little.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgevoice.audio.pcm import RATE, Audio, Float32, from_float32
from edgevoice.evaluate.mix import loudest
from edgevoice.evaluate.recording import read
from tools.daemon_process import Daemon
from tools.self_wake import NOISE, texts
from tools.soundcard import MICROPHONE, SoundCard, virtual_sound_card
from tools.spoken import speak

GAIN: Final = 10 ** (-14 / 20)
"""Of the loudspeaker in the microphone: so that a person who is 10 dB louder does not clip."""
QUIET: Final = 1.0
"""Seconds between two replies."""
TRIES: Final = 5
POLL: Final = 0.02
STILL: Final = 0.3
"""Seconds; a machine that does nothing for so long has no sound for as long."""
PACK: Final = """
language: en
intents:
  Speak:
    data: [{{sentences: [say something]}}]
    action: {{command: ["/bin/cat", "{file}"]}}
"""


@contextmanager
def quiet_room(card: SoundCard) -> Iterator[None]:
    """The microphone hears a little noise."""
    command = ["pacat", "--playback", f"--device={MICROPHONE}", "--format=s16le", "--channels=1", "--raw"]
    process = subprocess.Popen(
        [*command, f"--rate={RATE}"],
        env={**os.environ, **card.environment},
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    pipe, random = process.stdin, np.random.default_rng(0)

    def play() -> None:
        while process.poll() is None:
            samples = random.normal(0, NOISE, RATE).astype(np.float32)
            try:
                pipe.write(from_float32(samples, RATE).samples.tobytes())
            except BrokenPipeError:  # it has ended
                return

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        player.join()


class Stalls:
    """Counts how often the machine stood still."""

    def __init__(self) -> None:
        self.count = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        before = time.monotonic()
        while True:
            time.sleep(POLL)
            now = time.monotonic()
            self.count += now - before > STILL
            before = now


class Room:
    """The daemon, and who speaks to it."""

    def __init__(self, card: SoundCard, daemon: Daemon, file: Path) -> None:
        self._card, self._daemon, self._file = card, daemon, file
        self._stalls = Stalls()
        (jarvis,) = speak(["Hey Jarvis."])
        pad = np.zeros(RATE // 4, np.int16)
        self._jarvis = Audio(np.concatenate([pad, jarvis, pad]))
        self.again = 0
        """Replies that were said again."""

    def woken(self, text: str, length: float, person: Float32 | None) -> int:
        """Have it say something; gives the number of wakes by "Alexa".

        Raises:
            RuntimeError: it does not say it.
        """
        for _ in range(TRIES):
            stalls = self._stalls.count
            try:
                woken = self._reply(text, length, person)
            except subprocess.TimeoutExpired:  # the sound server stood still
                woken = None
            if woken is not None and self._stalls.count == stalls:
                return woken
            self.again += 1
        raise RuntimeError(f"no reply in {TRIES} attempts: {text}\n{self._daemon.complaints}")

    def _reply(self, text: str, length: float, person: Float32 | None) -> int | None:
        daemon = self._daemon
        self._file.write_text(json.dumps({"reply": text}))
        spoken, ended, before = daemon.count("speaking"), daemon.count("turnended"), self._wakes()
        self._card.play_into_microphone(self._jarvis)
        if not self._until(lambda: daemon.count("speaking") > spoken, 5.0):
            return None
        if person is not None:
            time.sleep(max(length / 2 - len(person) / RATE / 2, 0.0))
            self._card.play_into_microphone(from_float32(person, RATE))
        self._until(lambda: daemon.count("turnended") > ended, length + 5.0)
        time.sleep(QUIET)
        woken = self._wakes() - before
        self._until(lambda: daemon.count("turnended") >= ended + 1 + woken, 10.0)
        return woken

    def overruns(self) -> int:
        """How often sound was lost because the machine did not keep up."""
        return self._daemon.count("overrun")

    def _wakes(self) -> int:
        return sum(event["event"] == "wake" and event["model"] == "alexa" for event in self._daemon.events)

    @staticmethod
    def _until(true: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not true():
            if time.monotonic() > until:
                return False
            time.sleep(POLL)
        return True


def measure(room: Room, said: list[str], replies: list[Float32], people: list[Float32], level: float) -> dict[str, Any]:
    """The row of a level."""
    own, missed = [], []
    room.again, overruns = 0, room.overruns()
    for number, (text, reply, person) in enumerate(zip(said, replies, people, strict=True)):
        wanted = np.sqrt(loudest(reply) * GAIN**2 / 10 ** (level / 10) / loudest(person))
        person = np.clip(person * np.float32(wanted), -1, 1)
        length = len(reply) / RATE
        if room.woken(text, length, None):
            own.append(number)
        if not room.woken(text, length, person):
            missed.append(number)
        print(
            f"\r{level:g} dB: {number + 1} of {len(said)}, {len(own)} self, {len(missed)} missed",
            end="",
            file=sys.stderr,
        )
    print(file=sys.stderr)
    return {
        "echo_db": level,
        "replies": len(said),
        "self": len(own),
        "heard": len(said) - len(missed),
        "self_in": own,
        "missed_in": missed,
        "again": room.again,
        "overruns": room.overruns() - overruns,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True, help="a folder of recordings of the wake word")
    parser.add_argument("--levels", default="-10,-5,0")
    parser.add_argument("--replies", type=int, default=20)
    parser.add_argument("--set", action="append", default=[], help="as that of 'edgevoice run'")
    args = parser.parse_args()
    said = texts("Alexa", args.replies)
    replies = [Audio(samples).float32() for samples in speak(said)]
    files = sorted(args.people.glob("*.flac"))
    people = [read(files[number * len(files) // len(said)]).float32() for number in range(len(said))]
    with tempfile.TemporaryDirectory() as folder, virtual_sound_card() as card:
        os.environ.update(card.environment)
        card.loop_back()
        if not card.hurry():
            print(
                "the sound server may not run in real time: a busy machine tears holes into the echo", file=sys.stderr
            )
        inputs = card.pactl("list", "short", "sink-inputs").split()
        card.pactl("set-sink-input-volume", inputs[0], f"{20 * np.log10(GAIN):.1f}dB")
        file, pack = Path(folder) / "reply.json", Path(folder) / "pack.yaml"
        file.write_text("{}")
        pack.write_text(PACK.format(file=file))
        options = [
            "wake.engine=microwakeword",
            "wake.microwakeword.models=[hey_jarvis, alexa]",
            "detection.commands={hey_jarvis: say something}",
            f"intents.packs=[{pack}]",
            "endpoint.no_speech=1.0",
            "assistant.earcons=false",
            *args.set,
        ]
        with quiet_room(card):
            daemon = Daemon(*(part for option in options for part in ("--set", option)))
            try:
                daemon.wait_for("listening")
                room = Room(card, daemon, file)
                for level in args.levels.split(","):
                    print(json.dumps(measure(room, said, replies, people, float(level))), flush=True)
            finally:
                daemon.kill()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
