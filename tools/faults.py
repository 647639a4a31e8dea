"""What goes wrong in a home, injected while commands are spoken: what does the user hear, and what is lost?

    python -m tools.faults                       # all of them, about ten minutes; root, for two
    python -m tools.faults --only device-gone    # one

For each fault a daemon runs at a virtual sound card, under a supervisor that stands for systemd. It answers a first
command; then the fault comes in the middle of a second one; then the user asks for the date until that is answered. The
exit code is 1 when a fault was not survived, or cost more than the turn in which it came.
"""

import argparse
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgevoice.audio.pcm import RATE, Int16
from edgevoice.config import load, model_names
from edgevoice.health.ask import ask
from edgevoice.modelstore import ModelStore
from tools.faultscene import Scene, scene
from tools.soundcard import MICROPHONE, virtual_sound_card
from tools.spoken import WAKE, speak

TEXTS: Final = {
    "Time": "what time is it?",
    "LightOn": "turn on the kitchen light.",
    "Date": "what is the date?",
    "Siren": "start the siren.",
}
"""By intent: the first command, the one in which the fault comes, the one after it, and one whose action is it."""
INTO: Final = 1.6
"""Seconds into the command at which the fault comes: after the wake word, before its last word."""
ANSWERED_WITHIN: Final = 7.0
"""Seconds after a command in which it is answered, or else not any more."""
GIVEN_UP: Final = 90.0
"""Seconds after which a fault was not survived."""

Act = Generator[None, None, None]
"""What a fault does before the daemon is started, as it comes, and as it goes."""


class Fault(msgspec.Struct, frozen=True):
    name: str
    act: Callable[[Scene], Act]
    lasts: float
    """Seconds before it goes."""
    held: bool
    """It goes only after the last command was answered."""
    intent: str
    """Of the command in which it comes."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Times are in seconds after the fault has gone. One that is over as it comes has gone then; of one that stays, the
    time is counted from the first command after it."""

    fault: str
    survived: bool
    hears: list[str]
    """What the user heard in the turn in which it came, and until the last command was answered."""
    told_s: float | None
    """From its coming to the first event that tells of it; None: none did, for nothing was lost."""
    states: list[str]
    hears_again_s: float
    answers_s: float | None
    """To the beginning of the answer, with the 1.5 s that the command takes to be said."""
    lost: int
    """Commands that were not answered: the one in which it came, and any that was begun when it had been hearing for
    a second, by its own word."""
    unheard: int
    """Commands that were begun earlier, or in a process that was about to end."""
    ends: list[int]
    """Exit codes; negative: the signal. Empty: the process was kept."""
    notes: list[str]


FAULTS: Final[list[Fault]] = []


def fault(
    name: str, *, lasts: float = 0.0, held: bool = False, intent: str = "LightOn"
) -> Callable[[Callable[[Scene], Act]], Callable[[Scene], Act]]:
    def add(act: Callable[[Scene], Act]) -> Callable[[Scene], Act]:
        FAULTS.append(Fault(name, act, lasts, held, intent))
        return act

    return add


@fault("device-gone", lasts=8.0)
def device_gone(on: Scene) -> Act:
    """The microphone alone vanishes; the sound server stays."""
    yield
    on.unplug()
    yield
    on.plug_in()
    yield


@fault("device-back")
def device_back(on: Scene) -> Act:
    """It is away, and comes back under another number in the middle of a command."""
    yield
    on.plug_in()
    yield
    yield


def away(on: Scene) -> None:
    on.unplug()
    assert on.until(lambda: not on.service.hears, 10.0)


@fault("device-busy", lasts=8.0)
def device_busy(on: Scene) -> Act:
    """Another program has it, as the sound server sees it: it is suspended."""
    yield
    on.card.pactl("suspend-sink", MICROPHONE, "1")
    yield
    on.card.pactl("suspend-sink", MICROPHONE, "0")
    yield


@fault("pulseaudio-killed", lasts=2.0)
def pulseaudio_killed(on: Scene) -> Act:
    yield
    on.card.stop()
    yield
    on.card.start()
    yield


def _instead(on: Scene, alter: Callable[[Int16], Int16]) -> Act:
    yield
    before, on.room.alter = on.room.alter, alter
    yield
    on.room.alter = before
    yield


@fault("digital-silence", lasts=8.0)
def digital_silence(on: Scene) -> Act:
    return _instead(on, np.zeros_like)


@fault("clipping", lasts=8.0)
def clipping(on: Scene) -> Act:
    """An input that is overdriven by far: full scale this way or that for 5 ms at a time."""

    def overdrive(samples: Int16) -> Int16:
        held = np.repeat(samples[::80], 80)[: len(samples)]
        return np.where(held > 0, 32767, -32768).astype(np.int16)

    return _instead(on, overdrive)


@fault("capture-stall", lasts=10.0)
def capture_stall(on: Scene) -> Act:
    yield
    on.card.freeze(frozen=True)
    yield
    on.card.freeze(frozen=False)
    yield


@fault("clock-drift", held=True)
def clock_drift(on: Scene) -> Act:
    """The microphone gives 1 % more samples than it should, for a minute before the commands as well."""
    on.fifo, on.pace = on.folder / "microphone", 1.01
    module = ["module-pipe-source", f"file={on.fifo}", "source_name=drifting", "format=s16le", "channels=1"]
    on.card.pactl("load-module", *module, f"rate={RATE}")
    on.card.pactl("set-default-source", "drifting")
    yield
    lost = on.service.of("overrun", "deaf", since=0.0)
    on.notes.append(f"overruns and deafness in {on.service.status()['uptime_s']:.0f} s: {len(lost)}")
    yield
    on.card.pactl("set-default-source", f"{MICROPHONE}.monitor")
    yield


def _copy_models(on: Scene) -> Path:
    """The models that are used, in a folder that may be spoilt."""
    folder = on.folder / "models"
    folder.mkdir()
    store = ModelStore()
    for name in model_names(load(None)):
        place = next(p for p in (store.path(name), *store.path(name).parents) if p.name.startswith(f"{name}@"))
        shutil.copytree(place, folder / place.name)
    on.environment["EDGEVOICE_MODELS"] = str(folder)
    return folder


def _spoil(folder: Path) -> dict[Path, bytes]:
    """Overwrite the middle of each model in its place, as a worn SD card would; gives what stood there."""
    before = {}
    for path in folder.rglob("*"):
        if path.suffix in (".onnx", ".tflite"):
            before[path] = path.read_bytes()
            with path.open("r+b") as file:
                file.seek(path.stat().st_size // 4)
                file.write(os.urandom(path.stat().st_size // 2))
    return before


@fault("models-corrupted", held=True)
def models_corrupted(on: Scene) -> Act:
    """All of them, while they are in use; then a reload is asked for."""
    folder = _copy_models(on)
    yield
    before = _spoil(folder)
    os.kill(on.service.pid, signal.SIGHUP)
    yield
    on.notes += [event["why"][:200] for _, event in on.service.of("reloadrejected", since=0.0)]
    for path, content in before.items():
        path.write_bytes(content)
    yield


@fault("models-corrupted-and-killed", lasts=6.0)
def models_corrupted_and_killed(on: Scene) -> Act:
    """The same, and the process is killed and started while they are damaged."""
    folder = _copy_models(on)
    yield
    before = _spoil(folder)
    os.kill(on.service.pid, signal.SIGKILL)
    yield
    on.notes += [line for line in on.service.complaints().splitlines() if "error:" in line][:1]
    for path, content in before.items():
        path.write_bytes(content)
    yield


@fault("config-broken", held=True)
def config_broken(on: Scene) -> Act:
    yield
    on.config_file.write_text("wake: [engine: {", "utf-8")
    os.kill(on.service.pid, signal.SIGHUP)
    yield
    on.notes += [event["why"][:200] for _, event in on.service.of("reloadrejected", since=0.0)]
    yield


def _siren(on: Scene, *command: str) -> Act:
    pack = on.folder / "siren.yaml"
    action = {"command": command, "timeout": 2.0, "name": "the siren"}
    siren = {"data": [{"sentences": ["start the siren"]}], "action": action, "response": "The siren is on."}
    pack.write_text(json.dumps({"intents": {"Siren": siren}}), "utf-8")
    on.config["intents"] = {"packs": [str(pack)]}
    yield
    before = on.service.status()["machine"]["resident_mb"]
    yield
    on.notes.append(
        f"resident: {before:.0f} MB before, {on.service.status()['machine']['resident_mb']:.0f} MB afterwards"
    )
    yield


@fault("action-hangs", intent="Siren", lasts=5.0)
def action_hangs(on: Scene) -> Act:
    return _siren(on, "sleep", "1000")


@fault("action-floods", intent="Siren", lasts=5.0)
def action_floods(on: Scene) -> Act:
    return _siren(on, "sh", "-c", "yes & yes >&2")


def _small_disk(on: Scene) -> Path:
    """A file system of its own for state and recordings; it goes with the scene."""
    disk = on.folder / "state"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "edgevoice-faults", str(disk)], check=True)
    on.mounts.append(disk)
    on.config["debug"] = {"recordings": {"folder": str(disk / "recordings")}}
    return disk


def _mute_twice(on: Scene) -> None:
    """With a state that cannot be kept."""
    ask("mute", paths=[on.service.socket])
    ask("unmute", paths=[on.service.socket])
    on.until(lambda: on.service.hears, 5.0)


def _told(on: Scene) -> list[str]:
    lines = [line for line in on.service.complaints().splitlines() if "not recorded" in line]
    return (
        sorted({line.split(": ", 2)[-1] for line in lines})
        + [event["message"].split(": ", 1)[-1] for _, event in on.service.of("fault", since=0.0)][:1]
    )


@fault("disk-full", held=True)
def disk_full(on: Scene) -> Act:
    disk = _small_disk(on)
    yield
    with (disk / "filling").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                break
    yield
    _mute_twice(on)
    on.notes += _told(on)
    yield


@fault("state-read-only", held=True)
def state_read_only(on: Scene) -> Act:
    disk = _small_disk(on)
    yield
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    yield
    _mute_twice(on)
    on.notes += _told(on)
    yield


@fault("out-of-memory")
def out_of_memory(on: Scene) -> Act:
    """No more memory than it has when it is asked to recognise (RLIMIT_AS, for this life of the process alone)."""
    yield
    size = int(Path(f"/proc/{on.service.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    subprocess.run(["prlimit", f"--pid={on.service.pid}", f"--as={size}"], check=True)
    yield
    yield


def _engine(on: Scene, task: str, error: str) -> Act:
    failing = on.folder / "failing"
    failing.mkdir()
    here = Path(__file__).parent
    on.environment |= {"PYTHONPATH": f"{here / 'failing'}:{here.parent}", "FAULTS_FOLDER": str(failing)}
    yield
    (failing / task).write_text(error)
    yield
    yield
    on.notes += [line for line in on.service.complaints().splitlines() if "injected" in line][-1:]
    yield


def _engines() -> None:
    """A defect in each engine, an error that it tells of, and memory that it does not get."""
    for task, error in [
        *((task, "RuntimeError") for task in ("wake", "vad", "asr", "tts")),
        *((task, "EngineError") for task in ("wake", "vad", "asr", "tts")),
        ("asr", "MemoryError"),
    ]:
        fault(f"{task}-raises-{error}")(functools.partial(_engine, task=task, error=error))


_engines()


@fault("overload", held=True)
def overload(on: Scene) -> Act:
    """Four times as many others want to run as there are processors."""
    yield
    others = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(4 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
    state = on.service.status()
    on.notes.append(f"frames a second: {state.get('frames_per_second')}, overruns: {state.get('overruns')}")
    on.notes += [f"degraded to level {event['level']}" for _, event in on.service.of("degraded", since=0.0)]
    yield


@fault("time-jump", held=True)
def time_jump(on: Scene) -> Act:
    """The clock on the wall is put forward by an hour, and later back."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    assert library is not None, "install it with: tools/system_packages.sh faults"
    clock = on.folder / "clock"
    clock.write_text("+0\n")
    on.environment |= {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    on.environment |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
    yield
    said = on.service.of("reply", since=0.0)[0][1]["text"]
    clock.write_text("+3600\n")
    yield
    on.room.say(_SPOKEN["Time"])
    on.until(lambda: len(on.service.of("intentmatched", since=0.0)) > 3, ANSWERED_WITHIN)
    time.sleep(1.0)
    on.notes.append(f"the time before: {said} After: {on.service.of('reply', since=0.0)[-1][1]['text']}")
    clock.write_text("+0\n")
    yield


@fault("sighup-storm", lasts=2.0)
def sighup_storm(on: Scene) -> Act:
    """A thousand in two seconds, with a configuration that changes."""
    yield
    end = time.monotonic() + 2.0
    for number in range(1000):
        on.config_file.write_text(json.dumps({"detection": {"refractory": 1.0 + number % 2 / 10}}), "utf-8")
        os.kill(on.service.pid, signal.SIGHUP)
        time.sleep(max(end - time.monotonic(), 0.0) / (1000 - number))
    yield
    on.notes.append(f"reloads: {len(on.service.of('reloaded', since=0.0))}")
    yield


@fault("control-garbage", held=True)
def control_garbage(on: Scene) -> Act:
    """Two hundred clients with noise, half requests, floods, and a dozen that say nothing and stay."""
    yield
    garbage = [os.urandom(100_000), b'{"do":', b"\n" * 5000, b'{"do": "sta\xff"}\n', b'{"do": "rm"}\n', b"{}" * 9000]
    silent: list[socket.socket] = []
    for number in range(212):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(0.5)
        try:
            client.connect(str(on.service.socket))
            if number < 200:
                client.sendall(garbage[number % len(garbage)])
        except OSError:
            pass
        if number >= 200:
            silent.append(client)
        else:
            client.close()
    yield
    on.notes.append(f"asked while eight silent clients are there: {'answered' if on.service.status() else 'refused'}")
    for client in silent:
        client.close()
    on.until(lambda: bool(on.service.status()), 5.0)
    on.notes.append(f"asked afterwards: {'answered' if on.service.status() else 'refused'}")
    yield


_SPOKEN: dict[str, Int16] = {}


def play(on: Scene, what: Fault) -> Result:
    """One fault, from the beginning to the end."""
    act = what.act(on)
    next(act)
    try:
        with on.running():
            return _play(on, what, act)
    finally:
        act.close()


def _play(on: Scene, what: Fault, act: Act) -> Result:
    service, room = on.service, on.room
    began = time.monotonic()
    for _ in range(3):  # a busy machine may lose one
        room.say(_SPOKEN["Time"])
        if on.answered("Time", began, ANSWERED_WITHIN) is not None:
            break
    else:
        raise AssertionError(f"it did not answer before the fault: {service.events}\n{service.complaints()}")
    time.sleep(3.0)  # its end, and that of its refractory time
    if what.name == "clock-drift":
        time.sleep(60.0)
    if what.name == "device-back":
        away(on)
    lives, states = len(service.lives), [service.status().get("state", "none")]

    room.say(_SPOKEN[what.intent])
    time.sleep(INTO)
    came = time.monotonic()
    next(act)
    end = time.monotonic() + max(what.lasts, 0.0)
    while time.monotonic() < end:
        states.append(service.status().get("state", "down"))
        time.sleep(0.2)
    gone = time.monotonic()
    if not what.held:
        next(act)
        gone = time.monotonic() if what.lasts else came
    if what.held or what.lasts == 0.0:
        turn_over = functools.partial(_turn_over, on, came, lives)
        on.until(turn_over, ANSWERED_WITHIN)

    lost = unheard = 0
    answered = None
    if what.held:
        gone = time.monotonic()
    while answered is None and time.monotonic() - gone < GIVEN_UP:
        states.append(service.status().get("state", "down"))
        heard_it = service.hears and not service.of("hearing", "listening", since=time.monotonic() - 1.0)
        asked, pid = time.monotonic(), service.pid
        room.say(_SPOKEN["Date"])
        answered = on.answered("Date", asked, ANSWERED_WITHIN)
        heard_it = heard_it and service.hears and service.pid == pid
        if answered is None:
            lost, unheard = lost + heard_it, unheard + (not heard_it)
    time.sleep(2.5)  # the answer's end
    states.append(service.status().get("state", "down"))
    told = service.of("deaf", "fault", "reloadrejected", "degraded", since=came)
    hears_again = _hears_again(on, came, gone, restarted=len(service.lives) > lives)
    if what.held:
        next(act)
    next(act, None)
    lost += on.answer(what.intent, came - INTO) is None
    return Result(
        fault=what.name,
        survived=answered is not None,
        hears=on.heard(came - INTO),
        told_s=round(told[0][0] - came, 2) if told else None,
        states=[state for at, state in enumerate(states) if at == 0 or states[at - 1] != state],
        hears_again_s=hears_again,
        answers_s=None if answered is None else round(answered - gone, 2),
        lost=lost,
        unheard=unheard,
        ends=list(service.ends),
        notes=[note.replace(str(on.folder), "") for note in on.notes],
    )


def _turn_over(on: Scene, since: float, lives: int) -> bool:
    """Whether the turn that was under way then has ended, one way or the other."""
    return bool(on.service.of("turnended", since=since)) or bool(on.service.ends) or len(on.service.lives) > lives


def _hears_again(on: Scene, came: float, gone: float, *, restarted: bool) -> float:
    """Seconds from its going to the last time that it told that it hears again; 0 when it never stopped."""
    names = ("hearing", "listening") if restarted else ("hearing",)
    told = on.service.of(*names, since=came)
    first = [at for at, event in told if event["event"] == "hearing" or not event["at"]]
    return round(max(first[0] - gone, 0.0), 2) if first else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description="faults, injected while commands are spoken")
    names = [what.name for what in FAULTS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of: {', '.join(names)}")
    parser.add_argument("--json", type=Path, help="also write the results there")
    args = parser.parse_args()
    _SPOKEN.update(zip(TEXTS, speak(f"{WAKE}, {text}" for text in TEXTS.values()), strict=True))
    results: list[dict[str, Any]] = []
    for what in FAULTS:
        if args.only and what.name not in args.only:
            continue
        with virtual_sound_card() as card, scene(card) as on:
            try:
                results.append(msgspec.to_builtins(play(on, what)))
            except AssertionError as error:  # it went wrong before the fault, or the fault could not be made
                results.append({"fault": what.name, "survived": False, "lost": 0, "error": str(error)})
        print(json.dumps(results[-1], ensure_ascii=False), flush=True)
        if args.json is not None:
            args.json.write_text(json.dumps(results, indent=2, ensure_ascii=False), "utf-8")
    return int(any(not result["survived"] or result["lost"] > 1 for result in results))


if __name__ == "__main__":
    sys.exit(main())
