"""The control socket: who may ask, what is answered, and what garbage does to it (nothing)."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.errors import AudioError, DaemonError
from edgevoice.health.ask import ask
from edgevoice.health.control import CLIENTS, Do, serve
from edgevoice.health.protocol import LONGEST, Answer, Verb


async def status() -> Answer:
    return Answer(ok=True, status={"state": "listening"})


async def mute() -> Answer:
    raise AudioError("there is no microphone", place="microphone", remedy="plug one in")


COMMANDS: Mapping[Verb, Do] = {"status": status, "mute": mute}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run/control.sock"


def served(
    path: Path, client: Callable[[], object], commands: Mapping[Verb, Do] = COMMANDS, patience: float = 60
) -> None:
    """Run a client in a thread while the socket is served."""

    async def go() -> None:
        async with serve(path, commands, patience=patience):
            await asyncio.to_thread(client)
        leftover = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert leftover == []

    asyncio.run(go())


def talk(path: Path, sent: bytes, *, end: bool = True) -> list[dict[str, object]]:
    """All answers to what is sent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
        daemon.settimeout(60)
        daemon.connect(str(path))
        got = b""
        try:
            daemon.sendall(sent)
            if end:
                daemon.shutdown(socket.SHUT_WR)
            while piece := daemon.recv(65536):
                got += piece
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was shown out while it was still speaking
    return [json.loads(line) for line in got.splitlines()]


def test_a_request_is_answered(path: Path) -> None:
    def client() -> None:
        assert ask("status", paths=[path]).status == {"state": "listening"}
        assert talk(path, b'{"do":"status"}\n{"do":"status"}') == [{"ok": True, "status": {"state": "listening"}}] * 2

    served(path, client)
    assert not path.exists()


def test_what_fails_is_an_answer_and_an_error_of_the_command(path: Path) -> None:
    def client() -> None:
        (answer,) = talk(path, b'{"do":"mute"}\n')
        assert answer == {"ok": False, "error": "microphone: there is no microphone; plug one in"}
        with pytest.raises(DaemonError, match="no microphone"):
            ask("mute", paths=[path])
        with pytest.raises(DaemonError, match="nothing that can be done here"):
            ask("reload", paths=[path])

    served(path, client)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b'{"do":"dance"}\n',
        b'{"do":"status","more":1}\n',
        b"\xff\xfe\x00\n",
        b'{"do":' * 500 + b"\n",
    ],
)
def test_garbage_is_answered_with_what_would_be_right(path: Path, garbage: bytes) -> None:
    def client() -> None:
        answers = talk(path, garbage + b'{"do":"status"}\n')
        assert not answers[0]["ok"]
        assert '{"do": "status"}' in str(answers[0]["error"])
        assert answers[1]["ok"]

    served(path, client)


def test_a_line_without_an_end_is_not_kept(path: Path) -> None:
    def client() -> None:
        answers = talk(path, b"x" * (64 * LONGEST), end=False)
        assert [answer["ok"] for answer in answers] in ([False], [])  # or it was shown out before it could read
        assert ask("status", paths=[path]).ok

    served(path, client)


ALMOST = st.text(max_size=200).map(lambda text: json.dumps({"do": text}).encode())


def test_whatever_is_sent_the_next_client_is_answered() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run/control.sock"

        @settings(max_examples=200, deadline=None, database=None)
        @given(
            st.binary(max_size=2 * LONGEST) | st.text(max_size=200).map(lambda text: json.dumps({"do": text}).encode())
        )
        def send(sent: bytes) -> None:
            for answer in talk(path, sent):
                assert answer["ok"] is False
                assert answer["error"]

        def client() -> None:
            send()
            assert ask("status", paths=[path]).ok

        served(path, client, {"status": status})


def connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(60)
    connection.connect(str(path))
    return connection


def test_who_has_been_silent_for_longest_makes_room_for_the_next(path: Path) -> None:
    def client() -> None:
        waiting = []
        for _ in range(CLIENTS):
            waiting.append(connected(path))
            waiting[-1].sendall(b'{"do":"status"}\n')
            assert waiting[-1].recv(4096)
        waiting[0].sendall(b'{"do":"status"}\n')
        assert waiting[0].recv(4096)
        assert ask("status", paths=[path]).ok
        assert waiting[1].recv(4096) == b""
        for connection in (waiting[0], *waiting[2:]):
            connection.sendall(b'{"do":"status"}\n')
            assert connection.recv(4096)
        for connection in waiting:
            connection.close()

    served(path, client)


def test_clients_that_never_said_anything_keep_nobody_out(path: Path) -> None:
    def client() -> None:
        silent = [connected(path) for _ in range(3 * CLIENTS)]
        for _ in range(3):
            assert ask("status", paths=[path], patience=60).ok
        for connection in silent:
            connection.close()

    served(path, client)


def test_nobody_who_is_being_served_has_to_make_room(path: Path) -> None:
    async def main() -> None:
        begun = asyncio.Semaphore(0)
        go_on = asyncio.Event()

        async def reload() -> Answer:
            begun.release()
            await go_on.wait()
            return Answer(ok=True)

        async with serve(path, {"reload": reload, "status": status}):
            waiting = [connected(path) for _ in range(CLIENTS)]
            for connection in waiting:
                connection.sendall(b'{"do":"reload"}\n')
                await begun.acquire()
            (refused,) = await asyncio.to_thread(talk, path, b'{"do":"status"}\n')
            assert refused["error"] == "8 others are being served; try again"
            go_on.set()
            for connection in waiting:
                assert await asyncio.to_thread(connection.recv, 4096) == b'{"ok":true}\n'
                connection.close()

    asyncio.run(main())


def test_a_client_that_says_nothing_is_shown_out(path: Path) -> None:
    served(path, lambda: talk(path, b"", end=False), patience=0.01)


def test_the_socket_is_for_its_owner_only(path: Path) -> None:
    def client() -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    served(path, client)


STRANGER = """
import os, socket, sys
os.setuid(65534)
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
    daemon.connect(sys.argv[1])
    daemon.sendall(b'{"do":"status"}\\n')
    print(daemon.recv(4096).decode())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_user_is_refused_even_if_the_socket_let_him_in() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "run/control.sock"

        def client() -> None:
            for part in (folder, path.parent, path):
                part.chmod(0o777)
            command = [sys.executable, "-I", "-c", STRANGER, str(path)]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            assert "user 65534 may not ask" in run.stdout, run.stderr

        served(path, client)


def test_a_second_daemon_is_refused_and_the_first_goes_on(path: Path) -> None:
    async def second() -> None:
        with pytest.raises(DaemonError, match=f"already running as process {os.getpid()}"):
            async with serve(path, COMMANDS):
                raise AssertionError

    def client() -> None:
        asyncio.run(second())
        assert ask("status", paths=[path]).ok

    served(path, client)


def test_what_a_dead_daemon_has_left_is_replaced(path: Path) -> None:
    code = "import os, socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    path.parent.mkdir(mode=0o700)
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    path.with_suffix(".lock").write_text("4194304\n")
    assert path.exists()
    with pytest.raises(DaemonError, match="no edgevoice is running"):
        ask("status", paths=[path])
    served(path, lambda: ask("status", paths=[path]))


def test_a_file_in_its_place_is_left_alone(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_text("precious")
    with pytest.raises(DaemonError, match="something else"):
        served(path, lambda: None)
    assert path.read_text() == "precious"


def test_a_path_that_no_socket_can_have_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match="cannot be made"):
        served(tmp_path / ("x" * 120) / "control.sock", lambda: None)


def test_without_a_daemon_the_command_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match="edgevoice run"):
        ask("status", paths=[tmp_path / "none", tmp_path])


def test_a_daemon_that_does_not_answer_is_an_error(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
        daemon.bind(str(path))
        daemon.listen(1)
        with pytest.raises(DaemonError, match=r"not answered within 0\.01 s"):
            ask("status", paths=[path], patience=0.01)
        daemon.settimeout(60)
        daemon.accept()[0].close()

        def hang_up_at_once() -> None:
            daemon.accept()[0].close()

        hang_up = threading.Thread(target=hang_up_at_once)
        hang_up.start()
        with pytest.raises(DaemonError):
            ask("status", paths=[path])
        hang_up.join()
