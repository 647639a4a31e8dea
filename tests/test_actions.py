"""Actions, performed for real: programs, a web service on the loopback, functions, built-ins."""

import asyncio
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgevoice.errors import ActionError, GrammarError
from edgevoice.think import actions_python
from edgevoice.think.actions import ActionContext, ActionResult, HomeState, SlotValue, parse_action, perform
from edgevoice.think.actions_base import KEPT_BYTES, MAX_STATES

PLACE = "home.yaml:3"


def context(
    slots: Mapping[str, SlotValue] | None = None, *, text: str = "", state: HomeState | None = None, **more: Any
) -> ActionContext:
    return ActionContext(
        intent="Test",
        slots=slots or {},
        text=text,
        last_reply=more.pop("last_reply", ""),
        state=state or HomeState(),
        now=lambda: datetime(2026, 11, 22, 19, 5, tzinfo=UTC),
        **more,
    )


def do(mapping: Mapping[str, Any], **given: Any) -> ActionResult:
    return asyncio.run(perform(parse_action(mapping, PLACE), context(**given)))


def fail(mapping: Mapping[str, Any], **given: Any) -> ActionError:
    with pytest.raises(ActionError) as caught:
        do(mapping, **given)
    assert caught.value.place.startswith(PLACE)
    assert caught.value.spoken.endswith(".")
    return caught.value


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code.replace("{", "{{").replace("}", "}}"), *arguments]


# Description ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mapping", "complaint"),
    [
        ([], "an action is a mapping"),
        ({}, "here is nothing"),
        ({"comand": ["x"]}, "did you mean 'command'?"),
        ({"command": ["x"], "builtin": "time"}, "keep one of them"),
        ({"command": []}, "command: expected `array` of length >= 1"),
        ({"command": "rm -rf"}, "command: expected `array`"),
        ({"command": ["{area}"]}, "the program itself is a slot"),
        ({"command": ["x", "{area"]}, "home.yaml:3: command[1]: a lone '{' at column 1"),
        ({"command": ["x", "{two words}"]}, "is no placeholder"),
        ({"command": ["x"], "timeut": 2}, "did you mean 'timeout'?"),
        ({"command": ["x"], "timeout": "long"}, "home.yaml:3: timeout: expected `float`"),
        ({"command": ["x"], "timeout": 0}, ">= 0.05"),
        ({"http": {"url": "ftp://x/"}}, "is no http:// or https:// address"),
        ({"http": {"url": "http:///x"}}, "is no http:// or https:// address"),
        ({"http": {"url": "http://{host}/x"}}, "the host is a slot"),
        (
            {"http": {"url": "http://x/", "header": {}}},
            "home.yaml:3: http: unknown key 'header'; did you mean 'headers'?",
        ),
        ({"http": {"url": "http://x/", "method": "TRACE"}}, "http.method"),
        ({"http": "http://x/"}, "http: expected `object`"),
        ({"python": "os.system"}, "names no function"),
        ({"builtin": "tme"}, "did you mean 'time'?"),
        ({"builtin": None}, "there is no built-in"),
        ({"builtin": "time", "zone": "x"}, "takes no arguments"),
        ({"builtin": "set_state", "entity": "x"}, "missing required field `value`"),
        ({"builtin": "set_state", "entitiy": "x", "value": 1}, "did you mean 'entity'?"),
        ({"builtin": "get_state", "entity": "light.{area"}, "a lone '{'"),
        ({"builtin": "volume"}, "give either 'change' or 'set'"),
        ({"builtin": "volume", "change": 1, "set": 2}, "give either 'change' or 'set'"),
    ],
)
def test_a_wrong_description_is_refused_with_place_and_remedy(mapping: Any, complaint: str) -> None:
    with pytest.raises(GrammarError) as caught:
        parse_action(mapping, PLACE)
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(PLACE)


def test_an_action_names_itself_and_the_slots_it_asks_for() -> None:
    action = parse_action({"command": ["gpio", "{pin}", "{{x}}"], "name": "the {area} light"}, PLACE)
    assert action.label == "command gpio"
    assert action.placeholders == {"pin", "area"}
    state = parse_action({"builtin": "set_state", "entity": "light.{area}", "value": "{value}"}, PLACE)
    assert state.label == "builtin set_state"
    assert state.placeholders == {"area", "value"}


def test_every_name_that_a_sentence_can_give_a_slot_is_a_placeholder() -> None:
    state = HomeState()
    slots: dict[str, SlotValue] = {"living-room": "lamp", "küche.1": 5}
    do({"builtin": "set_state", "entity": "{{x}}.{living-room}", "value": "{küche.1}"}, slots=slots, state=state)
    assert state.get("{x}.lamp") == 5


# Commands -------------------------------------------------------------------------------------------------------


def test_a_command_gets_slots_as_arguments_as_json_and_in_the_environment() -> None:
    code = (
        "import json, os, sys;"
        "print(json.dumps({'argv': sys.argv[1:], 'stdin': json.load(sys.stdin),"
        " 'slots': json.loads(os.environ['EDGEVOICE_SLOTS']), 'intent': os.environ['EDGEVOICE_INTENT'],"
        " 'text': os.environ['EDGEVOICE_TEXT'], 'reply': 'Done.'}))"
    )
    result = do(
        {"command": python(code, "--level={level}", "{area}; rm -rf $HOME `id`", "{{{area}}}")},
        slots={"level": 5, "area": "küche"},
        text="küche fünf",
    )
    assert result.reply == "Done."
    slots = {"level": 5, "area": "küche"}
    assert result.values == {
        "argv": ["--level=5", "küche; rm -rf $HOME `id`", "{küche}"],
        "stdin": {"intent": "Test", "slots": slots, "text": "küche fünf"},
        "slots": slots,
        "intent": "Test",
        "text": "küche fünf",
    }


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("It is warm.\n", {"output": "It is warm."}),
        ("", {}),
        ("[1]", {"output": "[1]"}),
        ("{broken", {"output": "{broken"}),
        ('{"a":' * 13_000, {"output": '{"a":' * 13_000}),
    ],
)
def test_what_a_command_writes(tmp_path: Path, written: str, values: dict[str, object]) -> None:
    (tmp_path / "written").write_text(written)
    assert do({"command": ["cat", str(tmp_path / "written")]}) == ActionResult(values)


def test_a_command_that_ignores_its_input_is_no_failure() -> None:
    assert do({"command": ["true"]}, text="x" * 100_000) == ActionResult()


def test_a_flood_is_cut_not_kept() -> None:
    code = "import sys\nfor _ in range(300): sys.stdout.write('x' * 65536)"
    assert do({"command": python(code), "timeout": 60}).values == {"output": "x" * KEPT_BYTES}


def test_a_slot_does_not_become_an_option() -> None:
    command = python("import sys; print(sys.argv[1:])", "{what}")
    assert "would become an option" in fail({"command": command}, slots={"what": "--delete"}).cause
    assert do({"command": command}, slots={"what": -5}).values == {"output": "['-5']"}
    guarded = [*command[:-1], "--", "{what}"]
    assert do({"command": guarded}, slots={"what": "--delete"}).values == {"output": "['--', '--delete']"}


def test_a_command_that_cannot_be_run(tmp_path: Path) -> None:
    missing = fail({"command": [str(tmp_path / "nothing")], "name": "the kitchen light"})
    assert missing.cause == f"there is no program '{tmp_path / 'nothing'}'"
    assert missing.spoken == "The kitchen light could not be started."
    plain = tmp_path / "plain"
    plain.write_text("echo no")
    assert "is not executable" in fail({"command": [str(plain)]}).cause
    plain.chmod(0o755)
    assert "could not be started: [Errno 8]" in fail({"command": [str(plain)]}).cause
    assert "null byte" in fail({"command": ["echo", "{x}"]}, slots={"x": "a\0b"}).cause


def test_a_command_that_fails_says_its_last_line() -> None:
    code = "import sys; print('first', file=sys.stderr); print('no route to lamp', file=sys.stderr); sys.exit(3)"
    error = fail({"command": python(code), "name": "the {area} light"}, slots={"area": "hall"})
    assert "ended with status 3: no route to lamp" in error.cause
    assert error.spoken == "The hall light reported an error."
    assert "SIGKILL" in fail({"command": python("import os; os.kill(os.getpid(), 9)")}).cause


def test_a_sentence_without_the_slot_is_told() -> None:
    error = fail({"command": ["echo", "{color_name}"]})
    assert "no slot 'color_name'" in error.cause
    assert error.spoken == "Sorry, I did not catch the color name."


def _ended(pid: int) -> bool:
    """Whether the process has ended; one that was killed may take a moment."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def _family(tmp_path: Path, *, lasts: bool) -> list[str]:
    """A program that starts a child in its group, writes both numbers to a file and tells that it has."""
    code = (
        (
            "import os, subprocess, sys, time\n"
            "child = subprocess.Popen(['sleep', '1000'])\n"
            f"with open({str(tmp_path / 'pids')!r}, 'w') as file: file.write(f'{{os.getpid()}} {{child.pid}}')\n"
            f"open({str(tmp_path / 'ready')!r}, 'w').close()\n"
            f"time.sleep(1000) if {lasts} else None\n"
        )
        .replace("{{", "{")
        .replace("}}", "}")
    )
    os.mkfifo(tmp_path / "ready")
    return python(code)


def _pids(tmp_path: Path) -> list[int]:
    return [int(pid) for pid in (tmp_path / "pids").read_text().split()]


def test_a_hanging_command_is_killed_with_its_children(tmp_path: Path) -> None:
    async def hang() -> ActionError:
        action = parse_action({"command": _family(tmp_path, lasts=True), "timeout": 0.4, "name": "the lamp"}, PLACE)
        opened = threading.Thread(target=lambda: (tmp_path / "ready").open().close())
        opened.start()
        with pytest.raises(ActionError) as caught:
            await perform(action, context())
        opened.join()
        return caught.value

    error = asyncio.run(hang())
    assert error.spoken == "The lamp did not answer in time."
    assert all(_ended(pid) for pid in _pids(tmp_path))


def test_cancelling_kills_the_command_with_its_children(tmp_path: Path) -> None:
    async def interrupt() -> None:
        action = parse_action({"command": _family(tmp_path, lasts=True), "timeout": 100}, PLACE)
        turn = asyncio.create_task(perform(action, context()))
        await asyncio.to_thread(lambda: (tmp_path / "ready").open().close())
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert all(_ended(pid) for pid in _pids(tmp_path))

    asyncio.run(interrupt())


def test_what_a_command_leaves_behind_is_ended_and_does_not_delay_the_reply(tmp_path: Path) -> None:
    async def leave() -> None:
        action = parse_action({"command": _family(tmp_path, lasts=False), "timeout": 100}, PLACE)
        turn = asyncio.create_task(perform(action, context()))
        await asyncio.to_thread(lambda: (tmp_path / "ready").open().close())
        assert await turn == ActionResult()
        assert all(_ended(pid) for pid in _pids(tmp_path))

    asyncio.run(leave())


# Web services ---------------------------------------------------------------------------------------------------


class _Service(ThreadingHTTPServer):
    daemon_threads = True
    answer: Callable[[BaseHTTPRequestHandler, bytes], None]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        assert isinstance(self.server, _Service)
        self.server.answer(self, self.rfile.read(length))

    do_GET = do_PUT = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def service() -> Iterator[_Service]:
    server = _Service(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for key, value in headers.items():
        handler.send_header(key.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def url(service: _Service, path: str = "/") -> str:
    return f"http://127.0.0.1:{service.server_address[1]}{path}"


def test_a_web_service_gets_json_and_gives_values(service: _Service) -> None:
    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        told = json.loads(body)
        seen = {"path": handler.path, "token": handler.headers["X-Token"], "told": told}
        send(handler, 200, json.dumps(seen | {"reply": "All right."}).encode())

    service.answer = answer
    result = do(
        {"http": {"url": url(service, "/set/{area}?x={level}"), "headers": {"X-Token": "t-{level}"}}},
        slots={"area": "../living room?", "level": 5},
        text="living room five",
    )
    assert result.reply == "All right."
    assert result.values == {
        "path": "/set/..%2Fliving%20room%3F?x=5",
        "token": "t-5",
        "told": {"intent": "Test", "slots": {"area": "../living room?", "level": 5}, "text": "living room five"},
    }


def test_get_sends_no_body_and_text_is_output(service: _Service) -> None:
    service.answer = lambda handler, body: send(handler, 200, b"21 degrees" + body)
    assert do({"http": {"url": url(service), "method": "GET"}}).values == {"output": "21 degrees"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "cause"),
    [
        (500, b"oops", {}, "the answer is 500"),
        (404, b"", {}, "the answer is 404 Not Found"),
        (302, b"", {"Location": "http://elsewhere.invalid/"}, "a redirect to http://elsewhere.invalid/"),
        (200, b"x" * (KEPT_BYTES + 1), {}, "longer than 64 KiB"),
        (200, b"x", {"Content_Encoding": "gzip"}, "compressed"),
    ],
)
def test_a_web_service_that_misbehaves(
    service: _Service, status: int, body: bytes, headers: dict[str, str], cause: str
) -> None:
    service.answer = lambda handler, _: send(handler, status, body, **headers)
    error = fail({"http": {"url": url(service)}, "name": "the heating"})
    assert cause in error.cause
    assert error.spoken.startswith("The heating ")


def test_a_web_service_that_is_not_there(service: _Service) -> None:
    address = url(service)
    service.server_close()
    error = fail({"http": {"url": address}})
    assert "ConnectError" in error.cause
    assert error.spoken == "The service could not be reached."


def test_a_web_service_that_hangs_is_left_at_once(service: _Service) -> None:
    asked, leave = threading.Event(), threading.Event()

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked.set()
        leave.wait()

    service.answer = answer
    error = fail({"http": {"url": url(service)}, "timeout": 0.2})
    assert error.spoken == "The service did not answer in time."

    async def interrupt() -> None:
        turn = asyncio.create_task(
            perform(parse_action({"http": {"url": url(service)}, "timeout": 99}, PLACE), context())
        )
        asked.clear()
        await asyncio.to_thread(asked.wait)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(interrupt())
    leave.set()


def test_the_http_client_is_loaded_by_the_first_request_only() -> None:
    code = "import sys, edgevoice.think.actions; print([m for m in ('httpx2', 'anyio') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Functions ------------------------------------------------------------------------------------------------------


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_functions.py").write_text(
        "import asyncio, threading\n"
        "release = threading.Event()\n"
        "def plain(context): return {'area': context.slots['area'], 'reply': 'Right.'}\n"
        "def text(context): return 'It is warm.'\n"
        "def nothing(context): return None\n"
        "def number(context): return 5\n"
        "async def waits(context): return {'intent': context.intent}\n"
        "async def sleeps(context): await asyncio.sleep(1000)\n"
        "def breaks(context): raise KeyError('lamp')\n"
        "def stops(context): raise StopIteration\n"
        "def times_out(context): raise TimeoutError('lamp is slow')\n"
        "def hangs(context): release.wait()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_functions", raising=False)
    return "own_functions"


def test_a_function_gives_values(functions: str) -> None:
    result = do({"python": f"{functions}:plain"}, slots={"area": "hall"})
    assert result == ActionResult({"area": "hall"}, "Right.")
    assert do({"python": f"{functions}:text"}) == ActionResult({"output": "It is warm."})
    assert do({"python": f"{functions}:nothing"}) == ActionResult()
    assert do({"python": f"{functions}:waits"}) == ActionResult({"intent": "Test"})


def test_a_function_that_breaks_is_named_with_its_line(functions: str, tmp_path: Path) -> None:
    error = fail({"python": f"{functions}:breaks", "name": "the lamp"})
    assert error.cause == (f"python {functions}:breaks raised KeyError: 'lamp' at {tmp_path / 'own_functions.py'}:9")
    assert error.spoken == "The lamp reported an error."
    assert "raised TimeoutError: lamp is slow" in fail({"python": f"{functions}:times_out"}).cause
    assert "StopIteration" in fail({"python": f"{functions}:stops"}).cause
    assert "gave a int" in fail({"python": f"{functions}:number"}).cause
    assert "cannot be imported" in fail({"python": "no_such_module:f"}).cause
    assert "cannot be imported" in fail({"python": f"{functions}:missing"}).cause
    assert "is no function" in fail({"python": f"{functions}:release"}).cause


def test_functions_that_hang_are_left_and_bounded(functions: str) -> None:
    assert "did not finish" in fail({"python": f"{functions}:sleeps", "timeout": 0.05}).cause
    for _ in range(actions_python.MAX_HANGING):
        assert "did not finish" in fail({"python": f"{functions}:hangs", "timeout": 0.05}).cause
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("action ")]
    assert len(threads) == actions_python.MAX_HANGING
    assert "have not returned yet" in fail({"python": f"{functions}:nothing"}).cause
    sys.modules[functions].release.set()
    for thread in threads:
        thread.join()
    assert do({"python": f"{functions}:nothing"}) == ActionResult()


# Built-ins ------------------------------------------------------------------------------------------------------


def test_time_and_date() -> None:
    assert do({"builtin": "time"}).values == {"time": "7:05 pm", "time24": "19:05", "hour": 19, "minute": 5}
    assert do({"builtin": "date"}).values == {
        "date": "Sunday, November 22nd",
        "weekday": "Sunday",
        "month": "November",
        "day": 22,
        "year": 2026,
        "iso": "2026-11-22",
    }


def test_repeat_stop_and_none() -> None:
    assert do({"builtin": "repeat"}, last_reply="It is on.").reply == "It is on."
    assert do({"builtin": "repeat"}).reply == "I have not said anything yet."
    assert do({"builtin": "stop"}) == ActionResult(end_turn=True)
    assert do({"builtin": "none"}) == ActionResult()


def test_states_are_remembered_with_their_type_and_bounded() -> None:
    state = HomeState()
    put = {"builtin": "set_state", "entity": "light.{area}", "value": "{level}"}
    slots: dict[str, SlotValue] = {"area": "hall", "level": 40}
    assert do(put, slots=slots, state=state).values == {"entity": "light.hall", "value": 40, "before": "unknown"}
    get = {"builtin": "get_state", "entity": "light.{area}", "default": "off"}
    assert do(get, slots=slots, state=state).values == {"entity": "light.hall", "value": 40}
    assert do(get, slots={"area": "attic"}, state=state).values == {"entity": "light.attic", "value": "off"}
    state.set("heating", 20)
    do({"builtin": "set_state", "entity": "light.*", "value": "off"}, state=state)
    assert (state.get("light.hall"), state.get("heating"), state.get("light.*")) == ("off", 20, None)
    for number in range(MAX_STATES - 2):
        state.set(f"x{number}", 1)
    with pytest.raises(ActionError, match="remembered already"):
        state.set("one more", 1)
    state.set("light.hall", "on")


def test_volume_is_set_through_the_assistant() -> None:
    calls: list[tuple[int, bool]] = []

    def set_volume(percent: int, *, relative: bool) -> int:
        calls.append((percent, relative))
        return 70

    assert do({"builtin": "volume", "change": -10}, set_volume=set_volume).values == {"volume": 70}
    do({"builtin": "volume", "set": "{level}"}, slots={"level": 30}, set_volume=set_volume)
    assert calls == [(-10, True), (30, False)]
    assert "no number of percent" in fail({"builtin": "volume", "set": "{x}"}, slots={"x": "loud"}).cause
    assert "no speaker" in fail({"builtin": "volume", "set": 5}).cause
