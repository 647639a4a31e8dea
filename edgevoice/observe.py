"""Events as they pass: how long each step of a turn took on this machine, and log lines."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec

from edgevoice import events
from edgevoice.audio.pcm import RATE
from edgevoice.events import Event


@dataclass(frozen=True, slots=True)
class Step:
    """How long one step took."""

    name: str
    seconds: float


class Stopwatch:
    """Times the steps of a turn from the moments its events arrive.

    The silence that was waited for is known from sample positions; the rest is this machine's work. ``answer`` is what
    the user waits for beside that silence: from the moment the end of speech was certain to the first audio.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = 0.0
        self._ended = 0.0
        self._answering = False

    def observe(self, event: Event) -> list[Step]:
        """The steps that this event ends."""
        now = self._clock()
        lap = now - self._last
        match event:
            case events.Wake():
                self._answering = False
            case events.SpeechEnded():
                self._last = self._ended = now
                return [Step("silence", (event.at - event.end) / RATE)]
            case events.Transcript():
                self._last = now
                return [Step("recognition", lap)]
            case events.IntentMatched() | events.NotUnderstood():
                self._last, self._answering = now, True
                return [Step("intent", lap)]
            case events.ActionDone():
                self._last = now
                return [Step("action", lap)]
            case events.Reply():
                self._last = now
            case events.Speaking():
                self._last = now
                if self._answering:
                    self._answering = False
                    return [Step("first audio", lap), Step("answer", now - self._ended)]
            case (
                events.Listening()
                | events.SpeechStarted()
                | events.Partial()
                | events.TurnEnded()
                | events.Overrun()
                | events.Deaf()
                | events.Hearing()
                | events.Muted()
                | events.Degraded()
                | events.Reloaded()
                | events.ReloadRejected()
                | events.Fault()
            ):
                pass
            case _:
                assert_never(event)
        return []


def to_json(event: Event, steps: list[Step]) -> str:
    """One line: the event, its position in seconds, and the steps it ends in milliseconds."""
    fields: dict[str, Any] = msgspec.to_builtins(event)
    fields["seconds"] = round(event.at / RATE, 3)
    if steps:
        fields["took_ms"] = {step.name.replace(" ", "_"): round(step.seconds * 1000, 1) for step in steps}
    return msgspec.json.encode(fields).decode()
