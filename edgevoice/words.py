"""Recognised text -> words, and numbers <-> words.

Everything that is compared is first brought to one form: words in lower case, without punctuation, numbers spelt out.
Templates, list values and what was recognised go through the same function, so "8-ounce", "eight ounce" and
"Eight ounce." are one thing.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_SMALL = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_FRACTIONS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 8: "eighth", 10: "tenth"}
_CURRENCIES = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny")}
_UNITS = {
    "oz": "ounce",
    "lb": "pound",
    "lbs": "pound",
    "kg": "kilogram",
    "ml": "milliliter",
    "cm": "centimeter",
    "mm": "millimeter",
    "km": "kilometer",
    "ft": "foot",
    "tsp": "teaspoon",
    "tbsp": "tablespoon",
    "sec": "second",
    "secs": "second",
    "min": "minute",
    "mins": "minute",
    "hr": "hour",
    "hrs": "hour",
}
_IRREGULAR_PLURALS = {"foot": "feet", "penny": "pence", "half": "halves"}

LARGEST = 10**9 - 1
"""The largest number that is read as one; longer strings of digits are telephone numbers and the like, and are read
digit by digit."""

_UNIT_ADJECTIVE = re.compile(rf"(?<=[0-9])-({'|'.join(_UNITS)})\b\.?")
_INITIALS = re.compile(r"(?<![a-z])[a-z](?:\.[a-z])+(?:\.|(?![a-z]))")
_GROUPED = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])")
_MONEY = re.compile(r"([$€£]) ?([0-9]+)(?:\.([0-9]+))?( (?:thousand|million|billion)\b)?")
_CLOCK = re.compile(r"(?<![0-9:])([01]?[0-9]|2[0-3]):([0-5][0-9])(?![0-9:])")
_NTH = re.compile(r"(?<![0-9])([0-9]+)(?:st|nd|rd|th)(?![a-z])")
_FRACTION = re.compile(r"(?:(?<![0-9/])([0-9]+) +)?(?<![0-9/])([0-9]+)/([0-9]+)(?![0-9/])")
_MINUS = re.compile(r"(?<![^\s(])-(?=[0-9])")
_POINT = re.compile(r"(?<![0-9])([0-9]*)\.([0-9]+)(?![0-9])")
_DIGITS = re.compile(r"[0-9]+")
_ASCII_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
_VULGAR = re.compile("[¼½¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘⅒]")
_SYMBOLS = {"%": "percent", "&": "and", "+": "plus", "@": "at", "°c": "degrees celsius", "°f": "degrees fahrenheit"}
_SYMBOL = re.compile(r"°[cf](?![a-z])|[%&+@]")
_APOSTROPHES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u02bc": "'", "`": "'", "\u2044": "/", "\u2212": "-"})


def cardinal(number: int) -> str:
    """105 -> "one hundred five"; -3 -> "minus three". Above ``LARGEST`` digit by digit."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number > LARGEST:
        return " ".join(_SMALL[int(digit)] for digit in str(number))
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return f"{_TENS[tens]} {_SMALL[ones]}" if ones else _TENS[tens]
    if number < 1000:
        head, rest = divmod(number, 100)
        text = f"{_SMALL[head]} hundred"
    else:
        scale, name = next(item for item in _SCALES if number >= item[0])
        head, rest = divmod(number, scale)
        text = f"{cardinal(head)} {name}"
    return f"{text} {cardinal(rest)}" if rest else text


def ordinal(number: int) -> str:
    """21 -> "twenty first"."""
    *head, last = cardinal(number).split()
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = f"{last[:-1]}ieth"
    else:
        last += "th"
    return " ".join([*head, last])


def spellings(number: int) -> list[tuple[str, ...]]:
    """All the ways in which a whole number is said, the usual one first: "one hundred five", "one hundred and five",
    "a hundred and five"; for negative ones "minus three", "negative three"."""
    if number < 0:
        return [(sign, *words) for sign in ("minus", "negative") for words in spellings(-number)]
    plain = tuple(cardinal(number).split())
    ways = [plain]
    large = [at for at, word in enumerate(plain[:-1]) if word in _MULTIPLIERS]
    if large and plain[-1] not in _MULTIPLIERS:
        ways.append((*plain[: large[-1] + 1], "and", *plain[large[-1] + 1 :]))
    if plain[:2] in (("one", "hundred"), ("one", "thousand")):
        ways += [("a", *way[1:]) for way in ways]
    return ways


_ONES = {word: value for value, word in enumerate(_SMALL)}
_VALUES = {**_ONES, **{word: value * 10 for value, word in enumerate(_TENS) if value > 1}}
_MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}


def parse_number(words: Sequence[str]) -> int | float | None:
    """The value of words that are a number and nothing else, as ``cardinal`` and ``normalise`` write them ("one hundred
    and five", "minus two", "two point five", "a hundred"); None when they are not."""
    if words and words[0] in ("minus", "negative"):
        value = parse_number(words[1:])
        return None if value is None or words[1] in ("minus", "negative") else -value
    if "point" in words:
        at = list(words).index("point")
        whole, digits = parse_number(words[:at]), [_ONES.get(word, 10) for word in words[at + 1 :]]
        if whole is None or not digits or max(digits) > 9:
            return None
        return float(f"{whole}.{''.join(map(str, digits))}")
    return _parse_whole(words)


def _parse_whole(words: Sequence[str]) -> int | None:
    total = group = 0
    room = 10**12  # the next group must be smaller than this
    last = ""  # what came before: "", ones, tens, hundred, scale, and
    for at, word in enumerate(words):
        if word == "and" and last in ("hundred", "scale") and at + 1 < len(words):
            last = "and"
        elif word in _VALUES or (word == "a" and at == 0 and len(words) > 1 and words[1] in _MULTIPLIERS):
            value = _VALUES.get(word, 1)
            fits = last in ("", "hundred", "scale", "and") or (last == "tens" and 0 < value < 10)
            if not fits or (value == 0 and len(words) > 1):
                return None
            group += value
            last = "tens" if value >= 20 else "ones"
        elif word == "hundred" and last in ("ones", "tens") and 0 < group < 100:
            group, last = group * 100, "hundred"
        elif (
            word in _MULTIPLIERS
            and word != "hundred"
            and 0 < group < 1000
            and _MULTIPLIERS[word] < room
            and last != "and"
        ):
            room = _MULTIPLIERS[word]
            total, group, last = total + group * room, 0, "scale"
        else:
            return None
    return total + group if last else None


def is_number_word(word: str) -> bool:
    return word in _VALUES or word in _MULTIPLIERS


def unit(word: str, *, one: bool) -> str | None:
    """The full name of an abbreviated unit ("oz" -> "ounces", or "ounce" for one), None when it is none."""
    name = _UNITS.get(word)
    return name if name is None or one else _plural(name)


def normalise(text: str) -> tuple[str, ...]:
    """The words of a text: lower case, no punctuation, no digits. Words that come out go in unchanged."""
    text = _fold(text)
    if not text.isascii() or _NEEDS_REWRITING.search(text):
        text = _rewrite(text)
    words = _ASCII_WORD.findall(text) if text.isascii() else _split(text)
    for at in range(1, len(words)):
        if words[at] in _UNITS and is_number_word(words[at - 1]):
            one = words[at - 1] == "one" and (at == 1 or not is_number_word(words[at - 2]))
            words[at] = unit(words[at], one=one) or words[at]
    return tuple(words)


@lru_cache(maxsize=16_384)
def name_words(text: str) -> tuple[str, ...]:
    """``normalise`` for a value of a list. Kept, for a list is often replaced by almost the same one."""
    return normalise(text)


_NEEDS_REWRITING = re.compile(r"[0-9.%&+@]")


def _fold(text: str) -> str:
    if text.isascii():
        return text.replace("`", "'").lower()
    text = _VULGAR.sub(lambda found: f" {found[0]} ", text)
    for _ in range(3):  # lower case can undo the normal form and the other way round; three rounds settle it
        text = unicodedata.normalize("NFKC", text).lower().translate(_APOSTROPHES)
    return text


def _rewrite(text: str) -> str:
    text = _INITIALS.sub(lambda found: found[0].replace(".", "") + " ", text)
    text = _SYMBOL.sub(lambda found: f" {_SYMBOLS[found[0]]} ", text).replace("°", " degrees ")
    text = _UNIT_ADJECTIVE.sub(lambda found: f" {_UNITS[found[1]]} ", text)
    text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = _MONEY.sub(_money, text)
    text = _CLOCK.sub(_clock, text)
    text = _NTH.sub(lambda found: f" {ordinal(int(found[1])) if _readable(found[1]) else _digits(found[1])} ", text)
    text = _FRACTION.sub(_fraction, text)
    text = _MINUS.sub(" minus ", text)
    text = _POINT.sub(lambda found: f" {_whole(found[1] or '0')} point {_digits(found[2])} ", text)
    return _DIGITS.sub(lambda found: f" {_whole(found[0])} ", text)


def _split(text: str) -> list[str]:
    """Words of any script: letters, marks and numbers, and apostrophes between them."""
    kept = []
    for char in text:
        kind = unicodedata.category(char)
        if kind[0] in "LMN" or char == "'":
            kept.append(char)
        elif kind != "Cf":  # joiners and marks of direction are no place to break a word
            kept.append(" ")
    return [word for piece in "".join(kept).split() for word in re.findall(r"[^']+(?:'[^']+)*", piece)]


def _readable(digits: str) -> bool:
    return len(digits) < 10 and (len(digits) == 1 or digits[0] != "0")


def _digits(digits: str) -> str:
    return " ".join(_SMALL[int(digit)] for digit in digits)


def _whole(digits: str) -> str:
    return cardinal(int(digits)) if _readable(digits) else _digits(digits)


def _plural(word: str) -> str:
    return _IRREGULAR_PLURALS.get(word, f"{word}s")


def _money(found: re.Match[str]) -> str:
    major, minor = _CURRENCIES[found[1]]
    whole, part, scale = found[2], found[3], found[4] or ""
    if scale or (part is not None and len(part) != 2):
        return f" {_whole(whole)} {f'point {_digits(part)}' if part else ''} {scale} {_plural(major)} "
    text = f" {_whole(whole)} {major if whole == '1' else _plural(major)} "
    if part and part != "00":
        cents = int(part)
        text += f"and {cardinal(cents)} {minor if cents == 1 else _plural(minor)} "
    return text


def _clock(found: re.Match[str]) -> str:
    hour, minute = int(found[1]), int(found[2])
    if minute == 0:
        return f" {cardinal(hour)} "
    return f" {cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)} "


def _fraction(found: re.Match[str]) -> str:
    whole, top, bottom = found[1], found[2], found[3]
    name = _FRACTIONS.get(int(bottom)) if len(bottom) < 3 else None
    if name is None or not _readable(top) or top == "0":
        return f" {_whole(whole) if whole else ''} {_whole(top)} {_whole(bottom)} "
    if whole:
        part = f"a {name}" if top == "1" else f"{_whole(top)} {_plural(name)}"
        return f" {_whole(whole)} and {part} "
    return f" {_whole(top)} {name if top == '1' else _plural(name)} "
