"""Replies as they are read aloud, and their division into clauses."""

import itertools
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.errors import TextError
from edgevoice.speak.normalise import normalise
from edgevoice.speak.phrases import clauses


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("It is 21.5 °C, or 70°F.", "It is 21.5 degrees Celsius, or 70 degrees Fahrenheit."),
        ("-3 ℃ and 1 °", "minus 3 degrees Celsius and 1 degree"),
        ("It is 7:05 pm.", "It is 7 oh 5 PM."),
        ("At 7:00 p.m. The door opens.", "At 7 PM. The door opens."),
        ("At 7 p.m. the door opens at 10:30a.m., too.", "At 7 PM the door opens at 10 30 AM, too."),
        ("From 07:05 to 12:00 or 19:30", "From 7 oh 5 to 12 o'clock or 19 30"),
        ("Score 25:99", "Score 25:99"),
        ("2026-11-22 and 12/24/2026", "November 22nd, 2026 and December 24th, 2026"),
        ("2026-13-45", "2026-13-45"),
        ("12/24 but 1/2, 3/4, 9/8 and 24/7", "December 24th but 1 half, 3 quarters, 9 slash 8 and 24 7"),
        ("5 kg, 1 kg, 1.5 km/h, 6 ft", "5 kilograms, 1 kilogram, 1.5 kilometers per hour, 6 feet"),
        ("20min, 3 h, the 1990s, 5G", "20 minutes, 3 hours, the 1990s, 5G"),
        ("1013 hPa, 45 %, 500 ppm CO2", "1013 hectopascals, 45 percent, 500 parts per million C O 2"),
        ("$3.50, $0.99, €20, 5 €, £1.01", "3 dollars and 50 cents, 99 cents, 20 euros, 5 euros, 1 pound and 1 penny"),
        ("$1,000,000 or $2.5 million", "1,000,000 dollars or 2.5 million dollars"),
        ("1,000 and 3.5 and 1st", "1,000 and 3.5 and 1st"),
        ("5-10 minutes, 9\u201317", "5 to 10 minutes, 9 to 17"),
        ("Call 555-1234.", "Call 5 5 5, 1 2 3 4."),
        ("Code 0042", "Code 0 0 4 2"),
        ("1,000,000,000,000,000 and 1" + "0" * 14, "1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 and 1" + "0" * 14),
        ("See https://www.example.com/path?x=1.", "See example dot com."),
        ("Mail bob@example.org", "Mail bob at example dot org"),
        ("At 192.168.1.10, version 1.2.3", "At 192 dot 168 dot 1 dot 10, version 1 point 2 point 3"),
        ("Dr. Smith, e.g. Mr. Jones, etc.", "Doctor Smith, for example Mister Jones, et cetera"),
        ("Lights & blinds ~ 50%", "Lights and blinds about 50 percent"),
        ("2 x 3 = 6", "2 times 3 equals 6"),
        ("NASA and USB", "NASA and USB"),
        ("Done \U0001f44d\U0001f3fd ✅ \x07\u200bgood\u202e", "Done good"),
        ("**Bold**, *soft*, `code` and [a link](http://x.y/z)", "Bold, soft, code and a link"),
        ("# Lights\n- kitchen\n- hall\n\n```\nx\n```", "Lights. kitchen. hall. x"),
        ("Wait...what?!", "Wait…what?"),
    ],
)
def test_what_is_written_is_said(written: str, said: str) -> None:
    assert normalise(written) == said


def test_other_languages_are_left_to_the_engine() -> None:
    assert normalise("Es ist 7:05, **21,5 °C** \U0001f600", english=False) == "Es ist 7:05, 21,5 °C"


def test_a_reply_is_one_clause_and_a_long_one_begins_short() -> None:
    assert list(clauses("The kitchen light is on.")) == ["The kitchen light is on."]
    text = "The light in the kitchen is on, the one in the hall is off, and everything else is as it was before. Good."
    assert list(clauses(text)) == [
        "The light in the kitchen is on, the one in the hall is off,",
        "and everything else is as it was before.",
        "Good.",
    ]
    assert list(clauses("One two three four five six seven.", first_max=20, rest_max=20)) == [
        "One two three four,",
        "five six seven.",
    ]


def test_numbers_times_and_initials_are_not_torn() -> None:
    text = "It costs 1,234.50 now. J. K. Rowling came at 7:05 p.m. yesterday. Was it 3.5?"
    assert list(clauses(text)) == [
        "It costs 1,234.50 now.",
        "J. K. Rowling came at 7 oh 5 PM yesterday.",
        "Was it 3.5?",
    ]


@pytest.mark.parametrize("text", ["", "  \n", "\U0001f600\U0001f44d", "...!?", "\x00\x07", "***", "—"])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(TextError):
        next(clauses(text))


def test_a_long_text_is_read_as_far_as_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counting(text: str, *, english: bool) -> str:
        seen.append(len(text))
        return normalise(text, english=english)

    monkeypatch.setattr("edgevoice.speak.phrases.normalise", counting)
    sentence = "The weather stays as it is, and nothing changes at all today. "
    text = sentence * (10_000 // len(sentence))
    spoken = clauses(text)
    assert next(spoken) == "The weather stays as it is,"
    assert sum(seen) < 1000
    assert " ".join(itertools.chain(["The weather stays as it is,"], spoken)) == text.strip()


def test_a_text_of_one_word_is_cut() -> None:
    parts = list(clauses("a" * 1000))
    assert "".join(part.rstrip(",") for part in parts) == "a" * 1000
    assert max(map(len, parts)) <= 161


@settings(deadline=None)  # other programs may keep the machine busy
@given(st.text(alphabet=string.ascii_letters + string.digits + " .,:;-/$°%\n*_[]()#é가\U0001f600", max_size=600))
def test_any_text_gives_clauses_of_bounded_length_or_is_refused(text: str) -> None:
    try:
        parts = list(clauses(text))
    except TextError:
        assert not re.search(r"[^\W_]", normalise(text))
        return
    assert len(parts[0]) <= 61
    assert all(0 < len(part) <= 161 and any(map(str.isalnum, part)) for part in parts)


@settings(deadline=None)  # other programs may keep the machine busy
@given(st.text(max_size=300))
def test_nothing_unprintable_is_left(text: str) -> None:
    assert all(character.isprintable() for character in normalise(text))
