"""Manifests of spoken commands, checked before anything runs, also against the grammar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgevoice.automaton import Begin, Call, End, Jump, Kind, Meaning, Net, Typed
from edgevoice.evaluate import lines
from edgevoice.events import SlotValue
from edgevoice.suggest import did_you_mean
from edgevoice.think.grammar import Grammar


class _Line(msgspec.Struct, frozen=True):
    audio: str
    intent: str
    slots: dict[str, SlotValue] = {}


@dataclass(frozen=True, slots=True)
class Item:
    """One recorded command."""

    audio: str
    """As the manifest names it."""
    path: Path
    intent: str
    slots: Mapping[str, SlotValue]
    line: int


def load(manifest: Path, limit: int | None = None) -> list[Item]:
    """The recorded commands of a manifest, every line an object with ``audio`` (a path, relative to the manifest's
    folder), ``intent`` and ``slots``; other keys are let be.

    Args:
        limit: lines at most.

    Raises:
        ConfigError: with every mistake, each with file and line.
    """
    found = lines.read_audio(manifest, _Line, limit)
    return [Item(line.audio, path, line.intent, line.slots, number) for number, path, line in found]


def check(items: Sequence[Item], grammar: Grammar, manifest: Path) -> list[str]:
    """Warnings about labels that the grammar cannot give, so that those commands can never be right.

    Raises:
        ConfigError: that is so for every line.
    """
    known, closed = grammar.slots, _closed(grammar)
    found: list[str] = []
    for item in items:
        place = f"{manifest}:{item.line}"
        if item.intent not in known:
            hint = did_you_mean(item.intent, known)
            found.append(f"{place}: the grammar has no intent '{item.intent}'" + (f"; {hint}" if hint else ""))
            continue
        slots = known[item.intent]
        for name, value in item.slots.items():
            if name not in slots:
                hint = did_you_mean(name, slots)
                found.append(f"{place}: {item.intent} has no slot '{name}'" + (f"; {hint}" if hint else ""))
            elif name in closed and value not in (values := closed[name] | slots[name]):
                hint = did_you_mean(str(value), map(str, values))
                found.append(f"{place}: {name} is never {value!r}" + (f"; {hint}" if hint else ""))
    if len({line.split(": ", 1)[0] for line in found}) == len(items):
        lines.complain(found, "labels that the grammar cannot give: is it the right grammar?")
    return found


def _closed(grammar: Grammar) -> dict[str, set[SlotValue]]:
    """The slots that are filled from lists and ranges only, in which every value stands, with those values."""
    values: dict[str, set[SlotValue]] = {}
    open_: set[str] = set()
    nets = grammar.automaton.nets
    for net in nets:
        for arcs in net.arcs:
            for arc in arcs:
                if not isinstance(arc, Begin):
                    continue
                inside = net.arcs[arc.to]
                called = nets[inside[0].net] if len(inside) == 1 and isinstance(inside[0], Call) else None
                found = None if called is None or net.words[arc.to] else _values(called)
                if found is None:
                    open_.add(arc.slot)
                else:
                    values.setdefault(arc.slot, set()).update(found)
    return {slot: found for slot, found in values.items() if slot not in open_}


def _values(net: Net) -> set[SlotValue] | None:
    """All values of a list or range; None when it is neither, or a value is what was said."""
    if net.kind not in (Kind.LIST, Kind.NUMBER):
        return None
    if net.kind is Kind.LIST:
        said = any(isinstance(arc, Jump | End | Call) and arc.to == Net.FINAL for arcs in net.arcs for arc in arcs)
        if said or any(Net.FINAL in targets for words in net.words for targets in words.values()):
            return None
    meanings = (arc.value for arcs in net.arcs for arc in arcs if isinstance(arc, Meaning))
    return {value for value in meanings if not isinstance(value, Typed)}
