"""The log of a service: fields, one line a turn, no texts where none are wanted, and no floods."""

import io
import json
import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from test_observe import TURN, ticking

from edgevoice import events
from edgevoice.events import Event
from edgevoice.logs import setup
from edgevoice.logs.calm import BURST, MINUTE, PERIOD, Calm, FloodFilter
from edgevoice.logs.journal import JournalHandler, encode
from edgevoice.logs.lines import LOGGER, LogLines
from edgevoice.logs.options import Options
from edgevoice.logs.private import LEFT_OUT, without_texts
from edgevoice.observe import Stopwatch, to_json

SECRETS = ("turn on the light", "The light is on", "hall", "value on", "secret")


def datagram(data: bytes) -> dict[str, str]:
    """A reader of the journal's protocol, as its specification has it."""
    fields: dict[str, str] = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, which is afterwards as it was."""
    found = logging.getLogger()
    before = list(found.handlers)
    yield found
    for handler in [handler for handler in found.handlers if handler not in before]:
        found.removeHandler(handler)
        handler.close()
    found.handlers[:] = before


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger=LOGGER)
    return caplog


def fields(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = record.__dict__["fields"]
    return found


def test_a_turn_is_one_line_with_all_it_took(logged: pytest.LogCaptureFixture) -> None:
    lines = LogLines(ticking(iter([time for time, _ in TURN])))
    for _, event in TURN:
        lines(event)
    listening, turn = logged.records
    assert fields(listening)["event"] == "listening"
    assert turn.getMessage() == (
        "turn answered: okay_nabu, LightOn, silence 600 ms | recognition 100 ms | intent 2 ms | action 50 ms | "
        "first audio 40 ms | answer 193 ms"
    )
    found = fields(turn)
    assert found["outcome"] == "answered"
    assert (found["wake"], found["score"], found["intent"]) == ("okay_nabu", 0.9, "LightOn")
    assert found["text"] == "turn on the light"
    assert [found[f"{step}_ms"] for step in ("silence", "recognition", "first_audio", "answer")] == [600, 100, 40, 193]
    assert turn.levelno == logging.INFO


def test_a_turn_keeps_nothing_of_the_one_before(logged: pytest.LogCaptureFixture) -> None:
    lines = LogLines(Stopwatch(lambda: 0.0))
    for _, event in TURN:
        lines(event)
    lines(events.Wake(at=0, by="push", model="", phrase="", score=1.0))
    lines(events.TurnEnded(at=0, outcome="interrupted"))
    last = logged.records[-1]
    assert last.getMessage() == "turn interrupted: push"
    assert "intent" not in fields(last)


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (events.Deaf(at=0, cause="stuck", why="one value"), logging.ERROR, "deaf: one value"),
        (events.Hearing(at=0, device="USB", lost=8000), logging.INFO, "hearing USB, after 0.50 s without sound"),
        (events.Muted(at=0), logging.INFO, "muted: the microphone is closed"),
        (events.Degraded(at=0, level=2, why="hot"), logging.WARNING, "degraded to level 2: hot"),
        (events.Degraded(at=0, level=0, why="cool"), logging.INFO, "full service: cool"),
        (events.Reloaded(at=0, changed=("a.b",)), logging.INFO, "reloaded: a.b"),
        (events.ReloadRejected(at=0, why="bad"), logging.ERROR, "bad"),
        (events.Overrun(at=0, lost=1600, where="capture"), logging.WARNING, "0.10 s of audio lost (capture)"),
        (events.Fault(at=0, error="ActionError", message="it failed"), logging.ERROR, "it failed"),
        (events.TurnEnded(at=0, outcome="failed"), logging.WARNING, "turn failed"),
    ],
)
def test_every_change_of_state_has_its_level(
    logged: pytest.LogCaptureFixture, event: Event, level: int, text: str
) -> None:
    LogLines()(event)
    (record,) = logged.records
    assert record.levelno == level
    assert text in record.getMessage()


def test_the_journal_gets_fields_and_values_of_several_lines(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "socket"))
        handler = JournalHandler(tmp_path / "socket")
        record = logging.LogRecord("edgevoice.x", logging.WARNING, "", 0, "two\nlines=%s", ("ü",), None)
        record.fields = {"silence_ms": 600.0, "why": "a\nb"}
        handler.emit(record)
        handler.close()
        found = datagram(server.recv(100_000))
    assert found == {
        "MESSAGE": "two\nlines=ü",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "edgevoice",
        "LOGGER": "edgevoice.x",
        "EDGEVOICE_SILENCE_MS": "600.0",
        "EDGEVOICE_WHY": "a\nb",
    }


def test_a_value_cannot_make_a_field() -> None:
    assert datagram(encode({"message": "x\nPRIORITY=0", "bad name=": "y"})) == {
        "MESSAGE": "x\nPRIORITY=0",
        "BAD_NAME": "y",
    }


def test_without_a_journal_nothing_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = JournalHandler(tmp_path / "none")
    handler.emit(logging.LogRecord("x", logging.ERROR, "", 0, "important", (), None))
    handler.close()
    assert "ERROR: important" in capsys.readouterr().err


def test_auto_means_the_journal_only_where_standard_error_goes_there(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("wb") as stream:
        seen = os.fstat(stream.fileno())
        name = f"{seen.st_dev}:{seen.st_ino}"
        assert setup.chosen(Options(), {"JOURNAL_STREAM": name}, stream.fileno()) == "journald"
        assert setup.chosen(Options(), {"JOURNAL_STREAM": "1:2"}, stream.fileno()) == "text"
        assert setup.chosen(Options(), {}, stream.fileno()) == "text"
        assert setup.chosen(Options(format="json"), {"JOURNAL_STREAM": name}, stream.fileno()) == "json"


def test_json_lines_have_fields(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.begin(Options(format="json")) == "json"
    LogLines()(events.Overrun(at=16_000, lost=1600, where="capture"))
    logging.getLogger("edgevoice.other").warning("a %s", "warning")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["message"] == "0.10 s of audio lost (capture)"
    assert (first["level"], first["event"], first["at_s"], first["lost_s"]) == ("warning", "overrun", 1.0, 0.1)
    assert (second["message"], second["logger"]) == ("a warning", "edgevoice.other")


def test_what_was_said_can_stay_out_of_everything() -> None:
    quoting: list[Event] = [
        events.NotUnderstood(at=0, text="secret", why="no secret", closest="turn on the light"),
        events.Fault(at=0, error="TextError", message="text 'secret': it cannot be spoken"),
        events.Fault(at=0, error="ActionError", message="it said: secret"),
    ]
    for event in [event for _, event in TURN] + quoting:
        shown = to_json(without_texts(event), [])
        assert not any(secret in shown for secret in SECRETS), shown
    assert LEFT_OUT in to_json(without_texts(quoting[0]), [])
    device = events.Fault(at=0, error="DeviceError", message="the microphone has gone")
    assert without_texts(device) == device


def test_every_event_has_been_looked_at_for_texts() -> None:
    for kind in get_args(Event):
        texts = {"text", "slots", "why", "detail", "message", "closest"} & set(kind.__struct_fields__)
        harmless = {events.Deaf, events.Degraded, events.ReloadRejected}
        if texts and kind not in harmless:
            made = kind(
                **{"at": 0}
                | {
                    name: {"secret": "secret"} if name == "slots" else "ActionError" if name == "error" else "secret"
                    for name in kind.__struct_fields__
                    if name != "at"
                }
            )
            kept = without_texts(made)
            assert not [name for name in texts if "secret" in str(getattr(kept, name))], kind


@pytest.mark.parametrize(
    ("form", "streamed", "console", "stream", "logs"),
    [("text", False, 1, 0, 0), ("text", True, 0, 1, 0), ("json", False, 0, 0, 1), ("journald", True, 0, 1, 1)],
)
def test_who_sees_the_events(
    logged: pytest.LogCaptureFixture, form: Any, streamed: bool, console: int, stream: int, logs: int
) -> None:
    to_console: list[Event] = []
    to_stream: list[Event] = []
    allowed = [True, False]
    emit = setup.view(
        form,
        to_console.append,
        stream=to_stream.append if streamed else None,
        transcripts=lambda: allowed.pop(0),
    )
    emit(events.Muted(at=0))
    emit(events.Transcript(at=0, text="secret", confidence=None))
    assert (len(to_console), len(to_stream), len(logged.records)) == (2 * console, 2 * stream, logs)
    assert "secret" not in str((to_console, to_stream))


def test_an_overrun_storm_is_told_as_a_sum() -> None:
    now = 0.0
    seen: list[Event] = []
    calm = Calm(seen.append, lambda: now)
    for number in range(1000):
        now = number * PERIOD / 1000
        calm(events.Overrun(at=number, lost=10, where="capture"))
        if number == 500:
            calm(events.Overrun(at=number, lost=7, where="wake word"))
    now += PERIOD
    calm(events.Listening(at=2000))
    assert [event.lost for event in seen if isinstance(event, events.Overrun)] == [10, 7, 9990]
    assert isinstance(seen[-1], events.Listening)


def test_other_events_are_all_told() -> None:
    seen: list[Event] = []
    calm = Calm(seen.append, lambda: 0.0)
    for _, event in TURN:
        calm(event)
    assert seen == [event for _, event in TURN]


def test_equal_warnings_are_counted() -> None:
    now = 0.0
    flood = FloodFilter(exempt=LOGGER, clock=lambda: now)
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(flood)

    def warn(text: str, *values: object, name: str = "edgevoice.x") -> None:
        handler.handle(logging.LogRecord(name, logging.WARNING, "", 0, text, values, None))

    for number in range(100):
        warn("lost %d", number)
    warn("something else")
    assert out.getvalue().splitlines() == [*(f"lost {number}" for number in range(BURST)), "something else"]
    now = MINUTE
    warn("lost %d", 100)
    assert out.getvalue().splitlines()[-1] == f"lost 100 (and {100 - BURST} more like it, left out)"
    for _ in range(2 * BURST):
        warn("%s", "a turn", name=LOGGER)
    assert out.getvalue().count("a turn") == 2 * BURST
