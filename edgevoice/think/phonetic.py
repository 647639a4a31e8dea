"""The sentences of an automaton that sound most like a text, whatever its words and wherever they end.

Backwards through the automaton, a vector for each state says what the rest of a sentence costs from every position of
the text (``soundindex`` says what a position is). Forwards, A* (Hart, Nilsson, Raphael 1968) with these exact costs
walks straight to the best sentence, and on to the best one that means something else: their difference is the margin.
"""

import heapq
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from edgevoice.audio.pcm import Float32
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
    Typed,
)
from edgevoice.events import SlotValue
from edgevoice.think import clock
from edgevoice.think.match import Config, Explanation, Step
from edgevoice.think.soundindex import HeardText, SoundIndex, Value, sounded, swaps
from edgevoice.think.sounds import DROP

MAX_SOUNDS = 80
"""Sounds of a text, some 25 words. The tables grow with the square; a longer text is only understood as it is
written."""

BUDGET = 4000
"""Nodes that A* expands at most, some 50 ms; what was found until then is taken."""

MAX_MARGIN = 3.0
"""Costs this far above the best are not looked at: a word apart is certain enough."""

MAX_EXCESS = 0.4
"""A text that is farther away is no command; see ``Sounding.excess``. Of what Whisper (tiny.en, int8) wrote freely of
206 orders of coffee, clean and in kitchen noise at 12 and 6 dB, 98 % of what is found rightly lies below, and of 426
texts that are no command (read books, names of assistants, orders put to a grammar for a home) none: the nearest are at
0.45."""

_PROVES_NOTHING = 3.0
"""What the first sounds of a sentence weigh, about one short word: so much is alike by chance."""

MIN_CONFIDENCE = 0.5
"""Below this, another meaning is as likely."""

_CONFIDENCE = (-0.46, 4.12, -8.68)
"""Logistic regression on the same texts that match no sentence word for word (376): constant, root of the margin,
excess. In cross-validation by recording, the said 0.28, 0.67, 0.86, 0.93, 0.97, 0.99 were 0.29, 0.69, 0.82, 0.98, 0.97,
0.98."""

_WILD = 0.05
"""What a word costs in a wildcard: next to nothing, yet fewer are better."""


@dataclass(frozen=True, slots=True)
class Sounding:
    """A sentence and how far it is from the text."""

    template: int
    words: tuple[str, ...]
    heard: tuple[str | None, ...]
    """By word: the words of the text that were taken for it, "" for none; None in a wildcard."""
    ignored: tuple[str, ...]
    """Words of the text that were taken for nothing."""
    cost: float
    """In clear sounds, those of small words counting less."""
    weight: float
    """What the sentence costs when nothing of it is heard; words of wildcards do not count."""
    margin: float
    """How much more the next-best meaning costs; at most ``MAX_MARGIN``."""
    rival: tuple[str, ...] | None
    """The best sentence with another meaning; None when it is farther away than that."""

    @property
    def excess(self) -> float:
        """The cost as a share of what the sentence weighs, but for what proves nothing."""
        return self.cost / max(self.weight - _PROVES_NOTHING, 1e-3)

    @property
    def confidence(self) -> float:
        """Probability that it is this meaning, given that a sentence was said, 0..1."""
        constant, margin, excess = _CONFIDENCE
        return 1 / (1 + math.exp(-(constant + margin * math.sqrt(self.margin) + excess * min(self.excess, 1.0))))


_Slots: TypeAlias = "frozenset[tuple[str, SlotValue]]"
_Trail: TypeAlias = "tuple[_Trail, tuple[str, ...], bool] | None"
"""The words so far, the last first, and whether they are a wildcard's."""


@dataclass(frozen=True, slots=True)
class _Found:
    template: int
    cost: float
    words: tuple[tuple[str, bool], ...]
    meaning: tuple[str, _Slots]


class SoundSearcher:
    """An automaton prepared for searching. Holds no state of a text; may be used by several threads."""

    def __init__(self, automaton: Automaton, meanings: Sequence[tuple[str, Mapping[str, SlotValue]]]) -> None:
        """``meanings``: by template, its intent and the slots with a fixed value."""
        self.automaton = automaton
        self.meanings = meanings
        self.index = SoundIndex(automaton)
        self.orders = [_backwards(net) if _entered(net) else () for net in automaton.nets]

    def search(self, words: Sequence[str]) -> tuple[Sounding | None, int]:
        """The sentence that sounds most like the words, None when nothing does at all; and the nodes expanded."""
        heard = HeardText(words, self.index.decisive)
        if not 0 < len(heard) <= MAX_SOUNDS:
            return None, 0
        search = _Search(self, heard)
        found = search.run()
        if not found:
            return None, search.visited
        best = found[0]
        rival = found[1] if len(found) > 1 else None
        margin = rival.cost - best.cost if rival else search.reached - best.cost
        return _aligned(best, heard, self.index, min(margin, MAX_MARGIN), rival), search.visited


_COMPUTED = (Kind.DURATION, Kind.TIME)
"""Inside of these nets a slot holds the words so far, for they decide what it gets."""


def _entered(net: Net) -> bool:
    return net.kind in (Kind.ROOT, Kind.RULE, *_COMPUTED)


def _backwards(net: Net) -> tuple[int, ...]:
    """The states, each behind all that it leads to; such nets have no circles."""
    order: list[int] = []
    seen = {Net.START}
    pending: list[tuple[int, Iterator[int]]] = [(Net.START, _following(net, Net.START))]
    while pending:
        state, following = pending[-1]
        for to in following:
            if to not in seen:
                seen.add(to)
                pending.append((to, _following(net, to)))
                break
        else:
            order.append(state)
            pending.pop()
    return tuple(order)


def _following(net: Net, state: int) -> Iterator[int]:
    for targets in net.words[state].values():
        yield from targets
    for arc in net.arcs[state]:
        if not isinstance(arc, Accept):
            yield arc.to


class _Search:
    def __init__(self, searcher: SoundSearcher, heard: HeardText) -> None:
        index = searcher.index
        self.nets = searcher.automaton.nets
        self.starts = searcher.automaton.starts
        self.meanings = searcher.meanings
        self.orders = searcher.orders
        self.index, self.heard = index, heard
        self.size = len(heard) + 1
        self.visited = 0
        self.reached = 0.0
        """No sentence that was not found costs less than this."""
        self.least = heard.least(index.sounds)
        near = index.near_words(self.least)
        self.words = dict(zip(near.tolist(), heard.tables(index.sounds[near]), strict=True))
        """By number: tables of the words that may be in the text."""
        self.values: dict[int, tuple[list[Value], Float32]] = {}
        """By list: the values that may be in the text, and their tables."""
        self.inside: dict[int, dict[int, Float32]] = {}
        """By rule and state: what it costs from there to the rule's end."""
        self.passing: dict[int, Float32 | None] = {}
        """By net: its table, None when it cannot be passed."""
        self.ahead: dict[Config, Float32] = {}
        """What it costs from there to the end of the sentence, by position."""
        self.rest = self._rest()

    # Backwards ---------------------------------------------------------------------------------------------------

    def _rest(self) -> dict[int, Float32]:
        """By state of the root: what the rest of the sentence costs, by position."""
        rest: dict[int, Float32] = {}
        root = self.nets[ROOT]
        for state in self.orders[ROOT]:
            best = np.full(self.size, np.inf, dtype=np.float32)
            for arc in root.arcs[state]:
                match arc:
                    case Accept():
                        np.minimum(best, self.heard.before[-1] - self.heard.before, out=best)
                    case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                        np.minimum(best, rest[to], out=best)
                    case Call(number, to):
                        table = self._table(number)
                        if table is not None:
                            np.minimum(best, (table + rest[to]).min(axis=1), out=best)
                    case AnyWord():
                        pass  # only in wildcards
            for word, targets in root.words[state].items():
                for to in targets:
                    np.minimum(best, self._before(word, rest[to]), out=best)
            rest[state] = best
        return rest

    def _before(self, word: str, rest: Float32) -> Float32:
        number = self.index.number[word]
        table = self.words.get(number)
        if table is None:
            missing: Float32 = rest + self.index.sounds.weights[number]
            return missing
        heard: Float32 = (table + rest).min(axis=1)
        return heard

    def _table(self, number: int) -> Float32 | None:
        if number not in self.passing:
            self.passing[number] = self._make_table(number)
        return self.passing[number]

    def _make_table(self, number: int) -> Float32 | None:
        net = self.nets[number]
        match net.kind:
            case Kind.WILDCARD:
                table = np.full((self.size, self.size), np.inf, dtype=np.float32)
                for (one, begin), (other, end) in itertools.combinations(enumerate(self.heard.ends), 2):
                    table[begin, end] = _WILD * (other - one)
                return table
            case Kind.RULE | Kind.DURATION | Kind.TIME:
                return self._rule(number)[Net.START]
            case _:
                found = self.index.near(number, self.least)
                if not found:
                    return None
                tables = self.heard.tables(sounded([value.words for value in found], self.index.decisive))
                self.values[number] = found, tables
                best: Float32 = tables.min(axis=0)
                return best

    def _rule(self, number: int) -> dict[int, Float32]:
        if number in self.inside:
            return self.inside[number]
        net = self.nets[number]
        inside: dict[int, Float32] = {}
        for state in self.orders[number]:
            best = np.full((self.size, self.size), np.inf, dtype=np.float32)
            if state == Net.FINAL:
                np.fill_diagonal(best, 0.0)
            for arc in net.arcs[state]:
                match arc:
                    case Jump(to) | Begin(_, to) | Meaning(_, to) | End(_, to):
                        np.minimum(best, inside[to], out=best)
                    case Call(called, to):
                        table = self._table(called)
                        if table is not None:
                            np.minimum(best, _joined(table, inside[to]), out=best)
                    case Accept() | AnyWord():
                        pass  # not in rules
            for word, targets in net.words[state].items():
                known = self.words.get(self.index.number[word])
                for to in targets:
                    if known is None:
                        np.minimum(best, inside[to] + self.index.sounds.weights[self.index.number[word]], out=best)
                    else:
                        np.minimum(best, known if to == Net.FINAL else _joined(known, inside[to]), out=best)
            inside[state] = best
        self.inside[number] = inside
        return inside

    def _ahead(self, config: Config) -> Float32:
        number, state, stack = config
        if stack is None:
            return self.rest[state]
        if config not in self.ahead:
            self.ahead[config] = (self._rule(number)[state] + self._ahead(stack)).min(axis=1)
        return self.ahead[config]

    # Forwards ----------------------------------------------------------------------------------------------------

    def run(self) -> list[_Found]:
        """The best sentence, and the best one with another meaning."""
        found: list[_Found] = []
        order = itertools.count()
        queue: list[tuple[float, int, float, Config | None, int, int, str, _Slots, _Trail]] = []
        costs = [float(self.rest[start][0]) for start in self.starts]
        limit = min(costs, default=np.inf) + MAX_MARGIN
        self.reached = limit
        if not np.isfinite(limit):
            return []

        def push(f: float, g: float, config: Config | None, at: int, state: tuple[int, str, _Slots, _Trail]) -> None:
            # Of equal costs the one that is farther on comes first.
            heapq.heappush(queue, (round(f, 4), -next(order), g, config, at, *state))

        for template, start in reversed(list(enumerate(self.starts))):
            if costs[template] <= limit:
                push(costs[template], 0.0, (ROOT, start, None), 0, (template, "", frozenset(), None))
        done: set[tuple[int, Config | None, int, _Slots]] = set()
        while queue and self.visited < BUDGET:
            f, _, g, config, at, template, slot, slots, trail = heapq.heappop(queue)
            key = template, config, at, slots
            if key in done:
                continue
            done.add(key)
            if config is None:
                intent, fixed = self.meanings[template]
                meaning = intent, frozenset({**fixed, **dict(slots)}.items())
                if all(meaning != known.meaning for known in found):
                    found.append(_Found(template, f, _spoken(trail), meaning))
                    if len(found) == 2:
                        return found
                continue
            self.visited += 1
            number, state, stack = config
            net = self.nets[number]
            if state == Net.FINAL and stack is not None:
                push(f, g, stack, at, (template, slot, slots, trail))
            for arc in net.arcs[state]:
                match arc:
                    case Accept(accepted):
                        cost = g + float(self.heard.before[-1] - self.heard.before[at])
                        if cost <= limit:
                            push(cost, cost, None, 0, (accepted, slot, slots, trail))
                    case Begin(name, to):
                        after: Config = (number, to, stack)
                        ahead = g + float(self._ahead(after)[at])
                        if ahead <= limit:
                            # Nothing said marks where the slot's words begin.
                            push(ahead, g, after, at, (template, name, slots, (trail, (), False)))
                    case Meaning(Typed() as typed, to):
                        after = (number, to, stack)
                        ahead = g + float(self._ahead(after)[at])
                        if ahead <= limit:
                            more = _filled(slots, slot, clock.value(typed, _since_mark(trail)))
                            push(ahead, g, after, at, (template, slot, more, trail))
                    case Jump(to) | Meaning(_, to) | End(_, to):
                        after = (number, to, stack)
                        ahead = g + float(self._ahead(after)[at])
                        if ahead <= limit:
                            push(ahead, g, after, at, (template, slot, slots, trail))
                    case Call(called, to):
                        after = (number, to, stack)
                        if self._table(called) is None:
                            continue
                        if _entered(self.nets[called]):
                            inside: Config = (called, Net.START, after)
                            ahead = g + float(self._ahead(inside)[at])
                            if ahead <= limit:
                                push(ahead, g, inside, at, (template, slot, slots, trail))
                            continue
                        rest = self._ahead(after)
                        for words, meaning_, row, wild in self._choices(called, at):
                            for end, total, own in _within(row, rest, g, limit):
                                said = tuple(self._wild(at, end)) if wild else words
                                # One text or a longer one is the same wish: in a wildcard nothing decides.
                                value = "" if wild else " ".join(said) if meaning_ is None else meaning_
                                if net.kind in _COMPUTED:
                                    value = " ".join((*_since_mark(trail), *said))
                                more = _filled(slots, slot, value)
                                push(total, own, after, end, (template, slot, more, (trail, said, wild)))
                    case AnyWord():
                        pass
            for word, targets in net.words[state].items():
                known = self.words.get(self.index.number[word])
                for to in targets:
                    after = (number, to, stack)
                    rest = self._ahead(after)
                    path = (trail, (word,), False)
                    filled = slots
                    if net.kind in _COMPUTED:
                        filled = _filled(slots, slot, " ".join((*_since_mark(trail), word)))
                    if known is None:
                        own = g + float(self.index.sounds.weights[self.index.number[word]])
                        if own + rest[at] <= limit:
                            push(own + float(rest[at]), own, after, at, (template, slot, filled, path))
                        continue
                    for end, total, own in _within(known[at], rest, g, limit):
                        push(total, own, after, end, (template, slot, filled, path))
        self.reached = min(queue[0][0], limit) if queue else limit
        return found

    def _choices(self, number: int, at: int) -> Iterator[tuple[tuple[str, ...], SlotValue | None, Float32, bool]]:
        """What a list can be: words, meaning, cost by position, and whether it is a wildcard."""
        if self.nets[number].kind == Kind.WILDCARD:
            table = self._table(number)
            if table is not None:
                yield (), None, table[at], True
            return
        found, tables = self.values[number]
        for value, table in zip(found, tables, strict=True):
            yield value.words, value.meaning, table[at], False

    def _wild(self, begin: int, end: int) -> Iterator[str]:
        """The words between two positions."""
        for owner in dict.fromkeys(self.heard.owners[begin:end]):
            yield self.heard.words[owner]


def _joined(one: Float32, other: Float32) -> Float32:
    """The table of one thing after the other."""
    result = np.full_like(one, np.inf)
    for middle in range(len(one)):
        np.minimum(result[: middle + 1], one[: middle + 1, middle, None] + other[middle], out=result[: middle + 1])
    return result


def _within(row: Float32, rest: Float32, cost: float, limit: float) -> Iterator[tuple[int, float, float]]:
    """The positions that a step may lead to: (position, cost of the whole sentence, cost so far)."""
    total = row + rest
    for end in np.flatnonzero(total <= limit - cost).tolist():
        yield end, cost + float(total[end]), cost + float(row[end])


def _filled(slots: _Slots, slot: str, value: SlotValue) -> _Slots:
    return frozenset({**dict(slots), slot: value}.items())


def _since_mark(trail: _Trail) -> list[str]:
    """The words since the slot began."""
    found: list[str] = []
    while trail is not None and trail[1]:
        trail, words, _ = trail
        found[:0] = words
    return found


def _spoken(trail: _Trail) -> tuple[tuple[str, bool], ...]:
    pieces = []
    while trail is not None:
        trail, words, wild = trail
        pieces.append([(word, wild) for word in words])
    return tuple(itertools.chain.from_iterable(reversed(pieces)))


# Telling what was taken for what --------------------------------------------------------------------------------


def _aligned(best: _Found, heard: HeardText, index: SoundIndex, margin: float, rival: _Found | None) -> Sounding:
    words = tuple(word for word, _ in best.words)
    literal = [word for word, wild in best.words if not wild]
    weight = float(sounded([literal], index.decisive).weights[0]) if literal else 0.0
    shares = _shares(best, heard, index)
    sizes = np.bincount(np.array(heard.owners), minlength=len(heard.words))
    taken: list[str | None] = []
    used: set[int] = set()
    for at, (_, wild) in enumerate(best.words):
        # A sound or two of a neighbour say nothing about which word was taken for which.
        own = [
            owner
            for owner in range(len(heard.words))
            if shares[at, owner] >= 0.5 * min(float(sizes[owner]), float(shares[at].sum())) and shares[at, owner] > 0
        ]
        used.update(own)
        text = " ".join(heard.words[owner] for owner in own)
        taken.append(None if wild else text)
    ignored = tuple(word for owner, word in enumerate(heard.words) if owner not in used)
    told = None if rival is None else tuple(word for word, _ in rival.words)
    return Sounding(
        best.template, words, tuple(taken), ignored, round(best.cost, 3), round(weight, 3), round(margin, 3), told
    )


def _shares(best: _Found, heard: HeardText, index: SoundIndex) -> Float32:
    """[words of the sentence, words of the text]: how many sounds of one were heard as sounds of the other."""
    rows = [sounded([[word]], index.decisive) for word, _ in best.words]
    sounds = np.concatenate([row.sounds[0] for row in rows])
    counts = np.concatenate([row.counts[0] for row in rows])
    owners = [at for at, row in enumerate(rows) for _ in range(int(row.lengths[0]))]
    drops = (DROP[sounds] * counts).tolist()
    swap = swaps(sounds, counts, heard.sounds, heard.counts)
    cost = np.zeros((len(sounds) + 1, len(heard) + 1))
    cost[0] = heard.before
    for at, drop in enumerate(drops, start=1):
        cost[at, 0] = cost[at - 1, 0] + drop
        for to in range(1, len(heard) + 1):
            cost[at, to] = min(
                cost[at - 1, to] + drop,
                cost[at, to - 1] + heard.drops[to - 1],
                cost[at - 1, to - 1] + swap[at - 1, to - 1],
            )
    shares = np.zeros((len(rows), len(heard.words)), dtype=np.float32)
    at, to = len(sounds), len(heard)
    while at and to:
        if np.isclose(cost[at, to], cost[at - 1, to - 1] + swap[at - 1, to - 1]):
            shares[owners[at - 1], heard.owners[to - 1]] += 1
            at, to = at - 1, to - 1
        elif np.isclose(cost[at, to], cost[at - 1, to] + drops[at - 1]):
            at -= 1
        else:
            to -= 1
    return shares


def explain(
    exact: Explanation, sounding: Sounding, before: Sequence[str] = (), after: Sequence[str] = ()
) -> Explanation:
    """The explanation of the sentence that was found, told what was heard for its words; ``before`` and ``after``:
    words that were skipped around it."""
    steps = [
        replace(step, heard=None if heard == step.word else heard)
        for step, heard in zip(exact.steps, sounding.heard, strict=True)
    ]
    first, last = ([Step(word, "skipped", "", "") for word in words] for words in (before, after))
    return replace(exact, steps=(*first, *steps, *last), ignored=sounding.ignored)
