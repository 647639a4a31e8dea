import pytest

from tools.normalise import in_words, normalise


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (21, "twenty one"),
        (40, "forty"),
        (105, "one hundred five"),
        (1_999, "one thousand nine hundred ninety nine"),
        (2_000_000, "two million"),
        (10**9, "one" + " zero" * 9),
    ],
)
def test_whole_numbers(number: int, words: str) -> None:
    assert in_words(number) == words


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("It's 5:30, isn't it?", "it is five thirty is not it"),
        ("Set the volume to 20%.", "set the volume to twenty percent"),
        ("1,500 metres", "one thousand five hundred metres"),
        ("COUNSELLED", "counseled"),
        ("Mr. Smith\u2019s dog (barks) [noise]", "mister smiths dog"),
        ("A café - flour-fattened", "a cafe flour fattened"),
        ("organised colours", "organized colors"),
        ("", ""),
    ],
)
def test_texts(text: str, same: str) -> None:
    assert normalise(text) == same
