import pytest

from edgevoice.evaluate.normalise import normalise, plain


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
        ("OK, on the 22nd it's 21.5", "okay on the twenty second it is twenty one point five"),
        ("", ""),
    ],
)
def test_texts(text: str, same: str) -> None:
    assert normalise(text) == same


@pytest.mark.parametrize(
    ("text", "same"),
    [("Grüß Gott,  Frau Müller!", "grüß gott frau müller"), ("12:30 — »ja«_", "12 30 ja"), ("हिंदी", "हिंदी"), ("", "")],
)
def test_texts_of_any_language(text: str, same: str) -> None:
    assert plain(text) == same
