"""Intent packs as they stand in their files: YAML nodes that know their place, and problems that point at it."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edgevoice.errors import GrammarError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_FILE_BYTES = 32 * 2**20
"""A pack with 100,000 names is about 3 MB; anything ten times that was not meant for us."""

MAX_NODES = 2_000_000
"""Values of one file with its aliases followed: keeps a few lines of nested YAML aliases from filling the memory."""

MAX_DEPTH = 30
"""Nesting of mappings and sequences in a pack; real ones need six."""

_SHOWN = 20
"""Problems that are written out before the rest is only counted."""


@dataclass(frozen=True, slots=True)
class Place:
    file: str
    line: int
    """From 1."""
    column: int
    """From 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def short(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Source:
    file: str
    text: str

    def line(self, number: int) -> str:
        lines = self.text.splitlines()
        return lines[number - 1] if 0 < number <= len(lines) else ""


@dataclass(frozen=True, slots=True)
class Value:
    """A YAML node and the source it stands in."""

    node: yaml.Node
    source: Source

    @property
    def place(self) -> Place:
        mark = self.node.start_mark
        return Place(self.source.file, mark.line + 1, mark.column + 1)

    def offset_place(self, offset: int) -> Place:
        """The place of a character of a scalar's text; for folded and escaped text found by walking along it."""
        start, end = self.node.start_mark.index, self.node.end_mark.index
        raw, text = self.source.text[start:end], str(self.node.value)
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


@dataclass(frozen=True, slots=True)
class Problem:
    place: Place
    cause: str
    remedy: str
    line: str
    """The line of the source, for the pointer; empty where there is none."""

    def __str__(self) -> str:
        return f"{self.place}: {self.body}"

    @property
    def body(self) -> str:
        text = f"{self.cause}; {self.remedy}" if self.remedy else self.cause
        if not self.line.strip():
            return text
        cut = max(0, self.place.column - 100)  # a very long line is shown around the place
        shown = self.line[cut : cut + 140].replace("\t", " ")
        return f"{text}\n    {shown}\n    {' ' * (self.place.column - 1 - cut)}^"


@dataclass(slots=True)
class Problems:
    """All problems of a pack, so that they can be mended together."""

    found: list[Problem] = field(default_factory=list)

    def add(self, value: Value, cause: str, remedy: str = "", *, offset: int | None = None) -> None:
        place = value.place if offset is None else value.offset_place(offset)
        problem = Problem(place, cause, remedy, value.source.line(place.line))
        if problem not in self.found:
            self.found.append(problem)

    def raise_any(self) -> None:
        """Raise:
        GrammarError: there are problems; its cause holds all of them, a pointer under each place.
        """
        if not self.found:
            return
        self.found.sort(key=lambda problem: (problem.place.file, problem.place.line, problem.place.column))
        first = self.found[0]
        if len(self.found) == 1:
            raise GrammarError(first.body, place=str(first.place))
        lines = "".join(f"\n{problem}" for problem in self.found[:_SHOWN])
        more = len(self.found) - _SHOWN
        rest = f"\nand {more} more" if more > 0 else ""
        raise GrammarError(f"{len(self.found)} problems in the intents{lines}{rest}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A remedy for a name that is not there."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    if not names:
        return ""
    shown = ", ".join(names[:8])
    return f"there are: {shown}" + (", ..." if len(names) > 8 else "")


def read(path: Path) -> Value | None:
    """The root node of a YAML file; None when the file holds nothing.

    Raises:
        GrammarError: it cannot be read, or is no YAML; with line and column.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise GrammarError(f"the file is larger than {MAX_FILE_BYTES >> 20} MB", place=str(path))
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise GrammarError(f"it cannot be read: {error.strerror}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise GrammarError(
            f"it is not UTF-8 text (byte {error.start})", place=str(path), remedy="save it as UTF-8"
        ) from error
    source = Source(str(path), text)
    try:
        _check_nesting(text, source)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        raise GrammarError(
            f"a character that YAML does not allow, U+{error.character:04X}"
            if isinstance(error.character, int)
            else f"a character that YAML does not allow: {error.reason}",
            place=str(path),
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source.file, mark.line + 1, mark.column + 1) if mark else Place(source.file, 1, 1)
        problem = Problem(place, f"it is no YAML: {error.problem or error.context}", "", source.line(place.line))
        raise GrammarError(problem.body, place=str(place)) from error
    if node is None or is_null(Value(node, source)):
        return None
    _check_size(node, source)
    return Value(node, source)


def _check_nesting(text: str, source: Source) -> None:
    """Composing nodes is recursive, in C: what is nested too deeply would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark = event.start_mark
                place = str(Place(source.file, mark.line + 1, mark.column + 1)) if mark else source.file
                raise GrammarError(f"nested deeper than {MAX_DEPTH}", place=place)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(root: yaml.Node, source: Source) -> None:
    pending = [(root, 0)]
    count = 0
    while pending:
        node, depth = pending.pop()
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            what = f"more than {MAX_NODES} values" if count > MAX_NODES else f"nested deeper than {MAX_DEPTH}"
            raise GrammarError(f"{what} (aliases followed)", place=str(Value(node, source).place))
        if isinstance(node, yaml.MappingNode):
            pending += [(child, depth + 1) for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            pending += [(child, depth + 1) for child in node.value]


def is_null(value: Value) -> bool:
    node = value.node
    return isinstance(node, yaml.ScalarNode) and not _quoted(node) and node.value in ("", "~", "null", "Null", "NULL")


def _quoted(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style in ("'", '"', "|", ">")


def is_mapping(value: Value) -> bool:
    return isinstance(value.node, yaml.MappingNode)


def is_sequence(value: Value) -> bool:
    return isinstance(value.node, yaml.SequenceNode)


def mapping(value: Value, what: str, problems: Problems, known: Iterable[str] = ()) -> dict[str, tuple[Value, Value]]:
    """The entries of a mapping: name -> (key, value). Anything else, a name that stands twice and, where ``known`` is
    given, a name that is not in it are problems. Nothing at all is an empty mapping."""
    if is_null(value):
        return {}
    if not isinstance(value.node, yaml.MappingNode):
        problems.add(value, f"{what} must be a mapping (name: value)")
        return {}
    names = set(known)
    found: dict[str, tuple[Value, Value]] = {}
    for key_node, child_node in value.node.value:
        key, child = Value(key_node, value.source), Value(child_node, value.source)
        if not isinstance(key_node, yaml.ScalarNode):
            problems.add(key, "a name is expected here")
            continue
        name = str(key_node.value)
        if name in found:
            problems.add(key, f"'{name}' stands twice", f"the first is in line {found[name][0].place.line}")
        elif names and name not in names:
            problems.add(key, f"{what} has no '{name}'", did_you_mean(name, names))
        else:
            found[name] = (key, child)
    return found


def sequence(value: Value, what: str, problems: Problems) -> Iterator[Value]:
    if is_null(value):
        return
    if not isinstance(value.node, yaml.SequenceNode):
        problems.add(value, f"{what} must be a list ('- ...' lines)")
        return
    for child in value.node.value:
        yield Value(child, value.source)


def text(value: Value, what: str, problems: Problems) -> str | None:
    """The text of a scalar as written: ``on`` is "on" and ``12`` is "12"."""
    if isinstance(value.node, yaml.ScalarNode) and not is_null(value):
        return str(value.node.value)
    problems.add(value, f"{what} must be a text")
    return None


_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]{1,2})?")


def scalar(value: Value) -> str | int | float | bool | None:
    """A scalar with its type by the rules of YAML 1.2: ``true`` and ``false`` are truth values, but ``on``, ``off``,
    ``yes`` and ``no`` are texts."""
    node = value.node
    written = str(node.value)
    if _quoted(node) or node.tag.endswith(":str"):
        return written
    if is_null(value):
        return None
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    if _INT.fullmatch(written):
        return int(written)
    return float(written) if _FLOAT.fullmatch(written) else written


def plain(value: Value) -> Any:
    """Plain Python values: dicts, lists and scalars."""
    node = value.node
    if isinstance(node, yaml.MappingNode):
        return {
            str(key.value): plain(Value(child, value.source))
            for key, child in node.value
            if isinstance(key, yaml.ScalarNode)
        }
    if isinstance(node, yaml.SequenceNode):
        return [plain(Value(child, value.source)) for child in node.value]
    return scalar(value)
