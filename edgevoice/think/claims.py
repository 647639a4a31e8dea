"""Sentences that two templates share: a walk through both at once, word by word.

A list that both use at the same place is passed in one step, where none of its values begins another one: then both
must have said the same value. The search is bounded; what it cannot finish it says.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
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
from edgevoice.think.match import COST, MAX_WORDS, Config

MAX_PLACES = 2_000
"""Places in two templates that are looked at."""

MAX_ALL = 40_000
"""The same for all pairs of templates together, half a second."""

_TRIED = 50
"""Places that trying a sentence counts as."""

_ATOMS = (Kind.LIST, Kind.NUMBER)
_Item: TypeAlias = "tuple[int, Config]"
"""A place that takes a word (net -1), or a call of a net with the place behind it."""
_Trail: TypeAlias = "tuple[_Trail, tuple[str, ...]] | None"

_Places: TypeAlias = "frozenset[tuple[Config | None, int]]"

_ANY = ""
"""In the place of a word that may be any."""
_SOMETHING = "something"
"""What is said for it."""
_HERE = -1


class Claims:
    """An automaton prepared for the search."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._nets = automaton.nets
        self._costs = [COST[net.kind] for net in automaton.nets]
        self._samples: dict[int, tuple[str, ...] | None] = {}
        self._closed: dict[Config, tuple[tuple[_Item, ...], bool]] = {}
        self._left = MAX_ALL
        self.complete = True
        """Whether no search had to be given up so far."""

    def pairs(self) -> Iterator[tuple[int, int]]:
        """The templates that may begin with the same word, each pair once."""
        by_word: dict[str, list[int]] = {}
        open_: list[int] = []
        for number, start in enumerate(self._automaton.starts):
            words, any_word = self._first(start)
            earlier = set(range(number)) if any_word else {one for word in words for one in by_word.get(word, ())}
            for one in sorted(earlier.union(open_)):
                if self._left <= 0:
                    self.complete = False
                    return
                self._left -= 1
                yield one, number
            for word in words:
                by_word.setdefault(word, []).append(number)
            if any_word:
                open_.append(number)

    def shared(self, one: int, other: int, accepted: Callable[[Sequence[str]], bool]) -> tuple[str, ...] | None:
        """A sentence of both templates that says as many words literally in either and is ``accepted``."""
        starts = self._automaton.starts
        queue: deque[tuple[_Item, _Item, int, _Trail]] = deque()
        seen: set[tuple[_Item, _Item, int]] = set()
        refused: list[tuple[str, ...]] = []

        def meet(left: Config, right: Config, difference: int, trail: _Trail) -> tuple[str, ...] | None:
            (lefts, left_ends), (rights, right_ends) = self._close(left), self._close(right)
            for pair in itertools.product(lefts, rights):
                push(*pair, difference, trail)
            if left_ends and right_ends and difference == 0:
                words = _said(trail)
                self._left -= _TRIED
                if len(words) <= MAX_WORDS and accepted(words):
                    return words
                refused.append(words)
            return None

        def push(left: _Item, right: _Item, difference: int, trail: _Trail) -> None:
            if (left, right, difference) not in seen:
                seen.add((left, right, difference))
                queue.append((left, right, difference, trail))

        found = meet((ROOT, starts[one], None), (ROOT, starts[other], None), 0, None)
        while queue and found is None:
            if len(seen) > MAX_PLACES or self._left <= 0:
                self.complete = False
                return None
            self._left -= 1
            left, right, difference, trail = queue.popleft()
            if left[0] != _HERE and left[0] == right[0]:
                sample = self._sample(left[0])
                found = meet(left[1], right[1], difference, (trail, sample or ()))
            elif left[0] != _HERE:
                for item in self._enter(left):
                    push(item, right, difference, trail)
            elif right[0] != _HERE:
                for item in self._enter(right):
                    push(left, item, difference, trail)
            else:
                costs = difference + self._costs[left[1][0]] - self._costs[right[1][0]]
                for word, after, behind in self._both(left[1], right[1]):
                    found = found or meet(after, behind, costs, (trail, (word,)))
        # Other words on the same way may be accepted: other values of a list, one of which is said literally elsewhere.
        return self._word_by_word(starts[one], starts[other]) if found is None and refused else found

    def _word_by_word(self, one: int, other: int) -> tuple[str, ...] | None:
        """The same without short cuts: each side is all the places that the words lead to, with their costs."""
        lefts, rights = (self._places([((ROOT, start, None), 0)]) for start in (one, other))
        queue: deque[tuple[_Places, _Places, tuple[str, ...]]] = deque([(lefts, rights, ())])
        seen: set[tuple[_Places, _Places]] = set()
        while queue:
            lefts, rights, words = queue.popleft()
            self._left -= len(lefts) + len(rights)
            if len(seen) > MAX_PLACES or self._left <= 0:
                self.complete = False
                return None
            ends = [min((cost for config, cost in side if config is None), default=None) for side in (lefts, rights)]
            if ends[0] is not None and ends[0] == ends[1]:
                return tuple(word or _SOMETHING for word in words)
            before, behind = self._said_next(lefts), self._said_next(rights)
            for word in {**before, **behind} if len(words) < MAX_WORDS else ():
                after = [self._places(side.get(word, []) + side[_ANY] * (word != _ANY)) for side in (before, behind)]
                least = min((cost for side in after for _, cost in side), default=0)
                pair = tuple(frozenset((config, cost - least) for config, cost in side) for side in after)
                if all(pair) and (pair[0], pair[1]) not in seen:
                    seen.add((pair[0], pair[1]))
                    queue.append((pair[0], pair[1], (*words, word)))
        return None

    def _places(self, configs: list[tuple[Config, int]]) -> _Places:
        """What is reached without a word and takes one; None: the sentence may end."""
        found: dict[Config | None, int] = {}
        for config, cost in configs:
            items, ends = self._close(config)
            places: list[Config | None] = [None] if ends else []
            pending = list(items)
            while pending:
                item = pending.pop()
                if item[0] == _HERE:
                    places.append(item[1])
                else:
                    pending += self._enter(item)
            for place in places:
                found[place] = min(cost, found.get(place, cost))
        return frozenset(found.items())

    def _said_next(self, places: _Places) -> dict[str, list[tuple[Config, int]]]:
        """By word: where it leads. ``_ANY``: where any word does."""
        found: dict[str, list[tuple[Config, int]]] = {_ANY: []}
        for place, cost in places:
            if place is None:
                continue
            number, state, stack = place
            cost += self._costs[number]
            for word, targets in self._nets[number].words[state].items():
                found.setdefault(word, []).extend(((number, to, stack), cost) for to in targets)
            for arc in self._nets[number].arcs[state]:
                if isinstance(arc, AnyWord):
                    found[_ANY].append(((number, arc.to, stack), cost))
        return found

    def _both(self, left: Config, right: Config) -> Iterator[tuple[str, Config, Config]]:
        """A word that both places take, and where it leads."""
        (one, at, stack), (other, there, calls) = left, right
        words, others = self._nets[one].words[at], self._nets[other].words[there]
        any_left = [arc.to for arc in self._nets[one].arcs[at] if isinstance(arc, AnyWord)]
        any_right = [arc.to for arc in self._nets[other].arcs[there] if isinstance(arc, AnyWord)]
        small, large = (words, others) if len(words) < len(others) else (others, words)
        rows = [(word, words[word], others[word]) for word in small if word in large]
        rows += [(word, targets, tuple(any_right)) for word, targets in words.items() if any_right]
        rows += [(word, tuple(any_left), targets) for word, targets in others.items() if any_left]
        rows.append((_ANY, tuple(any_left), tuple(any_right)))
        for word, lefts, rights in rows:
            for to, target in itertools.product(lefts, rights):
                yield word, (one, to, stack), (other, target, calls)

    def _enter(self, item: _Item) -> tuple[_Item, ...]:
        return self._close((item[0], Net.START, item[1]))[0]

    def _close(self, config: Config) -> tuple[tuple[_Item, ...], bool]:
        """What is reached without a word, and whether the sentence may end."""
        if config in self._closed:
            return self._closed[config]
        items: dict[_Item, None] = {}
        ends = False
        reached, pending = {config}, [config]
        while pending:
            number, state, stack = here = pending.pop()
            net = self._nets[number]
            following: list[Config] = []
            if net.words[state]:
                items[_HERE, here] = None
            if state == Net.FINAL and stack is not None:
                following.append(stack)
            for arc in net.arcs[state]:
                match arc:
                    case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                        following.append((number, to, stack))
                    case Call(called, to):
                        after = (number, to, stack)
                        if self._sample(called) is None:
                            following.append((called, Net.START, after))
                        else:
                            items[called, after] = None
                    case AnyWord():
                        items[_HERE, here] = None
                    case Accept():
                        ends = True
            for each in following:
                if each not in reached:
                    reached.add(each)
                    pending.append(each)
        self._closed[config] = tuple(items), ends
        return self._closed[config]

    def _sample(self, number: int) -> tuple[str, ...] | None:
        """A value of a list in which no value begins another one; None where it is no such list."""
        if number not in self._samples:
            net = self._nets[number]
            self._samples[number] = _first_value(net) if net.kind in _ATOMS else None
        return self._samples[number]

    def _first(self, start: int) -> tuple[set[str], bool]:
        """The words that a template may begin with, and whether it may begin with any."""
        words: set[str] = set()
        any_word = False
        pending = list(self._close((ROOT, start, None))[0])
        while pending:
            item = pending.pop()
            if item[0] != _HERE:
                pending += self._enter(item)
                continue
            number, state, _ = item[1]
            words.update(self._nets[number].words[state])
            any_word |= any(isinstance(arc, AnyWord) for arc in self._nets[number].arcs[state])
        return words, any_word


def _first_value(net: Net) -> tuple[str, ...] | None:
    """A value of a list of plain words; None where a value may go on when it could be complete."""
    found: tuple[str, ...] | None = None
    pending: list[tuple[frozenset[int], tuple[str, ...]]] = [(_silent(net, {Net.START}), ())]
    seen = set()
    while pending:
        states, words = pending.pop()
        if states in seen:
            continue
        seen.add(states)
        if any(isinstance(arc, Call | AnyWord) for state in states for arc in net.arcs[state]):
            return None
        following: dict[str, set[int]] = {}
        for state in states:
            for word, targets in net.words[state].items():
                following.setdefault(word, set()).update(targets)
        if Net.FINAL in states:
            if following or not words:
                return None
            found = words
        pending += [(_silent(net, to), (*words, word)) for word, to in following.items()]
    return found


def _silent(net: Net, states: set[int]) -> frozenset[int]:
    reached, pending = set(states), list(states)
    while pending:
        for arc in net.arcs[pending.pop()]:
            if not isinstance(arc, Accept | AnyWord | Call) and arc.to not in reached:
                reached.add(arc.to)
                pending.append(arc.to)
    return frozenset(reached)


def _said(trail: _Trail) -> tuple[str, ...]:
    pieces: list[tuple[str, ...]] = []
    while trail is not None:
        trail, words = trail
        pieces.append(words)
    return tuple(word or _SOMETHING for piece in reversed(pieces) for word in piece)
