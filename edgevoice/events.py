"""Everything that happens, as one closed union: the log, ``--json``, metrics and every interface are views of it.

Positions (``at``, ``start``, ``end``) are capture indices: samples at 16 kHz since capture began. The same audio gives
the same events, at any speed; how long a step took on this machine is therefore not in the events but measured by
``edgevoice.observe`` as they pass.

Consumers ``match`` on an event and end in ``assert_never``, so that a new one makes the type checker name every place
to look at.
"""

from typing import Literal

import msgspec

SlotValue = str | int | float | bool


class _Event(msgspec.Struct, frozen=True, tag_field="event", tag=str.lower, kw_only=True):
    at: int
    """Capture index up to which audio had been processed when it happened."""


class Listening(_Event, frozen=True):
    """The assistant waits for a wake word or a push of the talk key."""


class Wake(_Event, frozen=True):
    """A turn begins."""

    by: Literal["word", "push"]
    model: str
    """Name of the wake word, empty after a push."""
    phrase: str
    """What was said to wake it, empty after a push."""
    score: float
    """Smoothed score that passed the threshold, 0..1; 1 after a push."""


class SpeechStarted(_Event, frozen=True):
    """The user began to speak at ``at``."""


class Partial(_Event, frozen=True):
    """What was understood so far."""

    text: str
    stable: int
    """So many leading characters are kept by later partial texts; the final text may still correct them."""


class SpeechEnded(_Event, frozen=True):
    """The end of speech is certain; the last speech was heard at ``end``."""

    end: int
    reason: Literal["silence", "no_speech", "too_long", "end_of_audio"]


class Transcript(_Event, frozen=True):
    """The final text of what the user said; empty when nothing was."""

    text: str
    confidence: float | None


class IntentMatched(_Event, frozen=True):
    intent: str
    slots: dict[str, SlotValue]
    text: str
    """The words that were matched."""


class NotUnderstood(_Event, frozen=True):
    text: str
    why: str
    closest: str | None
    """The nearest sentence of the grammar, if any is near."""


class ActionDone(_Event, frozen=True):
    action: str
    """What was done, for example ``builtin time`` or ``command /usr/bin/gpio``."""
    ok: bool
    detail: str
    """The result's values, or why it failed."""


class Reply(_Event, frozen=True):
    """What the assistant answers."""

    text: str


class Speaking(_Event, frozen=True):
    """The first audio of the reply went to the speaker."""


class TurnEnded(_Event, frozen=True):
    outcome: Literal["answered", "silent", "not_understood", "no_speech", "interrupted", "failed"]


class Overrun(_Event, frozen=True):
    """Audio was lost because the machine did not keep up."""

    lost: int
    """Samples."""
    where: str


class Deaf(_Event, frozen=True):
    """No audio comes in."""

    why: str


class Fault(_Event, frozen=True):
    """Something failed. The turn ends, the assistant goes on."""

    error: str
    """The error's class, for example ``ActionError``."""
    message: str


Event = (
    Listening
    | Wake
    | SpeechStarted
    | Partial
    | SpeechEnded
    | Transcript
    | IntentMatched
    | NotUnderstood
    | ActionDone
    | Reply
    | Speaking
    | TurnEnded
    | Overrun
    | Deaf
    | Fault
)
