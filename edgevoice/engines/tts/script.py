"""Whether a text is in a script that a voice can read."""

import unicodedata

from edgevoice.errors import TextError

NOT_LATIN = frozenset(
    [
        "am",
        "ar",
        "be",
        "bg",
        "bn",
        "cmn",
        "el",
        "fa",
        "gu",
        "he",
        "hi",
        "hy",
        "ja",
        "ka",
        "kk",
        "kn",
        "ko",
        "ky",
        "mk",
        "ml",
        "mn",
        "mr",
        "my",
        "ne",
        "pa",
        "ru",
        "sd",
        "si",
        "sr",
        "ta",
        "te",
        "th",
        "uk",
        "ur",
        "yue",
        "zh",
    ]
)
"""Languages, as espeak-ng calls them, that are not written in Latin letters."""


def check_latin(text: str, voice: str) -> None:
    """See that a text for a voice of a Latin language is mostly Latin; a foreign name within it may be.

    The engines leave out letters they do not know or name them one by one, which nobody would understand.

    Raises:
        TextError: more than half of its letters are of another script.
    """
    letters = [character for character in text if character.isalpha() and not character.isascii()]
    foreign = [letter for letter in letters if not unicodedata.name(letter, "").startswith("LATIN")]
    if 2 * len(foreign) > sum(map(str.isalpha, text)):
        script = unicodedata.name(foreign[0], "unknown").split()[0].lower()
        raise TextError(
            f"'{text:.40}' is in {script} letters, which this voice does not read",
            place=f"voice {voice}",
            remedy="use a voice of the text's language",
        )
