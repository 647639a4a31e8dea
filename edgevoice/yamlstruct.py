"""Strict conversion of YAML into msgspec structs: every mistake with its place, its key and a suggestion."""

import re
from collections.abc import Iterable
from typing import Any, get_args, get_origin

import msgspec

from edgevoice import yamlfile
from edgevoice.problems import Problems, Value
from edgevoice.suggest import did_you_mean


def join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def entries(value: Value, key: str, problems: Problems) -> yamlfile.Entries:
    """A mapping's entries. What is no mapping, or a key that stands twice, becomes a problem."""
    if yamlfile.is_null(value):
        return {}
    if not yamlfile.is_mapping(value):
        problems.add(value, "a mapping of keys to values is expected", key=key)
        return {}

    def twice(second: Value, first: Value) -> None:
        problems.add(second, f"the key stands twice, first at {first.place.short}", key=join(key, second.text))

    return yamlfile.entries(value, problems, twice)


def unknown(name: Value, key: str, known: Iterable[str], problems: Problems) -> None:
    """Add the problem of a key that does not exist."""
    problems.add(name, "unknown key", did_you_mean(name.text, known), key=key)


def struct(value: Value, type_: type[msgspec.Struct], key: str, problems: Problems) -> Any:
    """Convert a mapping into a struct; None when there were problems, which are added to ``problems``."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    before = len(problems.found)
    values: dict[str, Any] = {}
    for name, (name_value, child) in entries(value, key, problems).items():
        here = join(key, name)
        if name not in fields:
            unknown(name_value, here, fields, problems)
        else:
            values[fields[name].name] = convert(child, fields[name].type, here, problems)
    for name, field in fields.items():
        if field.required and field.name not in values:
            problems.add(value, "the key is missing", key=join(key, name))
    return type_(**values) if len(problems.found) == before else None


def convert(value: Value, type_: Any, key: str, problems: Problems) -> Any:
    """Convert into a value of any type msgspec knows; None when there were problems."""
    inner = get_args(type_)[0] if get_origin(type_) is not None and hasattr(type_, "__metadata__") else type_
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        return struct(value, inner, key, problems)
    try:
        return msgspec.convert(yamlfile.plain(value, problems), type_, strict=True)
    except msgspec.ValidationError as error:
        before = len(problems.found)
        if get_origin(inner) is dict and yamlfile.is_mapping(value):  # the error does not say which entry it is
            for name, (_, child) in entries(value, key, problems).items():
                convert(child, get_args(inner)[1], join(key, name), problems)
        if len(problems.found) > before:
            return None
        cause, _, path = str(error).partition(" - at `")
        at, where = _descend(value, path.rstrip("`"))
        problems.add(at, _friendly(cause, at), key=key + where)
    return None


def _descend(value: Value, path: str) -> tuple[Value, str]:
    """The value that msgspec's error path (``$[1].name``) leads to, and the path without its root."""
    where = ""
    for index, name in re.findall(r"\[(\d+)\]|\.(\w+)", path):
        if index and yamlfile.is_sequence(value):
            value = list(yamlfile.children(value))[int(index)]
            where += f"[{index}]"
        elif name and yamlfile.is_mapping(value):
            value = entries(value, "", Problems()).get(name, (value, value))[1]
            where += f".{name}"
    return value, where


def _friendly(cause: str, value: Value) -> str:
    written = f" ({value.text!r} is written)" if yamlfile.is_scalar(value) else ""
    hint = "; write true or false" if "`bool`" in cause else ""
    return cause[:1].lower() + cause[1:] + written + hint
