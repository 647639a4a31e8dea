"""How a recogniser may write the words of a grammar: upper or lower case, digits or words, units in full or short.

English, as Whisper writes it. The words are those of ``edgevoice.think.words``: lower case, numbers spelt out.
"""

from collections.abc import Iterator, Sequence

from edgevoice.automaton import Net
from edgevoice.think import words as numbers

MARKS = (",", "-", ":", ".")
"""What may stand between two words: "12-ounce", "7:30"; a space follows the comma and the full stop."""

FINAL_MARKS = (".", "?", "!")

_MAX_RUNS = 12_000
"""Numbers of one place in a grammar that are also known in digits, so that a range 0..10000 is."""

_SHORT = {
    "ounce": ("oz",),
    "ounces": ("oz",),
    "pound": ("lb",),
    "pounds": ("lb", "lbs"),
    "kilogram": ("kg",),
    "kilograms": ("kg",),
    "milliliter": ("ml",),
    "milliliters": ("ml",),
    "centimeters": ("cm",),
    "millimeters": ("mm",),
    "kilometers": ("km",),
    "feet": ("ft",),
    "teaspoon": ("tsp",),
    "teaspoons": ("tsp",),
    "tablespoon": ("tbsp",),
    "tablespoons": ("tbsp",),
    "percent": ("%",),
    "degrees": ("°",),
    "okay": ("OK",),
    "and": ("&",),
    "a.m": ("am",),
}
_ATTACHED = {"percent": ("%",), "degrees": ("°",), "ounce": ("oz",), "ounces": ("oz",), "am": ("am",), "pm": ("pm",)}
"""What follows a number without a space."""

_ALWAYS_CAPITAL = ("i", "i'd", "i'm", "i'll", "i've")
_VOWELS = set("aeiouy")


def forms(word: str) -> Iterator[str]:
    """The ways in which one word is written, as it stands behind a space or a hyphen."""
    capital = word[:1].upper() + word[1:]
    if word not in _ALWAYS_CAPITAL:
        yield word
    if capital != word:
        yield capital
    if 1 < len(word) <= 4 and word.isalpha() and not _VOWELS & set(word):
        yield word.upper()  # "TV"
    yield from _SHORT.get(word, ())
    for number, name in ((1, "first"), (2, "second"), (3, "third")):
        if word == name:
            yield f"{number}{['st', 'nd', 'rd'][number - 1]}"


def attached(word: str) -> Sequence[str]:
    """The ways in which a word is written right behind the digits before it."""
    return _ATTACHED.get(word, ())


def digits(net: Net, state: int) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """The numbers that a net spells out from a state on: in digits, in words, and the state behind them."""
    pending: list[tuple[int, tuple[str, ...]]] = [(state, ())]
    found = 0
    while pending and found < _MAX_RUNS:
        at, run = pending.pop()
        for word, targets in net.words[at].items():
            if not (numbers.is_number_word(word) or word in ("point", "and", "oh", "o") or (word == "a" and not run)):
                continue
            longer = (*run, word)
            for to in targets:
                pending.append((to, longer))
                written = _written(longer)
                if written is not None:
                    found += 1
                    yield written, longer, to


def _written(run: Sequence[str]) -> str | None:
    if run[-1] in ("point", "and", "a", "oh", "o"):
        return None
    if len(run) == 2 and run[0] in ("oh", "o"):
        value = numbers.parse_number(run[1:])
        return f"0{value}" if isinstance(value, int) and value < 10 else None
    value = numbers.parse_number(run)
    return None if value is None else str(value)
