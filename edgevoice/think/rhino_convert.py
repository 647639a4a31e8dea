"""A grammar of Picovoice Rhino -> a pack of our own, as somebody would write it."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from edgevoice import yamlfile
from edgevoice.errors import GrammarError
from edgevoice.problems import Problems
from edgevoice.think import rhino
from edgevoice.think.compiler import compile_pack
from edgevoice.think.pack import Block, Entry, ListDef, Pack, Template
from edgevoice.think.template import Alternatives, Node, RuleRef, Sequence, unparse

_LONG_GROUP = 20
"""Characters of a group from which on it is worth a rule, if it comes again and again: "(turn on|switch on)"."""

_OFTEN = 3
"""Times that a group stands in the expressions before it becomes a rule."""


def convert(path: Path) -> str:
    """The text of a pack that matches the same sentences with the same intents and slots.

    Groups that the expressions repeat become rules, named by their first words.

    Raises:
        GrammarError: the file cannot be read, is no grammar of Rhino, or has mistakes; with all of them.
    """
    root = yamlfile.read(path, GrammarError)
    if not rhino.is_rhino(root):
        raise GrammarError("this is no grammar of Rhino", place=str(path), remedy="one begins with 'context:'")
    pack, problems = Pack(), Problems()
    rhino.read(root, pack, problems)
    compile_pack(pack, problems)  # finds what stands in no single expression
    problems.raise_any(GrammarError, "problems in the grammar")
    name = "".join(char if char.isprintable() else "?" for char in path.name)
    header = (
        f"# Made of {name}, a grammar of Rhino.\n"
        "# An intent does something when you give it an 'action:', and answers when you give it a 'response:'.\n\n"
    )
    return header + _dump(_Writer(pack).pack_dict())


@dataclass
class _Writer:
    pack: Pack
    shared: dict[str, str] = field(default_factory=dict)
    """Group -> its rule."""
    rules: dict[str, str] = field(default_factory=dict)

    def pack_dict(self) -> dict[str, Any]:
        trees = [
            *(sentence.tree for intent in self.pack.intents.values() for sentence in _sentences(intent.blocks)),
            *(rule.tree for rule in self.pack.rules.values()),
        ]
        counts = Counter(unparse(group) for tree in trees for group in _groups(tree))
        taken = {*self.pack.rules, *self.pack.lists}
        for group, count in counts.items():
            if count >= _OFTEN and len(group) >= _LONG_GROUP:
                self.shared[group] = _name(group, taken)
                taken.add(self.shared[group])
        intents = {
            name: {"data": [{"sentences": [self.text(sentence.tree) for sentence in _sentences(intent.blocks)]}]}
            for name, intent in self.pack.intents.items()
        }
        macros = {name: self.text(rule.tree) for name, rule in self.pack.rules.items()}
        found: dict[str, Any] = {"intents": intents}
        if rules := {**self.rules, **macros}:
            found["expansion_rules"] = rules
        if self.pack.lists:
            found["lists"] = {name: _list(definition) for name, definition in self.pack.lists.items()}
        return found

    def text(self, tree: Sequence) -> str:
        return unparse(self.sequence(tree))

    def sequence(self, tree: Sequence) -> Sequence:
        return replace(tree, items=tuple(map(self.node, tree.items)))

    def node(self, node: Node) -> Node:
        if not isinstance(node, Alternatives):
            return node
        name = self.shared.get(unparse(node))
        if name is None:
            return replace(node, options=tuple(map(self.sequence, node.options)))
        if name not in self.rules:
            self.rules[name] = unparse(replace(node, options=tuple(map(self.sequence, node.options))))
        return RuleRef(name)


def _sentences(blocks: Iterable[Block]) -> Iterator[Template]:
    return itertools.chain.from_iterable(block.sentences for block in blocks)


def _groups(node: Node) -> Iterator[Alternatives]:
    match node:
        case Sequence(items):
            for item in items:
                yield from _groups(item)
        case Alternatives(options):
            yield node
            for option in options:
                yield from _groups(option)


def _name(group: str, taken: set[str]) -> str:
    found = re.findall(r"[^\W\d_]+", group.split("|")[0])
    name = "_".join(found[:3]).lower() or "group"
    return next(
        each
        for each in itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        if each not in taken
    )


def _list(definition: ListDef) -> dict[str, Any]:
    if definition.numbers is not None:
        numbers: dict[str, Any] = {"from": definition.numbers[0], "to": definition.numbers[-1]}
        return {"range": {**numbers, "type": "percentage"} if definition.trailing else numbers}
    return {"values": [_entry(entry) for entry in definition.entries]}


def _entry(entry: Entry) -> str | dict[str, Any]:
    return entry.text if entry.value is None else {"in": entry.text, "out": entry.value}


class _Dumper(yaml.SafeDumper):
    """Indents lists, as people do, and writes short mappings in one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _short(dumper: _Dumper, content: dict[str, Any]) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", content.items(), flow_style="in" in content)


_Dumper.add_representer(dict, _short)


def _dump(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)
