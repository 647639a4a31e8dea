"""A prompt for Whisper made of a grammar's own phrases: it makes rare words likelier before any audio is heard.

Phrases joined by commas help; whole sentences and bare words hurt (docs/speech-to-intent.md).
"""

import itertools
from collections.abc import Iterator, Sequence

from edgevoice.automaton import Automaton, Jump, Kind, Meaning, Net

_PHRASES = 64
"""Phrases of a list that are looked at."""
_STEPS = 2_000
"""States of a list that are looked at."""


def phrases(automaton: Automaton) -> Iterator[str]:
    """Phrases that between them say every word of the lists once, the lists taking turns."""
    lists = [net for net in automaton.nets if net.kind is Kind.LIST]
    chosen = [_covering([*itertools.islice(_rows(net), _PHRASES)]) for net in lists]
    seen: set[str] = set()
    for turn in itertools.zip_longest(*chosen):
        for row in turn:
            if row is not None and not seen.issuperset(row):
                seen.update(row)
                yield " ".join(row)


def _covering(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows that say all words of all rows: always the one with the most new ones next."""
    chosen: list[tuple[str, ...]] = []
    left = {word for row in rows for word in row}
    while left:
        best = max(rows, key=lambda row: (len(left.intersection(row)), -len(row)))
        chosen.append(best)
        left.difference_update(best)
    return chosen


def _rows(net: Net) -> Iterator[tuple[str, ...]]:
    """What a list may say, without what it calls."""
    pending: list[tuple[int, tuple[str, ...]]] = [(Net.START, ())]
    for _ in range(_STEPS):
        if not pending:
            return
        state, row = pending.pop()
        if state == Net.FINAL:
            yield row
            continue
        following = [(to, (*row, word)) for word, targets in net.words[state].items() for to in targets]
        following += [(arc.to, row) for arc in net.arcs[state] if isinstance(arc, Jump | Meaning)]
        pending += reversed(following)
