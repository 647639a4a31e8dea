"""English text as word error rates are counted on it.

Own rules, in the spirit of those that Whisper's authors describe (Radford et al., 2022, appendix C): lower case; what
stands in brackets goes; hyphens and dashes part words; marks go; contractions and titles are written out; British
spellings of a few endings become American; numbers become words.
"""

import re
import unicodedata
from collections.abc import Callable

from edgevoice.words import cardinal, ordinal

_CONTRACTIONS = (
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b", "can not"),
    (r"\bcannot\b", "can not"),
    (r"\blet's\b", "let us"),
    (r"n't\b", " not"),
    (r"'re\b", " are"),
    (r"'ll\b", " will"),
    (r"'ve\b", " have"),
    (r"'m\b", " am"),
    (r"\b(it|he|she|that|what|there|here|who)'s\b", r"\1 is"),
    (r"\b(i|you|he|she|it|we|they)'d\b", r"\1 would"),
    (r"\bmr\b\.?", "mister"),
    (r"\bmrs\b\.?", "missus"),
    (r"\bdr\b\.?", "doctor"),
    (r"\boz\b\.?", "ounce"),
    (r"\bok\b", "okay"),
)
_SPELLINGS = (
    (r"isation\b", "ization"),
    (r"(\w{3})ise(d|s|r)?\b", r"\1ize\2"),
    (r"\b(col|fav|hon|hum|lab|neighb|harb)our", r"\1or"),
    (r"\b(trave|cance|counse|mode|labe)ll(ed|ing|er)", r"\1l\2"),
    (r"\bgrey\b", "gray"),
    (r"\b(cent|theat)re\b", r"\1er"),
)


def normalise(text: str) -> str:
    """The words of an English text, one space between them."""
    text = unicodedata.normalize("NFKD", text.lower())
    text = "".join(character for character in text if not unicodedata.combining(character))
    text = re.sub(r"[\u2018\u2019]", "'", text)
    text = re.sub(r"\[[^\]]*\]|\([^)]*\)", " ", text)
    for pattern, written in _CONTRACTIONS:
        text = re.sub(pattern, written, text)
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = text.replace("%", " percent ").replace("&", " and ")
    text = re.sub(r"(\d+)(st|nd|rd|th)\b", lambda number: f" {ordinal(int(number[1]))} ", text)
    text = re.sub(r"(?<=\d)\.(?=\d)", " point ", text)
    text = re.sub(r"\d+", lambda number: f" {cardinal(int(number[0]))} ", text)
    text = text.replace("'", "")
    text = re.sub(r"[^a-z]+", " ", text)
    for pattern, written in _SPELLINGS:
        text = re.sub(pattern, written, text)
    return text.strip()


def plain(text: str) -> str:
    """Of a text in any language: lower case, letters, marks of letters and digits only, one space between words."""
    text = unicodedata.normalize("NFKC", text).lower()
    kept = (character if unicodedata.category(character)[0] in "LMN" else " " for character in text)
    return " ".join("".join(kept).split())


RULES: dict[str, Callable[[str], str]] = {"english": normalise, "plain": plain, "none": lambda text: text}
"""What can be done to texts before they are compared, by name."""


def mistakes(text: str, rule: str) -> list[str]:
    """What is wrong with a text of a manifest: nothing is left of it to be compared."""
    return [] if RULES[rule](text) else [f"nothing is left of the text {text!r} by the rule '{rule}'"]
