"""Whether a phrase can be a wake word, and whether it makes a good one."""

from edgevoice.errors import TextError
from edgevoice.evaluate.wake import spoken
from edgevoice.think.sounds import pronounce

PLACE = "the wake phrase"
WORDS = 5
LONGEST = 20
"""Sounds of a phrase. A window is 2 s, and slow speech has 11 sounds a second."""
SHORT = 5
"""Sounds; with fewer, every second sentence has something alike. "alexa" has six."""
VOWELS = frozenset("aAEeIiYoOUuVWR")
_TALK = """
    a about all and are at be but can come do for from get give go good have he hello help her here him his home
    how i if in is it just know like little look make man me more my no not now of off on one only or our out over
    people please right say see she so some stop take tell thank thanks that the them then there they thing think
    this time to two up us very want was water way we well were what when where which who will with work would yes
    you your
    """
COMMON = frozenset(_TALK.split())
"""Words that talk is full of."""


def parse(text: str) -> list[str]:
    """The phrase's words in lower case.

    Raises:
        TextError: it cannot be a wake word.
    """
    words = spoken(text.replace("'", "")).split()
    if not words:
        raise TextError("it is empty", place=PLACE, remedy='type what shall be said, as in "hey computer"')
    if strange := [word for word in words if not word.isascii() or not word.isalpha()]:
        raise TextError(
            f"'{strange[0]:.40}' is not written in English letters alone",
            place=PLACE,
            remedy="write the phrase as an English reader would say it, numbers as words",
        )
    sounds = [pronounce(word) for word in words]
    if len(words) > WORDS or sum(map(len, sounds)) > LONGEST:
        raise TextError(
            f"it has {len(words)} words and {sum(map(len, sounds))} sounds, which takes longer to say than the "
            "2 s that are listened to at a time",
            place=PLACE,
            remedy=f"take at most {WORDS} words and {LONGEST} sounds; two or three words are best",
        )
    for word, heard in zip(words, sounds, strict=True):
        if not VOWELS & set(heard):
            raise TextError(
                f"'{word}' cannot be pronounced: it has no vowel",
                place=PLACE,
                remedy="write it as it is said, for example 'tee vee' for 'tv'",
            )
    return words


def doubts(words: list[str]) -> list[str]:
    """Why the phrase may make a bad wake word, to be told before anything is trained."""
    sounds = "".join(map(pronounce, words))
    vowels = sum(sound in VOWELS for sound in sounds)
    found = []
    if len(sounds) < SHORT or vowels < 2:
        found.append(
            f"'{' '.join(words)}' is short: {len(sounds)} sounds, {vowels} of them vowels; much that is said sounds "
            "like it. Three syllables or more are best, for example with 'hey' before it"
        )
    if all(word in COMMON for word in words):
        found.append(
            f"'{' '.join(words)}' is made of words that are said all the time, and will wake in the middle of talk; a "
            "rare word or a name is better"
        )
    return found
