"""Where something stands in a YAML text, and what is wrong there: problems are collected, so that they can be mended
together, and raised as one error."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import yaml

from edgevoice.errors import EdgeVoiceError

_SHOWN = 20
"""Problems that are written out before the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Place:
    file: str
    line: int
    """From 1; 0 where lines say nothing: a value out of the environment or of the command line."""
    column: int
    """From 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def short(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Mark(Protocol):
    """What PyYAML and libyaml both have; counted from 0."""

    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """A YAML text and what it is called: a file's path, or ``environment NAME``."""

    file: str
    text: str
    numbered: bool = True
    """Whether a line and a column help to find a place in it."""

    def place(self, mark: Mark) -> Place:
        return Place(self.file, mark.line + 1, mark.column + 1) if self.numbered else Place(self.file, 0, 0)

    def line(self, place: Place) -> str:
        """The line of a place; empty where there is none."""
        return self._lines[place.line - 1] if 0 < place.line <= len(self._lines) else ""

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.splitlines()


@dataclass(frozen=True, slots=True)
class Value:
    """A YAML node and the source it stands in."""

    node: yaml.Node
    source: Source
    below: "Value | None" = None
    """A mapping that this mapping is laid over: see ``over``."""

    @property
    def text(self) -> str:
        """A scalar as it is written."""
        return str(self.node.value)

    @property
    def place(self) -> Place:
        return self.source.place(self.node.start_mark)

    def offset_place(self, offset: int) -> Place:
        """The place of a character of a scalar's text; for folded and escaped text found by walking along it."""
        start, end = self.node.start_mark.index, self.node.end_mark.index
        raw, text = self.source.text[start:end], self.text
        at = 1 if raw[:1] in ("'", '"') else 0
        for position, char in enumerate(text[: offset + 1]):
            if char.isspace():
                while at < len(raw) and not raw[at].isspace():
                    at += 1
            else:
                found = raw.find(char, at)
                at = found if found >= 0 else at
            if position < offset:
                at += 1
        if offset >= len(text):  # behind the last character
            at = min(at, len(raw.rstrip().rstrip("'\"")))
        before = self.source.text[: start + at]
        line = before.count("\n")
        return Place(self.source.file, line + 1, len(before) - (before.rfind("\n") + 1) + 1)

    def over(self, below: "Value") -> "Value":
        """This value laid over another one: of two mappings the entries of both, of anything else this one alone."""
        mappings = isinstance(self.node, yaml.MappingNode) and isinstance(below.node, yaml.MappingNode)
        return Value(self.node, self.source, below) if mappings else self

    def layers(self) -> Iterator["Value"]:
        """What lies below, from the bottom up, and this value."""
        if self.below is not None:
            yield from self.below.layers()
        yield self


@dataclass(frozen=True, slots=True)
class Problem:
    place: Place
    key: str | None
    """The dotted key, where one says more than a column: ``wake.refractory``; empty for the file as a whole."""
    cause: str
    remedy: str
    line: str
    """The line of the source, for the pointer; empty where there is none."""

    def __str__(self) -> str:
        return f"{self.where}: {self.body}"

    @property
    def where(self) -> str:
        """``file:line:column``, or ``file:line: key``."""
        return str(self.place) if self.key is None else f"{self.place.short}: {self.key}".removesuffix(": ")

    @property
    def body(self) -> str:
        """Cause and remedy, and below them the line with a pointer at the place."""
        text = f"{self.cause}; {self.remedy}" if self.remedy else self.cause
        if not self.line.strip():
            return text
        cut = max(0, self.place.column - 100)  # a very long line is shown around the place
        shown = self.line[cut : cut + 140].replace("\t", " ")
        return f"{text}\n    {shown}\n    {' ' * (self.place.column - 1 - cut)}^"

    def error(self, type_: type[EdgeVoiceError]) -> EdgeVoiceError:
        return type_(self.body, place=self.where)


@dataclass(slots=True)
class Problems:
    found: dict[Problem, None] = field(default_factory=dict)
    """Each once."""

    def add(
        self, value: Value, cause: str, remedy: str = "", *, key: str | None = None, offset: int | None = None
    ) -> None:
        """
        Args:
            key: see ``Problem``.
            offset: of the character in the text of a scalar, where it is not the whole that is wrong.
        """
        place = value.place if offset is None else value.offset_place(offset)
        self.found[Problem(place, key, cause, remedy, value.source.line(place))] = None

    def raise_any(self, type_: type[EdgeVoiceError], what: str) -> None:
        """
        Args:
            what: what several of them are called: "problems in the intents".

        Raises:
            EdgeVoiceError: of ``type_``, if there are problems; its cause holds all of them, a pointer under each.
        """
        if not self.found:
            return
        found = sorted(self.found, key=lambda problem: (problem.place.file, problem.place.line, problem.place.column))
        if len(found) == 1:
            raise found[0].error(type_)
        lines = "".join(f"\n{problem}" for problem in found[:_SHOWN])
        more = len(found) - _SHOWN
        rest = f"\nand {more} more" if more > 0 else ""
        raise type_(f"{len(found)} {what}{lines}{rest}")
