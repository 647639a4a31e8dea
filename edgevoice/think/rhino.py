"""Grammars of Picovoice Rhino: a YAML file with ``context:`` -> the definitions of a pack.

Slot types become lists and macros become rules, of the same names; an intent's expressions become the sentences of one
block. Everything keeps its place in the file. What is read and what is not is described in ``docs/intents.md``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from string import ascii_lowercase

from edgevoice import words, yamlfile
from edgevoice.problems import Problems, Value
from edgevoice.suggest import did_you_mean
from edgevoice.think import rhino_syntax
from edgevoice.think.pack import Block, Entry, IntentDef, ListDef, Pack, Template
from edgevoice.think.template import Alternatives, ListRef, RuleRef, Sequence, TemplateError, Text

_SECTIONS = ("expressions", "slots", "macros")

_BUILT_IN = (
    "pv.Alphabetic",
    "pv.Alphanumeric",
    "pv.Percent",
    "pv.SingleDigitInteger",
    "pv.SingleDigitOrdinal",
    "pv.TwoDigitInteger",
    "pv.TwoDigitOrdinal",
)
_PREFIX = "pv."


def is_rhino(root: Value) -> bool:
    """Whether the root of a YAML file is a grammar of Rhino; no pack has a section of this name."""
    return yamlfile.is_mapping(root) and any(key.value == "context" for key, _ in root.node.value)


def read(root: Value, pack: Pack, problems: Problems) -> None:
    """Read a grammar into a pack. Whatever is wrong in it is added to ``problems``."""
    _Reader(pack, problems).read(root)


@dataclass(frozen=True, slots=True)
class _Macro:
    origin: Value
    options: tuple[Sequence, ...]
    references: tuple[tuple[Value, ListRef | RuleRef], ...]
    """The slots and macros in it, each with the text it stands in."""


@dataclass
class _Reader:
    pack: Pack
    problems: Problems
    slots: set[str] = field(default_factory=set)
    macros: set[str] = field(default_factory=set)
    """Names of the file."""

    def read(self, root: Value) -> None:
        context = yamlfile.mapping(root, "a grammar of Rhino", self.problems, ("context",))["context"]
        sections = yamlfile.mapping(context[1], "context", self.problems, _SECTIONS)
        slots = self.section(sections, "slots")
        macros = self.section(sections, "macros")
        self.slots, self.macros = set(slots), set(macros)
        for name, (origin, body) in slots.items():
            self.slot(name, origin, body)
        self.add_macros({name: self.macro(name, origin, body) for name, (origin, body) in macros.items()})
        expressions = self.section(sections, "expressions")
        for name, (origin, body) in expressions.items():
            self.intent(name, origin, body)
        if "expressions" not in sections:
            if yamlfile.is_mapping(context[1]) or yamlfile.is_null(context[1]):
                self.problems.add(context[0], "the grammar has no expressions", "add 'expressions:' with an intent")
        elif not expressions:
            self.problems.add(sections["expressions"][0], "there is not a single expression", "add an intent")

    def section(self, sections: yamlfile.Entries, name: str) -> yamlfile.Entries:
        return yamlfile.mapping(sections[name][1], name, self.problems) if name in sections else {}

    # Slots ---------------------------------------------------------------------------------------------------------

    def slot(self, name: str, origin: Value, body: Value) -> None:
        self.check_name(origin, "slot")
        if name.startswith(_PREFIX):
            self.problems.add(origin, f"names with '{_PREFIX}' are those of built-in slots", "choose another name")
        if name in self.pack.lists:
            first = self.pack.lists[name].origin.place.short
            self.problems.add(origin, f"the list '{name}' stands twice", f"the first is in {first}")
            return
        self.pack.lists[name] = ListDef(name, origin, tuple(self.values(name, body)))

    def values(self, name: str, body: Value) -> Iterator[Entry]:
        for item in yamlfile.sequence(body, f"the slot '{name}'", self.problems):
            text = yamlfile.text(item, "a value of a slot", self.problems)
            if text is None:
                continue
            wrong = next((at for at, char in enumerate(text) if char in "[](){}<>|;\\$@,"), None)
            if wrong is None:
                yield Entry(text, place=item)
            else:
                remedy = "a value is made of words only; write each one on a line of its own"
                self.problems.add(item, f"'{text[wrong]}' in a value of a slot", remedy, offset=wrong)

    def built_in(self, name: str, origin: Value) -> None:
        if name not in self.pack.lists:
            self.pack.lists[name] = _built_in(name, origin)

    # Macros --------------------------------------------------------------------------------------------------------

    def macro(self, name: str, origin: Value, body: Value) -> _Macro:
        self.check_name(origin, "macro")
        parsed = list(self.expressions(body, f"the macro '{name}'"))
        if not parsed and (yamlfile.is_sequence(body) or yamlfile.is_null(body)) and not body.node.value:
            self.problems.add(origin, f"the macro '{name}' has no phrases", "add '- ...' lines to it")
        return _Macro(
            origin,
            tuple(expression.tree for _, expression in parsed),
            tuple((value, reference) for value, expression in parsed for reference in expression.references),
        )

    def add_macros(self, macros: Mapping[str, _Macro]) -> None:
        circular = self.circular(macros)
        for name, macro in macros.items():
            if name in self.pack.rules:
                first = self.pack.rules[name].place.short
                self.problems.add(macro.origin, f"the rule '{name}' stands twice", f"the first is in {first}")
            # A macro that is wrong has been told of; its name stays known, so that its uses are no problems too.
            options = macro.options if name not in circular else ()
            self.pack.rules[name] = Template(f"@{name}", _one_of(options or (Sequence((Text("x"),)),)), macro.origin)

    def circular(self, macros: Mapping[str, _Macro]) -> set[str]:
        """The macros that refer to themselves; each loop of them is a problem."""
        found: set[str] = set()
        uses = {
            name: {reference.name for _, reference in macro.references if isinstance(reference, RuleRef)}
            for name, macro in macros.items()
        }
        while True:
            try:
                TopologicalSorter(uses).prepare()
            except CycleError as error:
                loop = error.args[1][::-1]  # the sorter names what is used before what uses it
                start = min(range(len(loop) - 1), key=lambda at: list(macros).index(loop[at]))
                loop = [*loop[start:-1], *loop[: start + 1]]
                value, reference = next(
                    item for item in macros[loop[0]].references if item[1].name == loop[1] and _is_macro(item[1])
                )
                written = " -> ".join(f"@{link}" for link in loop)
                remedy = "take the reference out of one of them"
                self.problems.add(value, f"the macro refers to itself: {written}", remedy, offset=reference.at)
                found.update(loop)
                uses[loop[0]] = set()
            else:
                return found

    # Expressions ---------------------------------------------------------------------------------------------------

    def intent(self, name: str, origin: Value, body: Value) -> None:
        found = list(self.expressions(body, f"the intent '{name}'"))
        if not found and not self.problems.found:
            self.problems.add(origin, f"the intent '{name}' has no expressions", "add '- ...' lines to it")
        sentences = tuple(Template(value.text, expression.tree, value) for value, expression in found)
        intent = self.pack.intents.setdefault(name, IntentDef(name, origin))
        intent.blocks.append(Block(body, sentences, {}, (), (), (), {}))

    def expressions(self, body: Value, what: str) -> Iterator[tuple[Value, rhino_syntax.Expression]]:
        for item in yamlfile.sequence(body, what, self.problems):
            if not yamlfile.is_scalar(item):
                quoted = "put it into quotes, for [ ] alone are a list in YAML" if yamlfile.is_sequence(item) else ""
                self.problems.add(item, "an expression must be a text", quoted)
                continue
            text = yamlfile.text(item, "an expression", self.problems)
            if text is None:
                continue
            try:
                expression = rhino_syntax.parse(text)
            except TemplateError as error:
                self.problems.add(item, error.cause, error.remedy, offset=error.at)
                continue
            unknown = [reference for reference in expression.references if not self.known(item, reference)]
            if not unknown:
                yield item, expression

    def known(self, value: Value, reference: ListRef | RuleRef) -> bool:
        name = reference.name
        if isinstance(reference, RuleRef):
            if name in self.macros:
                return True
            near = did_you_mean(name, self.macros)
            remedy = f"there is a slot of that name, write ${name}:{name}" if name in self.slots else near
            self.problems.add(value, f"there is no macro '{name}'", remedy, offset=reference.at)
            return False
        if name in _BUILT_IN:
            self.built_in(name, value)
            return True
        if name in self.slots:
            return True
        if name.startswith(_PREFIX):
            remedy = did_you_mean(name, _BUILT_IN)
            self.problems.add(value, f"there is no built-in slot '{name}'", remedy, offset=reference.at)
            return False
        near = did_you_mean((name, f"{_PREFIX}{name}"), (*self.slots, *_BUILT_IN))
        remedy = f"there is a macro of that name, write @{name}" if name in self.macros else near
        self.problems.add(value, f"there is no slot '{name}'", remedy, offset=reference.at)
        return False

    def check_name(self, origin: Value, what: str) -> None:
        if not rhino_syntax.NAME.fullmatch(origin.text):
            remedy = "a name is made of letters, digits and '_', and starts with a letter or '_'"
            self.problems.add(origin, f"'{origin.text}' is no name of a {what}", remedy)


def _is_macro(reference: ListRef | RuleRef) -> bool:
    return isinstance(reference, RuleRef)


def _one_of(options: tuple[Sequence, ...]) -> Sequence:
    return options[0] if len(options) == 1 else Sequence((Alternatives(options),))


def _built_in(name: str, origin: Value) -> ListDef:
    """The list for a slot type that Rhino brings along. Numbers come out as whole numbers, letters as capitals."""
    letters = [Entry(letter, letter.upper()) for letter in ascii_lowercase]
    match name.removeprefix(_PREFIX):
        case "Alphabetic":
            return ListDef(name, origin, tuple(letters))
        case "Alphanumeric":
            digits = [Entry(words.cardinal(digit), str(digit)) for digit in range(10)]
            return ListDef(name, origin, (*letters, *digits))
        case "Percent":
            return ListDef(name, origin, numbers=range(101), trailing=("percent",))
        case "SingleDigitInteger":
            return ListDef(name, origin, numbers=range(10))
        case "TwoDigitInteger":
            return ListDef(name, origin, numbers=range(100))
        case "SingleDigitOrdinal":
            return ListDef(name, origin, tuple(Entry(words.ordinal(number), number) for number in range(1, 10)))
        case "TwoDigitOrdinal":
            return ListDef(name, origin, tuple(Entry(words.ordinal(number), number) for number in range(1, 100)))
        case _:
            raise AssertionError(f"no built-in slot {name}")
