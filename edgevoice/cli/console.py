"""A turn as a person wants to see it happen: one line an event, the latency of each step at its end."""

from typing import TextIO, assert_never

from edgevoice import events
from edgevoice.audio.pcm import RATE
from edgevoice.events import Event
from edgevoice.observe import Step, Stopwatch, to_json

LONGEST = 300
"""Characters of a line's text: more than any ordinary reply. ``--json`` has it all."""


class Console:
    """Prints events as they come.

    Args:
        phrases: what is listened for, for the first line.
    """

    def __init__(self, out: TextIO, phrases: str) -> None:
        self._out = out
        self._phrases = phrases
        self._stopwatch = Stopwatch()
        self._steps: list[Step] = []

    def __call__(self, event: Event) -> None:
        self._steps += self._stopwatch.observe(event)
        match event:
            case events.Listening():
                self._line(event, "listening", f"say {self._phrases}")
            case events.Wake():
                self._steps = []
                self._line(
                    event, "wake", f"{event.phrase} ({event.score:.2f})" if event.by == "word" else "push to talk"
                )
            case events.SpeechStarted():
                self._line(event, "speech", "")
            case events.Partial():
                settled, open_ = event.text[: event.stable], event.text[event.stable :]
                self._line(event, "partial", f"{settled}{open_} ...")
            case events.SpeechEnded():
                self._line(event, "end", event.reason.replace("_", " "))
            case events.Transcript():
                sure = "" if event.confidence is None else f" ({event.confidence:.2f})"
                self._line(event, "transcript", f"{event.text}{sure}" if event.text else "(nothing)")
            case events.IntentMatched():
                slots = "  ".join(f"{name}={value}" for name, value in event.slots.items())
                self._line(event, "intent", f"{event.intent}  {slots}".rstrip())
            case events.NotUnderstood():
                near = f"; closest: {event.closest}" if event.closest else ""
                self._line(event, "no intent", f"{event.why}{near}")
            case events.ActionDone():
                result = event.detail if event.ok else f"failed: {event.detail}"
                self._line(event, "action", f"{event.action}: {result}" if result else event.action)
            case events.Reply():
                self._line(event, "reply", event.text)
            case events.Speaking():
                pass  # it shows in the latencies
            case events.TurnEnded():
                taken = " | ".join(f"{step.name} {step.seconds * 1000:.0f} ms" for step in self._steps)
                self._line(event, event.outcome.replace("_", " "), taken)
            case events.Overrun():
                self._line(event, "overrun", f"{event.lost / RATE:.2f} s of audio lost ({event.where})")
            case events.Deaf():
                self._line(event, "deaf", f"{event.why} ({event.cause.replace('_', ' ')})")
            case events.Hearing():
                self._line(event, "hearing", f"{event.device}, after {event.lost / RATE:.2f} s without sound")
            case events.Muted():
                self._line(event, "muted", "the microphone is closed")
            case events.Degraded():
                self._line(event, "degraded" if event.level else "full service", event.why)
            case events.Reloaded():
                self._line(event, "reloaded", ", ".join(event.changed) or "nothing has changed")
            case events.ReloadRejected():
                self._line(event, "not reloaded", event.why)
            case events.Fault():
                self._line(event, "fault", event.message)
            case _:
                assert_never(event)

    def _line(self, event: Event, name: str, text: str) -> None:
        print(f"{event.at / RATE:8.2f} s  {name:<14} {visible(text)}".rstrip(), file=self._out, flush=True)


def visible(text: str) -> str:
    """One line that does nothing to the terminal, whatever an action or a reply put into the text."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} ... ({len(shown)} characters)"


class JsonLines:
    """Prints events as JSON, one a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._stopwatch = Stopwatch()

    def __call__(self, event: Event) -> None:
        print(to_json(event, self._stopwatch.observe(event)), file=self._out, flush=True)
