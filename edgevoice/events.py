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

DeafCause = Literal["no_frames", "silence", "clipped", "stuck", "stalled", "device"]


class _Event(msgspec.Struct, frozen=True, tag_field="event", tag=str.lower, kw_only=True):
    at: int
    """Capture index up to which audio had been processed when it happened."""


class Listening(_Event, frozen=True):
    """The assistant waits for a wake word or a push of the talk key."""


class Wake(_Event, frozen=True):
    """A turn begins."""

    by: Literal["word", "push"]
    """The wake word, or the talk key (Enter, SIGUSR1)."""
    model: str
    """Name of the wake word, empty after a push."""
    phrase: str
    """What was said to wake it, empty after a push."""
    score: float
    """Smoothed score that passed the threshold, 0..1; 1 after a push."""
    confidence: float | None = None
    """Of the recogniser that looked again, 0..1; null when it was not asked: the score was beyond doubt, or it was a
    push."""


class SpeechStarted(_Event, frozen=True):
    """The user began to speak at ``at``."""


class Partial(_Event, frozen=True):
    """What was understood so far."""

    text: str
    """As the recogniser writes it, from the beginning of the utterance."""
    stable: int
    """So many leading characters are kept by later partial texts; the final text may still correct them."""


class SpeechEnded(_Event, frozen=True):
    """The end of speech is certain; the last speech was heard at ``end``."""

    end: int
    """Position of the end of the last speech."""
    reason: Literal["complete", "silence", "no_speech", "too_long", "end_of_audio"]
    """A pause after a complete command, silence after speech, no speech at all, the longest utterance reached, or the
    recording is over."""


class Transcript(_Event, frozen=True):
    """The final text of what the user said; empty when nothing was."""

    text: str
    """Without the wake phrase where that was heard too."""
    confidence: float | None
    """0..1, or null when the engine has no such figure."""


class IntentMatched(_Event, frozen=True):
    """It is known what the user wants."""

    intent: str
    """Its name in the pack."""
    slots: dict[str, SlotValue]
    """Slot -> value."""
    text: str
    """The words that were matched."""


class NotUnderstood(_Event, frozen=True):
    """No intent fits."""

    text: str
    """What was said, as words."""
    why: str
    """In words, what kept the nearest sentence from matching."""
    closest: str | None
    """The nearest sentence of the grammar, if any is near."""


class ActionDone(_Event, frozen=True):
    """The intent's action has ended."""

    action: str
    """What was done, for example ``builtin time`` or ``command /usr/bin/gpio``."""
    ok: bool
    """False: it failed; a fault follows."""
    detail: str
    """The result's values, or why it failed."""


class Reply(_Event, frozen=True):
    """What the assistant answers."""

    text: str
    """Before numbers and units are turned into words."""


class Speaking(_Event, frozen=True):
    """The first audio of the reply went to the speaker."""


class TurnEnded(_Event, frozen=True):
    """The turn is over."""

    outcome: Literal["answered", "silent", "not_understood", "no_speech", "interrupted", "failed"]
    """How it ended."""


class Overrun(_Event, frozen=True):
    """Audio was lost because the machine did not keep up."""

    lost: int
    """Samples."""
    where: str
    """In capture (the device or the event loop), or on the way to the wake word's detection."""


class Deaf(_Event, frozen=True):
    """Nothing can be heard, and the repair has begun."""

    cause: DeafCause
    """No frames come; they are digital silence; they are clipped; they repeat the same value; nothing takes them; or
    the device failed."""
    why: str
    """What was found, in words, or the device's error."""


class Hearing(_Event, frozen=True):
    """Sound comes in again, after it had been deaf or muted."""

    device: str
    """The device that is heard."""
    lost: int
    """Samples of capture time that passed without sound."""


class Muted(_Event, frozen=True):
    """The microphone is closed, until the next ``hearing``."""


class Degraded(_Event, frozen=True):
    """The assistant does less than it could, or does all of it again."""

    level: int
    """How many steps down it has gone; 0 is full service."""
    why: str
    """What the machine lacks or has again, and what that changes."""


class Reloaded(_Event, frozen=True):
    """A changed configuration is in force."""

    changed: tuple[str, ...]
    """Its keys that have another value than before."""


class ReloadRejected(_Event, frozen=True):
    """A changed configuration has mistakes; the one from before stays in force."""

    why: str
    """Every mistake, with its place."""


class Fault(_Event, frozen=True):
    """Something failed. The turn ends, the assistant goes on."""

    error: str
    """The error's class, for example ``ActionError``."""
    message: str
    """Place, cause and remedy."""


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
    | Hearing
    | Muted
    | Degraded
    | Reloaded
    | ReloadRejected
    | Fault
)
