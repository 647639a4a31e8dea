"""Intent packs: YAML files -> definitions of intents, lists, rules and responses, every one with its place.

The format is described in ``docs/intents.md``; it follows Home Assistant's intents where that makes sense.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgevoice import yamlfile
from edgevoice.automaton import Typed
from edgevoice.errors import GrammarError
from edgevoice.events import SlotValue
from edgevoice.problems import Place, Problems, Value
from edgevoice.suggest import did_you_mean
from edgevoice.think import responses, template

MAX_RANGE = 10_001
"""Numbers of one range, so that 0..10000 fits: each is spelt out in the automaton, about 1 KB each."""

_SECTIONS = ("language", "intents", "lists", "expansion_rules", "skip_words", "responses")
_BLOCK_KEYS = (
    "sentences",
    "slots",
    "response",
    "requires_context",
    "excludes_context",
    "expansion_rules",
)
_LIST_KINDS = ("values", "range", "duration", "time", "wildcard")
_LIST_KEYS = (*_LIST_KINDS, "extend")


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence template and where it stands."""

    text: str
    tree: template.Sequence
    value: Value

    @property
    def place(self) -> Place:
        return self.value.offset_place(0)


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a list: what is said for it, and what it means."""

    text: str
    """What is said. In a pack a template; in ``Grammar.replace_list`` plain text."""
    value: SlotValue | None = None
    """What the slot gets; None: the text itself."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Properties that ``requires_context`` and ``excludes_context`` choose by, for example ``domain: light``."""
    origin: Template | None = None
    """The parsed template, where ``text`` is one."""
    place: Value | None = None

    @property
    def meaning(self) -> SlotValue:
        return self.text if self.value is None else self.value


@dataclass(frozen=True, slots=True)
class ListDef:
    name: str
    origin: Value
    entries: tuple[Entry, ...] = ()
    numbers: range | None = None
    """A range of whole numbers in place of entries."""
    trailing: tuple[str, ...] = ()
    """Words that may follow a number without changing it ("percent")."""
    typed: Typed | None = None
    """Durations or times in place of entries."""
    wildcard: bool = False
    extend: bool = False


@dataclass(frozen=True, slots=True)
class IntentSpec:
    """What belongs to a matched sentence beside its slots."""

    name: str
    action: Mapping[str, Any] | None
    """As written in the pack; None when nothing is to be done."""
    action_place: str
    """``file:line`` of the action, or of the intent when it has none."""
    responses: tuple[str, ...]
    """Response templates, see ``edgevoice.think.responses``; the first one that can be filled is said."""
    place: str
    """``file:line`` of the intent."""


@dataclass(frozen=True, slots=True)
class Block:
    """One item of an intent's ``data``: sentences with what they have in common."""

    value: Value
    sentences: tuple[Template, ...]
    slots: Mapping[str, SlotValue]
    responses: tuple[Value, ...]
    requires: tuple[tuple[str, tuple[str, ...]], ...]
    excludes: tuple[tuple[str, tuple[str, ...]], ...]
    rules: Mapping[str, Template]


@dataclass(slots=True)
class IntentDef:
    name: str
    origin: Value
    blocks: list[Block] = field(default_factory=list)
    action: Value | None = None
    responses: list[Value] = field(default_factory=list)
    replace: bool = False


@dataclass(slots=True)
class Pack:
    """The definitions of one pack, or of several packs laid over each other."""

    intents: dict[str, IntentDef] = field(default_factory=dict)
    lists: dict[str, ListDef] = field(default_factory=dict)
    rules: dict[str, Template] = field(default_factory=dict)
    skip_words: list[Template] = field(default_factory=list)
    responses: dict[str, list[Value]] = field(default_factory=dict)


def load(paths: Sequence[Path]) -> tuple[Pack, Problems]:
    """Read packs (directories or files); later ones extend and override earlier ones.

    Raises:
        GrammarError: a file or directory is not there, cannot be read, or is no YAML. Whatever is wrong inside comes
            back as problems, so that it can be reported with what the compiler finds.
    """
    from edgevoice.think import rhino  # it makes these definitions, so it must be loaded after them

    merged, problems = Pack(), Problems()
    for path in paths:
        layer = Pack()
        for file in files(path):
            root = yamlfile.read(file, GrammarError)
            if rhino.is_rhino(root):
                rhino.read(root, layer, problems)
            elif not yamlfile.is_null(root):
                _File(layer, problems).read(root, file)
        _lay_over(merged, layer)
    return merged, problems


def files(path: Path) -> list[Path]:
    """The files of a pack, in the order in which they count.

    Raises:
        GrammarError: there are none.
    """
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in (".yaml", ".yml") and file.is_file())
        if not found:
            raise GrammarError("there is no .yaml file in this directory", place=str(path))
        return found
    if not path.exists():
        raise GrammarError("there is no such file or directory", place=str(path), remedy="check the path of the pack")
    return [path]


def _lay_over(below: Pack, layer: Pack) -> None:
    intents: dict[str, IntentDef] = {}
    for name, intent in layer.intents.items():
        old = below.intents.pop(name, None)
        if old is not None and not intent.replace:
            intent.blocks += old.blocks
            intent.action = intent.action or old.action
            intent.responses = intent.responses or old.responses
        intents[name] = intent
    below.intents = {**intents, **below.intents}  # where two sentences are equally good, the later pack's wins
    for name, list_ in layer.lists.items():
        old_list = below.lists.get(name)
        if list_.extend and old_list is not None:
            entries = list_.entries + old_list.entries
            list_ = ListDef(name, list_.origin, entries)
        below.lists[name] = list_
    below.rules.update(layer.rules)
    below.responses.update(layer.responses)
    below.skip_words += layer.skip_words


class _File:
    """Reads one file into a pack."""

    def __init__(self, pack: Pack, problems: Problems) -> None:
        self.pack = pack
        self.problems = problems

    def read(self, root: Value, file: Path) -> None:
        names = {str(key.value) for key, _ in root.node.value} if yamlfile.is_mapping(root) else set()
        if yamlfile.is_sequence(root) or (names & {*_LIST_KINDS} and not names & set(_SECTIONS)):
            self.add_list(file.stem, root, root)  # a list in a file of its own
            return
        sections = yamlfile.mapping(root, "an intent pack", self.problems, _SECTIONS)
        for name, (key, value) in sections.items():
            match name:
                case "language":
                    yamlfile.text(value, "language", self.problems)
                case "intents":
                    for intent, (origin, body) in yamlfile.mapping(value, "intents", self.problems).items():
                        self.intent(intent, origin, body)
                case "lists":
                    for list_, (origin, body) in yamlfile.mapping(value, "lists", self.problems).items():
                        self.add_list(list_, origin, body)
                case "expansion_rules":
                    for rule, parsed in self.rules(value).items():
                        if rule in self.pack.rules:
                            first = self.pack.rules[rule].place.short
                            self.problems.add(
                                parsed.value, f"the rule '{rule}' stands twice", f"the first is in {first}"
                            )
                        self.pack.rules[rule] = parsed
                case "skip_words":
                    self.pack.skip_words += self.templates(value, "skip_words")
                case "responses":
                    for response, (origin, body) in yamlfile.mapping(value, "responses", self.problems).items():
                        if response in self.pack.responses:
                            self.problems.add(origin, f"the response '{response}' stands twice")
                        self.pack.responses[response] = self.response(body)
                case _:
                    raise AssertionError(f"section {name} at {key.place}")

    def intent(self, name: str, origin: Value, body: Value) -> None:
        known = ("data", "action", "response", "replace", "description")
        entries = yamlfile.mapping(body, f"intent '{name}'", self.problems, known)
        intent = self.pack.intents.setdefault(name, IntentDef(name, origin))
        if "data" in entries:
            for item in yamlfile.sequence(entries["data"][1], "data", self.problems):
                intent.blocks.append(self.block(name, item))
        if "action" in entries:
            if intent.action is not None:
                self.problems.add(entries["action"][0], f"a second action for '{name}'")
            intent.action = self.action(entries["action"][1])
        if "response" in entries:
            if intent.responses:
                self.problems.add(entries["response"][0], f"a second response for '{name}'")
            intent.responses = self.response(entries["response"][1])
        if "replace" in entries:
            intent.replace = self.truth(entries["replace"][1], "replace")

    def block(self, intent: str, body: Value) -> Block:
        if yamlfile.is_mapping(body):
            entries = yamlfile.mapping(body, f"an item of '{intent}'", self.problems, _BLOCK_KEYS)
        else:
            entries = {}
            self.problems.add(body, f"an item of '{intent}' must be a mapping with 'sentences'")
        sentences: list[Template] = []
        if "sentences" in entries:
            sentences = self.templates(entries["sentences"][1], "sentences")
        elif yamlfile.is_mapping(body):
            self.problems.add(
                body, f"this item of '{intent}' has no sentences", "add 'sentences:' with one template a line"
            )
        return Block(
            value=body,
            sentences=tuple(sentences),
            slots=self.slots(entries["slots"][1]) if "slots" in entries else {},
            responses=tuple(self.response(entries["response"][1])) if "response" in entries else (),
            requires=self.context(entries["requires_context"][1]) if "requires_context" in entries else (),
            excludes=self.context(entries["excludes_context"][1]) if "excludes_context" in entries else (),
            rules=self.rules(entries["expansion_rules"][1]) if "expansion_rules" in entries else {},
        )

    def templates(self, value: Value, what: str) -> list[Template]:
        return [parsed for item in yamlfile.sequence(value, what, self.problems) if (parsed := self.template(item))]

    def template(self, value: Value) -> Template | None:
        text = yamlfile.text(value, "a sentence", self.problems)
        if text is None:
            return None
        try:
            return Template(text, template.parse(text), value)
        except template.TemplateError as error:
            self.problems.add(value, error.cause, error.remedy, offset=error.at)
            return None

    def rules(self, value: Value) -> dict[str, Template]:
        found = {}
        for name, (_, body) in yamlfile.mapping(value, "expansion_rules", self.problems).items():
            parsed = self.template(body)
            if parsed is not None:
                found[name] = parsed
        return found

    def response(self, value: Value) -> list[Value]:
        found = list(yamlfile.sequence(value, "response", self.problems)) if yamlfile.is_sequence(value) else [value]
        return [item for item in found if yamlfile.text(item, "a response", self.problems) is not None]

    def action(self, value: Value) -> Value | None:
        if yamlfile.is_mapping(value):
            return value
        self.problems.add(value, "an action must be a mapping", "for example: action: {builtin: time}")
        return None

    def slots(self, value: Value) -> dict[str, SlotValue]:
        found: dict[str, SlotValue] = {}
        for name, (_, body) in yamlfile.mapping(value, "slots", self.problems).items():
            typed = self.scalar(body, f"slot '{name}'")
            if typed is not None:
                found[name] = typed
        return found

    def scalar(self, value: Value, what: str) -> SlotValue | None:
        if yamlfile.is_mapping(value) or yamlfile.is_sequence(value) or (typed := yamlfile.scalar(value)) is None:
            self.problems.add(value, f"{what} must be a text, a number, true or false")
            return None
        return typed

    def truth(self, value: Value, what: str) -> bool:
        typed = None if yamlfile.is_mapping(value) or yamlfile.is_sequence(value) else yamlfile.scalar(value)
        if not isinstance(typed, bool):
            self.problems.add(value, f"{what} must be true or false")
        return typed is True

    def context(self, value: Value) -> tuple[tuple[str, tuple[str, ...]], ...]:
        found = []
        for name, (_, body) in yamlfile.mapping(value, "a context", self.problems).items():
            items = list(yamlfile.sequence(body, name, self.problems)) if yamlfile.is_sequence(body) else [body]
            texts = [text for item in items if (text := yamlfile.text(item, name, self.problems)) is not None]
            found.append((name, tuple(texts)))
        return tuple(sorted(found))

    # Lists -----------------------------------------------------------------------------------------------------

    def add_list(self, name: str, origin: Value, body: Value) -> None:
        if name in self.pack.lists:
            first = self.pack.lists[name].origin.place.short
            self.problems.add(origin, f"the list '{name}' stands twice", f"the first is in {first}")
            return
        if yamlfile.is_sequence(body):
            self.pack.lists[name] = ListDef(name, origin, self.entries(body))
            return
        entries = yamlfile.mapping(body, f"list '{name}'", self.problems, _LIST_KEYS)
        kinds = [kind for kind in _LIST_KINDS if kind in entries]
        if len(kinds) != 1:
            if yamlfile.is_mapping(body) or yamlfile.is_null(body):
                expected = f"{', '.join(map(repr, _LIST_KINDS[:-1]))} and '{_LIST_KINDS[-1]}'"
                self.problems.add(origin, f"list '{name}' needs exactly one of {expected}")
            self.pack.lists[name] = ListDef(name, origin, wildcard=True)  # known, so that its uses are no problems too
            return
        value = entries[kinds[0]][1]
        extend = "extend" in entries and self.truth(entries["extend"][1], "extend")
        if kinds[0] == "values":
            self.pack.lists[name] = ListDef(name, origin, self.entries(value), extend=extend)
        elif kinds[0] == "range":
            numbers, trailing = self.range(value)
            self.pack.lists[name] = ListDef(name, origin, numbers=numbers, trailing=trailing)
        else:
            if not self.truth(value, kinds[0]):
                self.problems.add(value, f"only '{kinds[0]}: true' makes sense")
            typed = None if kinds[0] == "wildcard" else Typed(kinds[0])
            self.pack.lists[name] = ListDef(name, origin, typed=typed, wildcard=typed is None)
        if extend and kinds[0] != "values":
            self.problems.add(entries["extend"][0], "only a list of values can be extended")

    def entries(self, value: Value) -> tuple[Entry, ...]:
        items = yamlfile.sequence(value, "values", self.problems)
        return tuple(itertools.chain.from_iterable(map(self.entry, items)))

    def entry(self, value: Value) -> Iterable[Entry]:
        if not yamlfile.is_mapping(value):
            parsed = self.entry_text(value)
            if parsed is not None:
                yield Entry(parsed[0], None, origin=parsed[1], place=value)
            return
        known = ("in", "out", "context")
        entries = yamlfile.mapping(value, "a value", self.problems, known)
        if "in" not in entries:
            self.problems.add(value, "a value needs 'in', what is said for it")
            return
        said = entries["in"][1]
        out = self.scalar(entries["out"][1], "out") if "out" in entries else None
        context = {}
        if "context" in entries:
            for name, (_, body) in yamlfile.mapping(entries["context"][1], "a context", self.problems).items():
                context[name] = yamlfile.text(body, name, self.problems) or ""
        for item in yamlfile.sequence(said, "in", self.problems) if yamlfile.is_sequence(said) else [said]:
            parsed = self.entry_text(item)
            if parsed is not None:
                yield Entry(parsed[0], out, context, parsed[1], item)

    def entry_text(self, value: Value) -> tuple[str, Template | None] | None:
        text = yamlfile.text(value, "a value", self.problems)
        if text is None:
            return None
        if template.is_plain(text):
            return text, None
        parsed = self.template(value)
        return None if parsed is None else (text, parsed)

    def range(self, value: Value) -> tuple[range, tuple[str, ...]]:
        known = ("from", "to", "step", "type")
        entries = yamlfile.mapping(value, "a range", self.problems, known)
        bounds = {}
        for name in ("from", "to", "step"):
            if name in entries:
                number = self.scalar(entries[name][1], name)
                if isinstance(number, int) and not isinstance(number, bool):
                    bounds[name] = number
                elif number is not None:
                    self.problems.add(entries[name][1], f"'{name}' must be a whole number")
            elif name != "step":
                self.problems.add(value, f"the range has no '{name}'")
        trailing: tuple[str, ...] = ()
        if "type" in entries:
            types = {"number": (), "percentage": ("percent",), "temperature": ("degrees", "degree")}
            kind = yamlfile.text(entries["type"][1], "type", self.problems)
            if kind is not None and kind not in types:
                self.problems.add(entries["type"][1], f"no such type: '{kind}'", did_you_mean(kind, types))
            trailing = types.get(kind or "", ())
        if not {"from", "to"} <= bounds.keys():
            return range(1), trailing
        low, high, step = bounds["from"], bounds["to"], bounds.get("step", 1)
        if step < 1 or low > high:
            cause = "the step must be 1 or more" if step < 1 else f"the range ends ({high}) before it starts ({low})"
            self.problems.add(value, cause)
            return range(1), trailing
        numbers = range(low, high + 1, step)
        if high - low >= MAX_RANGE * step:
            self.problems.add(
                value, f"more than {MAX_RANGE} numbers in one range", "make it smaller or its step larger"
            )
            return range(1), trailing
        return numbers, trailing


def check_response(value: Value, slots: Iterable[str], problems: Problems) -> str:
    """The text of a response; placeholders that no slot of the intent can fill are problems."""
    text = value.text
    known = set(slots)
    try:
        pieces = responses.parse(text)
    except responses.ResponseError as error:
        problems.add(value, error.cause, error.remedy, offset=error.at)
        return text
    for piece in pieces:
        if isinstance(piece, str) or piece.name.startswith(responses.RESULT) or piece.name in known:
            continue
        remedy = did_you_mean(piece.name, known) or "the sentences of this intent have no slots"
        problems.add(value, f"the intent has no slot '{piece.name}'", remedy, offset=piece.at)
    return text
