"""YAML with a memory of where everything stands, and with limits: for the configuration, the catalog of models and
intent packs alike.

Scalars are read by the rules of YAML 1.2: only ``true`` and ``false`` are truth values; ``on``, ``off``, ``yes`` and
``no`` are texts, for they are what people say to a light, and a language code.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from edgevoice.errors import EdgeVoiceError
from edgevoice.problems import Mark, Problem, Problems, Source, Value
from edgevoice.suggest import did_you_mean

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_FILE_BYTES = 32 * 2**20
"""A pack with 100,000 names is about 3 MB; anything ten times that was not meant for us."""

MAX_NODES = 2_000_000
"""Values of one file with its aliases followed: keeps a few lines of nested YAML aliases from filling the memory."""

MAX_DEPTH = 30
"""Nesting of mappings and sequences; a real pack or configuration needs six."""

Entries = dict[str, tuple[Value, Value]]
"""Of a mapping: name -> (key, value)."""


def read(path: Path, error: type[EdgeVoiceError]) -> Value:
    """The root of a YAML file; null when the file holds nothing.

    Raises:
        EdgeVoiceError: of the type ``error``: it cannot be read, is no YAML, or is beyond the limits; with the place.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise error(f"the file is larger than {MAX_FILE_BYTES >> 20} MB", place=str(path))
        text = data.decode("utf-8-sig")
    except OSError as failed:
        raise error(f"it cannot be read: {failed.strerror}", place=str(path)) from failed
    except UnicodeDecodeError as failed:
        raise error(
            f"it is not UTF-8 text (byte {failed.start})", place=str(path), remedy="save it as UTF-8"
        ) from failed
    return parse(Source(str(path), text.replace("\r\n", "\n").replace("\r", "\n")), error)


def parse(source: Source, error: type[EdgeVoiceError]) -> Value:
    """The root of a YAML text; null when it holds nothing.

    Raises:
        EdgeVoiceError: of the type ``error``: it is no YAML, or is beyond the limits; with line and column.
    """
    try:
        _check_events(source, error)
        node = yaml.compose(source.text, Loader=_Loader)
    except yaml.reader.ReaderError as failed:
        raise error(
            f"a character that YAML does not allow, U+{failed.character:04X}"
            if isinstance(failed.character, int)
            else f"a character that YAML does not allow: {failed.reason}",
            place=source.file,
        ) from failed
    except yaml.MarkedYAMLError as failed:
        cause = f"it is no YAML: {failed.problem or failed.context}"
        mark = failed.problem_mark or failed.context_mark
        raise _error(source, mark, cause, "mind indentation, colons and quotes", error) from failed
    if node is None:
        start = yaml.Mark(source.file, 0, 0, 0, "", 0)
        node = yaml.ScalarNode("tag:yaml.org,2002:null", "", start, start)
    _check_size(node, source, error)
    return Value(node, source)


def _error(source: Source, mark: Mark | None, cause: str, remedy: str, error: type[EdgeVoiceError]) -> EdgeVoiceError:
    if mark is None:
        return error(cause, place=source.file, remedy=remedy)
    place = source.place(mark)
    return Problem(place, None, cause, remedy, source.line(place)).error(error)


def _check_events(source: Source, error: type[EdgeVoiceError]) -> None:
    """Composing nodes is recursive, in C: what is nested too deeply would end the process."""
    depth = 0
    for event in yaml.parse(source.text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _error(source, event.start_mark, f"nested deeper than {MAX_DEPTH}", "", error)
        if isinstance(event, yaml.CollectionStartEvent | yaml.ScalarEvent) and event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            remedy = "leave it out; what is in quotes is a text"
            raise _error(source, event.start_mark, f"the tag {tag} is not understood here", remedy, error)


def _check_size(root: yaml.Node, source: Source, error: type[EdgeVoiceError]) -> None:
    pending = [(root, 0)]
    count = 0
    while pending:
        node, depth = pending.pop()
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            what = f"more than {MAX_NODES} values" if count > MAX_NODES else f"nested deeper than {MAX_DEPTH}"
            raise _error(source, node.start_mark, f"{what} (aliases followed)", "", error)
        if isinstance(node, yaml.MappingNode):
            pending += [(child, depth + 1) for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            pending += [(child, depth + 1) for child in node.value]


def nested(keys: Iterable[str], value: Value) -> Value:
    """``{key: {key: ... value}}``, all of it at the place of the value."""
    node = value.node
    for key in reversed(list(keys)):
        name = yaml.ScalarNode("tag:yaml.org,2002:str", key, node.start_mark, node.end_mark, style='"')
        node = yaml.MappingNode("tag:yaml.org,2002:map", [(name, node)], node.start_mark, node.end_mark)
    return Value(node, value.source)


def is_null(value: Value) -> bool:
    node = value.node
    return isinstance(node, yaml.ScalarNode) and not _quoted(node) and node.value in ("", "~", "null", "Null", "NULL")


def _quoted(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style in ("'", '"', "|", ">")


def is_mapping(value: Value) -> bool:
    return isinstance(value.node, yaml.MappingNode)


def is_sequence(value: Value) -> bool:
    return isinstance(value.node, yaml.SequenceNode)


def is_scalar(value: Value) -> bool:
    return isinstance(value.node, yaml.ScalarNode)


def children(value: Value) -> Iterator[Value]:
    """The items of a sequence."""
    return (Value(child, value.source) for child in value.node.value)


def entries(value: Value, problems: Problems, twice: Callable[[Value, Value], None]) -> Entries:
    """The entries of a mapping, or of mappings laid over each other. A key that is no text is a problem; one that
    stands twice is told with the first one of that name."""
    found: Entries = {}
    for layer in value.layers():
        own: Entries = {}
        for key_node, child_node in layer.node.value:
            key = Value(key_node, layer.source)
            if not is_scalar(key):
                problems.add(key, "a name is expected here")
            elif key.text in own:
                twice(key, own[key.text][0])
            else:
                own[key.text] = (key, Value(child_node, layer.source))
        for name, (key, child) in own.items():
            found[name] = (key, child.over(found[name][1]) if name in found else child)
    return found


def mapping(value: Value, what: str, problems: Problems, known: Iterable[str] = ()) -> Entries:
    """The entries of a mapping. Anything else, a name that stands twice and, where ``known`` is given, a name that is
    not in it are problems. Nothing at all is an empty mapping."""
    if is_null(value):
        return {}
    if not is_mapping(value):
        problems.add(value, f"{what} must be a mapping (name: value)")
        return {}

    def twice(key: Value, first: Value) -> None:
        problems.add(key, f"'{key.text}' stands twice", f"the first is in line {first.place.line}")

    found = entries(value, problems, twice)
    names = set(known)
    for name in found.keys() - names if names else ():
        problems.add(found.pop(name)[0], f"{what} has no '{name}'", did_you_mean(name, names))
    return found


def sequence(value: Value, what: str, problems: Problems) -> Iterator[Value]:
    """The items of a sequence; anything else is a problem. Nothing at all is an empty sequence."""
    if is_sequence(value):
        return children(value)
    if not is_null(value):
        problems.add(value, f"{what} must be a list ('- ...' lines)")
    return iter(())


def text(value: Value, what: str, problems: Problems) -> str | None:
    """The text of a scalar as written: ``on`` is "on" and ``12`` is "12"."""
    if is_scalar(value) and not is_null(value):
        return value.text
    problems.add(value, f"{what} must be a text")
    return None


_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]{1,2})?")


def scalar(value: Value) -> str | int | float | bool | None:
    """A scalar with its type."""
    written = value.text
    if _quoted(value.node):
        return written
    if is_null(value):
        return None
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    if _INT.fullmatch(written):
        return int(written)
    return float(written) if _FLOAT.fullmatch(written) else written


def plain(value: Value, problems: Problems) -> Any:
    """Plain Python values: dicts with texts for keys, lists and scalars."""
    if is_mapping(value):
        return {name: plain(child, problems) for name, (_, child) in mapping(value, "it", problems).items()}
    if is_sequence(value):
        return [plain(child, problems) for child in children(value)]
    return scalar(value)
