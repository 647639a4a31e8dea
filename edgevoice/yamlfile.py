"""YAML with a memory of where everything stood, and strict conversion into msgspec structs.

Every mistake is found in one pass and reported with file, line, key and a suggestion.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import yaml

from edgevoice.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML has it, but ``on``, ``off``, ``yes`` and ``no`` are text as in YAML 1.2: they are what people
    say to a light, and a language code."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


@dataclass(frozen=True)
class Problem:
    place: str
    """File and line, and the key: ``edgevoice.yaml:12: wake.refractory``."""
    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.cause}" + (f"; {self.remedy}" if self.remedy else "")


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise one ConfigError for all problems, if there are any."""
    if len(problems) == 1:
        only = problems[0]
        raise ConfigError(only.cause, place=only.place, remedy=only.remedy)
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise ConfigError(f"{len(problems)} mistakes:{listed}")


def compose(text: str, place: str) -> yaml.Node | None:
    """The node tree of a YAML text, None when it holds nothing.

    Raises:
        ConfigError: it is no YAML; with line and column.
    """
    loader = _Loader(text)
    loader.name = place
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{place}:{mark.line + 1}:{mark.column + 1}" if mark else place
        raise ConfigError(
            f"it is no YAML: {error.problem or error.context}",
            place=where,
            remedy="mind indentation, colons and quotes",
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"it is no YAML: {error}", place=place) from error
    finally:
        loader.dispose()


def read(path: Path) -> yaml.Node | None:
    """The node tree of a YAML file.

    Raises:
        ConfigError: it cannot be read or is no YAML.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"it is not UTF-8 text (byte {error.start})", place=str(path)) from error
    return compose(text, str(path))


def line(node: yaml.Node) -> str:
    """``file:line`` of a node, or the name of the environment variable or option it came from."""
    name: str = node.start_mark.name
    return name if name.startswith(("environment ", "option ")) else f"{name}:{node.start_mark.line + 1}"


def plain(node: yaml.Node) -> Any:
    """The node as Python values."""
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def entries(node: yaml.Node, key: str, problems: list[Problem]) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """A mapping node's entries by key: (key node, value node). What is no mapping, or a key that stands twice, becomes
    a problem."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
        return {}
    if not isinstance(node, yaml.MappingNode):
        problems.append(Problem(f"{line(node)}: {key}".removesuffix(": "), "a mapping of keys to values is expected"))
        return {}
    found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for name, value in node.value:
        text = str(name.value)
        if text in found:
            first = line(found[text][0])
            problems.append(Problem(f"{line(name)}: {join(key, text)}", f"the key stands twice, first at {first}"))
        else:
            found[text] = (name, value)
    return found


def join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def unknown(name: yaml.Node, key: str, known: Sequence[str]) -> Problem:
    """The problem of a key that does not exist."""
    near = difflib.get_close_matches(str(name.value), known, n=1)
    remedy = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
    return Problem(f"{line(name)}: {key}", "unknown key", remedy)


def struct(node: yaml.Node, type_: type[msgspec.Struct], key: str, problems: list[Problem]) -> Any:
    """Convert a mapping node into a struct; None when there were problems, which are added to ``problems``."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    before = len(problems)
    values: dict[str, Any] = {}
    for name, (name_node, value_node) in entries(node, key, problems).items():
        here = join(key, name)
        if name not in fields:
            problems.append(unknown(name_node, here, list(fields)))
        else:
            values[fields[name].name] = value(value_node, fields[name].type, here, problems)
    for name, field in fields.items():
        if field.required and field.name not in values:
            problems.append(Problem(f"{line(node)}: {join(key, name)}", "the key is missing"))
    return type_(**values) if len(problems) == before else None


def value(node: yaml.Node, type_: Any, key: str, problems: list[Problem]) -> Any:
    """Convert a node into a value of any type msgspec knows; None when there were problems."""
    inner = get_args(type_)[0] if get_origin(type_) is not None and hasattr(type_, "__metadata__") else type_
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        return struct(node, inner, key, problems)
    try:
        return msgspec.convert(plain(node), type_, strict=True)
    except msgspec.ValidationError as error:
        cause, _, path = str(error).partition(" - at `")
        at, where = _descend(node, path.rstrip("`"))
        problems.append(Problem(f"{line(at)}: {key}{where}", _friendly(cause, at)))
    except yaml.YAMLError as error:
        problems.append(Problem(f"{line(node)}: {key}", f"the value cannot be read: {error}"))
    return None


def _descend(node: yaml.Node, path: str) -> tuple[yaml.Node, str]:
    """The node that msgspec's error path (``$[1].name``) leads to, and the path without its root."""
    where = ""
    for index, name in re.findall(r"\[(\d+)\]|\.(\w+)", path):
        if index and isinstance(node, yaml.SequenceNode):
            node = node.value[int(index)]
            where += f"[{index}]"
        elif name and isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == name), node)
            where += f".{name}"
    return node, where


def _friendly(cause: str, node: yaml.Node) -> str:
    written = f" ({node.value!r} is written)" if isinstance(node, yaml.ScalarNode) else ""
    hint = "; write true or false" if "`bool`" in cause else ""
    return cause[:1].lower() + cause[1:] + written + hint
