"""Actions that need nothing but the assistant itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from edgevoice.english import MONTHS, WEEKDAYS, nth
from edgevoice.errors import ActionError
from edgevoice.events import SlotValue
from edgevoice.think.actions_base import ActionContext, ActionResult, Template


class _Builtin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that a built-in takes beside ``builtin``; the description is its documentation."""


class Time(_Builtin, frozen=True):
    """The time: ``result.time`` (7:05 pm), ``result.time24`` (19:05), ``result.hour``, ``result.minute``."""

    def run(self, context: ActionContext, place: str) -> ActionResult:
        now = context.now()
        return ActionResult(
            {"time": clock(now), "time24": f"{now:%H:%M}", "hour": now.hour, "minute": now.minute},
        )


class Date(_Builtin, frozen=True):
    """The date: ``result.date`` (Sunday, November 22nd), ``result.weekday``, ``month``, ``day``, ``year``, ``iso``."""

    def run(self, context: ActionContext, place: str) -> ActionResult:
        now = context.now()
        weekday, month = WEEKDAYS[now.weekday()], MONTHS[now.month - 1]
        return ActionResult(
            {
                "date": f"{weekday}, {month} {nth(now.day)}",
                "weekday": weekday,
                "month": month,
                "day": now.day,
                "year": now.year,
                "iso": now.date().isoformat(),
            }
        )


class Repeat(_Builtin, frozen=True):
    """Says the last reply again."""

    nothing: Annotated[str, msgspec.Meta(description="What to say when nothing has been said yet.")] = (
        "I have not said anything yet."
    )

    def run(self, context: ActionContext, place: str) -> ActionResult:
        return ActionResult({"output": context.last_reply}, context.last_reply or self.nothing)


class Stop(_Builtin, frozen=True):
    """Ends the turn without a word."""

    def run(self, context: ActionContext, place: str) -> ActionResult:
        return ActionResult(end_turn=True)


class WrongWake(_Builtin, frozen=True):
    """Marks a wake that nobody had called for, among those that ``detection.keep`` keeps: the one before this turn's
    where that was in the last minute, else this turn's own. ``result.wake`` is ``before`` or ``just now``; where no
    wake is kept there is none."""

    def run(self, context: ActionContext, place: str) -> ActionResult:
        match context.wrong_wake and context.wrong_wake():
            case None:
                return ActionResult()
            case which:
                return ActionResult({"wake": "just now" if which == "now" else which})


class Nothing(_Builtin, frozen=True):
    """Does nothing: the intent's response is all."""

    def run(self, context: ActionContext, place: str) -> ActionResult:
        return ActionResult()


class SetState(_Builtin, frozen=True):
    """Remembers a value of an entity: ``result.entity``, ``result.value``, ``result.before``."""

    entity: Annotated[str, msgspec.Meta(min_length=1, description="Its name, for example light.{area}.")]
    value: Annotated[SlotValue, msgspec.Meta(description="What to remember; a single {slot} keeps its type.")]

    def run(self, context: ActionContext, place: str) -> ActionResult:
        entity = Template(self.entity, place).fill(context.slots)
        value = Template(self.value, place).value(context.slots) if isinstance(self.value, str) else self.value
        before = context.state.get(entity)
        context.state.set(entity, value)
        return ActionResult({"entity": entity, "value": value, "before": "unknown" if before is None else before})


class GetState(_Builtin, frozen=True):
    """Recalls a value: ``result.entity``, ``result.value``; without ``default`` there is no ``result.value`` for an
    entity that was never set, so a response without it is chosen."""

    entity: Annotated[str, msgspec.Meta(min_length=1, description="Its name, for example light.{area}.")]
    default: Annotated[SlotValue | None, msgspec.Meta(description="The value of an entity that was never set.")] = None

    def run(self, context: ActionContext, place: str) -> ActionResult:
        entity = Template(self.entity, place).fill(context.slots)
        value = context.state.get(entity)
        if value is None:
            value = self.default
        return ActionResult({"entity": entity} | ({} if value is None else {"value": value}))


class Volume(_Builtin, frozen=True):
    """Sets the speaker's volume: ``result.volume`` is what it is now, 0..100."""

    change: Annotated[int | str | None, msgspec.Meta(description="Percent to add, for example 10, -10 or {step}.")] = (
        None
    )
    set: Annotated[int | str | None, msgspec.Meta(description="Percent to set, for example 50 or {level}.")] = None

    def __post_init__(self) -> None:
        if (self.change is None) == (self.set is None):
            raise ValueError("give either 'change' or 'set'")

    def run(self, context: ActionContext, place: str) -> ActionResult:
        wanted = self.set if self.change is None else self.change
        value = Template(wanted, place).value(context.slots) if isinstance(wanted, str) else wanted
        try:
            percent = round(float(value or 0))
        except (ValueError, OverflowError) as error:
            raise ActionError(
                f"'{value}' is no number of percent",
                place=place,
                remedy="take the slot from a range",
                spoken="Sorry, I did not understand how loud.",
            ) from error
        if context.set_volume is None:
            raise ActionError(
                "there is no speaker whose volume could be set", place=place, spoken="Sorry, I cannot set the volume."
            )
        return ActionResult({"volume": context.set_volume(percent, relative=self.set is None)})


_Kind = Time | Date | Repeat | Stop | WrongWake | Nothing | SetState | GetState | Volume

BUILTINS: dict[str, type[_Kind]] = {
    "time": Time,
    "date": Date,
    "repeat": Repeat,
    "stop": Stop,
    "wrong_wake": WrongWake,
    "none": Nothing,
    "set_state": SetState,
    "get_state": GetState,
    "volume": Volume,
}


@dataclass(frozen=True)
class BuiltinAction:
    builtin: str
    arguments: _Kind
    place: str

    @property
    def label(self) -> str:
        return f"builtin {self.builtin}"

    @property
    def placeholders(self) -> frozenset[str]:
        texts = [text for text in msgspec.structs.astuple(self.arguments) if isinstance(text, str)]
        return frozenset[str]().union(*(Template(text, self.place).placeholders for text in texts))

    async def perform(self, context: ActionContext) -> ActionResult:
        """Raises:
        ActionError: a slot is missing or of the wrong kind, or the assistant has no speaker.
        """
        return self.arguments.run(context, self.place)


# How times and dates are written --------------------------------------------------------------------------------


def clock(now: datetime) -> str:
    """``7:05 pm``; ``7 pm`` on the hour."""
    hour = now.hour % 12 or 12
    half = "am" if now.hour < 12 else "pm"
    return f"{hour}:{now.minute:02} {half}" if now.minute else f"{hour} {half}"
