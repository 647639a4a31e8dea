"""What is answered: texts with placeholders.

    {area}            the value of the slot ``area``
    {result.text}     what the action gave under ``text``
    {area|the house}  the value, or "the house" when there is none
    {{  }}            the braces themselves

An intent may have several responses: the first one whose placeholders all have a value is said. So the more telling
one stands first, and one without placeholders last.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgevoice.errors import GrammarError
from edgevoice.think.placeholders import Braces, LoneBraceError, split

_NAME = re.compile(r"[^\W\d][\w-]*(?:\.[\w-]+)?")
RESULT = "result."
"""What a placeholder for a value of the action's result starts with."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    name: str
    """Of a slot, or ``result.`` and a key."""
    default: str | None
    at: int
    """Offset in the response's text."""


def parse(template: str) -> list[str | Placeholder]:
    """The pieces of a response, in order.

    Raises:
        ResponseError: with the offset of the place.
    """
    try:
        return [piece if isinstance(piece, str) else _placeholder(piece) for piece in split(template)]
    except LoneBraceError as error:
        cause, remedy = f"a single '{error.brace}'", f"write '{error.brace * 2}' for the character"
        raise ResponseError(cause, error.at, remedy) from None


def _placeholder(braces: Braces) -> Placeholder:
    name, bar, default = braces.inner.partition("|")
    if not _NAME.fullmatch(name.strip()):
        remedy = "write {slot}, {slot|default} or {result.key}"
        raise ResponseError(f"'{{{braces.inner}}}' names no slot", braces.at, remedy)
    return Placeholder(name.strip(), default if bar else None, braces.at)


class ResponseError(GrammarError):
    """A response that cannot be read; ``at`` is the offset of the place in its text."""

    def __init__(self, cause: str, at: int, remedy: str = "") -> None:
        super().__init__(cause, place="response", remedy=remedy)
        self.at = at


class HasResponses(Protocol):
    """An ``IntentSpec``."""

    @property
    def responses(self) -> Sequence[str]: ...


def respond(spec: str | HasResponses, slots: Mapping[str, object], result: Mapping[str, object] | None = None) -> str:
    """The first response whose placeholders all have a value, filled. No response at all gives an empty text.

    Args:
        spec: the matched intent's, or one text.
        slots: the intent's slots.
        result: what the action gave.

    Raises:
        GrammarError: a value is missing in every one of them.
    """
    texts = [spec] if isinstance(spec, str) else spec.responses
    values = {**slots, **{f"{RESULT}{key}": value for key, value in (result or {}).items()}}
    missing = ""
    for template in texts:
        parts: list[str] = []
        for piece in parse(template):
            if isinstance(piece, str):
                parts.append(piece)
            elif values.get(piece.name) is not None:
                parts.append(_say(values[piece.name]))
            elif piece.default is not None:
                parts.append(piece.default)
            else:
                missing = missing or piece.name
                break
        else:
            return "".join(parts)
    if missing:
        raise GrammarError(
            f"nothing to put in for '{{{missing}}}'",
            place=f"response '{texts[0]}'",
            remedy="give it a default, {slot|default}, or add a response without it",
        )
    return ""


def _say(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
