import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.words import LARGEST, cardinal, normalise, ordinal, parse_number, spellings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Turn on the lights, please!", "turn on the lights please"),
        ("an 8-ounce latte", "an eight ounce latte"),
        ("an 8-oz. latte", "an eight ounce latte"),
        ("12 oz. cup", "twelve ounces cup"),
        ("twelve oz cup", "twelve ounces cup"),
        ("1 oz", "one ounce"),
        ("21 oz", "twenty one ounces"),
        ("the wizard of oz", "the wizard of oz"),
        ("5mins", "five minutes"),
        ("6 ft", "six feet"),
        ("20%", "twenty percent"),
        ("7:30", "seven thirty"),
        ("at 7:05 p.m.", "at seven oh five pm"),
        ("7:00 AM", "seven am"),
        ("$5", "five dollars"),
        ("$1", "one dollar"),
        ("$5.50 now", "five dollars and fifty cents now"),
        ("£3.01", "three pounds and one penny"),
        ("$2.5 million", "two point five million dollars"),
        ("the 21st of May", "the twenty first of may"),
        ("3rd 12th 40th 100th", "third twelfth fortieth one hundredth"),
        ("1,000,000", "one million"),
        ("2.5 cups", "two point five cups"),
        ("0.05", "zero point zero five"),
        (".5", "zero point five"),
        ("1 1/2 cups", "one and a half cups"),
        ("1½ cups", "one and a half cups"),
        ("3/4", "three quarters"),
        ("72°F", "seventy two degrees fahrenheit"),
        ("21 °C", "twenty one degrees celsius"),
        ("20°", "twenty degrees"),
        ("-5 degrees", "minus five degrees"),
        ("5-10", "five ten"),
        ("What\u2019s the T.V. doing", "what's the tv doing"),
        ("it's nine o'clock", "it's nine o'clock"),
        ("'quoted' words", "quoted words"),
        ("rock & roll", "rock and roll"),
        ("twenty-one", "twenty one"),
        ("007", "zero zero seven"),
        ("call 5551234567", "call five five five one two three four five six seven"),
        ("TV2", "tv two"),
        ("Café Über", "café über"),
        ("부엌 불 켜!", "부엌 불 켜"),
        ("हिन्दी", "हिन्दी"),
        ("\uff11\uff12", "twelve"),
        (" ... !? ", ""),
        ("😀 light", "light"),
        ("", ""),
    ],
)
def test_one_form_for_everything(text: str, words: str) -> None:
    assert " ".join(normalise(text)) == words


@given(st.one_of(st.text(), st.text(alphabet="0123456789.,:/$%-+°'½ abcfhmnoprstz", max_size=30)))
def test_words_that_come_out_go_in_unchanged(text: str) -> None:
    once = normalise(text)
    assert normalise(" ".join(once)) == once
    assert not any(char.isspace() for word in once for char in word)
    assert not any("0" <= char <= "9" for word in once for char in word)


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
    assert cardinal(number) == words


@given(st.integers(-LARGEST, LARGEST))
def test_numbers_are_read_as_they_are_said(number: int) -> None:
    assert normalise(str(number)) == tuple(cardinal(number).split())
    for spelling in spellings(number):
        assert parse_number(spelling) == number
        assert normalise(" ".join(spelling)) == spelling


def test_every_small_number_has_its_own_words() -> None:
    everything = [spelling for number in range(-20, 3000) for spelling in spellings(number)]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("a hundred", 100),
        ("a hundred and five", 105),
        ("one thousand and one", 1001),
        ("two point five", 2.5),
        ("minus zero point two five", -0.25),
        ("zero", 0),
    ],
)
def test_number_words(words: str, value: float) -> None:
    assert parse_number(words.split()) == value


@pytest.mark.parametrize(
    "words",
    ["", "a", "and five", "five and", "hundred", "twenty thirty", "five six", "one zero", "point five", "two point",
     "two point ten", "light", "minus", "minus minus one", "one thousand thousand", "one hundred hundred",
     "twenty zero", "one hundred and and one"],
)  # fmt: skip
def test_words_that_are_no_number(words: str) -> None:
    assert parse_number(words.split()) is None


def test_ordinals() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 5, 20, 21, 100, 112)] == [
        "first",
        "second",
        "third",
        "fifth",
        "twentieth",
        "twenty first",
        "one hundredth",
        "one hundred twelfth",
    ]


@given(st.floats(0, 1000).map(lambda number: round(number, 3)).filter(lambda number: "e" not in repr(number)))
def test_decimals_are_read_as_they_are_said(number: float) -> None:
    assert parse_number(normalise(repr(number))) == number
