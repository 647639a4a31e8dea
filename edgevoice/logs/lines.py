"""Events as log records: one for every turn, with the latency of its steps, and one for every change of state."""

import logging
from typing import Any, assert_never

from edgevoice import events
from edgevoice.audio.pcm import RATE
from edgevoice.events import Event
from edgevoice.observe import Stopwatch

LOGGER = "edgevoice.events"


class LogLines:
    """Logs events as they come."""

    def __init__(self, stopwatch: Stopwatch | None = None) -> None:
        self._log = logging.getLogger(LOGGER)
        self._log.setLevel(logging.INFO)
        self._stopwatch = stopwatch or Stopwatch()
        self._turn: dict[str, Any] = {}
        self._listening = False

    def __call__(self, event: Event) -> None:
        for step in self._stopwatch.observe(event):
            self._turn[f"{step.name.replace(' ', '_')}_ms"] = round(step.seconds * 1000, 1)
        match event:
            case events.Wake():
                self._turn = {"by": event.by, "wake": event.model, "score": event.score}
            case events.SpeechEnded():
                self._turn["end"] = event.reason
            case events.Transcript():
                self._turn["text"] = event.text
                if event.confidence is not None:
                    self._turn["confidence"] = round(event.confidence, 3)
            case events.IntentMatched():
                self._turn["intent"] = event.intent
            case events.ActionDone():
                self._turn["action"] = event.action
                self._turn["action_ok"] = event.ok
            case events.TurnEnded():
                self._end(event)
            case events.Listening():
                if not self._listening:  # said once: it follows every turn
                    self._say(logging.INFO, event, "listening", "listening")
                self._listening = True
            case events.Overrun():
                seconds = round(event.lost / RATE, 3)
                text = f"{seconds:.2f} s of audio lost ({event.where})"
                self._say(logging.WARNING, event, "overrun", text, lost_s=seconds, where=event.where)
            case events.Deaf():
                self._say(logging.ERROR, event, "deaf", f"deaf: {event.why}", cause=event.cause)
            case events.Hearing():
                seconds = round(event.lost / RATE, 3)
                text = f"hearing {event.device}, after {seconds:.2f} s without sound"
                self._say(logging.INFO, event, "hearing", text, device=event.device, lost_s=seconds)
            case events.Muted():
                self._say(logging.INFO, event, "muted", "muted: the microphone is closed")
            case events.Degraded():
                level = logging.WARNING if event.level else logging.INFO
                text = f"degraded to level {event.level}: {event.why}" if event.level else f"full service: {event.why}"
                self._say(level, event, "degraded", text, steps_down=event.level)
            case events.Reloaded():
                text = f"reloaded: {', '.join(event.changed) or 'nothing has changed'}"
                self._say(logging.INFO, event, "reloaded", text, changed=" ".join(event.changed))
            case events.ReloadRejected():
                text = f"not reloaded, the configuration from before stays: {event.why}"
                self._say(logging.ERROR, event, "reload_rejected", text)
            case events.Fault():
                self._say(logging.ERROR, event, "fault", event.message, error=event.error)
            case (
                events.SpeechStarted() | events.Partial() | events.NotUnderstood() | events.Reply() | events.Speaking()
            ):
                pass  # they are steps of a turn, which has one line
            case _:
                assert_never(event)

    def _end(self, event: events.TurnEnded) -> None:
        turn, self._turn = self._turn, {}
        steps = [f"{name[:-3].replace('_', ' ')} {value:.0f} ms" for name, value in turn.items() if name[-3:] == "_ms"]
        begun = turn.get("wake") or turn.get("by", "")
        known = [str(part) for part in (begun, turn.get("intent")) if part]
        text = f"turn {event.outcome.replace('_', ' ')}: {', '.join([*known, ' | '.join(steps)])}".rstrip(", ")
        level = logging.WARNING if event.outcome == "failed" else logging.INFO
        self._say(level, event, "turn", text, outcome=event.outcome, **turn)

    def _say(self, level: int, event: Event, kind: str, message: str, /, **fields: Any) -> None:
        fields = {"event": kind, "at_s": round(event.at / RATE, 3), **fields}
        self._log.log(level, "%s", message, extra={"fields": fields})
