"""Changes one value in somebody's YAML file and leaves all else as it stands: comments, order, quotes, line ends.

What is understood is what people write: block mappings, and flow mappings on the way to the value. The result is read
again and compared; a form that is beyond this is refused, never guessed at.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from edgevoice import wholefile, yamlfile
from edgevoice.errors import ConfigError, OutputError
from edgevoice.problems import Problems, Source

INDENT = 2
"""Columns by which a mapping that is new is indented below its key."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_BOM = "\ufeff"


@dataclass(frozen=True)
class Change:
    """A file as it is and as it would be."""

    path: Path
    before: str
    after: str

    def diff(self) -> str:
        """As ``diff -u`` has it."""
        lines = difflib.unified_diff(
            _lines(self.before), _lines(self.after), fromfile=str(self.path), tofile=f"{self.path} (changed)", n=2
        )
        return "\n".join(line.rstrip("\n") for line in lines)

    def write(self) -> None:
        """Put it in force: whole, or not at all, with the rights that the file had.

        Raises:
            ConfigError: somebody else has changed the file meanwhile. OutputError: it cannot be written.
        """
        path = self.path.resolve()  # a link stays one
        if path.exists() and _read(path) != self.before:
            raise ConfigError("it was changed meanwhile", place=str(self.path), remedy="try it again")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            seen = path.stat() if path.exists() else None
        except OSError as error:
            raise OutputError(f"it cannot be written: {error.strerror or error}", place=str(path)) from error
        remedy = "do it as the file's owner, or write it in by hand"
        wholefile.write(path, self.after.encode(), remedy=remedy, like=seen)


def change(path: Path, keys: Sequence[str], value: float) -> Change:
    """Set ``keys[0].keys[1]...`` in a file; a file that is not there is a new one.

    Raises:
        ConfigError: it cannot be read, is no YAML, or is written in a form that is not changed here.
    """
    before = _read(path) if path.exists() else ""
    text = before.removeprefix(_BOM)
    wanted = _merged(_plain(text, path), keys, value)
    after = _set(text, keys, msgspec.json.encode(value).decode(), path)
    if _plain(after, path) != wanted:
        raise _beyond(path, keys, value)
    return Change(path, before, before[: len(before) - len(text)] + after)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror or error}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"it is not UTF-8 text (byte {error.start})", place=str(path)) from error


def _plain(text: str, path: Path) -> Any:
    """What it says, by the rules of our configuration."""
    problems = Problems()
    found = yamlfile.plain(yamlfile.parse(Source(str(path), text), ConfigError), problems)
    problems.raise_any(ConfigError, "mistakes in the configuration")
    return {} if found is None else found


def _merged(whole: Any, keys: Sequence[str], value: float) -> Any:
    if not keys:
        return value
    inner = whole if isinstance(whole, dict) else {}
    return inner | {keys[0]: _merged(inner.get(keys[0]), keys[1:], value)}


def _set(text: str, keys: Sequence[str], value: str, path: Path) -> str:
    """Walk down to the deepest mapping that is there, and change or add what is below it."""
    mapping: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    newline = "\r\n" if "\r\n" in text else "\n"
    if mapping is None:
        return _ended(text, newline) + _block(keys, value, 0, newline)
    behind = 0
    for depth, key in enumerate(keys):
        if not isinstance(mapping, yaml.MappingNode):
            break
        entry = next((pair for pair in mapping.value if pair[0].value == key), None)
        if entry is None:
            return _added(text, mapping, behind, keys[depth:], value, newline)
        name, below = entry
        behind = name.end_mark.index
        if depth == len(keys) - 1 or _is_null(below):
            tail = keys[depth + 1 :]
            new = value if not tail else _flow(tail, value)
            if below.start_mark.index == below.end_mark.index:  # nothing at all is written behind the colon
                return _inserted(text, text.index(":", name.end_mark.index) + 1, f" {new}")
            return text[: below.start_mark.index] + new + text[below.end_mark.index :]
        mapping = below
    raise _beyond(path, keys, value)


def _added(text: str, mapping: yaml.MappingNode, behind: int, keys: Sequence[str], value: str, newline: str) -> str:
    """A new entry: in a flow mapping the last; in a block mapping the first, right below the mapping's own key, which
    ends at ``behind``, so that comments stay with what follows them."""
    if mapping.flow_style:
        end = text.rindex("}", 0, mapping.end_mark.index)
        inside = text[mapping.start_mark.index + 1 : end].rstrip()
        comma = "" if not mapping.value or inside.endswith(",") else ", "
        at = mapping.start_mark.index + 1 + len(inside)
        return _inserted(text, at, f"{comma}{_flow(keys, value)[1:-1]}")
    first = mapping.value[0][0].start_mark
    if first.column == 0:  # at the top: behind all, where it disturbs no heading
        return _ended(text, newline) + newline + _block(keys, value, 0, newline)
    at = text.index("\n", behind) + 1
    return _inserted(text, at, _block(keys, value, first.column, newline))


def _inserted(text: str, at: int, new: str) -> str:
    return text[:at] + new + text[at:]


def _ended(text: str, newline: str) -> str:
    return text if not text or text.endswith("\n") else text + newline


def _block(keys: Sequence[str], value: str, column: int, newline: str) -> str:
    lines = [f"{' ' * (column + INDENT * depth)}{_name(key)}:" for depth, key in enumerate(keys)]
    return newline.join(lines) + f" {value}{newline}"


def _flow(keys: Sequence[str], value: str) -> str:
    for key in reversed(keys):
        value = f"{{{_name(key)}: {value}}}"
    return value


def _name(key: str) -> str:
    return key if _PLAIN.fullmatch(key) else msgspec.json.encode(key).decode()


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in ("", "~", "null", "Null", "NULL")


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").splitlines(keepends=True)


def _beyond(path: Path, keys: Sequence[str], value: object) -> ConfigError:
    shown = _flow(keys, str(value))[1:-1]
    return ConfigError(
        "it is written in a form that is not changed automatically",
        place=str(path),
        remedy=f"write it in yourself: {shown}",
    )
