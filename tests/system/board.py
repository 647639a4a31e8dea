"""A board for tests: a booted Debian with the service in it, in a room with a microphone and a speaker."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines import registry
from edgevoice.modelstore import ModelStore
from tools.soundcard import MICROPHONE, SoundCard
from tools.system_tree import Machine

T = TypeVar("T")
UNIT = "edgevoice.service"
EDGEVOICE = "/opt/edgevoice/bin/edgevoice"

ANSWERED = r"turn answered: .*\bLightOn\b"
"""What the journal says of a turn: what it was about, without a word of what was said."""

SOUND = """[Service]
Environment=PULSE_SERVER=unix:/srv/sound/native PULSE_COOKIE=/srv/sound/cookie PULSE_CLIENTCONFIG=/dev/null
Environment=ALSA_CONFIG_PATH=/srv/sound/asound.conf
"""
"""In place of a sound card, of which a system in a folder has none."""

PACK = """
intents:
  TryNetwork:
    data: [{sentences: ["check the network"]}]
    action: {command: [/opt/edgevoice/bin/python, /etc/edgevoice/try_network.py]}
    response: The network is {result.output}.
"""
TRY_NETWORK = '''
"""Tries every way out of the sandbox of the service, and writes down those that are open."""
import json
import os
import socket

ways = []
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind).close()
        except OSError:
            continue
        ways.append((family.name, kind.name))
with open("/var/lib/edgevoice/ways.json", "w") as file:
    json.dump({"ways": ways, "user": os.getuid()}, file)
print("open" if ways else "closed")
'''


class Board:
    """The service, and what can be done to it."""

    def __init__(self, machine: Machine, card: SoundCard) -> None:
        self.machine = machine
        self.card = card
        self._voice = registry.load("tts", "hibari", None, ModelStore())

    def show(self, name: str) -> str:
        """What systemd says of the service."""
        return self.machine.run("systemctl", "show", "--value", f"--property={name}", UNIT).stdout.strip()

    @property
    def pid(self) -> int:
        return int(self.show("MainPID"))

    @property
    def restarts(self) -> int:
        return int(self.show("NRestarts"))

    def now(self) -> str:
        """A place in the journal, to read on from."""
        self.machine.run("journalctl", "--sync")
        lines = self.machine.run("journalctl", "--lines=0", "--show-cursor").stdout
        return lines.rpartition("-- cursor: ")[2].strip()

    def said(self, since: str) -> str:
        """What stands in the journal about the service since then."""
        words = ["journalctl", f"--unit={UNIT}", "--output=cat", "--no-pager", f"--after-cursor={since}"]
        return self.machine.run(*words).stdout

    def eventually(self, look: Callable[[], T], within: float, what: str) -> T:
        """What ``look`` finds, as soon as it finds something.

        Raises:
            AssertionError: it found nothing in time; with the last lines of the journal.
        """
        deadline = time.monotonic() + within
        while True:
            if found := look():
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {within:g} s\n{self._journal()}")
            time.sleep(0.1)

    def _journal(self) -> str:
        return self.machine.run("journalctl", "--no-pager", "--lines=60", "--output=short-monotonic").stdout

    def wait_active(self, within: float = 60.0) -> None:
        self.eventually(lambda: self.show("ActiveState") == "active", within, "the service is active")

    def speech(self, text: str) -> Audio:
        """A sentence, with quiet around it."""
        spoken = np.concatenate([audio.samples for audio in self._voice.synthesize(text)])
        quiet = np.zeros(RATE // 2, np.int16)
        return Audio(np.concatenate([quiet, resample(spoken, self._voice.rate, RATE), quiet]), RATE)

    def command(self, text: str, wanted: str) -> str:
        """Say something, up to three times as one would; what stands in the journal when ``wanted`` does.

        Raises:
            AssertionError: it was not understood.
        """
        audio = self.speech(text)
        for take in range(3):
            since = self.now()
            self.card.play_into_microphone(audio)
            try:
                self.eventually(lambda since=since: re.search(wanted, self.said(since)), 15, f"'{text}' is answered")  # type: ignore[misc]
                return self.said(since)
            except AssertionError:
                if take == 2:
                    raise
        raise AssertionError("unreachable")

    def light(self) -> None:
        """A whole turn."""
        self.command("Hey Jarvis, turn on the kitchen light.", ANSWERED)

    def dropin(self, name: str, text: str | None) -> None:
        """Have a drop-in of the service until the next boot, or have it no more."""
        folder = f"/run/systemd/system/{UNIT}.d"
        if text is None:
            self.machine.run("rm", "-f", f"{folder}/{name}.conf")
        else:
            self.machine.run("mkdir", "-p", folder)
            self.write(f"{folder}/{name}.conf", text)
        self.machine.run("systemctl", "daemon-reload")

    def write(self, path: str, text: str) -> None:
        self.machine.run("sh", "-c", 'printf "%s" "$1" > "$2" && chmod 644 "$2"', "write", text, path)

    def read(self, path: str) -> str:
        return self.machine.run("cat", path).stdout

    def edgevoice(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = self.machine.run(EDGEVOICE, *arguments, check=False)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}\n{self._journal()}"
        return done

    def install(self, *arguments: str) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.edgevoice("service", "install", "--json", *arguments).stdout)
        return result


@contextlib.contextmanager
def room_noise(card: SoundCard, folder: Path) -> Iterator[None]:
    """Faint noise at the microphone for as long as the block lasts: no room is digitally silent, and a microphone that
    is counts as broken."""
    file = folder / "noise.raw"
    noise = np.random.default_rng(0).normal(0.0, 20.0, RATE * 60)
    file.write_bytes(np.round(noise).astype(np.int16).tobytes())
    play = f"pacat --playback --device={MICROPHONE} --format=s16le --channels=1 --rate={RATE} --raw"
    process = subprocess.Popen(
        ["sh", "-c", f"while cat '{file}'; do :; done | {play}"],
        env={**os.environ, **card.environment},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
