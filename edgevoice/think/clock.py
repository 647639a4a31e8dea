"""Durations and times of day in words -> values: "an hour and a half" -> 5400, "quarter to nine pm" -> "20:45".

The words are those of ``edgevoice.words``. What may be said at all stands in ``edgevoice.think.clocknets``.
"""

from collections.abc import Sequence
from fractions import Fraction

from edgevoice.automaton import Typed
from edgevoice.words import parse_number

UNITS = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
"""Seconds, the largest first."""

_SECONDS = {name: seconds for unit, seconds in UNITS.items() for name in (unit, f"{unit}s")}
_IMPLIED = {3_600: 60, 60: 1}
"""What a number alone counts behind hours and minutes: "one hour twenty"."""
_PARTS = {
    ("half",): Fraction(1, 2),
    ("quarter",): Fraction(1, 4),
    ("three", "quarter"): Fraction(3, 4),
    ("three", "quarters"): Fraction(3, 4),
}
_COUPLE = (("couple",), ("a", "couple"))

BEFORE = ("to", "before", "till")
AFTER = ("past", "after")
NOON, MIDNIGHT = ("noon", "midday"), ("midnight",)

HALVES_OF_DAY: dict[tuple[str, ...], int] = {
    ("am",): 720,
    ("a", "m"): 720,
    ("in", "the", "morning"): 720,
    ("pm",): 0,
    ("p", "m"): 0,
    ("in", "the", "afternoon"): 0,
    ("in", "the", "evening"): 60,
    ("at", "night"): 300,
}
"""What is said behind a time, and from which minute of a dial on (0: twelve o'clock) it means the second half of the
day. Twelve in the evening and four at night are after midnight, five at night is not."""


def value(typed: Typed, words: Sequence[str]) -> int | str:
    """What a slot of that type gets: seconds, or "HH:MM".

    Raises:
        ValueError: the words are none that its net has.
    """
    found = duration(words) if typed is Typed.DURATION else time_of_day(words)
    if found is None:
        raise ValueError(f"no {typed.value}: {' '.join(words)}")
    return found


def duration(words: Sequence[str]) -> int | None:
    """Seconds; None where the words are no duration of whole seconds."""
    total, unit = Fraction(0), 0
    amount: list[str] = []
    for word in words:
        if word not in _SECONDS:
            amount.append(word)
            continue
        number = _amount(amount)
        if number is None:
            return None
        unit, amount = _SECONDS[word], []
        total += number * unit
    if amount:  # behind the last unit: "and a half", "thirty"
        rest = _without(amount, "and")
        part, number = _part(rest), _amount(rest)
        if part is not None:
            total += part * unit
        elif number is not None and unit in _IMPLIED:
            total += number * _IMPLIED[unit]
        else:
            return None
    return int(total) if unit and total.denominator == 1 else None


def _amount(words: Sequence[str]) -> Fraction | None:
    words = _without(words, "and")
    while len(words) > 1 and words[-1] in ("of", "a", "an"):
        words = words[:-1]
    if tuple(words) in (("a",), ("an",)):
        return Fraction(1)
    if tuple(words) in _COUPLE:
        return Fraction(2)
    part = _part(words)
    if part is not None:
        return part
    for at in range(1, len(words)):
        number, part = parse_number(words[:at]), _part(words[at + 1 :])
        if words[at] == "and" and isinstance(number, int) and part is not None:
            return number + part
    number = parse_number(words)
    return None if number is None else Fraction(str(number))


def _part(words: Sequence[str]) -> Fraction | None:
    return _PARTS.get(tuple(words[1:] if words and words[0] in ("a", "one") else words))


def _without(words: Sequence[str], first: str) -> Sequence[str]:
    return words[1:] if words and words[0] == first else words


def time_of_day(words: Sequence[str]) -> str | None:
    """ "HH:MM"; None where the words are no time. Without "pm" and the like it is the time as it was said."""
    half: int | None = None
    said = tuple(words)
    for ending, meaning in HALVES_OF_DAY.items():
        if said[-len(ending) :] == ending:
            said, half = said[: -len(ending)], meaning
            break
    minutes = _minutes(tuple(word for word in said if word != "o'clock"))
    if minutes is None:
        return None
    if half is not None and minutes < 13 * 60:  # "nineteen thirty pm" is what it is
        minutes %= 720
        minutes += 720 if minutes >= half else 0
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _minutes(words: tuple[str, ...]) -> int | None:
    """Since midnight."""
    for at, word in enumerate(words):
        if word in BEFORE or word in AFTER:
            offset, hour = _offset(words[:at]), _minutes(words[at + 1 :])
            if offset is None or hour is None:
                return None
            if word in AFTER:
                return (hour + offset) % 1440
            if hour == 60:  # "quarter to one" is a quarter to thirteen, for there is no hour zero on a dial
                hour += 720
            return (hour - offset) % 1440
    if words and words[-1] in (*NOON, *MIDNIGHT):
        return 720 if words[-1] in NOON else 0
    for at in range(len(words), 0, -1):
        number, minute = parse_number(words[:at]), _past(words[at:])
        if isinstance(number, int) and 0 <= number < 24 and minute is not None:
            return number * 60 + minute
    return None


def _offset(words: tuple[str, ...]) -> int | None:
    if words[-1:] in (("minute",), ("minutes",)):
        words = words[:-1]
    part = _part(words)
    found = part * 60 if part is not None else parse_number(words)
    return int(found) if found is not None and 0 < found < 60 else None


def _past(words: tuple[str, ...]) -> int | None:
    """The minutes behind an hour: "thirty", "oh five"."""
    if not words:
        return 0
    short = words[0] in ("oh", "o", "zero")
    found = parse_number(words[1:] if short else words)
    if not isinstance(found, int):
        return None
    return found if (0 < found < 10 if short else 10 <= found < 60) else None
