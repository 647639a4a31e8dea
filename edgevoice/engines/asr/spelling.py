"""How a recogniser may write the words of a grammar: upper or lower case, digits or words, units in full or short.

English, as Whisper writes it. The words are those of ``edgevoice.words``: lower case, numbers spelt out.
"""

import unicodedata
from collections.abc import Iterator, Sequence

from edgevoice import words as numbers
from edgevoice.automaton import Jump, Kind, Net

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
    "am": ("a.m", "a.m.", "A.M", "A.M."),
    "pm": ("p.m", "p.m.", "P.M", "P.M."),
    "second": ("sec",),
    "seconds": ("sec", "secs"),
    "minute": ("min",),
    "minutes": ("min", "mins"),
    "hour": ("hr",),
    "hours": ("hr", "hrs"),
}
_ATTACHED = {
    "percent": ("%",),
    "degrees": ("°",),
    "ounce": ("oz",),
    "ounces": ("oz",),
    "am": ("am", "AM"),
    "pm": ("pm", "PM"),
}
"""What follows a number without a space."""

_FRACTIONS = {
    ("half",): "1/2",
    ("a", "half"): "1/2",
    ("one", "half"): "1/2",
    ("one", "quarter"): "1/4",
    ("three", "quarters"): "3/4",
}
"""Also behind "and"."""

_IN_NUMBERS = ("point", "and", "oh", "o", "half", "quarter", "quarters")

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


def is_latin(word: str) -> bool:
    """Whether its letters are those of English, accents aside: a model of English alone writes no others."""
    return all(unicodedata.name(char, "").startswith("LATIN ") for char in word if char.isalpha())


def attached(word: str) -> Sequence[str]:
    """The ways in which a word is written right behind the digits before it."""
    return _ATTACHED.get(word, ())


def digits(net: Net, state: int) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """The numbers that a net spells out from a state on: in digits, in words, and the state behind them."""
    pending: list[tuple[int, tuple[str, ...]]] = [(state, ())]
    found = 0
    while pending and found < _MAX_RUNS:
        at, run = pending.pop()
        if run:
            pending += [(arc.to, run) for arc in net.arcs[at] if isinstance(arc, Jump)]
        for word, targets in net.words[at].items():
            first = run in ((), ("and",))
            if not (numbers.is_number_word(word) or word in _IN_NUMBERS or (word == "a" and first)):
                continue
            longer = (*run, word)
            for to in targets:
                pending.append((to, longer))
                for written in _written(longer, hour=net.kind is Kind.TIME):
                    found += 1
                    yield written, longer, to


def _written(run: Sequence[str], *, hour: bool) -> Iterator[str]:
    fraction = _FRACTIONS.get(tuple(run[1:] if run[0] == "and" else run))
    if fraction is not None:
        yield fraction
    if run[-1] in _IN_NUMBERS or run[-1] == "a":
        return
    if len(run) == 2 and run[0] in ("oh", "o"):
        value = numbers.parse_number(run[1:])
        if isinstance(value, int) and value < 10:
            yield f"0{value}"
        return
    value = numbers.parse_number(run)
    if value is not None:
        yield str(value)
        if hour and isinstance(value, int):
            yield from (f"{value}:00", f"{value:02}", f"{value:02}:00")
