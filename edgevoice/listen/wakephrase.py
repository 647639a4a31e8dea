"""The wake word's tail at the beginning of a transcript.

A command's audio begins a little before the wake, so that nothing of a command spoken in one breath is lost; the end of
the wake word itself is then often heard as well.
"""

import difflib
import re

SIMILAR = 0.7
"""Least similarity (difflib's ratio over letters) of what was heard to the end of the phrase: "nab you" and "nabu" are
one, "now" and "nabu" are not."""


def strip_phrase(text: str, phrase: str) -> str:
    """The transcript without the wake phrase, or the end of it, in front."""
    said = [_letters(word) for word in phrase.split()]
    tails = ["".join(said[first:]) for first in range(len(said))]
    ends = [word.end() for word in re.finditer(r"\S+", text)][: len(said) + 1]
    best, cut = SIMILAR, 0
    for end in ends:
        front = _letters(text[:end])
        for tail in tails:
            similar = difflib.SequenceMatcher(None, front, tail, autojunk=False).ratio()
            if similar > best:
                best, cut = similar, end
    return text[cut:].strip()


def _letters(text: str) -> str:
    return re.sub(r"\W", "", text).lower()
