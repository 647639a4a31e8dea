"""The service in a real systemd, shut in as it is shipped: that it works, and that it comes back.

``make test-system`` runs this, as root.
"""

import contextlib
import ctypes
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from board import ANSWERED, EDGEVOICE, PACK, SOUND, TRY_NETWORK, UNIT, Board, room_noise

from edgevoice.config import load, models_of
from edgevoice.modelstore import ModelStore
from tools.soundcard import SoundCard
from tools.system_tree import CannotRunError, Machine, check, install, layered

WATCHDOG = 20 + 3 + 1
"""Seconds from the last sign of life to the end of the process: WatchdogSec, TimeoutAbortSec, and one for systemd."""
BACK = 10.0
"""Seconds from a crash until it listens again."""

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000
"""Of ptrace(2) and waitpid(2), which Python does not name."""


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board on which the service runs, as ``edgevoice service install`` made it."""
    try:
        check()
    except CannotRunError as error:
        pytest.fail(str(error))
    store = ModelStore()
    config = load(Path(os.devnull), environ={})
    models = [store.path(name) for task in ("wake", "vad", "asr", "tts") for name in models_of(getattr(config, task))]
    folder = tmp_path_factory.mktemp("sound")
    card = SoundCard(folder)
    folder.chmod(0o755)  # PulseAudio keeps it for its owner, and the service is another user
    try:
        with layered() as tree, room_noise(card, folder):
            install(tree, models)
            machine = Machine(tree, bind=[f"{folder}:/srv/sound"])
            try:
                yield _installed(Board(machine, card))
            finally:
                machine.stop()
    finally:
        card.stop()


def _installed(board: Board) -> Board:
    board.machine.run("mkdir", "-p", "/etc/edgevoice")
    board.write("/etc/edgevoice/try.yaml", PACK)
    board.write("/etc/edgevoice/try_network.py", TRY_NETWORK)
    board.write("/etc/edgevoice/edgevoice.yaml", "intents: {packs: [try.yaml]}\n")
    board.dropin("sound", SOUND)
    result = board.install()
    assert result["problem"] is None
    return board


@pytest.fixture(autouse=True)
def running(board: Board) -> None:
    """Every test begins with a service that listens, whatever the one before left."""
    if board.show("ActiveState") != "active":
        board.machine.run("systemctl", "restart", UNIT)
    board.wait_active()


def test_it_answers_a_spoken_command(board: Board) -> None:
    with board.card.record_speaker() as recording:
        board.light()
        board.eventually(lambda: abs(recording.audio.samples.astype(int)).max() > 1000, 10, "the reply is heard")


def test_its_exposure_is_small(board: Board) -> None:
    words = ("systemd-analyze", "security", "--no-pager", "--json=short", UNIT)
    listed = json.loads(board.machine.run(*words).stdout)
    overall = board.machine.run("systemd-analyze", "security", "--no-pager", UNIT).stdout.splitlines()[-1]
    exposure = float(overall.split(":")[1].split()[0])
    assert exposure <= 2.0, listed


def test_it_runs_as_its_own_user_without_privileges(board: Board) -> None:
    status = dict(
        line.split(":\t", 1) for line in board.read(f"/proc/{board.pid}/status").splitlines() if ":\t" in line
    )
    user = int(board.machine.run("id", "-u", "edgevoice").stdout)
    assert {int(word) for word in status["Uid"].split()} == {user}
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_no_packet_leaves_during_a_turn(board: Board) -> None:
    board.light()
    board.command("Hey Jarvis, check the network.", r"turn answered: .*\bTryNetwork\b")
    found = json.loads(board.read("/var/lib/edgevoice/ways.json"))
    assert found == {"ways": [], "user": int(board.machine.run("id", "-u", "edgevoice").stdout)}
    lines = board.read(f"/proc/{board.pid}/net/dev").splitlines()[2:]
    (loopback,) = lines  # its network namespace has nothing else
    name, counts = loopback.split(":")
    assert name.strip() == "lo"
    assert {int(count) for count in counts.split()} == {0}
    inside, outside = (Path(f"/proc/{board.machine.outside(pid)}/ns/net").readlink() for pid in (board.pid, 1))
    assert inside != outside


@pytest.mark.parametrize(("group", "opens"), [("audio", True), ("video", False)])
def test_it_may_open_devices_of_its_group_alone(board: Board, group: str, opens: bool) -> None:
    """In a user namespace, where no other group has a name. There is no sound card: a device of zeros stands for it."""
    board.machine.run("sh", "-c", f"[ -e /dev/try ] || mknod -m 660 /dev/try c 1 5; chgrp {group} /dev/try")
    start = "[Service]\nType=oneshot\nExecStart=\nExecStart=head -c 1 /dev/try\nRestart=no\n"
    board.dropin("try", start)
    try:
        board.machine.run("systemctl", "stop", UNIT)
        assert (board.machine.run("systemctl", "start", UNIT, check=False).returncode == 0) == opens
    finally:
        board.dropin("try", None)
        board.machine.run("systemctl", "reset-failed", UNIT, check=False)


def test_it_is_not_ready_before_it_hears(board: Board) -> None:
    board.machine.run("systemctl", "stop", UNIT)
    board.dropin("unplugged", "[Service]\nEnvironment=PULSE_SERVER=unix:/srv/sound/unplugged\n")
    try:
        since = board.now()
        board.machine.run("systemctl", "start", "--no-block", UNIT)
        board.eventually(lambda: "tts" in board.said(since), 60, "all models are loaded")
        until = time.monotonic() + 6.0
        while time.monotonic() < until:
            assert board.show("ActiveState") == "activating", board.said(since)
            time.sleep(0.2)
    finally:
        board.dropin("unplugged", None)
        board.machine.run("systemctl", "restart", UNIT)
    board.light()


def test_what_stands_still_is_started_anew(board: Board) -> None:
    pid, restarts = board.pid, board.restarts
    os.kill(board.machine.outside(pid), signal.SIGSTOP)
    board.eventually(lambda: board.restarts > restarts, WATCHDOG + BACK, "the watchdog notices")
    board.wait_active(BACK)
    assert board.pid != pid
    board.light()


def test_a_hung_thread_is_noticed(board: Board) -> None:
    pid, restarts = board.pid, board.restarts
    since = board.now()
    thread = _busiest_thread(board.machine.outside(pid))
    _hold(thread)

    def restarted() -> bool:
        with contextlib.suppress(ChildProcessError):
            # Who holds a thread must take note of its end, or its process never goes away.
            os.waitpid(thread, os.WNOHANG | WALL)
        return board.restarts > restarts

    board.eventually(restarted, WATCHDOG + 10 + BACK, "the watchdog notices")
    board.wait_active(BACK)
    assert "Fatal Python error: Aborted" in board.said(since)  # and where each thread was
    board.light()


def _busiest_thread(pid: int) -> int:
    """The thread of Python's that works most while nothing is said: that of wake word detection. Threads of the sound
    libraries, which may work as much, wait in poll(2)."""
    worked: dict[int, list[int]] = {}
    polling = set()
    for _ in range(200):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ends at this moment
                worked.setdefault(int(task.name), []).append(int((task / "schedstat").read_text().split()[0]))
                if "poll" in (task / "wchan").read_text():
                    polling.add(int(task.name))
        time.sleep(0.02)
    lasting = {task: ticks for task, ticks in worked.items() if len(ticks) == 200 and task not in polling | {pid}}
    spent = {task: ticks[-1] - ticks[0] for task, ticks in lasting.items()}
    return max(spent, key=lambda task: spent[task])


def _hold(thread: int) -> None:
    """Let a thread stand still as one that hangs in native code does, while the others of its process go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())


def test_killed_it_listens_again_within_seconds(board: Board) -> None:
    pid = board.pid
    os.kill(board.machine.outside(pid), signal.SIGKILL)
    killed = time.monotonic()
    board.eventually(lambda: board.pid not in (0, pid) and board.show("ActiveState") == "active", BACK, "it is back")
    print(f"listens again {time.monotonic() - killed:.1f} s after kill -9")
    board.light()


def test_a_bad_configuration_is_not_taken_over(board: Board) -> None:
    pid, good = board.pid, board.read("/etc/edgevoice/edgevoice.yaml")
    since = board.now()
    board.write("/etc/edgevoice/edgevoice.yaml", "wake: {enginee: microwakeword}\n")
    try:
        board.machine.run("systemctl", "reload", UNIT, check=False)
        board.eventually(lambda: "enginee" in board.said(since), 15, "the mistake is named")
        board.wait_active(10)
        assert board.pid == pid
        board.light()
    finally:
        board.write("/etc/edgevoice/edgevoice.yaml", good)
    assert board.machine.run("systemctl", "reload", UNIT).returncode == 0


def test_mute_outlives_a_crash(board: Board) -> None:
    board.edgevoice("mute")
    try:
        board.eventually(lambda: _state(board) == "muted", 10, "it is muted")
        pid = board.pid
        os.kill(board.machine.outside(pid), signal.SIGKILL)
        board.eventually(lambda: board.pid not in (0, pid) and _state(board) == "muted", BACK, "it is back, and muted")
        since = board.now()
        board.card.play_into_microphone(board.speech("Hey Jarvis, turn on the kitchen light."))
        assert "turn" not in board.said(since)
    finally:
        board.edgevoice("unmute")
    board.light()


def _state(board: Board) -> str:
    answer = board.edgevoice("status", "--json", check=False)
    return str(json.loads(answer.stdout).get("state")) if answer.stdout.startswith("{") else ""


def test_it_stops_in_time(board: Board) -> None:
    began = time.monotonic()
    board.machine.run("systemctl", "stop", UNIT)
    assert time.monotonic() - began < 5.0
    assert board.show("Result") == "success"
    assert board.show("ExecMainStatus") == "0"


def test_a_program_in_a_home_folder_is_refused(board: Board) -> None:
    inside = """
    mkdir -p /home/pi && python3 -m venv --without-pip /home/pi/venv
    echo "import site; site.addsitedir('$(echo /opt/edgevoice/lib/python3*/site-packages)')" \
        >"$(echo /home/pi/venv/lib/python3*/site-packages)/edgevoice.pth"
    sed '1s,.*,#!/home/pi/venv/bin/python,' /opt/edgevoice/bin/edgevoice >/home/pi/venv/bin/edgevoice
    chmod 755 /home/pi/venv/bin/edgevoice
    """
    board.machine.run("sh", "-ec", inside)
    refused = board.machine.run("/home/pi/venv/bin/edgevoice", "service", "install", check=False)
    assert refused.returncode == 13, refused.stdout + refused.stderr
    assert "/home" in refused.stderr
    assert "/opt/edgevoice" in refused.stderr  # where to put it
    assert EDGEVOICE in board.read(f"/etc/systemd/system/{UNIT}")


def test_another_user_is_told_that_it_takes_root(board: Board) -> None:
    refused = board.machine.run("setpriv", "--reuid=65534", EDGEVOICE, "service", "install", check=False)
    assert refused.returncode == 13
    assert "sudo" in refused.stderr


def test_installing_again_changes_nothing(board: Board) -> None:
    pid = board.pid
    assert board.install()["changes"] == []
    assert board.pid == pid


def test_an_upgrade_keeps_configuration_and_state_and_starts_the_new_program(board: Board) -> None:
    pid, config = board.pid, board.read("/etc/edgevoice/edgevoice.yaml")
    board.write("/var/lib/edgevoice/kept", "state")
    record = board.machine.run("sh", "-c", "echo /opt/edgevoice/lib/python3*/site-packages/edgevoice-*/RECORD").stdout
    time.sleep(1.1)  # systemd tells the time of the start in whole seconds
    board.machine.run("touch", record.strip())
    changes = [change["what"] for change in board.install("--board", "pi-4")["changes"]]
    assert changes[0] == f"/etc/systemd/system/{UNIT}.d/10-board-pi-4.conf"
    assert changes[-1] == f"systemctl restart {UNIT}"
    assert board.pid != pid
    assert board.show("MemoryMax") == str(640 * 2**20)
    assert board.read("/etc/edgevoice/edgevoice.yaml") == config
    assert board.read("/var/lib/edgevoice/kept") == "state"


def test_without_its_models_it_is_not_started(board: Board) -> None:
    board.machine.run("sh", "-c", "systemctl stop edgevoice; mv /var/lib/edgevoice/models /var/lib/edgevoice/elsewhere")
    try:
        answer = board.edgevoice("service", "install", check=False)
        assert answer.returncode == 4
        assert "models pull" in answer.stderr
        assert board.show("ActiveState") == "inactive"
    finally:
        board.machine.run("sh", "-c", "cd /var/lib/edgevoice && rm -rf models && mv elsewhere models")


def test_a_user_can_have_a_service_of_their_own(board: Board) -> None:
    board.machine.run("systemctl", "stop", UNIT)
    board.machine.run("useradd", "--create-home", "ada")
    number = board.machine.run("id", "-u", "ada").stdout.strip()
    board.machine.run("systemctl", "start", f"user@{number}.service")
    session = ["runuser", "-u", "ada", "--", "env", "HOME=/home/ada", f"XDG_RUNTIME_DIR=/run/user/{number}"]
    session += ["EDGEVOICE_MODELS=/var/lib/edgevoice/models"]
    board.machine.run(*session, "mkdir", "-p", f"/run/user/{number}/systemd/user/{UNIT}.d")
    board.write(f"/run/user/{number}/systemd/user/{UNIT}.d/sound.conf", SOUND)

    def edgevoice(*words: str, check: bool = True) -> str:
        return board.machine.run(*session, EDGEVOICE, "service", *words, "--user", check=check).stdout

    edgevoice("install")
    assert edgevoice("status").startswith("active")
    board.card.play_into_microphone(board.speech("Hey Jarvis, turn on the kitchen light."))
    board.eventually(lambda: re.search(ANSWERED, edgevoice("logs")), 15, "the user's service answers")
    assert "nothing had to be changed" in edgevoice("install")
    assert "left for you: /home/ada/.config/edgevoice" in edgevoice("uninstall")
    left = board.machine.run("find", "/home/ada", "-name", "*edgevoice*").stdout.split()
    assert left == ["/home/ada/.config/edgevoice", "/home/ada/.config/edgevoice/edgevoice.yaml"]
    board.machine.run("systemctl", "stop", f"user@{number}.service")


def test_uninstalling_leaves_the_configuration_alone(board: Board) -> None:
    """The last test: there is nothing to test behind it."""
    board.machine.run("rm", "-r", f"/run/systemd/system/{UNIT}.d")  # the test's own
    result = json.loads(board.edgevoice("service", "uninstall", "--json").stdout)
    assert result["left"] == ["/etc/edgevoice"]
    found = board.machine.run("find", "/etc", "/var/lib", "/run", "-xdev", "-name", "*edgevoice*").stdout.split()
    assert sorted(found) == ["/etc/edgevoice", "/etc/edgevoice/edgevoice.yaml"]
    assert board.machine.run("id", "edgevoice", check=False).returncode == 1
    assert board.machine.run("systemctl", "cat", UNIT, check=False).returncode == 1
    assert json.loads(board.edgevoice("service", "uninstall", "--json").stdout)["changes"] == []
    assert board.edgevoice("service", "status", check=False).returncode == 13
