"""Durations and times, against tables of what may be said that are made independently."""

import itertools
import random
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.automaton import Automaton, Begin, Call, End, Jump, Meaning, Net, Typed
from edgevoice.think import clock
from edgevoice.think.grammar import Grammar, Match
from edgevoice.words import cardinal, spellings

PACK = """
intents:
  Timer: {data: [{sentences: ["timer for {d}", "a {d} timer"]}]}
  Alarm: {data: [{sentences: ["wake me at {t}"]}]}
lists: {d: {duration: true}, t: {time: true}}
"""


@pytest.fixture(scope="module")
def grammar(tmp_path_factory: pytest.TempPathFactory) -> Grammar:
    path = tmp_path_factory.mktemp("clock") / "pack.yaml"
    path.write_text(PACK, "utf-8")
    return Grammar.load([path])


def slot(grammar: Grammar, text: str) -> object:
    found = grammar.match(text)
    return next(iter(found.intent.slots.values())) if isinstance(found, Match) else None


# Times: everything that can be said ------------------------------------------------------------------------------

HOURS = [cardinal(hour) for hour in range(1, 13)]
HALVES = {"": "", "am": "am", "a m": "am", "in the morning": "am", "pm": "pm", "p m": "pm", "in the afternoon": "pm"}


def clock_face(hour: int, minute: int, half: str) -> str:
    """``hour``: 1 to 12."""
    match half:
        case "am":
            hour %= 12
        case "pm":
            hour = hour % 12 + 12
        case "in the evening":
            hour = hour + 12 if hour < 12 else 0
        case "at night":
            hour = hour + 12 if 5 <= hour < 12 else hour % 12
    return f"{hour:02}:{minute:02}"


def all_times() -> Iterator[tuple[str, str]]:
    halves = {**HALVES, "in the evening": "in the evening", "at night": "at night"}
    minutes = [(cardinal(minute), minute) for minute in range(10, 60)]
    minutes += [(f"{oh} {cardinal(minute)}", minute) for minute in range(1, 10) for oh in ("oh", "o")]
    for (number, hour), (said, half) in itertools.product(enumerate(HOURS, start=1), halves.items()):
        for text, minute in [("", 0), ("o'clock", 0), *minutes]:
            yield f"{hour} {text} {said}", clock_face(number, minute, half)
    for number in (0, *range(13, 24)):
        for text, minute in [("", 0), *minutes]:
            yield f"{cardinal(number)} {text}", f"{number:02}:{minute:02}"
    for name, number in (("noon", 12), ("midday", 12), ("midnight", 0)):
        yield name, f"{number:02}:00"
        yield f"twelve {name}", f"{number:02}:00"
        for text, minutes_, after in offsets():
            at = (number * 60 + (minutes_ if after else -minutes_)) % 1440
            yield f"{text} {name}", f"{at // 60:02}:{at % 60:02}"
    for text, minutes_, after in offsets():
        for (number, hour), (said, half) in itertools.product(enumerate(HOURS, start=1), halves.items()):
            shown = (number, minutes_) if after else ((number - 2) % 12 + 1, 60 - minutes_)
            yield f"{text} {hour} {said}", clock_face(*shown, half)
            yield f"{text} {hour} o'clock {said}", clock_face(*shown, half)


def offsets() -> Iterator[tuple[str, int, bool]]:
    said = [("quarter", 15), ("a quarter", 15)]
    for minutes in range(1, 31):
        said += [(f"{cardinal(minutes)}{unit}", minutes) for unit in ("", " minute", " minutes")]
    for text, minutes in said:
        for word in ("past", "after", "to", "before", "till"):
            yield f"{text} {word}", minutes, word in ("past", "after")
    for word in ("past", "after"):
        yield f"half {word}", 30, True


def language(automaton: Automaton, net: Net) -> set[str]:
    """Everything that a net says."""
    found: set[str] = set()
    pending: list[tuple[Net, int, tuple[tuple[Net, int], ...], tuple[str, ...]]] = [(net, Net.START, (), ())]
    while pending:
        at, state, calls, words = pending.pop()
        if state == Net.FINAL:
            if calls:
                pending.append((*calls[-1], calls[:-1], words))
            else:
                found.add(" ".join(words))
            continue
        for word, targets in at.words[state].items():
            pending += [(at, to, calls, (*words, word)) for to in targets]
        for arc in at.arcs[state]:
            match arc:
                case Call(number, to):
                    pending.append((automaton.nets[number], Net.START, (*calls, (at, to)), words))
                case Jump(to) | Meaning(_, to) | Begin(_, to) | End(_, to):
                    pending.append((at, to, calls, words))
                case _:
                    raise AssertionError(arc)
    return found


def test_all_times_and_nothing_else(grammar: Grammar) -> None:
    expected = {" ".join(text.split()): value for text, value in all_times()}
    net = next(net for net in grammar.automaton.nets if net.name == "t")
    assert language(grammar.automaton, net) == expected.keys()
    for text, value in expected.items():
        assert clock.value(Typed.TIME, text.split()) == value, text
    for text in random.Random(1).sample(sorted(expected), 300):
        assert slot(grammar, f"wake me at {text}") == expected[text], text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("7:30", "07:30"), ("7:05", "07:05"), ("7:00", "07:00"), ("19:30", "19:30"), ("0:15", "00:15")),
        *(("6 pm", "18:00"), ("6 p.m.", "18:00"), ("6:15 am", "06:15"), ("6PM", "18:00"), ("7 o'clock", "07:00")),
        *(("quarter to nine p m", "20:45"), ("half past six", "06:30"), ("6 in the morning", "06:00")),
        *(("12 a.m.", "00:00"), ("12 p.m.", "12:00"), ("12:30 at night", "00:30"), ("12 in the evening", "00:00")),
        *(("quarter to one", "12:45"), ("quarter to twelve at night", "23:45"), ("ten to midnight", "23:50")),
    ],
)
def test_times_as_a_recogniser_writes_them(grammar: Grammar, text: str, value: str) -> None:
    assert slot(grammar, f"Wake me at {text}") == value


# Durations -------------------------------------------------------------------------------------------------------

UNITS = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
NUMBERS = {" ".join(way): number for number in range(1, 1000) for way in spellings(number)}
SAID = re.compile(rf"\b(?:{'|'.join(sorted(NUMBERS, key=len, reverse=True))})\b")


def seconds_of(text: str) -> Fraction:
    """Another reading, by rewriting: numbers in digits, then halves and quarters, then a sum."""
    text = re.sub("three quarters", "0.75", text)
    text = re.sub(r"\b(?:a |one )?half\b", "0.5", text)
    text = re.sub(r"\b(?:a |one )?quarter\b", "0.25", text)
    text = re.sub(r"\b(?:a )?couple(?: of)?\b", "2", text)
    text = SAID.sub(lambda found: str(NUMBERS[found[0]]), text)
    text = text.replace("zero", "0").replace(" point ", ".")
    text = re.sub(r"(\.[27]) 5\b", r"\g<1>5", text)
    text = re.sub(r"\b([0-9]+) and (0\.[257]+)", lambda found: str(float(found[1]) + float(found[2])), text)
    text = re.sub(r"(0\.[257]+)(?: of)?(?: an?)? ", r"\1 ", text)
    text = re.sub(r"\ban?\b", "1", text).replace(" and ", " ")
    total, unit, amount = Fraction(0), "", Fraction(0)
    for word in text.split():
        if word.rstrip("s") in UNITS:
            unit = word.rstrip("s")
            total, amount = total + amount * UNITS[unit], Fraction(0)
        else:
            amount = Fraction(word)
    if 0 < amount < 1:
        total += amount * UNITS[unit]
    elif amount:
        total += amount * {"hour": 60, "minute": 1}[unit]
    return total


def walk(automaton: Automaton, net: Net, chance: random.Random) -> str:
    """One phrase of a net, by chance."""
    words: list[str] = []
    at, state, calls = net, Net.START, list[tuple[Net, int]]()
    while state != Net.FINAL or calls:
        if state == Net.FINAL:
            at, state = calls.pop()
            continue
        options = [(word, to) for word, targets in at.words[state].items() for to in targets]
        choice = chance.choice([*options, *at.arcs[state]])
        match choice:
            case (str(word), int(to)):
                words.append(word)
                state = to
            case Call(number, to):
                calls.append((at, to))
                at, state = automaton.nets[number], Net.START
            case Jump(to) | Meaning(_, to):
                state = to
            case _:
                raise AssertionError(choice)
    return " ".join(words)


def test_what_a_duration_net_says_is_understood(grammar: Grammar) -> None:
    chance = random.Random(2)
    net = next(net for net in grammar.automaton.nets if net.name == "d")
    said = {walk(grammar.automaton, net, chance) for _ in range(4000)}
    assert len(said) > 1000
    for text in said:
        assert clock.value(Typed.DURATION, text.split()) == seconds_of(text), text
    for text in sorted(said)[::20]:
        assert slot(grammar, f"timer for {text}") == seconds_of(text), text


@given(
    st.tuples(*(st.integers(0, 99) for _ in UNITS)).filter(any),
    st.randoms(use_true_random=False),
)
def test_every_duration_can_be_said(grammar: Grammar, amounts: tuple[int, ...], chance: random.Random) -> None:
    parts = []
    for amount, unit in zip(amounts, UNITS, strict=True):
        if amount:
            number = chance.choice(["an" if unit == "hour" else "a", "one"]) if amount == 1 else cardinal(amount)
            parts.append(f"{number} {unit}{'s' * (amount > 1)}")
    text = parts[0] + "".join(chance.choice([" and ", " ", ", "]) + part for part in parts[1:])
    expected = sum(amount * size for amount, size in zip(amounts, UNITS.values(), strict=True))
    assert slot(grammar, f"timer for {text}") == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("five minutes", 300), ("an hour and a half", 5400), ("half an hour", 1800), ("a quarter of an hour", 900)),
        *(("two hours and thirty minutes", 9000), ("one hour twenty", 4800), ("ninety seconds", 90)),
        *(("two and a half hours", 9000), ("a half hour", 1800), ("three quarters of an hour", 2700)),
        *(("5 minutes", 300), ("90 min", 5400), ("1.5 hours", 5400), ("1 1/2 hours", 5400), ("2½ hours", 9000)),
        *(("1 hr 30 min", 5400), ("1/2 hour", 1800), ("a couple of days", 172_800), ("120 minutes", 7200)),
        *(("a minute thirty", 90), ("two weeks", 1_209_600), ("999 seconds", 999), ("0.25 hours", 900)),
    ],
)
def test_durations_as_a_recogniser_writes_them(grammar: Grammar, text: str, value: int) -> None:
    assert slot(grammar, f"Timer for {text}.") == value


def test_a_duration_before_a_noun(grammar: Grammar) -> None:
    assert [slot(grammar, text) for text in ("a 5-minute timer", "a half hour timer")] == [300, 1800]


@pytest.mark.parametrize(
    "text", ["", "five", "half", "minutes", "half a second", "1.5 seconds", "two days five", "and"]
)
def test_what_is_no_duration(grammar: Grammar, text: str) -> None:
    assert slot(grammar, f"timer for {text}") is None


@pytest.mark.parametrize("text", ["", "7:60", "25", "seven five", "13 pm", "quarter past", "half to six", "pm"])
def test_what_is_no_time(grammar: Grammar, text: str) -> None:
    assert slot(grammar, f"wake me at {text}") is None


@pytest.mark.parametrize("typed", Typed)
@pytest.mark.parametrize("words", ["", "green", "to six", "hours", "and a half"])
def test_other_words_are_refused(typed: Typed, words: str) -> None:
    with pytest.raises(ValueError, match=f"no {typed.value}"):
        clock.value(typed, words.split())


def test_the_nets_are_small_and_shared(tmp_path: Path) -> None:
    path = tmp_path / "pack.yaml"
    path.write_text(PACK.replace("d: {duration: true}", "d: {duration: true}, e: {duration: true}"), "utf-8")
    automaton = Grammar.load([path]).automaton
    assert automaton.states < 300
    assert sum(net.name == "number" for net in automaton.nets) == 1


def test_a_list_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_text("intents: {Timer: {data: [{sentences: ['timer for {delay}']}]}}", "utf-8")
    (tmp_path / "delay.yaml").write_text("duration: true", "utf-8")
    assert slot(Grammar.load([tmp_path]), "timer for an hour") == 3600


def test_values_are_known_by_their_sound(tmp_path: Path) -> None:
    path = tmp_path / "pack.yaml"
    path.write_text(PACK, "utf-8")
    grammar = Grammar.load([path], by_sound=True)
    assert slot(grammar, "timer for fife minute") == 300
    assert slot(grammar, "wake me at halve passed six") == "06:30"


def test_a_missing_value_is_told(grammar: Grammar) -> None:
    found = grammar.match("wake me at")
    assert not isinstance(found, Match)
    assert found.why == "a value of 't' is missing"
    assert found.closest is not None and slot(grammar, found.closest) is not None
