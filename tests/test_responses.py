import pytest

from edgevoice.errors import GrammarError
from edgevoice.think.responses import Placeholder, ResponseError, parse, respond


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("The {area} light is on.", "The kitchen light is on."),
        ("It's {result.text}.", "It's noon."),
        ("{ area }", "kitchen"),
        ("{color|white} in the {area|house}", "white in the kitchen"),
        ("{color|}.", "."),
        ("{{{area}}}", "{kitchen}"),
        ("{level} {share} {yes}", "5 0.5 yes"),
        ("", ""),
    ],
)
def test_placeholders_are_filled(template: str, text: str) -> None:
    slots = {"area": "kitchen", "level": 5, "share": 0.5, "yes": True}
    assert respond(template, slots, {"text": "noon"}) == text


class Spec:
    def __init__(self, *responses: str) -> None:
        self.responses = responses


def test_the_first_response_that_can_be_filled_is_said() -> None:
    spec = Spec("It is {result.value}.", "I don't know.")
    assert respond(spec, {}, {"value": "on"}) == "It is on."
    assert respond(spec, {}, {"value": None}) == "I don't know."
    assert respond(spec, {}) == "I don't know."


def test_no_response_is_an_empty_text() -> None:
    assert respond(Spec(), {}) == ""


def test_a_missing_value_is_named() -> None:
    with pytest.raises(GrammarError, match=r"nothing to put in for '\{result.value\}'"):
        respond("It is {result.value}.", {"value": 1})


@pytest.mark.parametrize(
    ("template", "at"), [("a { b", 2), ("a } b", 2), ("a {} b", 2), ("{a b}", 0), ("x {a.b.c}", 2), ("{a{b}}", 0)]
)
def test_a_broken_response_says_where(template: str, at: int) -> None:
    with pytest.raises(ResponseError) as caught:
        parse(template)
    assert caught.value.at == at


def test_values_are_not_read_as_templates() -> None:
    assert respond("{a}", {"a": "{b}"}) == "{b}"


def test_pieces_know_their_place() -> None:
    assert parse("a {b|c} d") == ["a ", Placeholder("b", "c", 2), " d"]
