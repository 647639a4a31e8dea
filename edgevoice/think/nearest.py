"""What came closest to a text that no template matches: the sentence of the automaton at the smallest weighted edit
distance, found by Dijkstra's algorithm over (words used, configuration), template by template."""

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edgevoice.automaton import (
    ROOT,
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
)
from edgevoice.think.match import Config

_BUDGET = 10_000
"""Nodes visited in all, 0.1 s on the x86-64 core it was measured on; the best until then is taken."""

_FAR = 0.5
"""A sentence further away than this share of the text's words is no help to anybody."""

_CHEAPEST = 0.4
"""The least that any difference costs: a word that is almost the same. A word for a free text costs as much, or such a
sentence would come close to everything."""

_SHORT = 0.5
"""Cost of a word of up to three letters that is extra or missing: "the", "my", "to" say little."""

_OTHER = 1.2
"""Cost of a different word: more than a missing one, less than one missing and one extra."""

_VALUES = (Kind.LIST, Kind.NUMBER, Kind.DURATION, Kind.TIME)
"""Nets of values."""

_LIST = 1.0
"""Cost of a list's value that is missing, or of one word in the place of a value."""


@dataclass(frozen=True, slots=True)
class Nearest:
    template: int
    sentence: str
    distance: float
    differences: tuple[str, ...]


_Trail: TypeAlias = "tuple[_Trail, str, str] | None"
"""The way taken, the last first: (before, words of the sentence, difference)."""


class Searcher:
    """An automaton prepared for searching."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._by_word: dict[str, set[int]] = {}  # the lists and rules that know a word
        calls: dict[int, set[int]] = {}
        for number, net in enumerate(automaton.nets):
            if number == ROOT:
                continue
            for word in itertools.chain.from_iterable(net.words):
                self._by_word.setdefault(word, set()).add(number)
            arcs = list(itertools.chain.from_iterable(net.arcs))
            calls[number] = {arc.net for arc in arcs if isinstance(arc, Call)}
        self._templates: list[tuple[set[str], set[int]]] = []
        """By template: its own words, and the nets it calls directly or indirectly."""
        root = automaton.nets[ROOT]
        for start in automaton.starts:
            states = _states(root, start)
            own = {word for state in states for word in root.words[state]}
            nets = {arc.net for state in states for arc in root.arcs[state] if isinstance(arc, Call)}
            pending = list(nets)
            while pending:
                more = calls[pending.pop()] - nets
                nets |= more
                pending += more
            self._templates.append((own, nets))

    def nearest(self, words: Sequence[str]) -> Nearest | None:
        """The nearest sentence, None when there is none near enough."""
        best: Nearest | None = None
        limit = _FAR * sum(map(_weight, words)) + 1e-9
        budget = _BUDGET
        costs = _Costs(self._automaton)
        # A template costs at least what the words cost that it does not know; the promising ones come first.
        bounds = sorted((self._bound(template, words), template) for template in range(len(self._templates)))
        for bound, template in bounds:
            if bound > limit or budget <= 0:
                break
            found, used = _search(self._automaton, template, words, limit, budget, costs)
            budget -= used
            if found is not None:
                best, limit = found, found.distance - 1e-6
        return best

    def _bound(self, template: int, words: Sequence[str]) -> float:
        own, nets = self._templates[template]
        unknown = sum(word not in own and nets.isdisjoint(self._by_word.get(word, ())) for word in words)
        return _CHEAPEST * unknown


def _states(net: Net, start: int) -> set[int]:
    """The states of the root that belong to the template that starts there."""
    seen, pending = {start}, [start]
    while pending:
        state = pending.pop()
        following = list(itertools.chain.from_iterable(net.words[state].values()))
        following += [arc.to for arc in net.arcs[state] if not isinstance(arc, Accept)]
        for to in following:
            if to not in seen:
                seen.add(to)
                pending.append(to)
    return seen


def _search(
    automaton: Automaton, template: int, words: Sequence[str], limit: float, budget: int, costs: "_Costs"
) -> tuple[Nearest | None, int]:
    nets = automaton.nets
    order = itertools.count()
    queue: list[tuple[float, int, int, Config, _Trail]] = []
    done: set[tuple[int, Config]] = set()

    def push(cost: float, at: int, config: Config, trail: _Trail) -> None:
        if cost <= limit and (at, config) not in done:
            heapq.heappush(queue, (cost, next(order), at, config, trail))

    push(0.0, 0, (ROOT, automaton.starts[template], None), None)
    visited = 0
    while queue and visited < budget:
        cost, _, at, config, trail = heapq.heappop(queue)
        if (at, config) in done:
            continue
        done.add((at, config))
        visited += 1
        number, state, stack = config
        net = nets[number]
        word = words[at] if at < len(words) else None
        if word is not None:
            push(cost + _weight(word), at + 1, config, (trail, "", f"'{word}' is extra"))
        if state == Net.FINAL and stack is not None:
            push(cost, at, stack, trail)
        for arc in net.arcs[state]:
            match arc:
                case Accept():
                    if word is None:
                        return _result(template, cost, trail), visited
                case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                    push(cost, at, (number, to, stack), trail)
                case AnyWord(to):
                    if word is not None:
                        push(cost + _CHEAPEST, at + 1, (number, to, stack), (trail, word, ""))
                    else:
                        push(cost + _LIST, at, (number, to, stack), (trail, "...", "a text is missing"))
                case Call(called, to):
                    push(cost, at, (called, Net.START, (number, to, stack)), trail)
                    target = nets[called]
                    if target.kind in _VALUES:
                        # The whole list at once; going through all of its values would take far too long.
                        value = costs.sample(called)
                        after = (number, to, stack)
                        push(cost + _LIST, at, after, (trail, value, f"a value of '{target.name}' is missing"))
                        if word is not None:
                            different = f"'{word}' is no value of '{target.name}'"
                            push(cost + _LIST, at + 1, after, (trail, value, different))
        in_list = net.kind in _VALUES
        for arc_word, targets in costs.arcs(number, state, word):
            for to in targets:
                after = (number, to, stack)
                if word == arc_word:
                    push(cost, at + 1, after, (trail, arc_word, ""))
                    continue
                if word is not None:
                    push(
                        cost + _difference(word, arc_word),
                        at + 1,
                        after,
                        (trail, arc_word, f"'{word}' instead of '{arc_word}'"),
                    )
                if not (in_list and state == Net.START):
                    push(cost + _weight(arc_word), at, after, (trail, arc_word, f"'{arc_word}' is missing"))
    return None, visited


class _Costs:
    """What can be computed once for a text."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._samples: dict[int, str] = {}
        self._similar: dict[tuple[int, str], list[tuple[str, tuple[int, ...]]]] = {}

    def sample(self, number: int) -> str:
        """The first value of a list."""
        if number not in self._samples:
            self._samples[number] = self._first(number)
        return self._samples[number]

    def _first(self, number: int) -> str:
        net = self._automaton.nets[number]
        found: list[str] = []
        state = Net.START
        while state != Net.FINAL:
            arcs = net.arcs[state]
            if arcs and not isinstance(arcs[0], Accept | Call):
                state = arcs[0].to
            elif net.words[state]:
                word, targets = next(iter(net.words[state].items()))
                found.append(word)
                state = targets[0]
            else:
                return net.name
        return " ".join(found)

    def arcs(self, number: int, state: int, word: str | None) -> list[tuple[str, tuple[int, ...]]]:
        """The word arcs worth trying: of a list's many first words only those that resemble the text's word."""
        net = self._automaton.nets[number]
        if state != Net.START or net.kind not in _VALUES:
            return list(net.words[state].items())
        if word is None:
            return []
        key = number, word
        if key not in self._similar:
            self._similar[key] = [item for item in net.words[state].items() if _resembles(word, item[0])]
        return self._similar[key]


def _result(template: int, cost: float, trail: _Trail) -> Nearest:
    words: list[str] = []
    differences: list[str] = []
    while trail is not None:
        trail, said, difference = trail
        words.append(said)
        differences.append(difference)
    sentence = " ".join(word for word in reversed(words) if word)
    return Nearest(template, sentence, round(cost, 3), tuple(text for text in reversed(differences) if text))


def _weight(word: str) -> float:
    return _SHORT if len(word) <= 3 else 1.0


def _resembles(one: str, other: str) -> bool:
    if one == other:
        return True
    if abs(len(one) - len(other)) > 2 or (one[0] != other[0] and one[-1] != other[-1]):
        return False
    return _difference(one, other) < 1.0


def _difference(one: str, other: str) -> float:
    """Cost of one word in the place of another, from ``_CHEAPEST`` for a letter in a long word to ``_OTHER``."""
    share = _edits(one, other) / max(len(one), len(other))
    return _OTHER if share > 0.5 else _CHEAPEST + (1.0 - _CHEAPEST) * share * 2


def _edits(one: str, other: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(other) + 1))
    for at, char in enumerate(one, start=1):
        previous, row[0] = row[0], at
        for to, against in enumerate(other, start=1):
            previous, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, previous + (char != against))
    return row[-1]
