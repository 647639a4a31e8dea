"""The automaton of words as one of tokens: which tokens may follow, in every way in which the words may be written.

It is made as it is walked through. A state is a set of places; a place is a configuration of the automaton of words
(net, state, the calls it is inside of) and, inside of a word, a node in the tree of the spellings of all words that may
stand there. States are kept, so the next sentence finds its way made. A tree belongs to a net's state, and nets are
shared when a list is replaced: only what is new is spelt anew.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from edgevoice.automaton import ROOT, SKIP, Accept, AnyWord, Automaton, Begin, Call, End, Jump, Meaning, Net
from edgevoice.engines.asr import spelling
from edgevoice.engines.asr.whisper_tokens import Tokens, write
from edgevoice.words import normalise

Stack: TypeAlias = "tuple[int, int, Stack] | None"
Config: TypeAlias = tuple[int, int, Stack]

_LEAD: Stack = (-1, 0, None)
"""Where skipped words before the sentence return to."""
_TAIL: Stack = (-2, 0, None)
"""Where those after it return to."""
_END: Config = (-3, 0, None)
"""The sentence is complete."""

_MAX_KEPT = 200_000
"""Places in the states, and moves between them, that are kept, some 20 MB; then they are forgotten, and made again as
they are needed."""

_MAX_READINGS = 16
"""Sentences that are written alike at most."""


class Node:
    """In a tree of spellings."""

    __slots__ = ("children", "ends")

    def __init__(self) -> None:
        self.children: dict[int, Node] = {}
        self.ends: tuple[tuple[tuple[str, ...], int], ...] = ()
        """Words that are complete here, and the net's state behind them."""

    def add(self, tokens: Sequence[int], words: tuple[str, ...], to: int) -> None:
        node = self
        for token in tokens:
            node = node.children.setdefault(token, Node())
        if (words, to) not in node.ends:
            node.ends = (*node.ends, (words, to))


_WILD = Node()
"""Inside of a word that may be any."""


class Place(NamedTuple):
    config: Config
    node: Node | None = None
    """None between two words."""
    mark: str = ""
    """One of the marks of ``spelling`` when that was written last; "" after a word."""


class _Move(NamedTuple):
    place: Place
    words: tuple[str, ...] = ()
    """That are complete now."""
    joins: bool = False
    """They go on with the last word."""


@dataclass(eq=False, slots=True)
class State:
    places: frozenset[Place]
    accepting: bool
    """The sentence may end here."""
    more: bool
    """A word of the sentence, none that is skipped, may or must follow."""
    free: bool
    """Any word may follow, or is being written."""
    skipping: bool
    """A word that is skipped may follow."""
    following: dict[int, "State"] = field(default_factory=dict)
    moves: dict[int, list[tuple[Place, _Move]]] = field(default_factory=dict)
    """By token, how that goes on from which place."""
    tokens: NDArray[np.int64] | None = None


@dataclass(eq=False)
class _Trees:
    """Of one state of a net."""

    spaced: Node
    bare: Node | None = None
    attached: Node | None = None


class Speller:
    """Spells the words of automata in a recogniser's tokens. One for all automata, since they share nets."""

    def __init__(self, tokens: Tokens, suppress: Iterable[int] = ()) -> None:
        self._tokens = tokens
        self._written: dict[str, tuple[int, ...]] = {}
        self._trees: WeakKeyDictionary[Net, dict[int, _Trees]] = WeakKeyDictionary()
        self.texts = [token.replace(_SPACE, " ") for token in tokens.texts]
        """By token, spaces as such."""
        self.letters = ["".join(filter(str.isalnum, text.lower())) for text in self.texts]
        """By token, without case, spaces and marks."""
        usable = [number for number, text in enumerate(self.texts) if number not in set(suppress)]
        self.begins = {at for at in usable if _is_word(self.texts[at][1:]) and self.texts[at][0] == " "}
        """Tokens that begin a word: a space and letters or digits."""
        self.inside = {at for at in usable if _is_word(self.texts[at])}
        """Tokens that go on with a word."""
        self.stops = [at for at in usable if self.texts[at].strip() and _STOPS.issuperset(self.texts[at].strip())]
        """Tokens of marks that end a sentence or a part of it."""
        self.beginning: dict[str, list[int]] = {}
        """Tokens that begin a word, by their letters."""
        for at in sorted(self.begins):
            self.beginning.setdefault(self.letters[at], []).append(at)
        self.marks = [self.spell(mark)[0] for mark in spelling.MARKS]
        self.final_marks = [self.spell(mark)[0] for mark in spelling.FINAL_MARKS]

    def spell(self, text: str) -> tuple[int, ...]:
        if text not in self._written:
            self._written[text] = tuple(self._tokens.encode(text))
        return self._written[text]

    def trees(self, net: Net, state: int) -> _Trees:
        trees = self._trees.setdefault(net, {})
        if state not in trees:
            trees[state] = _Trees(self._tree(net, state, " "))
        return trees[state]

    def bare(self, net: Net, state: int) -> Node:
        trees = self.trees(net, state)
        if trees.bare is None:
            trees.bare = self._tree(net, state, "")
        return trees.bare

    def attached(self, net: Net, state: int) -> Node:
        trees = self.trees(net, state)
        if trees.attached is None:
            trees.attached = Node()
            for word, targets in net.words[state].items():
                for form in spelling.attached(word):
                    for to in targets:
                        trees.attached.add(self.spell(form), (word,), to)
        return trees.attached

    def tokens(self, nets: Iterable[Net], limit: int) -> set[int]:
        """Those that words of the nets are written in, of the first ``limit`` words."""
        words = dict.fromkeys(word for net in nets for state in net.words for word in state)
        forms = (form for word in itertools.islice(words, limit) for form in spelling.forms(word))
        return {token for form in forms for token in self.spell(f" {form}")}

    def _tree(self, net: Net, state: int, space: str) -> Node:
        root = Node()
        for word, targets in net.words[state].items():
            for form in spelling.forms(word):
                for to in targets:
                    root.add(self.spell(space + form), (word,), to)
        for form, words, to in spelling.digits(net, state):
            root.add(self.spell(space + form), words, to)
        return root


class TokenAutomaton:
    """Follows one automaton.

    Args:
        speller: kept for the next automaton, which may share nets with this one.
    """

    def __init__(self, automaton: Automaton, speller: Speller) -> None:
        self.speller = speller
        self._nets = automaton.nets
        self._states: dict[frozenset[Place], State] = {}
        self._closed: dict[Config, tuple[Config, ...]] = {}
        self._size = 0
        opening = [*self._close((SKIP, Net.START, _LEAD)), *self._close((ROOT, Net.START, None))]
        self.start = self._state(Place(config, None, _BEGINNING) for config in opening)

    def allowed(self, state: State) -> NDArray[np.int64]:
        """Tokens that may follow, in ascending order, the end apart."""
        if state.tokens is None:
            state.tokens = np.array(sorted(self._tokens(state)), np.int64)
        return state.tokens

    def next(self, state: State, token: int) -> State:
        """The state after one of the tokens that are allowed."""
        following = state.following.get(token)
        if following is None:
            moves = [(place, move) for place in state.places for move in self._moves(place, token)]
            self._make_room(len(moves))
            following = self._state(move.place for _, move in moves)
            state.following[token], state.moves[token] = following, moves
        return following

    def begins_word(self, state: State, token: int) -> bool:
        """Whether a token that is allowed begins a word of the sentence: none that is skipped, nor of a free text."""
        if state.free or not self.speller.texts[token].startswith(" "):
            return False
        return not state.skipping or any(
            token in root.children
            for (number, at, _), node, mark in state.places
            if node is None and number not in (SKIP, _END[0])
            for root in self._roots(self._nets[number], at, mark)
        )

    def sentences(self, tokens: Sequence[int]) -> list[tuple[str, ...]]:
        """The sentences of the automaton that may be written so; none when it is not complete. At most 16."""
        state, path = self.start, []
        for token in tokens:
            after = self.next(state, token)
            path.append(state.moves[token])
            state = after
        # Most places lead nowhere, so the end comes first.
        useful = {place for place in state.places if place.config == _END}
        for at in reversed(range(len(path))):
            path[at] = [(place, move) for place, move in path[at] if move.place in useful]
            useful = {place for place, _ in path[at]}
        threads: dict[Place, dict[tuple[str, ...], None]] = {place: {(): None} for place in useful}
        for moves in path:
            stepped: dict[Place, dict[tuple[str, ...], None]] = {}
            for place, move in moves:
                known = stepped.setdefault(move.place, {})
                for row in threads[place]:
                    if len(known) < _MAX_READINGS:
                        known[_extended(row, move)] = None
            threads = stepped
        return sorted({normalise(" ".join(row)) for rows in threads.values() for row in rows})

    def _moves(self, place: Place, token: int) -> Iterator[_Move]:
        """Everything that a token may mean at a place."""
        (number, state, stack), node, mark = config, node, mark = place
        speller = self.speller
        text = speller.texts[token]
        if node is _WILD:
            if token in speller.inside:
                yield from self._any_word(config, text, joins=True)
        elif node is not None:
            if token in node.children:
                yield from self._enter(config, node.children[token])
        elif config == _END:
            if not mark and text in spelling.FINAL_MARKS:
                yield _Move(Place(_END, None, text))
        else:
            net = self._nets[number]
            if not mark and text in spelling.MARKS:
                yield _Move(Place(config, None, text))
            for root in self._roots(net, state, mark):
                if token in root.children:
                    yield from self._enter(config, root.children[token])
            if mark in _BEFORE_SPACE and token in speller.begins:
                for to in _any(net, state):
                    yield from self._any_word((number, to, stack), text[1:], joins=False)

    def _roots(self, net: Net, state: int, mark: str) -> Iterator[Node]:
        """The trees of what may be written after a mark."""
        if mark in _BEFORE_SPACE:
            yield self.speller.trees(net, state).spaced
        else:
            yield self.speller.bare(net, state)
        if not mark:
            yield self.speller.attached(net, state)

    def _enter(self, config: Config, node: Node) -> Iterator[_Move]:
        if node.children:
            yield _Move(Place(config, node))
        number, _, stack = config
        for words, to in node.ends:
            for after in self._close((number, to, stack)):
                yield _Move(Place(after), words)

    def _any_word(self, config: Config, text: str, *, joins: bool) -> Iterator[_Move]:
        yield _Move(Place(config, _WILD), (text,), joins)
        for after in self._close(config):
            yield _Move(Place(after), (text,), joins)

    def _tokens(self, state: State) -> set[int]:
        speller = self.speller
        found: set[int] = set()
        for config, node, mark in state.places:
            if node is _WILD:
                found |= speller.inside
            elif node is not None:
                found.update(node.children)
            elif config == _END:
                if not mark:
                    found.update(speller.final_marks)
            else:
                number, at, _ = config
                for root in self._roots(self._nets[number], at, mark):
                    found.update(root.children)
                if mark in _BEFORE_SPACE and self._any_follows(config):
                    found |= speller.begins
                if not mark:
                    found.update(speller.marks)
        return found

    def _state(self, places: Iterable[Place]) -> State:
        key = frozenset(places)
        known = self._states.get(key)
        if known is None:
            self._make_room(len(key) + 1)
            ends = [place.config == _END for place in key]
            more = any(place.config != _END and _bottom(place.config[2]) != _TAIL for place in key)
            free = any(node is _WILD or self._any_follows(config) for config, node, _ in key)
            skipping = any(config[0] == SKIP for config, _, _ in key)
            known = self._states[key] = State(key, any(ends), more, free, skipping)
        return known

    def _make_room(self, size: int) -> None:
        self._size += size
        if self._size > _MAX_KEPT:
            for state in self._states.values():
                state.following.clear()
                state.moves.clear()
            self._states.clear()
            self._closed.clear()
            self._size = size

    def _any_follows(self, config: Config) -> bool:
        number, state, _ = config
        return config != _END and any(True for _ in _any(self._nets[number], state))

    def _close(self, config: Config) -> tuple[Config, ...]:
        """The configurations with words to follow that are reached without one, ``_END`` among them."""
        known = self._closed.get(config)
        if known is not None:
            return known
        reached = {config}
        pending = [config]
        found: dict[Config, None] = {}
        while pending:
            number, state, stack = pending.pop()
            net = self._nets[number]
            if net.words[state] or self._any_follows((number, state, stack)):
                found[number, state, stack] = None
            following: list[Config] = []
            if state == Net.FINAL and stack is not None:
                if stack == _LEAD:
                    following += [(ROOT, Net.START, None), (SKIP, Net.START, _LEAD)]
                elif stack == _TAIL:
                    found[_END] = None
                    following.append((SKIP, Net.START, _TAIL))
                else:
                    following.append(stack)
            for arc in net.arcs[state]:
                match arc:
                    case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                        following.append((number, to, stack))
                    case Call(called, to):
                        following.append((called, Net.START, (number, to, stack)))
                    case Accept():
                        found[_END] = None
                        following.append((SKIP, Net.START, _TAIL))
                    case AnyWord():
                        pass
            for each in following:
                if each not in reached:
                    reached.add(each)
                    pending.append(each)
        self._closed[config] = result = tuple(found)
        return result


_SPACE = write(b" ")
_STOPS = frozenset(",.!?;")
_BEGINNING = "^"
"""The mark before the first word."""
_BEFORE_SPACE = ("", ",", ".", _BEGINNING)


def _any(net: Net, state: int) -> Iterator[int]:
    for arc in net.arcs[state]:
        if isinstance(arc, AnyWord):
            yield arc.to


def _bottom(stack: Stack) -> Stack:
    while stack is not None and stack[2] is not None:
        stack = stack[2]
    return stack


def _is_word(text: str) -> bool:
    return bool(text) and all(char.isalnum() or char in "'-" for char in text)


def _extended(row: tuple[str, ...], move: _Move) -> tuple[str, ...]:
    if move.joins:
        return (*row[:-1], row[-1] + move.words[0])
    return (*row, *move.words)
