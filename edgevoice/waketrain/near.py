"""What sounds like a phrase and is not it."""

from collections.abc import Mapping, Sequence

import numpy as np

from edgevoice.think.sounds import pronounce

NEAREST = 0.28
"""Edits by sound of the phrase below which a word may pass for it: it is left out."""
WORDS = 60
"""Near words for each word of the phrase."""


def near(word: str, lexicon: Mapping[str, str]) -> list[str]:
    """Words that sound like this one, the nearest first.

    Args:
        lexicon: words and their sounds. For a word that is not in it, all are pronounced by rule.
    """
    sounding = lexicon if word in lexicon else {each: pronounce(each) for each in (word, *lexicon)}
    wanted = sounding[word]
    inside = set(wanted)
    found = []
    for other, sounds in sounding.items():
        if wanted in sounds:  # "biocomputer" holds the word: it may wake
            continue
        if abs(len(sounds) - len(wanted)) > 0.5 * len(wanted) or len(inside & set(sounds)) < 0.4 * len(inside):
            continue
        distance = edits(sounds, wanted) / len(wanted)
        if distance >= NEAREST:
            found.append((distance, other))
    return [other for _, other in sorted(found)[:WORDS]]


def edits(one: str, other: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(other) + 1))
    for at, sound in enumerate(one, start=1):
        previous, row[0] = row[0], at
        for to, against in enumerate(other, start=1):
            previous, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, previous + (sound != against))
    return row[-1]


def confusable(words: Sequence[str], by_word: Sequence[Sequence[str]], draw: np.random.Generator) -> str:
    """A phrase with near words in place of one or more, or a part of the phrase; never the phrase itself.

    Args:
        by_word: near words of each word, none of them empty.
    """
    while True:
        made = list(words)
        changed = int(draw.integers(len(words)))
        made[changed] = _one(by_word[changed], draw)
        if len(words) > 1:
            if draw.random() < 0.4:
                also = (changed + 1) % len(words)
                made[also] = _one(by_word[also], draw)
            if draw.random() < 0.3:
                made = [words[int(draw.integers(len(words)))]] if draw.random() < 0.6 else [made[changed]]
        if made != list(words):
            return " ".join(made)


def _one(words: Sequence[str], draw: np.random.Generator) -> str:
    """The nearer, the likelier."""
    return words[int(len(words) * draw.random() * draw.random())]
