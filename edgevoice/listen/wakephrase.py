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
    said = [re.sub(r"\W", "", word).lower() for word in phrase.split()]
    heard = list(re.finditer(r"\S+", text))
    for count in range(min(len(heard), len(said) + 1), 0, -1):
        front = re.sub(r"\W", "", text[: heard[count - 1].end()]).lower()
        for first in range(len(said)):
            tail = "".join(said[first:])
            if difflib.SequenceMatcher(None, front, tail, autojunk=False).ratio() >= SIMILAR:
                return text[heard[count - 1].end() :].strip()
    return text
