"""A written English text as it is read aloud, for what the engines' own readings get wrong.

hibari and espeak-ng (Piper) both read integers, decimals, ordinals, percentages and acronyms well; those are left to
them. What one of them misreads (units, times, dates, amounts of money, addresses, ranges, abbreviations) is written out
here. Emoji, pictograms and control characters are dropped, not named: a reply that ends in a smile should not end in
"smiling face with open mouth".
"""

import re
import unicodedata
from collections.abc import Callable

from edgevoice.english import MONTHS, nth

NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"

UNITS = {
    "km/h": "kilometer per hour",
    "kph": "kilometer per hour",
    "mph": "mile per hour",
    "m/s": "meter per second",
    "km": "kilometer",
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "km²": "square kilometer",
    "m²": "square meter",
    "m³": "cubic meter",
    "kg": "kilogram",
    "g": "gram",
    "mg": "milligram",
    "µg": "microgram",
    "l": "liter",
    "L": "liter",
    "ml": "milliliter",
    "mL": "milliliter",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "ft": "foot",
    "mi": "mile",
    "yd": "yard",
    "h": "hour",
    "hr": "hour",
    "hrs": "hour",
    "min": "minute",
    "mins": "minute",
    "s": "second",
    "sec": "second",
    "secs": "second",
    "ms": "millisecond",
    "V": "volt",
    "W": "watt",
    "kW": "kilowatt",
    "MW": "megawatt",
    "Wh": "watt hour",
    "kWh": "kilowatt hour",
    "mA": "milliampere",
    "mAh": "milliampere hour",
    "Hz": "hertz",
    "kHz": "kilohertz",
    "MHz": "megahertz",
    "GHz": "gigahertz",
    "Pa": "pascal",
    "hPa": "hectopascal",
    "mbar": "millibar",
    "lx": "lux",
    "dB": "decibel",
    "kB": "kilobyte",
    "KB": "kilobyte",
    "MB": "megabyte",
    "GB": "gigabyte",
    "TB": "terabyte",
    "Mbps": "megabit per second",
    "Gbps": "gigabit per second",
    "Mbit/s": "megabit per second",
    "ppm": "part per million",
}
"""Singular. Not here: in (a word), A (an article), t and K and C (letters that number things)."""

ONLY_SPACED = frozenset({"s", "m", "h", "g", "l", "L", "V", "W"})
"""Units that stand for themselves after a space only: 1990s, 5G and 3m are other things."""
UNCHANGED = frozenset({"hertz", "kilohertz", "megahertz", "gigahertz", "lux"})

CURRENCIES = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yen", "")}
PLURALS = {"foot": "feet", "penny": "pence", "yen": "yen"}

ABBREVIATIONS = {
    "e.g.": "for example",
    "i.e.": "that is",
    "etc.": "et cetera",
    "vs.": "versus",
    "approx.": "approximately",
    "Mr.": "Mister",
    "Mrs.": "Misses",
    "Ms.": "Miz",
    "Dr.": "Doctor",
    "Prof.": "Professor",
    "St.": "Saint",
    "Mon.": "Monday",
    "Tue.": "Tuesday",
    "Wed.": "Wednesday",
    "Thu.": "Thursday",
    "Fri.": "Friday",
    **{f"{month[:3]}.": month for month in MONTHS if month != "May"},
    "Sept.": "September",
}

SYMBOLS = {
    "=": "equals",
    "≈": "about",
    "~": "about",
    "≤": "at most",
    "≥": "at least",
    "<": "less than",
    ">": "more than",
    "\u00d7": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "→": "to",
    "§": "section",
    "²": "squared",
    "³": "cubed",
    "½": "one half",
    "¼": "one quarter",
    "¾": "three quarters",
    "⅓": "one third",
    "⅔": "two thirds",
    "°": "degrees",
    "µ": "micro",
    "&": "and",
    "|": ",",
    "\\": " ",
    "^": " ",
    "_": " ",
    "*": " ",
    "`": " ",
    "{": " ",
    "}": " ",
    "[": " ",
    "]": " ",
}

_TYPOGRAPHY = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "«": '"',
        "»": '"',
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2212": "-",
        "―": "—",
        "μ": "µ",
        "℃": "°C",
        "℉": "°F",
        "№": "No. ",
        "™": " ",
        "®": " ",
        "©": " ",
    }
)

_KEPT_SYMBOLS = frozenset("°→") | frozenset("+=<>~^|$€£¥`≈≤≥\u00d7÷±")


def normalise(text: str, *, english: bool = True) -> str:
    """The text on one line, without what cannot be read, and with what is misread written out.

    Args:
        english: False leaves out all that would become English words.
    """
    text = _readable(_plain(text.translate(_TYPOGRAPHY)))
    for pattern, replacement in _RULES if english else ():
        text = pattern.sub(replacement, text)
    for symbol, word in SYMBOLS.items():
        if symbol in text and (english or word in (" ", ",")):
            text = text.replace(symbol, word if word in (" ", ",") else f" {word} ")
    text = re.sub(r"([!?.,;:])(?:\s*[!,;:?])+", r"\1", text)
    text = re.sub(r"\s+([,.;:!?])", r"\1", re.sub(r"\s+", " ", text))
    return re.sub(r"\s-+(?=\s|$)", " —", text).strip()


def _plain(text: str) -> str:
    """Markdown without its marks; the end of a line ends a sentence."""
    text = re.sub(r"^\s*(?:```|~~~).*$", "", text, flags=re.M)
    text = re.sub(r"!?\[([^\]\n]*)\]\([^)\s]*\)", r"\1", text)
    text = re.sub(r"^\s*(?:#{1,6}\s+|>\s*|[-*+•]\s+|[-*_=|: ]{3,}$)", "", text, flags=re.M)
    text = re.sub(r"(\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    text = re.sub(r"(?<![^\W_])([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?![^\W_])", r"\2", text)
    return re.sub(r"(?<=[^\s.!?:;,])[ \t]*\n+\s*(?=\S)", ". ", text)


def _readable(text: str) -> str:
    """Without emoji, pictograms, invisible and control characters."""

    def keep(character: str) -> str:
        if character in _KEPT_SYMBOLS:
            return character
        match unicodedata.category(character):
            case "Cc" | "Zl" | "Zp" | "So" | "Sm" | "Sk" | "Sc":
                return " "
            case "Cf" | "Cs" | "Co" | "Cn" | "Me":
                return ""
            case "Mn" if "\ufe00" <= character <= "\ufe0f":  # variation selectors
                return ""
            case _:
                return character

    return text if text.isascii() and text.isprintable() else "".join(map(keep, unicodedata.normalize("NFC", text)))


def _count(number: str, unit: str) -> str:
    """``5 kilometers per hour``, ``1 kilogram``."""
    if number.lstrip("-") == "1" or unit in UNCHANGED:
        return f"{number} {unit}"
    head, _, rest = unit.partition(" per ")
    plural = PLURALS.get(head, head if head.endswith("s") else f"{head}s")
    return f"{number} {plural} per {rest}" if rest else f"{number} {plural}"


def _unit(found: re.Match[str]) -> str:
    number, space, unit = found.groups()
    if unit in ONLY_SPACED and not space:
        return found.group()
    return _count(number, UNITS[unit])


def _degrees(found: re.Match[str]) -> str:
    number, scale = found.groups()
    return _count(number, "degree") + {"C": " Celsius", "F": " Fahrenheit"}.get(scale or "", "")


def _money(found: re.Match[str]) -> str:
    symbol, number, scale, behind = found.group("symbol", "number", "scale", "behind")
    symbol, number = symbol or behind, number or found.group("before")
    name, small = CURRENCIES[symbol]
    if scale:
        return f"{number} {scale} {PLURALS.get(name, name + 's')}"
    whole, _, cents = number.partition(".")
    if len(cents) != 2 or not small:
        return _count(number, name)
    said = _count(whole, name)
    if cents == "00":
        return said
    few = _count(str(int(cents)), small)
    return f"{said} and {few}" if whole != "0" else few


_HALF = r"(?P<half>[AaPp])(?:\.[Mm]\.|\.?[Mm]\b)"


def _half(found: re.Match[str]) -> str:
    """`` PM``, and the full stop that the last one of "p.m." was as well."""
    ends = found.group().endswith(".") and re.match(r"\s*$|\s+[A-Z]", found.string[found.end() :])
    return f" {found['half'].upper()}M" + ("." if ends else "")


def _time(found: re.Match[str]) -> str:
    hour, minute, second, half = found.group(1, 2, 3, "half")
    if int(hour) > 24 or int(minute) > 59:
        return found.group()
    said = str(int(hour))
    if minute != "00":
        said += f" oh {int(minute)}" if minute[0] == "0" else f" {minute}"
    elif not half and not second:
        said += " o'clock"
    if second:
        said += f" and {_count(str(int(second)), 'second')}"
    return said + (_half(found) if half else "")


def _date(year: str, month: int, day: int, written: str) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return written
    return f"{MONTHS[month - 1]} {nth(day)}" + (f", {year}" if year else "")


def _slashed(found: re.Match[str]) -> str:
    """A fraction, a day of the year (month first) or two numbers."""
    first, second = int(found[1]), int(found[2])
    parts = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 8: "eighth", 10: "tenth"}
    if 0 < first < second and second in parts:
        return f"{first} {parts[second]}" + ("s" if first > 1 else "")
    if 1 <= first <= 12 and 12 < second <= 31:
        return _date("", first, second, found.group())
    return f"{first} {second}" if (first, second) == (24, 7) else f"{first} slash {second}"


def _host(found: re.Match[str]) -> str:
    """An address without its scheme, path and query: nobody wants to hear those."""
    return found[1].replace(".", " dot ").replace(":", " port ")


def _huge(found: re.Match[str]) -> str:
    """A number beyond what has a name everybody knows, digit by digit."""
    digits = found.group().replace(",", "")
    return " ".join(digits) + " " if len(digits) > 15 else found.group()


def _digits(found: re.Match[str]) -> str:
    return ", ".join(" ".join(group) for group in re.split(r"\D+", found.group()) if group)


def _alternatives(words: object) -> str:
    assert isinstance(words, dict)
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_Replacement = str | Callable[[re.Match[str]], str]

_RULES: list[tuple[re.Pattern[str], _Replacement]] = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<![\w.,])\d+(?:,\d{3})*(?![\d,])", _huge),
        (r"(?i:https?|ftp)://(?:www\.)?([\w.-]+(?::\d+)?)(?:/[^\s,;]*?)?(?=[.!?,;)]*(?:\s|$))", _host),
        (r"\bwww\.([\w-]+(?:\.[\w-]+)+)(?:/\S*?)?(?=[.!?,;)]*(?:\s|$))", _host),
        (r"\b([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)\b", lambda m: f"{m[1]} at {m[2]}".replace(".", " dot ")),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}\b", lambda m: m[0].replace(".", " dot ")),
        (r"(?<![\w.])\d+(?:\.\d+){2,}\b", lambda m: m[0].replace(".", " point ")),
        (r"\b(\d{4})-(\d\d)-(\d\d)(?:T(?=\d))?", lambda m: _date(m[1], int(m[2]), int(m[3]), m[0]) + " "),
        (r"(?<![\w/])(\d{1,2})/(\d{1,2})/(\d{4})\b", lambda m: _date(m[3], int(m[1]), int(m[2]), m[0])),
        (rf"\b(\d{{1,2}}):(\d\d)(?::(\d\d))?(?:\s?{_HALF}|\b)(?![\d:])", _time),
        (rf"\b(\d{{1,2}})\s?{_HALF}", lambda m: m[1] + _half(m)),
        (
            rf"(?<![\w.])(?:(?P<symbol>[$€£¥])\s?(?P<number>{NUMBER})(?:\s?(?P<scale>thousand|million|billion|trillion))?"
            rf"|(?P<before>{NUMBER})\s?(?P<behind>[$€£¥]))(?!\w)",
            _money,
        ),
        (rf"(?<![\w.])(-?{NUMBER})\s?°\s?([CF])?(?!\w)", _degrees),
        (rf"(?<![\w.])(-?{NUMBER})(\s?)({_alternatives(UNITS)})(?![\w/²³])", _unit),
        (r"(?<=\d)\s?%", " percent"),
        (rf"(?<![\w.])({_alternatives(ABBREVIATIONS)})(?=\W|$)", lambda m: ABBREVIATIONS[m[1]]),
        (r"\bNo\.\s?(?=\d)", "number "),
        (r"(?<!\w)#\s?(?=\d)", "number "),
        (r"#", " "),
        (r"(?i)\bco[2₂]\b", "C O 2"),
        (r"(?<![\w-])(?:\d{3}-)?\d{3}-\d{4}(?![\w-])", _digits),
        (r"(?<![\w./-])(\d{1,2})/(\d{1,2})(?![\w/])", _slashed),
        (rf"(?<![\w.-])({NUMBER})\s?-\s?({NUMBER})(?![\w-])", r"\1 to \2"),
        (rf"(?<![\w.])-(?={NUMBER})", "minus "),
        (r"(?<=\d)([½¼¾⅓⅔])", r" and \1"),
        (r"(?<=\d)\s?[x*]\s?(?=\d)", " times "),
        (r"(?<![\w.,:])0\d{2,}\b", _digits),
        (r"(?<=[^\W\d_])\.(?=[a-z]{2})", " dot "),
        (r"(?<=\b[A-Z])\.(?=[A-Z]\b)", " "),
        (r"[\"()]", " "),
        (r"\.{3,}", "…"),
    )
]
