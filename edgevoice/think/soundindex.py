"""An automaton prepared for searching by sound, and the cost tables of its words for one text.

Positions are places between two sounds of the text: 0 before the first, n behind the last. A *table* of a word or
value holds, for every two positions, what it costs to hear it between them: shape [n + 1, n + 1], infinite below the
diagonal. Sounds of the text that belong to nothing are paid for in the tables too, so tables need only be joined.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import Float32
from edgevoice.automaton import Automaton, Call, Jump, Kind, Meaning, Net, Typed
from edgevoice.events import SlotValue
from edgevoice.think.sounds import DROP, SWAP, indices, pronounce

SMALL_WORDS = frozenset(
    [
        *(
            "a",
            "an",
            "the",
            "this",
            "that",
            "please",
            "of",
            "some",
            "to",
            "for",
            "with",
            "and",
            "is",
            "it",
            "just",
            "now",
        ),
        *("i", "i'd", "i'm", "i'll", "me", "my", "you", "your", "our", "can", "could", "would", "will", "get", "like"),
        *("um", "uh", "er", "ah", "oh", "hey", "okay"),
    ]
)
"""Words that rarely say what is wanted, and that recognisers mistake for each other most."""

_SMALL = 0.25
"""What the sounds of a small word count, against 1 for others."""

_LEAST = 3.0
"""What other words weigh at least, about an average word: in "turn off" the short word decides."""

_MOST = 2.0
"""What a sound counts at most."""

_BORROWED = 0.5
"""Share of a sound's weight that is paid where a small word's sound is taken for it: "the" is no proof of "out"."""

MAX_VALUES = 20_000
"""Values of all lists that are searched by sound, the lists' first ones; the others are only found as they are
written."""

_INSIDE = 0.3
"""What it costs when a word begins inside a word of the text: "enlight" for "in light"."""

_NEAR = 0.4
"""A value is worth a table when this share of its sounds or more may be in the text."""

_NEAR_WORD = 0.2
"""The same for a word of the templates; less, as these may be short and are fewer."""

_MAX_TABLES = 64
"""Values of one list, the nearest ones, that get a table."""

_MAX_WORDS = 256
"""Words, the nearest ones, that get a table."""

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Value:
    words: tuple[str, ...]
    meaning: SlotValue | None
    """None: what was said."""


_values: "WeakKeyDictionary[Net, tuple[Value, ...]]" = WeakKeyDictionary()
"""A list that was replaced leaves the others as they are."""


def _values_of(net: Net, nets: Sequence[Net]) -> tuple[Value, ...]:
    """The values of a list, at most ``MAX_VALUES``."""
    if net not in _values:
        _values[net] = tuple(_walk(net, nets))
    return _values[net]


def _walk(net: Net, nets: Sequence[Net]) -> Iterator[Value]:
    pending: list[tuple[Net, int, tuple[tuple[Net, int], ...], tuple[str, ...], SlotValue | None]]
    pending = [(net, Net.START, (), (), None)]
    found = 0
    while pending and found < MAX_VALUES:
        at, state, stack, said, meaning = pending.pop()
        if state == Net.FINAL:
            if stack:
                pending.append((*stack[-1], stack[:-1], said, meaning))
            elif said:
                found += 1
                yield Value(said, meaning)
            continue
        for arc in at.arcs[state]:
            match arc:
                case Jump(to):
                    pending.append((at, to, stack, said, meaning))
                case Meaning(value, to) if not isinstance(value, Typed):
                    pending.append((at, to, stack, said, value))
                case Call(number, to):
                    pending.append((nets[number], Net.START, (*stack, (at, to)), said, meaning))
                case _:
                    pass  # a list has no slots, no wildcards and accepts nothing
        for word, targets in at.words[state].items():
            pending += [(at, to, stack, (*said, word), meaning) for to in targets]


@dataclass(frozen=True)
class Sounds:
    """Words as rows of sounds, each sound with what it counts."""

    sounds: Indices
    """[words, longest], indices into ``SOUNDS``."""
    counts: Float32
    """[words, longest], 0 behind the last sound."""
    lengths: Indices

    @cached_property
    def weights(self) -> Float32:
        """What it costs when all of a word is missing."""
        result: Float32 = (DROP[self.sounds] * self.counts).sum(axis=1)
        return result

    def __getitem__(self, chosen: Indices) -> "Sounds":
        return Sounds(self.sounds[chosen], self.counts[chosen], self.lengths[chosen])


def sounded(rows: Sequence[Sequence[str]], decisive: Collection[str]) -> Sounds:
    """Rows of words, each as one row of sounds."""
    spoken = [[(sound, count(word, decisive)) for word in row for sound in indices(pronounce(word))] for row in rows]
    longest = max(map(len, spoken), default=1)
    sounds = np.zeros((len(rows), longest), dtype=np.int64)
    counts = np.zeros((len(rows), longest), dtype=np.float32)
    for number, row in enumerate(spoken):
        if row:
            sounds[number, : len(row)], counts[number, : len(row)] = zip(*row, strict=True)
    return Sounds(sounds, counts, np.array([len(row) for row in spoken], dtype=np.int64))


def count(word: str, decisive: Collection[str]) -> float:
    """What each sound of a word counts."""
    if word in SMALL_WORDS and word not in decisive:
        return _SMALL
    return min(max(_LEAST / float(DROP[indices(pronounce(word))].sum()), 1.0), _MOST)


def swaps(sound: Indices, counts: Float32, heard: Indices, heard_counts: Float32) -> Float32:
    """[sounds, sounds heard]: what it costs to take one for the other."""
    cost = SWAP[sound][:, heard] * np.maximum(counts[:, None], heard_counts)
    borrowed = np.maximum(counts[:, None].clip(max=1.0) - heard_counts, 0.0) * DROP[sound][:, None]
    result: Float32 = (cost + _BORROWED * borrowed).astype(np.float32)
    return result


class SoundIndex:
    """What of an automaton does not depend on the text."""

    def __init__(self, automaton: Automaton) -> None:
        nets = automaton.nets
        lists = [number for number, net in enumerate(nets) if net.kind in (Kind.LIST, Kind.NUMBER)]
        self.lists = {number: _values_of(nets[number], nets)[: MAX_VALUES // len(lists)] for number in lists}
        self.decisive = frozenset(word for found in self.lists.values() for word in _decisive(found))
        plain = (net for net in nets if net.kind not in (Kind.LIST, Kind.NUMBER))
        vocabulary = {word for net in plain for state in net.words for word in state}
        vocabulary.update(word for found in self.lists.values() for value in found for word in value.words)
        self.words = sorted(vocabulary)
        self.number = {word: number for number, word in enumerate(self.words)}
        self.sounds = sounded([[word] for word in self.words], self.decisive)
        self._value_words: dict[int, Indices] = {}
        nothing = len(self.words)
        for number, found in self.lists.items():
            longest = max((len(value.words) for value in found), default=1)
            rows = np.full((len(found), longest), nothing, dtype=np.int64)
            for at, value in enumerate(found):
                rows[at, : len(value.words)] = [self.number[word] for word in value.words]
            self._value_words[number] = rows

    def near(self, number: int, least: Float32) -> list[Value]:
        """The values of a list that may be in the text; ``least``: by word, what it costs at least."""
        rows = self._value_words[number]
        cost = np.append(least, np.float32(0))[rows].sum(axis=1)
        weight = np.append(self.sounds.weights, np.float32(0))[rows].sum(axis=1)
        excess = cost - (1 - _NEAR) * weight
        order = np.argsort(excess, kind="stable")[:_MAX_TABLES]
        return [self.lists[number][at] for at in order if excess[at] <= 0]

    def near_words(self, least: Float32) -> Indices:
        excess = least - (1 - _NEAR_WORD) * self.sounds.weights
        order = np.argsort(excess, kind="stable")[:_MAX_WORDS]
        result: Indices = order[excess[order] <= 0]
        return result


def _decisive(found: Sequence[Value]) -> Iterator[str]:
    """Small words that alone tell a value from another: "milk", "some milk"."""
    said = {value.words for value in found}
    for words in said:
        for at, word in enumerate(words):
            if word in SMALL_WORDS and (words[:at] + words[at + 1 :]) in said:
                yield word


class HeardText:
    """The sounds of a text."""

    def __init__(self, words: Sequence[str], decisive: Collection[str]) -> None:
        row = sounded([words], decisive)
        self.words = words
        self.sounds: Indices = row.sounds[0]
        self.counts: Float32 = row.counts[0]
        self.owners = [number for number, word in enumerate(words) for _ in pronounce(word)]
        """By sound: the word it belongs to."""
        self.drops: Float32 = DROP[self.sounds] * self.counts
        self.before: Float32 = np.append(np.float32(0), np.cumsum(self.drops, dtype=np.float32))
        """By position: what it costs to ignore everything before it."""
        self.entering: Float32 = np.full(len(self) + 1, _INSIDE, dtype=np.float32)
        """By position: what it costs to begin a word there."""
        self.entering[self.ends] = 0.0

    def __len__(self) -> int:
        return len(self.sounds)

    @property
    def ends(self) -> list[int]:
        """The positions where words begin and end."""
        starts = [at for at, owner in enumerate(self.owners) if not at or owner != self.owners[at - 1]]
        return [*starts, len(self)]

    def least(self, words: Sounds) -> Float32:
        """By word: its cost at the best place of the text."""
        row = np.repeat(self.entering[None], len(words.lengths), axis=0)
        self._run(words, row)
        result: Float32 = row.min(axis=1)
        return result

    def tables(self, words: Sounds) -> Float32:
        """[words, n + 1, n + 1], see the module."""
        gap = self.before[None, :] - self.before[:, None]
        outside = np.tri(len(self) + 1, k=-1, dtype=bool)
        start = np.where(outside, np.float32(np.inf), gap + self.entering[:, None]).astype(np.float32)
        table = np.repeat(start[None], len(words.lengths), axis=0)
        self._run(words, table)
        return table

    def _run(self, words: Sounds, costs: Float32) -> None:
        """Edit distances by dynamic programming over the words' sounds, in place; the last axis are the positions."""
        order = np.argsort(-words.lengths, kind="stable")
        words, inner = words[order], (1,) * (costs.ndim - 2)
        work = costs[order]
        for at in range(int(words.lengths.max(initial=0))):
            active = int((words.lengths > at).sum())
            sound, weight = words.sounds[:active, at], words.counts[:active, at]
            swap = swaps(sound, weight, self.sounds, self.counts)
            old = work[:active]
            new = old + (DROP[sound] * weight).reshape(-1, *inner, 1)
            np.minimum(new[..., 1:], old[..., :-1] + swap.reshape(active, *inner, -1), out=new[..., 1:])
            new -= self.before
            np.minimum.accumulate(new, axis=-1, out=new)
            new += self.before
            work[:active] = new
        costs[order] = work
