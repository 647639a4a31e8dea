"""A virtual sound card: a PulseAudio of its own whose null sinks are the microphone and the speaker.

    python -m tools.soundcard COMMAND ...

runs a command on one, on a machine that has no other; the tests and benchmarks use the class.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgevoice.audio.pcm import Audio
from edgevoice.errors import DeviceError

MICROPHONE = "edgevoice_mic"
SPEAKER = "edgevoice_speaker"

RATE = 48_000
"""What the card runs at, as real ones do."""

# Without rewinds a null sink works in blocks of 50 ms; with them an idle one sleeps up to two seconds.
_NULL_SINK = f"sink_name={{name}} rate={RATE} channels=1 norewinds=1"

_PRIORITY = 5
"""Of 1 to 99: what PulseAudio takes where it may."""

_SCRIPT = f"""
load-module module-native-protocol-unix auth-anonymous=1 socket={{socket}}
load-module module-null-sink {_NULL_SINK.format(name=MICROPHONE)}
load-module module-null-sink {_NULL_SINK.format(name=SPEAKER)}
set-default-source {MICROPHONE}.monitor
set-default-sink {SPEAKER}
"""

_ALSA = f"""
<{{system}}/alsa.conf>
pcm.!default {{{{ type pulse hint {{{{ show on description "Default" }}}} }}}}
ctl.!default {{{{ type pulse }}}}
pcm.{MICROPHONE} {{{{ type pulse device {MICROPHONE}.monitor }}}}
pcm.{SPEAKER} {{{{ type pulse device {SPEAKER} }}}}
"""


class Recording:
    """What was recorded so far, and at the end all of it."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._grew = threading.Condition()

    def append(self, data: bytes) -> None:
        with self._grew:
            self._data += data
            self._grew.notify_all()

    @property
    def audio(self) -> Audio:
        with self._grew:
            data = bytes(self._data[: len(self._data) // 2 * 2])
        return Audio(np.frombuffer(data, np.int16), RATE)

    def wait(self, seconds: float, timeout: float = 20.0) -> Audio:
        """The recording as soon as it is ``seconds`` long."""
        wanted = round(seconds * RATE) * 2
        with self._grew:
            assert self._grew.wait_for(lambda: len(self._data) >= wanted, timeout), (
                "the virtual sound card gives nothing"
            )
        return self.audio


class SoundCard:
    """A running virtual sound card; ``environment`` makes a process use it."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("pulseaudio")
        if program is None or shutil.which("parec") is None:
            raise DeviceError(
                "PulseAudio is not installed",
                place="virtual sound card",
                remedy="sudo apt install pulseaudio pulseaudio-utils libasound2-plugins",
            )
        self._folder = folder
        socket = folder / "native"
        self._script = folder / "card.pa"
        self._script.write_text(_SCRIPT.format(socket=socket))
        alsa = folder / "asound.conf"
        alsa.write_text(_ALSA.format(system=os.environ.get("ALSA_CONFIG_DIR", "/usr/share/alsa")))
        self.environment = {
            "PULSE_SERVER": f"unix:{socket}",
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_STATE_PATH": str(folder / "state"),
            "PULSE_COOKIE": str(folder / "cookie"),
            "PULSE_CLIENTCONFIG": "/dev/null",
            "ALSA_CONFIG_PATH": str(alsa),
        }
        self._program = program
        self._daemon: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Also after ``stop``: the card comes back. Nothing happens while it runs."""
        if self._daemon is not None and self._daemon.poll() is None:
            return
        self._log = (self._folder / "pulse.log").open("wb")
        # It must outlive pauses of the test (exit-idle-time), and a daemon of the user may be running (use-pid-file).
        arguments = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit", "--use-pid-file=no"]
        arguments += ["--disable-shm", "--high-priority=no", "--realtime=no", "-F", str(self._script)]
        self._daemon = subprocess.Popen(
            [self._program, *arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        for _ in range(200):
            if self._daemon is None or self._daemon.poll() is not None:
                break
            answer = self._run(["pactl", "info"], timeout=5)
            if answer.returncode == 0 and SPEAKER in answer.stdout:
                return
            threading.Event().wait(0.05)
        self.stop()
        said = (self._folder / "pulse.log").read_text()
        raise DeviceError(f"it did not start:\n{said}", place="virtual sound card")

    def _run(self, command: list[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def play_into_microphone(self, audio: Audio) -> None:
        """Say something into the microphone; returns when all of it has been heard."""
        command = ["pacat", "--playback", f"--device={MICROPHONE}", "--format=s16le", "--channels=1", "--raw"]
        command += [f"--rate={audio.rate}", "--latency-msec=50"]
        subprocess.run(
            command,
            env={**os.environ, **self.environment},
            input=audio.samples.tobytes(),
            check=True,
            timeout=audio.seconds + 20,
        )

    @contextlib.contextmanager
    def record_speaker(self) -> Iterator[Recording]:
        """Record what the speaker plays, from now to the end of the block."""
        command = ["parec", f"--device={SPEAKER}.monitor", "--format=s16le", "--channels=1", "--raw"]
        command += [f"--rate={RATE}", "--latency-msec=20"]
        recorder = subprocess.Popen(
            command, env={**os.environ, **self.environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        recording = Recording()
        output = recorder.stdout
        assert output is not None

        def collect() -> None:
            while data := os.read(output.fileno(), 65_536):
                recording.append(data)

        collector = threading.Thread(target=collect, name="record_speaker")
        collector.start()
        try:
            recording.wait(0.05)
            yield recording
        finally:
            recorder.terminate()
            recorder.wait()
            collector.join()
            output.close()

    def pactl(self, *arguments: str) -> str:
        """What ``pactl`` answers."""
        answer = self._run(["pactl", *arguments])
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def unload_microphone(self) -> None:
        """The microphone alone vanishes; the sound server stays."""
        self.pactl("unload-module", _module(self.pactl("list", "short", "modules"), MICROPHONE))

    def load_microphone(self) -> None:
        """It comes back."""
        self.pactl("load-module", "module-null-sink", *_NULL_SINK.format(name=MICROPHONE).split())
        self.pactl("set-default-source", f"{MICROPHONE}.monitor")

    def freeze(self, *, frozen: bool) -> None:
        """The sound server hangs, and goes on."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def hurry(self) -> bool:
        """From now on it comes before everything else that runs, as hardware would; False where that is not allowed."""
        assert self._daemon is not None
        try:
            for thread in Path(f"/proc/{self._daemon.pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(_PRIORITY))
        except PermissionError:
            return False
        return True

    def loop_back(self) -> None:
        """From now on the microphone hears what the speaker plays, as in a room."""
        modules = ["module-loopback", f"source={SPEAKER}.monitor", f"sink={MICROPHONE}", "latency_msec=50"]
        self.pactl("load-module", *modules)

    def stop(self) -> None:
        """The card vanishes, as when it is unplugged. May be called twice."""
        if self._daemon is None:
            return
        if self._daemon.poll() is None:
            self._daemon.kill()
        self._daemon.wait()
        self._log.close()


def _module(modules: str, sink: str) -> str:
    """The number of the module that made a null sink."""
    return next(line.split()[0] for line in modules.splitlines() if f"sink_name={sink} " in line)


@contextlib.contextmanager
def virtual_sound_card() -> Iterator[SoundCard]:
    """A card that dies with the block.

    Raises:
        DeviceError: PulseAudio is not installed or does not start.
    """
    # A short path: the name of a socket must fit into 108 bytes.
    with tempfile.TemporaryDirectory(prefix="edgevoice-") as folder:
        card = SoundCard(Path(folder))
        try:
            yield card
        finally:
            card.stop()


def main() -> int:
    with virtual_sound_card() as card:
        return subprocess.run(sys.argv[1:], env={**os.environ, **card.environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
