"""Texts with placeholders in braces, as responses and actions have them: ``{{`` and ``}}`` are the braces themselves.

What may stand between the braces, and how a value is written, is up to them: a response may have a default and a value
of the result, writes numbers as they are said and gives way to the next response when a value is missing. An action
takes the slots as they are, and fails without them.
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Braces:
    """A pair of braces with something in it."""

    inner: str
    at: int
    """Offset in the text."""


class LoneBraceError(Exception):
    def __init__(self, brace: str, at: int) -> None:
        super().__init__(brace, at)
        self.brace = brace
        self.at = at


def split(text: str) -> list[str | Braces]:
    """The pieces of a text, in order, none of them empty.

    Raises:
        LoneBraceError: one that belongs to no pair.
    """
    pieces: list[str | Braces] = []
    end = 0
    for found in _TOKEN.finditer(text):
        pieces.append(text[end : found.start()])
        end = found.end()
        if found[0] in ("{{", "}}"):
            pieces.append(found[0][0])
        elif found[1] is None:
            raise LoneBraceError(found[0], found.start())
        else:
            pieces.append(Braces(found[1], found.start()))
    pieces.append(text[end:])
    return [piece for piece in pieces if piece != ""]
