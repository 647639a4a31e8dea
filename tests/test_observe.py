"""The latencies of a turn, and events as JSON and as lines for people."""

import io
import json
from collections.abc import Iterator
from typing import get_args

import msgspec
import pytest

from edgevoice import events
from edgevoice.cli.console import Console, JsonLines
from edgevoice.events import Event
from edgevoice.observe import Step, Stopwatch, to_json

TURN: list[tuple[float, Event]] = [
    (0.0, events.Listening(at=0)),
    (1.0, events.Wake(at=16_000, by="word", model="okay_nabu", phrase="Okay Nabu", score=0.9)),
    (1.5, events.SpeechStarted(at=20_000)),
    (2.0, events.Partial(at=30_000, text="turn on", stable=4)),
    (3.0, events.SpeechEnded(at=48_000, end=38_400, reason="silence")),
    (3.1, events.Transcript(at=48_000, text="turn on the light", confidence=0.9)),
    (3.102, events.IntentMatched(at=48_000, intent="LightOn", slots={"area": "hall"}, text="turn on the light")),
    (3.152, events.ActionDone(at=48_000, action="builtin set_state", ok=True, detail="value on")),
    (3.153, events.Reply(at=48_000, text="The light is on.")),
    (3.193, events.Speaking(at=48_000)),
    (5.0, events.TurnEnded(at=80_000, outcome="answered")),
]


def ticking(times: Iterator[float]) -> Stopwatch:
    return Stopwatch(lambda: next(times))


def test_every_step_of_a_turn_is_timed() -> None:
    stopwatch = ticking(iter([time for time, _ in TURN]))
    steps = {step.name: step.seconds for _, event in TURN for step in stopwatch.observe(event)}
    assert steps == pytest.approx(
        {"silence": 0.6, "recognition": 0.1, "intent": 0.002, "action": 0.05, "first audio": 0.04, "answer": 0.193}
    )


def test_an_apology_is_no_answer_to_time() -> None:
    stopwatch = Stopwatch(lambda: 1.0)
    turn: list[Event] = [
        events.Wake(at=0, by="push", model="", phrase="", score=1.0),
        events.Fault(at=0, error="EngineError", message="x"),
        events.Reply(at=0, text="Sorry."),
        events.Speaking(at=0),
    ]
    assert [step for event in turn for step in stopwatch.observe(event)] == []


def test_json_lines_hold_the_event_its_time_and_its_cost() -> None:
    line = json.loads(to_json(TURN[4][1], [Step("first audio", 0.0404)]))
    assert line == {
        "event": "speechended",
        "at": 48_000,
        "end": 38_400,
        "reason": "silence",
        "seconds": 3.0,
        "took_ms": {"first_audio": 40.4},
    }
    out = io.StringIO()
    print_json = JsonLines(out)
    for _, event in TURN:
        print_json(event)
    decoded = [msgspec.json.decode(line, type=Event) for line in out.getvalue().splitlines()]
    assert decoded == [event for _, event in TURN]


def test_the_console_shows_every_kind_of_event() -> None:
    others: list[Event] = [
        events.NotUnderstood(at=0, text="x", why="no sentence", closest="turn on the light"),
        events.Overrun(at=0, lost=1600, where="capture"),
        events.Deaf(at=0, cause="no_frames", why="the microphone gives nothing"),
        events.Hearing(at=0, device="USB microphone", lost=40_000),
        events.Muted(at=0),
        events.Degraded(at=0, level=1, why="it is too hot"),
        events.Degraded(at=0, level=0, why="it has cooled down"),
        events.Reloaded(at=0, changed=("output.volume", "tts.engine")),
        events.Reloaded(at=0, changed=()),
        events.ReloadRejected(at=0, why="wake.refractory: below 0"),
        events.Fault(at=0, error="ActionError", message="it failed"),
    ]
    shown = [event for _, event in TURN] + others
    assert {type(event) for event in shown} == set(get_args(Event))
    out = io.StringIO()
    console = Console(out, '"Okay Nabu"')
    for event in shown:
        console(event)
    text = out.getvalue()
    for part in ("Okay Nabu (0.90)", "turn on the light (0.90)", "area=hall", "The light is on.", "answered", "0.10 s"):
        assert part in text
    assert "closest: turn on the light" in text
    assert "(no frames)" in text
    assert "USB microphone, after 2.50 s" in text
    assert "degraded       it is too hot" in text
    assert "full service   it has cooled down" in text
    assert "output.volume, tts.engine" in text
    assert "nothing has changed" in text
    assert "not reloaded   wake.refractory: below 0" in text
    assert "silence 600 ms" in text


def test_nothing_that_an_action_gives_reaches_the_terminal_raw() -> None:
    out = io.StringIO()
    detail = "output \x1b[31mred\x07\r\n" + "x" * 70_000
    Console(out, "")(events.ActionDone(at=0, action="command x", ok=True, detail=detail))
    line = out.getvalue()
    assert line.rstrip("\n").isprintable()
    assert len(line) < 400
    assert "(70" in line
