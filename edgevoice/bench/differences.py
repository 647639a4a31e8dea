"""What besides the engines differs between two results, and what makes either less trustworthy."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from edgevoice.bench.compare import titles
from edgevoice.bench.schema import Board, Result

About = Literal["machine", "versions", "options", "trust"]

_MACHINE = (
    "kind",
    "model",
    "processor",
    "architecture",
    "features",
    "virtual",
    "cores",
    "usable_cores",
    "max_frequency_mhz",
    "memory_mb",
    "governor",
)
_SAME = 0.02
"""Part by which figures of the same machine may differ: the kernel keeps more or less memory for itself."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    about: About
    text: str


def differences(a: Result, b: Result) -> list[Difference]:
    """Of machine, versions and options; and what either says about trust."""
    return [
        *(Difference(about="machine", text=text) for text in machines(a.board, b.board)),
        *(Difference(about="versions", text=text) for text in _versions(a, b)),
        *(Difference(about="options", text=text) for text in _different(_flat(a.options), _flat(b.options))),
        *(Difference(about="options", text=text) for text in _inputs(a, b)),
        *(Difference(about="trust", text=text) for text in (*doubts("A", a), *doubts("B", b))),
    ]


def machines(a: Board, b: Board) -> Iterator[str]:
    """What tells two machines apart, as far as both know it."""
    for name in _MACHINE:
        one, other = getattr(a, name), getattr(b, name)
        if one == other or _close(one, other):
            continue
        words = name.removesuffix("_mhz").removesuffix("_mb").replace("_", " ")
        yield f"{words}: {_said(one)} and {_said(other)}"


def _versions(a: Result, b: Result) -> Iterator[str]:
    def told(result: Result) -> dict[str, Any]:
        board = result.board
        system = {"commit": result.commit, "python": board.python, "kernel": board.kernel, "system": board.system}
        return system | board.versions

    return _different(told(a), told(b))


def _inputs(a: Result, b: Result) -> Iterator[str]:
    others = b.by_key()
    called = titles(a)
    found = [key for key, one in a.by_key().items() if key in others and one.inputs != others[key].inputs]
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield f"{called[found[0]]}{more}: other recordings, so their times say nothing about each other"


def doubts(letter: str, result: Result) -> Iterator[str]:
    """What was flagged, each kind once."""
    if result.partial:
        yield f"{letter}: it was stopped before the end"
    told: dict[str, list[tuple[str, str]]] = {}
    for flag in result.flags:
        told.setdefault(flag.kind, []).append(("the whole run", flag.text))
    called = titles(result)
    for series in result.series:
        for flag in series.flags:
            told.setdefault(flag.kind, []).append((called[series.key], flag.text))
    for kind, found in told.items():
        where, text = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        yield f"{letter}: {kind.replace('_', ' ')}: {where}{more}: {text}"


def _different(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*a, *b]):
        if a.get(name) != b.get(name):
            yield f"{name}: {_said(a.get(name))} and {_said(b.get(name))}"


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Keys with dots; what was typed keeps only its last."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{above}.{name}" if above else name
        found |= _flat(value, "" if key == "typed" else key) if isinstance(value, dict) else {key: value}
    return found


def _close(one: object, other: object) -> bool:
    if not (isinstance(one, float) and isinstance(other, float)):
        return False
    return abs(one - other) <= _SAME * max(abs(one), abs(other))


def _said(value: object) -> str:
    if value is None or value in ((), [], ""):
        return "none"
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return f"{value:.0f}" if isinstance(value, float) and value >= 100 else str(value)
