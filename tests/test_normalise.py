import pytest

from tools.normalise import normalise


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
