"""Definitions -> automaton."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edgevoice import words
from edgevoice.automaton import (
    ROOT,
    SKIP,
    Accept,
    AnyWord,
    Automaton,
    Begin,
    Call,
    End,
    Jump,
    Kind,
    Meaning,
    Net,
    Typed,
    passable,
)
from edgevoice.problems import Problems, Value
from edgevoice.suggest import did_you_mean
from edgevoice.think import clocknets
from edgevoice.think.pack import Block, Entry, ListDef, Pack, Template
from edgevoice.think.template import Alternatives, ListRef, Node, Permutation, RuleRef, Text
from edgevoice.think.template import Sequence as Row

MAX_STATES = 500_000
"""States of one automaton, about 400 bytes each: 200 MB is what a board of 1 GB can spare at the very most. 100,000
names of two or three words fit."""

MAX_JOINED = 1_000
"""Spellings of pieces that touch without a space ("light[s]"); these are written out, so that their number must stay
small."""

MAX_PERMUTATION = 8
"""Items of a permutation; n items need 2**n states and n * 2**(n-1) copies of the items."""

MAX_EXPANDED = 20_000
"""States of one template if its rules were written out in place (lists count as one). A text walks through all of them
at the worst; rules that use rules twice each double it at every step."""

MAX_RULE_DEPTH = 30
"""Rules within rules. Real packs have three or four."""

Filter = tuple[tuple[tuple[str, tuple[str, ...]], ...], tuple[tuple[str, tuple[str, ...]], ...]]
"""``requires_context`` and ``excludes_context`` of a block."""

_NO_FILTER: Filter = ((), ())
_Atom = str | ListRef | RuleRef | Permutation


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names mean inside of a block."""

    filter: Filter = _NO_FILTER
    block: Block | None = None
    """The block, where it has rules of its own."""


@dataclass(frozen=True, slots=True)
class Compiled:
    automaton: Automaton
    templates: tuple[tuple[Template, Block], ...]
    """By template number."""
    slots: tuple[frozenset[str], ...]
    """By template number: the slots it may fill."""
    list_nets: dict[str, dict[Filter, int]]
    """List -> the nets made of it, one for each filter that is used with it."""
    warnings: tuple[str, ...]


class _TooLargeError(Exception):
    pass


def compile_pack(pack: Pack, problems: Problems) -> Compiled | None:
    """Compile everything; None when there were problems, which are added to ``problems``."""
    compiler = _Compiler(pack, problems)
    try:
        compiled = compiler.run()
    except _TooLargeError:
        assert compiler.where is not None
        problems.add(
            compiler.where,
            f"the automaton has reached its limit of {MAX_STATES} states here",
            "use smaller lists, fewer permutations or fewer alternatives of alternatives",
        )
        return None
    except RecursionError:
        assert compiler.where is not None
        problems.add(compiler.where, "groups and rules are nested too deeply here", "use fewer levels")
        return None
    return None if problems.found else compiled


def compile_list(definition: ListDef, filter_: Filter, budget: int) -> Net | None:
    """A net for a list of plain values; None when it would have more than ``budget`` states."""
    compiler = _Compiler(Pack(), Problems())
    compiler.budget = budget
    try:
        return compiler.build_list(definition, filter_)
    except _TooLargeError:
        return None


@dataclass
class _Compiler:
    pack: Pack
    problems: Problems
    nets: list[Net | None] = field(default_factory=lambda: [None, None])
    rule_nets: dict[tuple[str, Filter, int], int] = field(default_factory=dict)
    list_nets: dict[str, dict[Filter, int]] = field(default_factory=dict)
    rule_slots: dict[int, frozenset[str]] = field(default_factory=dict)
    rule_sizes: dict[int, int] = field(default_factory=dict)
    clock_nets: dict[str, int] = field(default_factory=dict)
    """Numbers of ``clocknets.NUMBERS``, once there is a duration or time."""
    open_rules: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    budget: int = field(default_factory=lambda: MAX_STATES)
    where: Value | None = None
    scope: _Scope = field(default_factory=_Scope)
    net: Net = field(default_factory=lambda: Net("", Kind.ROOT))
    template: Template | None = None
    slots: set[str] = field(default_factory=set)
    size: int = 0
    """Of the template or rule that is being compiled, with the rules in it written out."""

    def run(self) -> Compiled:
        root, skip = Net("sentences", Kind.ROOT), Net("skip words", Kind.SKIP)
        self.nets[ROOT], self.nets[SKIP] = root, skip
        for phrase in self.pack.skip_words:
            self.enter(skip, phrase, _Scope())
            self.into(phrase.tree, Net.START, Net.FINAL)
            if Net.FINAL in passable(skip, self.nets):
                self.problems.add(
                    phrase.value, "this matches nothing at all", "it must have a word that is not optional"
                )
        templates: list[tuple[Template, Block]] = []
        starts: list[int] = []
        slots: list[frozenset[str]] = []
        for intent in self.pack.intents.values():
            for block in intent.blocks:
                scope = _Scope((block.requires, block.excludes), block if block.rules else None)
                for sentence in block.sentences:
                    self.enter(root, sentence, scope)
                    start = self.state()
                    root.add_arc(Net.START, Jump(start))
                    end = self.compile(sentence.tree, start)
                    if self.size > MAX_EXPANDED:
                        self.problems.add(
                            sentence.value,
                            f"with its rules written out this template has more than {MAX_EXPANDED} states",
                            "its rules use each other too often; write some of them as lists",
                        )
                        continue
                    if end in passable(root, self.nets, start):
                        self.problems.add(
                            sentence.value,
                            "this template matches the empty sentence",
                            "it must have a word that is not optional",
                        )
                    root.add_arc(end, Accept(len(templates)))
                    templates.append((sentence, block))
                    starts.append(start)
                    slots.append(frozenset(self.slots))
        self.check_unused()
        nets = tuple(net for net in self.nets if net is not None)
        return Compiled(
            Automaton(nets, tuple(starts)), tuple(templates), tuple(slots), self.list_nets, tuple(self.warnings)
        )

    def check_unused(self) -> None:
        """Rules and lists that no sentence uses must be sound all the same."""
        for name, rule in self.pack.rules.items():
            self.scope = _Scope()
            self.rule_net(name, rule, 0)
        for list_ in self.pack.lists.values():
            self.list_net(list_)

    def enter(self, net: Net, template: Template, scope: _Scope) -> None:
        self.net, self.template, self.scope, self.where = net, template, scope, template.value
        self.slots, self.size = set(), 0

    def state(self) -> int:
        self.budget -= 1
        self.size += 1
        if self.budget < 0:
            raise _TooLargeError
        return self.net.add_state()

    def problem(self, cause: str, remedy: str, at: int) -> None:
        assert self.template is not None
        self.problems.add(self.template.value, cause, remedy, offset=at)

    # Nodes: each gets the state it starts in and gives the one it ends in ----------------------------------------

    def into(self, node: Node, start: int, end: int) -> None:
        self.net.add_arc(self.compile(node, start), Jump(end))

    def compile(self, node: Node, start: int) -> int:
        match node:
            case Text(text, at):
                return self.text(text, at, start)
            case Row(items):
                return self.row(items, start)
            case Alternatives(options, optional):
                end = self.state()
                for option in options:
                    # An option of its own states: word arcs of the others must not lead into it.
                    self.into(option, start, end)
                if optional:
                    self.net.add_arc(start, Jump(end))
                return end
            case Permutation(parts, optional, at):
                return self.permutation(parts, optional, at, start)
            case ListRef():
                return self.list_ref(node, start)
            case RuleRef(name, at):
                return self.rule_ref(name, at, start)

    def text(self, text: str, at: int, start: int) -> int:
        if not text.strip():
            return start
        found = words.normalise(text)
        if not found:
            offset = at + len(text) - len(text.lstrip())
            self.problem(f"nothing is left of '{text.strip()}' as words", "leave it out, or write it as a word", offset)
        return self.words(found, start)

    def words(self, found: Iterable[str], start: int) -> int:
        for word in found:
            to = self.state()
            self.net.add_word(start, word, to)
            start = to
        return start

    def row(self, items: Sequence[Node], start: int) -> int:
        items = _split_at_spaces(items)
        self.check_touching(items)
        glued = _glue(items)
        at = 0
        while at < len(items):
            end = at + 1
            while end < len(items) and glued[end]:
                end += 1
            before = items[at - 1] if at else None
            if end - at > 1:
                start = self.joined(items[at:end], start)
            elif isinstance(item := items[at], Text) and isinstance(before, ListRef) and self.is_range(before.name):
                start = self.text_after_number(item, start)
            else:
                start = self.compile(item, start)
            at = end
        return start

    def is_range(self, name: str) -> bool:
        definition = self.pack.lists.get(name)
        return definition is not None and definition.numbers is not None

    def text_after_number(self, node: Text, start: int) -> int:
        """ "{n} oz": abbreviated units are written out behind a number of the text, so they must be here as well."""
        found = words.normalise(node.text)
        forms = {name for one in (True, False) if found and (name := words.unit(found[0], one=one))}
        if not forms:
            return self.compile(node, start)
        end = self.state()
        for form in sorted(forms):
            self.net.add_word(start, form, end)
        return self.words(found[1:], end)

    def check_touching(self, items: Sequence[Node]) -> None:
        """A list or rule is made of whole words; letters that touch it would silently become a word of their own."""
        for left, right in itertools.pairwise(items):
            text, at = "", 0
            if isinstance(left, ListRef | RuleRef) and isinstance(right, Text) and _is_letter(right.text[:1]):
                text, at = right.text, right.at
            elif isinstance(right, ListRef | RuleRef) and isinstance(left, Text) and _is_letter(left.text[-1:]):
                text, at = left.text, right.at
            if text:
                self.problem(f"'{text.strip()}' touches a list or rule", "put a space between them", at)

    def joined(self, items: Sequence[Node], start: int) -> int:
        """Pieces that touch without a space: all their spellings, side by side."""
        spellings: list[list[_Atom]] = [[]]
        for item in items:
            spellings = _extended(spellings, item)
        if len(spellings) > MAX_JOINED:
            at = items[0].at
            self.problem(
                f"these pieces touch without spaces and have more than {MAX_JOINED} spellings",
                "put spaces between them, or move them into a list",
                at,
            )
            return start
        end = self.state()
        for spelling in spellings:
            state = start
            for is_text, run in itertools.groupby(spelling, lambda atom: isinstance(atom, str)):
                if is_text:
                    state = self.words(words.normalise("".join(str(atom) for atom in run)), state)
                    continue
                for atom in run:
                    assert not isinstance(atom, str)
                    state = self.compile(atom, state)
            self.net.add_arc(state, Jump(end))
        return end

    def permutation(self, parts: Sequence[Row], optional: bool, at: int, start: int) -> int:
        if len(parts) > MAX_PERMUTATION:
            self.problem(
                f"a permutation of {len(parts)} items; the limit is {MAX_PERMUTATION}", "say some of them in order", at
            )
            return start
        everything = (1 << len(parts)) - 1
        done = {0: start}  # a set of items, as bits -> the state in which these have been said
        for said in range(1, everything + 1):
            done[said] = self.state()
        for said in range(everything):
            for number, part in enumerate(parts):
                if not said & 1 << number:
                    self.into(part, done[said], done[said | 1 << number])
        if optional:
            self.net.add_arc(start, Jump(done[everything]))
        return done[everything]

    def list_ref(self, node: ListRef, start: int) -> int:
        definition = self.pack.lists.get(node.name)
        if definition is None:
            near = did_you_mean(node.name, self.pack.lists)
            remedy = f"there is a rule of that name, write <{node.name}>" if node.name in self.pack.rules else near
            self.problem(f"there is no list '{node.name}'", remedy, node.at)
            return self.words(["?"], start)
        self.slots.add(node.slot)
        number = self.list_net(definition)
        inside, outside, end = self.state(), self.state(), self.state()
        self.net.add_arc(start, Begin(node.slot, inside))
        self.net.add_arc(inside, Call(number, outside))
        self.net.add_arc(outside, End(node.slot, end))
        return end

    def rule_ref(self, name: str, at: int, start: int) -> int:
        local = self.scope.block.rules.get(name) if self.scope.block else None
        rule = local or self.pack.rules.get(name)
        if rule is None:
            known = {*self.pack.rules, *(self.scope.block.rules if self.scope.block else ())}
            near = did_you_mean(name, known)
            remedy = f"there is a list of that name, write {{{name}}}" if name in self.pack.lists else near
            self.problem(f"there is no rule '{name}'", remedy, at)
            return self.words(["?"], start)
        number = self.rule_net(name, rule, at)
        if number is None:
            return self.words(["?"], start)
        self.slots |= self.rule_slots[number]
        self.size += self.rule_sizes[number]
        end = self.state()
        self.net.add_arc(start, Call(number, end))
        return end

    # Nets ------------------------------------------------------------------------------------------------------

    def rule_net(self, name: str, rule: Template, at: int) -> int | None:
        key = (name, self.scope.filter, id(self.scope.block) if self.scope.block else 0)
        if key in self.rule_nets:
            return self.rule_nets[key]
        if name in self.open_rules:
            chain = " -> ".join(f"<{link}>" for link in [*self.open_rules[self.open_rules.index(name) :], name])
            self.problem(f"the rule refers to itself: {chain}", "take the reference out of one of them", at)
            return None
        if len(self.open_rules) >= MAX_RULE_DEPTH:
            self.problem(f"rules are nested deeper than {MAX_RULE_DEPTH}", "use fewer levels", at)
            return None
        self.open_rules.append(name)
        saved = self.net, self.template, self.where, self.slots, self.size
        self.net, self.template, self.where, self.slots, self.size = Net(name, Kind.RULE), rule, rule.value, set(), 0
        self.into(rule.tree, Net.START, Net.FINAL)
        self.net.nullable = Net.FINAL in passable(self.net, self.nets)
        number = len(self.nets)
        self.nets.append(self.net)
        self.rule_nets[key] = number
        self.rule_slots[number] = frozenset(self.slots)
        self.rule_sizes[number] = self.size
        self.net, self.template, self.where, self.slots, self.size = saved
        self.open_rules.pop()
        return number

    def list_net(self, definition: ListDef) -> int:
        made = self.list_nets.setdefault(definition.name, {})
        filter_ = self.scope.filter if definition.entries else _NO_FILTER
        if filter_ not in made:
            made[filter_] = len(self.nets)
            self.nets.append(None)
            saved = self.net, self.template, self.where, self.slots, self.open_rules, self.size
            self.slots, self.open_rules = set(), []
            self.nets[made[filter_]] = self.build_list(definition, filter_)
            self.net, self.template, self.where, self.slots, self.open_rules, self.size = saved
        return made[filter_]

    def build_list(self, definition: ListDef, filter_: Filter) -> Net:
        self.where = definition.origin
        if definition.wildcard:
            self.net = net = Net(definition.name, Kind.WILDCARD)
            more, again = self.state(), self.state()
            net.add_arc(Net.START, AnyWord(more))
            net.add_arc(more, Jump(Net.FINAL))  # stopping is preferred to going on: as few words as possible
            net.add_arc(more, Jump(again))
            net.add_arc(again, AnyWord(more))
            return net
        if definition.typed is not None:
            return self.clock_net(definition.name, definition.typed)
        if definition.numbers is not None:
            self.net = net = Net(definition.name, Kind.NUMBER)
            end = self.state()
            for number in definition.numbers:
                for spelling in words.spellings(number):
                    net.add_arc(self.grow(spelling), Meaning(number, end))
            net.add_arc(end, Jump(Net.FINAL))
            for word in definition.trailing:
                net.add_word(end, word, Net.FINAL)
            return net
        self.net = net = Net(definition.name, Kind.LIST)
        chosen = _filtered(definition.entries, filter_)
        if not chosen:  # no problem: it may be filled while the assistant runs
            cause = "has no values" if not definition.entries else "has no value that its context allows"
            self.warnings.append(f"{definition.origin.place.short}: the list '{definition.name}' {cause}")
        for entry in chosen:
            self.where = entry.place or definition.origin
            self.entry(entry)
        net.nullable = Net.FINAL in passable(net, self.nets)
        if net.nullable:
            self.problems.add(definition.origin, f"a value of '{definition.name}' matches nothing at all")
        return net

    def clock_net(self, name: str, typed: Typed) -> Net:
        if not self.clock_nets:
            for number_name, net in clocknets.shared().items():
                self.clock_nets[number_name] = len(self.nets)
                self.nets.append(net)
                self.budget -= len(net)
        make = clocknets.duration if typed is Typed.DURATION else clocknets.time
        self.net = net = make(name, self.clock_nets)
        self.budget -= len(net)
        if self.budget < 0:
            raise _TooLargeError
        return net

    def entry(self, entry: Entry) -> None:
        if entry.origin is None:
            found = words.name_words(entry.text)
            if found:
                self.net.add_arc(self.grow(found), Meaning(entry.meaning, Net.FINAL))
            elif entry.place is not None:
                self.problems.add(entry.place, f"nothing is left of '{entry.text}' as words", "write it as it is said")
            return
        self.template = entry.origin
        end = self.compile(entry.origin.tree, Net.START)
        if entry.value is not None:
            self.net.add_arc(end, Meaning(entry.value, Net.FINAL))
        else:  # what was said
            self.net.add_arc(end, Jump(Net.FINAL))
        if self.slots:
            self.problems.add(entry.origin.value, "a list's value cannot contain a list")
            self.slots = set()

    def grow(self, row: Sequence[str]) -> int:
        """Along the trie of a list, from its start; gives the state behind the last word."""
        state = Net.START
        for word in row:
            targets = self.net.words[state].get(word)
            if targets:
                state = targets[0]
            else:
                to = self.state()
                self.net.add_word(state, word, to)
                state = to
        return state


def _filtered(entries: Sequence[Entry], filter_: Filter) -> Sequence[Entry]:
    requires, excludes = filter_
    if not requires and not excludes:
        return entries
    known = {name for entry in entries for name in entry.context}
    # A list none of whose values has that property is another matter (rooms beside devices) and stays as it is.
    return [
        entry
        for entry in entries
        if all(entry.context.get(name) in allowed for name, allowed in requires if name in known)
        and not any(entry.context.get(name) in refused for name, refused in excludes)
    ]


# Pieces that touch ---------------------------------------------------------------------------------------------


def _is_letter(char: str) -> bool:
    return char.isalnum() or char == "'"


def _split_at_spaces(items: Sequence[Node]) -> list[Node]:
    """Cut the first and last word off texts beside groups, so that only what really touches is written out. Texts with
    digits stay whole: "12 oz" is read as one."""
    found: list[Node] = []
    for number, item in enumerate(items):
        if not isinstance(item, Text) or any(char.isdigit() for char in item.text):
            found.append(item)
            continue
        cuts = [0, len(item.text)]
        beside = [items[at] if 0 <= at < len(items) else None for at in (number - 1, number + 1)]
        spaces = [at for at, char in enumerate(item.text) if char.isspace()]
        if spaces and isinstance(beside[0], Alternatives):
            cuts.append(spaces[0])
        if spaces and isinstance(beside[1], Alternatives):
            cuts.append(spaces[-1] + 1)
        for low, high in itertools.pairwise(sorted(set(cuts))):
            found.append(Text(item.text[low:high], item.at + low))
    return found


def _edges(node: Node) -> tuple[bool, bool, bool]:
    """Whether letters may stand at the very left and the very right, and whether it may be nothing."""
    match node:
        case Text(text):
            return bool(text) and not text[0].isspace(), bool(text) and not text[-1].isspace(), not text
        case Row(items):
            edges = [_edges(item) for item in items]
            mirrored = [(right, left, empty) for left, right, empty in reversed(edges)]
            return _leading(edges), _leading(mirrored), all(empty for _, _, empty in edges)
        case Alternatives(options, optional):
            edges = [_edges(option) for option in options]
            return any(e[0] for e in edges), any(e[1] for e in edges), optional or any(e[2] for e in edges)
        case Permutation(_, optional):
            return False, False, optional
        case ListRef() | RuleRef():
            return False, False, False


def _leading(edges: Iterable[tuple[bool, bool, bool]]) -> bool:
    """Whether letters may come first in a row; what may be nothing can be left out."""
    for left, _, empty in edges:
        if left:
            return True
        if not empty:
            return False
    return False


def _glue(items: Sequence[Node]) -> list[bool]:
    """By item: whether it touches what comes before it."""
    edges = [_edges(item) for item in items]
    found = [False] * len(items)
    for at in range(1, len(items)):
        before = [(right, left, empty) for left, right, empty in reversed(edges[:at])]
        found[at] = _leading(before) and _leading(edges[at:])
    return found


def _spell(node: Node) -> list[list[_Atom]]:
    """All spellings of a node, as texts and references; cut off above ``MAX_JOINED``."""
    match node:
        case Text(text):
            return [[text]]
        case Row(items):
            spellings: list[list[_Atom]] = [[]]
            for item in items:
                spellings = _extended(spellings, item)
            return spellings
        case Alternatives(options, optional):
            found = [spelling for option in options for spelling in _spell(option)]
            return [*found, []][: MAX_JOINED + 1] if optional else found[: MAX_JOINED + 1]
        case Permutation(items, optional, at):
            return [[Permutation(items, at=at)], []] if optional else [[node]]
        case ListRef() | RuleRef():
            return [[node]]


def _extended(spellings: list[list[_Atom]], item: Node) -> list[list[_Atom]]:
    more = _spell(item)
    return list(itertools.islice((before + after for before in spellings for after in more), MAX_JOINED + 1))
