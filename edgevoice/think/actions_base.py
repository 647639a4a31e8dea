"""What all kinds of action share: the context they get, the result they give, and templates over slots."""

import contextlib
import fnmatch
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, Protocol

from edgevoice.errors import ActionError, GrammarError
from edgevoice.events import SlotValue
from edgevoice.think.placeholders import Braces, LoneBraceError, split
from edgevoice.think.template import NAME

KEPT_BYTES = 64 * 1024
"""So much of an action's output is kept: far more than can be said, far less than what hurts a small board."""

MAX_STATES = 1000
"""Entities a HomeState holds at most, so that free text in a slot cannot fill the memory."""


class HomeState:
    """What the assistant itself remembers of a home, for set-ups without a home automation server.

    It lives in the process: it is empty after a restart.
    """

    def __init__(self) -> None:
        self._values: dict[str, SlotValue] = {}

    def get(self, entity: str) -> SlotValue | None:
        return self._values.get(entity)

    def set(self, entity: str, value: SlotValue) -> None:
        """Remember a value. An entity with a ``*`` in it stands for all remembered ones that it fits.

        Raises:
            ActionError: the entity is new and MAX_STATES are remembered already.
        """
        if "*" in entity:
            self._values |= dict.fromkeys(fnmatch.filter(self._values, entity), value)
            return
        if entity not in self._values and len(self._values) >= MAX_STATES:
            raise ActionError(
                f"{MAX_STATES} entities are remembered already",
                place=f"state {entity}",
                remedy="take the values of slots in entity names from a list, not from free text",
            )
        self._values[entity] = value


class SetVolume(Protocol):
    def __call__(self, percent: int, *, relative: bool) -> int:
        """Set the volume of the speaker, or change it by ``percent``; gives what it is now, 0..100."""


WrongWake = Callable[[], Literal["now", "before"] | None]
"""Notes that the assistant woke by mistake: for this turn, or before. None: no wake is kept that could be marked."""


@dataclass(frozen=True)
class ActionContext:
    """What an action may know."""

    intent: str
    slots: Mapping[str, SlotValue]
    text: str
    """What the user said, as it was matched."""
    last_reply: str
    """What the assistant said last, may be empty."""
    state: HomeState
    now: Callable[[], datetime]
    """The local time, with its zone."""
    set_volume: SetVolume | None = None
    """None: this assistant has no speaker whose volume it could set."""
    wrong_wake: WrongWake | None = None
    """None: this assistant keeps no wakes."""


@dataclass(frozen=True)
class ActionResult:
    values: Mapping[str, object] = field(default_factory=dict)
    """For the response template, as ``{result.key}``."""
    reply: str | None = None
    """A reply of the action's own; it stands above the intent's response."""
    end_turn: bool = False
    """The turn ends here: there is nothing to answer."""


class Action(Protocol):
    @property
    def label(self) -> str:
        """What it is, for the log: ``command /usr/bin/gpio``."""

    @property
    def placeholders(self) -> frozenset[str]:
        """The slots it asks for."""

    async def perform(self, context: ActionContext) -> ActionResult: ...


# Templates ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Template:
    """A text with ``{slot}`` placeholders; ``{{`` and ``}}`` are braces."""

    source: str
    place: str

    def __post_init__(self) -> None:
        for piece in self._pieces:
            if isinstance(piece, Braces) and not NAME.fullmatch(piece.inner):
                raise GrammarError(
                    f"'{{{piece.inner}}}' is no placeholder",
                    place=self.place,
                    remedy="write the name of a slot between the braces, or double the braces",
                )

    @cached_property
    def _pieces(self) -> list[str | Braces]:
        try:
            return split(self.source)
        except LoneBraceError as error:
            raise GrammarError(
                f"a lone '{error.brace}' at column {error.at + 1} of '{self.source}'",
                place=self.place,
                remedy=f"write '{error.brace * 2}' for the brace itself",
            ) from None

    @property
    def placeholders(self) -> frozenset[str]:
        return frozenset(piece.inner for piece in self._pieces if isinstance(piece, Braces))

    @property
    def begins_with_slot(self) -> bool:
        return isinstance(next(iter(self._pieces), None), Braces)

    def value(self, slots: Mapping[str, SlotValue]) -> SlotValue:
        """The value of the slot when the template is one placeholder and nothing else, otherwise the text."""
        match self._pieces:
            case [Braces(name)]:
                return _slot(slots, name, self.place)
            case _:
                return self.fill(slots)

    def fill(self, slots: Mapping[str, SlotValue]) -> str:
        """The text with the slots in their places.

        Raises:
            ActionError: the sentence had no such slot.
        """
        return "".join(
            piece if isinstance(piece, str) else str(_slot(slots, piece.inner, self.place)) for piece in self._pieces
        )


def _slot(slots: Mapping[str, SlotValue], name: str, place: str) -> SlotValue:
    if name not in slots:
        said = name.replace("_", " ")
        raise ActionError(
            f"the sentence has no slot '{name}'",
            place=place,
            remedy="use only slots that every sentence of the intent fills",
            spoken=f"Sorry, I did not catch the {said}.",
        )
    return slots[name]


# Answers --------------------------------------------------------------------------------------------------------


def payload(context: ActionContext) -> dict[str, object]:
    """What a command or a web service is told."""
    return {"intent": context.intent, "slots": dict(context.slots), "text": context.text}


def read_answer(output: bytes) -> ActionResult:
    """The result in what a command or a web service answered.

    A JSON object gives the values, its ``reply`` (a string) the reply; any other text becomes the value ``output``.
    """
    text = output.decode(errors="replace").strip()
    if not text:
        return ActionResult()
    if text.startswith("{"):
        answer: Any = None
        with contextlib.suppress(ValueError, RecursionError):  # a text may happen to begin with a brace
            answer = json.loads(text)
        if isinstance(answer, dict):
            return from_mapping(answer)
    return ActionResult({"output": text})


def from_mapping(answer: Mapping[str, object]) -> ActionResult:
    """The result in a mapping: ``reply`` is taken out when it is a string."""
    reply = answer.get("reply")
    if not isinstance(reply, str):
        return ActionResult(dict(answer))
    return ActionResult({key: value for key, value in answer.items() if key != "reply"}, reply)


def too_slow(label: str, place: str, name: str, timeout: float) -> ActionError:
    return ActionError(
        f"{label} did not finish within {timeout:g} s",
        place=place,
        remedy="see why, or raise the action's timeout",
        spoken=f"{name[:1].upper()}{name[1:]} did not answer in time.",
    )
