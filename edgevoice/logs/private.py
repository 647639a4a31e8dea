"""Events without what was said."""

from typing import assert_never

from msgspec.structs import replace

from edgevoice import events
from edgevoice.errors import ActionError, TextError
from edgevoice.events import Event

LEFT_OUT = "(left out)"
"""Stands for a text."""
_QUOTING = (ActionError.__name__, TextError.__name__)
"""Errors whose message may repeat what was said, or what a program answered."""


def without_texts(event: Event) -> Event:
    """The event without what a user said and what was answered; an empty text stays empty."""
    match event:
        case events.Partial() | events.Reply() | events.Transcript():
            kept = {"stable": 0} if isinstance(event, events.Partial) else {}
            return replace(event, text=event.text and LEFT_OUT, **kept)
        case events.IntentMatched():
            return replace(event, text=LEFT_OUT, slots={})
        case events.NotUnderstood():
            return replace(event, text=LEFT_OUT, why=LEFT_OUT, closest=None)
        case events.ActionDone():
            return replace(event, detail=event.detail and LEFT_OUT)
        case events.Fault():
            return replace(event, message=LEFT_OUT) if event.error in _QUOTING else event
        case (
            events.Listening()
            | events.Wake()
            | events.SpeechStarted()
            | events.SpeechEnded()
            | events.Speaking()
            | events.TurnEnded()
            | events.Overrun()
            | events.Deaf()
            | events.Hearing()
            | events.Muted()
            | events.Degraded()
            | events.Reloaded()
            | events.ReloadRejected()
        ):
            return event
        case _:
            assert_never(event)
