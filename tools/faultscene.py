"""A daemon at a virtual sound card, somebody who speaks to it, and who hears what it says, for tools.faults."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgevoice.audio.pcm import RATE, Int16
from edgevoice.config import load
from edgevoice.errors import DaemonError
from edgevoice.health.ask import ask
from edgevoice.speak import earcon
from tools.daemon_process import Daemon
from tools.soundcard import MICROPHONE, SPEAKER, SoundCard
from tools.soundcard import RATE as CARD_RATE
from tools.spoken import in_room

STEP: Final = 0.02
"""Seconds between two pieces that the room gives to the microphone, and between two looks at what happens."""
AHEAD: Final = 0.15
"""Seconds that the room is ahead of the microphone, for the machine to be late without a gap."""
PIPE: Final = 8192
"""Bytes; what does not fit was said while nobody recorded, and is lost as in a room."""
LOUD: Final = 100
"""Root mean square of what counts as sound at the speaker, which is otherwise still."""
PAUSE: Final = 0.6
"""Seconds of silence within a sentence."""
TONE: Final = 0.3
"""Seconds; what is shorter is a tone."""
RESTART: Final = 1.0
"""Seconds before the supervisor starts a daemon again, and when it gives up: as the unit file says."""
FINAL: Final = (0, 2, 3, 7)
WATCHDOG: Final = 20.0
PATIENCE: Final = 60.0
SPOKEN_WITHIN: Final = 3.0
"""Seconds after a reply is known in which it begins to be heard; later sound is of another one."""


class Room:
    """What the microphone hears, in real time: noise, what is said in it, and what is done to that."""

    def __init__(self, card: SoundCard, fifo: Path | None = None, pace: float = 1.0) -> None:
        self.alter: Callable[[Int16], Int16] = lambda samples: samples
        """Done to everything before the microphone hears it."""
        self._card = card
        self._fifo = fifo
        self._pace = pace
        self._random = np.random.default_rng(0)
        self._said: deque[Int16] = deque()
        self._stop = threading.Event()
        self._plugged = threading.Event()
        self._plugged.set()
        self._player: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="room")
        self._thread.start()

    def say(self, samples: Int16) -> None:
        """Begin to say it, in the room as it is from now on."""
        self._said.extend(np.array_split(samples, max(len(samples) // round(STEP * RATE), 1)))

    def plug(self, *, into: bool) -> None:
        """Whether there is a microphone. PulseAudio would connect the room with the speaker where there is none."""
        if into:
            self._plugged.set()
            return
        self._plugged.clear()
        if self._player is not None:
            self._player.kill()
            self._player.wait()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            if self._plugged.is_set():
                with contextlib.suppress(OSError), self._microphone() as pipe:
                    self._speak(pipe)

    @contextlib.contextmanager
    def _microphone(self) -> Any:
        if self._fifo is not None:
            with self._fifo.open("wb", buffering=0) as pipe:
                yield pipe
            return
        command = ["pacat", "--playback", f"--device={MICROPHONE}", "--format=s16le", "--channels=1", "--raw"]
        command += [f"--rate={RATE}", "--latency-msec=200"]
        self._player = player = subprocess.Popen(
            command,
            env={**os.environ, **self._card.environment},
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert player.stdin is not None
        try:
            yield player.stdin
        finally:
            player.kill()
            player.wait()
            with contextlib.suppress(OSError):
                player.stdin.close()

    def _speak(self, pipe: Any) -> None:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
        os.set_blocking(pipe.fileno(), False)
        began, given = time.monotonic() - AHEAD, 0
        self._said.clear()  # said while nobody recorded
        while not self._stop.wait(STEP):
            while given < (time.monotonic() - began) * RATE * self._pace:
                said = self._said.popleft() if self._said else np.zeros(round(STEP * RATE), np.int16)
                given += len(said)
                with contextlib.suppress(BlockingIOError):
                    pipe.write(self.alter(in_room(said, 0.7, self._random)).tobytes())


@dataclass
class Sound:
    """Something that came from the speaker; seconds of ``time.monotonic``."""

    begin: float
    end: float
    pieces: list[Int16]

    @property
    def tone(self) -> str:
        """Which tone it is; empty when it is longer than one."""
        if self.end - self.begin > TONE:
            return ""
        samples = np.concatenate(self.pieces)
        spectrum = np.abs(np.fft.rfft(samples, CARD_RATE))
        high = spectrum[550:1000].max() > spectrum[250:550].max()
        return "the tone of waking" if high else "the tone of a failure"


assert earcon.NOTES["wake"][0] > 550 > earcon.NOTES["failed"][0], "what tells the tones apart"


class Listener:
    """Hears what comes from the speaker, over every restart of the sound server."""

    def __init__(self, card: SoundCard) -> None:
        self.sounds: list[Sound] = []
        self._card = card
        self._stop = threading.Event()
        self._recorder: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="listener")
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._recorder is not None:
            self._recorder.kill()
        self._thread.join()

    def _run(self) -> None:
        command = ["parec", f"--device={SPEAKER}.monitor", "--format=s16le", "--channels=1", "--raw"]
        command += [f"--rate={CARD_RATE}", "--latency-msec=20"]
        while not self._stop.wait(0.1):
            with subprocess.Popen(
                command,
                env={**os.environ, **self._card.environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            ) as self._recorder:
                assert self._recorder.stdout is not None
                while data := self._recorder.stdout.read(4096):
                    self._hear(np.frombuffer(data[: len(data) // 2 * 2], np.int16))

    def _hear(self, samples: Int16) -> None:
        now = time.monotonic()
        if np.sqrt(np.mean(samples.astype(np.float64) ** 2)) < LOUD:
            return
        begin = now - len(samples) / CARD_RATE
        if self.sounds and begin - self.sounds[-1].end < PAUSE:
            self.sounds[-1].end = now
            self.sounds[-1].pieces.append(samples)
        else:
            self.sounds.append(Sound(begin, now, [samples]))


class Service:
    """A daemon that is started again when it fails, and watched, as systemd does it by the unit file.

    Args:
        folder: for its socket and state.
    """

    def __init__(self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.socket = folder / "run" / "control.sock"
        self.lives: list[Daemon] = []
        self.ends: list[int] = []
        """Exit codes."""
        self.watchdog_ends = 0
        self._arguments = arguments
        self._stop = threading.Event()
        self._fed: float | None = None
        for name in ("run", "state"):
            (folder / name).mkdir(exist_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._notify.settimeout(0.2)
        self._environment = {
            "RUNTIME_DIRECTORY": str(self.socket.parent),
            "XDG_STATE_HOME": str(folder / "state"),
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": str(round(WATCHDOG * 1e6)),
            "OMP_NUM_THREADS": "1",
            "PYTHONFAULTHANDLER": "1",
            **environment,
        }
        self._threads = [threading.Thread(target=self._supervise), threading.Thread(target=self._watch)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self.lives[-1].process.pid

    @property
    def events(self) -> list[tuple[float, dict[str, Any]]]:
        """Of all its lives, each with the time at which it came."""
        return [pair for life in self.lives for pair in zip(life.came, life.events, strict=False)]

    def of(self, *names: str, since: float) -> list[tuple[float, dict[str, Any]]]:
        return [(came, event) for came, event in self.events if came >= since and event["event"] in names]

    @property
    def hears(self) -> bool:
        """As far as it has told."""
        if not self.lives or self.lives[-1].process.poll() is not None:
            return False
        told = [event["event"] for event in list(self.lives[-1].events)]
        last = next((name for name in reversed(told) if name in ("deaf", "muted", "hearing", "listening")), "")
        return last in ("hearing", "listening")

    def status(self) -> dict[str, Any]:
        """Empty when it does not answer."""
        try:
            return dict(ask("status", paths=[self.socket], patience=5.0).status or {})
        except DaemonError:
            return {}

    def complaints(self) -> str:
        return "".join(life.complaints for life in self.lives)

    def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(ProcessLookupError):
            self.lives[-1].process.send_signal(signal.SIGTERM)
        for thread in self._threads:
            thread.join()
        for life in self.lives:
            life.kill()
        self._notify.close()

    def _supervise(self) -> None:
        while True:
            self._fed = None
            self.lives.append(Daemon(*self._arguments, environment=self._environment))
            process = self.lives[-1].process
            while process.poll() is None:
                if self._stop.wait(STEP):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(10.0)
                    return
            self.ends.append(process.returncode)
            if process.returncode in FINAL or self._stop.wait(RESTART):
                return

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                if b"WATCHDOG=1" in self._notify.recv(65_536):
                    self._fed = time.monotonic()
            except TimeoutError:
                pass
            if self._fed is not None and time.monotonic() - self._fed > WATCHDOG:
                self._fed = None
                self.watchdog_ends += 1
                self.lives[-1].process.send_signal(signal.SIGABRT)


class Scene:
    """All of it. What a fault needs of another kind it changes before ``start``."""

    def __init__(self, card: SoundCard, folder: Path) -> None:
        self.card = card
        self.folder = folder
        self.config: dict[str, Any] = {}
        self.environment = dict(card.environment)
        self.apology = load(None).assistant.apology
        self.fifo: Path | None = None
        self.pace = 1.0
        self.notes: list[str] = []
        """What a fault saw."""
        self.mounts: list[Path] = []
        """File systems that end with the scene."""
        self.service: Service
        self.room: Room
        self.listener: Listener

    @property
    def config_file(self) -> Path:
        return self.folder / "edgevoice.yaml"

    @contextlib.contextmanager
    def running(self) -> Any:
        """Until the end of the block; begins when it listens."""
        self.config_file.write_text(json.dumps(self.config), "utf-8")  # JSON is YAML, too
        self.room = Room(self.card, self.fifo, self.pace)
        self.listener = Listener(self.card)
        self.service = Service(self.folder, ["--config", str(self.config_file)], self.environment)
        try:
            if not self.until(lambda: self.service.hears and self.service.status().get("frames", 0) > 100, PATIENCE):
                raise AssertionError(f"it does not listen: {self.service.complaints()}")
            yield
        finally:
            self.service.close()
            self.listener.close()
            self.room.close()

    def unplug(self) -> None:
        """The microphone vanishes. PulseAudio puts another source in its place; without one of ours, the speaker's."""
        self.room.plug(into=False)
        self.card.pactl("load-module", "module-null-sink", "sink_name=nothing")
        self.card.pactl("set-default-source", "nothing.monitor")
        self.card.unload_microphone()

    def plug_in(self) -> None:
        self.card.load_microphone()
        self.room.plug(into=True)

    def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait for it, so long at most; whether it came."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                return False
            time.sleep(STEP)
        return True

    def heard(self, since: float) -> list[str]:
        """What the user heard, in words."""
        found = []
        replies = self.service.of("reply", since=0.0)
        for sound in self.listener.sounds:
            if sound.begin < since:
                continue
            said = [pair for pair in replies if pair[0] <= sound.begin + STEP]
            text = "something" if not said else said[-1][1]["text"]
            if said and self._failed(said[-1][0], sound):
                text = self.apology
            found.append(sound.tone or f"“{text}”")
        return found

    def answer(self, intent: str, since: float) -> float | None:
        """When the answer to it began to be heard."""
        for came, event in self.service.of("intentmatched", since=since):
            if event["intent"] == intent:
                replies = self.service.of("reply", since=came)
                for sound in self.listener.sounds:
                    if not replies or not -STEP < sound.begin - replies[0][0] < SPOKEN_WITHIN or sound.tone:
                        continue
                    if not self._failed(replies[0][0], sound):
                        return sound.begin
        return None

    def _failed(self, said: float, sound: Sound) -> bool:
        """Whether a reply could not be spoken, and the sound is the apology for that."""
        return any(came <= sound.begin + STEP for came, _ in self.service.of("fault", since=said))

    def answered(self, intent: str, since: float, within: float) -> float | None:
        """The same, waited for."""
        self.until(lambda: self.answer(intent, since) is not None, within)
        return self.answer(intent, since)


@contextlib.contextmanager
def scene(card: SoundCard) -> Any:
    with tempfile.TemporaryDirectory(prefix="edgevoice-") as folder:
        made = Scene(card, Path(folder))
        try:
            yield made
        finally:
            for mount in made.mounts:
                subprocess.run(["umount", "-l", str(mount)], check=True)
