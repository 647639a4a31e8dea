"""A reply as clauses, each ready to be spoken: the first short, so that it is heard soon."""

import re
from collections.abc import Iterator

from edgevoice.errors import TextError
from edgevoice.speak.normalise import normalise

FIRST_MAX = 60
"""Characters of the first clause: some four seconds of speech, which an engine with a real-time factor of 0.1 has ready
in 0.4 s. Most replies of an assistant are one clause then, with the melody of a whole sentence."""
REST_MAX = 160
"""Characters of the others: a long sentence, and memory for ten seconds of audio."""
SHORTEST = 12
"""Characters of a clause that ends at a comma; "Yes," alone would sound cut off."""
BLOCK = 400
"""Characters of the text that are normalised at a time, so that a long text does not delay its first clause."""

_BLOCK_END = re.compile(r"(?:[a-z]{4}[.]|[!?…])[\"')\]]*\s+(?=[^\sa-z])|\n\s*")
_SENTENCE_END = re.compile(r"(?:(?<!\b[A-Z])\.|[!?…])+['\u2019]?\s+(?=\S)")
_BREAK = re.compile(r"[,;:—]\s+|\s(?=—)")
_JOINT = re.compile(
    r"\s(?=(?:and|but|or|so|because|which|that|who|where|when|while|if|until|after|before|with|without|for|from|to|in"
    r"|on|at|by|of)\s)"
)


def clauses(text: str, first_max: int = FIRST_MAX, rest_max: int = REST_MAX, *, language: str = "en") -> Iterator[str]:
    """Split a reply into clauses, lazily.

    A clause ends at the end of a sentence, or at a comma, a conjunction or a space where the sentence is too long for
    one. Numbers, times and abbreviations stay whole.

    Args:
        first_max: longest first clause, in characters; a single longer word is cut.
        rest_max: longest further clause.
        language: of the voice. What is written is turned into what is said for English only; in other languages marks
            and emoji are removed and numbers are left to the engine.

    Raises:
        TextError: there is nothing in the text that could be spoken; raised when the first clause is asked for.
    """
    longest, spoken = first_max, False
    for block in _blocks(text):
        for sentence in _sentences(normalise(block, english=language.startswith("en"))):
            rest = sentence
            while rest:
                clause, rest = _cut(rest, longest)
                if any(character.isalnum() for character in clause):
                    yield clause
                    longest, spoken = rest_max, True
    if not spoken:
        raise TextError(
            "there is nothing in it that could be spoken",
            place=f"text '{text[:40]}'" if text.strip() else "empty text",
            remedy="give it words or numbers",
        )


def _blocks(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        if len(text) - at <= BLOCK:
            yield text[at:]
            return
        end = next((found.end() for found in _BLOCK_END.finditer(text, at + BLOCK // 2, at + 2 * BLOCK)), 0)
        if not end:
            space = text.rfind(" ", at + BLOCK, at + 2 * BLOCK)
            end = space + 1 or at + 2 * BLOCK
        yield text[at:end]
        at = end


def _sentences(text: str) -> Iterator[str]:
    at = 0
    for found in _SENTENCE_END.finditer(text):
        yield text[at : found.end()].strip()
        at = found.end()
    yield text[at:].strip()


def _cut(sentence: str, longest: int) -> tuple[str, str]:
    """The first clause of a sentence, and the rest of it."""
    if len(sentence) <= longest:
        return sentence, ""
    for pattern in (_BREAK, _JOINT):
        ends = [found.end() for found in pattern.finditer(sentence, SHORTEST - 1, longest + 1)]
        if ends:
            return _comma(sentence[: ends[-1]].strip()), sentence[ends[-1] :].strip()
    space = sentence.rfind(" ", 1, longest + 1)
    end = space if space > 0 else longest
    return _comma(sentence[:end].strip()), sentence[end:].strip()


def _comma(clause: str) -> str:
    """So that the voice stays up where the sentence goes on."""
    return clause if clause[-1:] in ",;:—" else f"{clause},"
