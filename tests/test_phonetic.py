"""Matching by sound."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgevoice.engines.protocols import Hypothesis
from edgevoice.think.grammar import Grammar, Match, NoMatch
from edgevoice.think.phonetic import BUDGET, MAX_EXCESS, MAX_MARGIN, MAX_SOUNDS, Sounding, SoundSearcher
from edgevoice.think.sounds import DROP, SOUNDS, SWAP, indices, pronounce

PACK = """
intents:
  Order:
    data:
      - sentences: ["(make|get) me a [{roast}] {drink} [with {milk}]"]
  Light:
    data:
      - sentences: ["turn on [the] {area} light[s]"]
        slots: {state: true}
      - sentences: ["turn off [the] {area} light[s]"]
        slots: {state: false}
  Note:
    data:
      - sentences: ["remember that {text}"]
skip_words: [please, kindly]
lists:
  roast: [light roast, dark roast]
  drink: [mocha, iced mocha, americano, espresso]
  milk: [milk, some milk, soy milk]
  area: {values: [kitchen, bedroom, {in: "(living room|lounge)", out: living room}]}
  text: {wildcard: true}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pack") / "pack.yaml"
    path.write_text(PACK, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def grammar(path: Path) -> Grammar:
    return Grammar.load([path], by_sound=True)


def match(grammar: Grammar, text: str) -> Match:
    found = grammar.match(text)
    assert isinstance(found, Match), found
    return found


# Sounds


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("two", "too"),
        ("light", "lite"),
        ("rose", "roze"),
        ("kichen", "kitchen"),
        ("right", "write"),
        ("nite", "knight"),
    ],
)
def test_what_sounds_the_same_is_the_same(one: str, other: str) -> None:
    assert pronounce(one) == pronounce(other)


@pytest.mark.parametrize(
    ("word", "sounds"),
    [("view", "vyu"), ("interview", "IntRvyu"), ("few", "fyu"), ("chew", "Cu"), ("mirror", "mIror"), ("fire", "fYr")],
)
def test_words_sound_as_they_are_said(word: str, sounds: str) -> None:
    assert pronounce(word) == sounds


@pytest.mark.parametrize("word", ["a", "xyz", "o'clock", "café", "naïve", "부엌", "'", "rhythm"])
def test_every_word_has_sounds(word: str) -> None:
    assert pronounce(word)
    assert set(pronounce(word)) <= set(SOUNDS)


def test_distances_are_those_of_sounds() -> None:
    def distance(pair: str) -> float:
        one, other = indices(pair)
        return float(SWAP[one, other])

    assert (SWAP == SWAP.T).all()
    assert all(distance(sound * 2) == 0 for sound in SOUNDS if sound != "?")
    assert distance("??") > 0, "what cannot be read is like nothing"
    assert distance("bp") < distance("bm") < distance("bh")
    assert distance("Ii") < distance("IA")
    assert distance("ab") >= distance("iA")
    assert DROP[indices("V")] < DROP[indices("e")]


# Sentences


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("make me a light rose ice mocha", "Order", {"roast": "light roast", "drink": "iced mocha"}),
        ("get me a mericano", "Order", {"drink": "americano"}),
        ("get me an expresso with so milk", "Order", {"drink": "espresso", "milk": "soy milk"}),
        ("make me a mocha with some mill", "Order", {"drink": "mocha", "milk": "some milk"}),
        ("turn on the kitch enlight", "Light", {"area": "kitchen", "state": True}),
        ("turn of the bed room lights", "Light", {"area": "bedroom", "state": False}),
        ("kindly turn on the living rum light please", "Light", {"area": "living room", "state": True}),
        ("turn on the launch light", "Light", {"area": "living room", "state": True}),
        ("remembered that the milk is empty", "Note", {"text": "the milk is empty"}),
    ],
)
def test_the_sentence_that_sounds_like_it_is_found(
    grammar: Grammar, text: str, intent: str, slots: dict[str, object]
) -> None:
    found = match(grammar, text)
    assert (found.intent.name, found.intent.slots) == (intent, slots)
    assert found.spec is grammar.intents[intent]
    assert found.confidence is not None and 0.5 <= found.confidence < 1
    assert 0 < found.score <= 1


def test_an_exact_match_comes_first(grammar: Grammar) -> None:
    found = match(grammar, "make me a mocha with some milk")
    assert found.confidence is None
    assert all(step.heard is None for step in found.explanation.steps)


@pytest.mark.parametrize(
    "text", ["make me light roast mocha", "so make me the light roast mocha please", "get a light roast mocha to"]
)
def test_small_words_do_not_decide(grammar: Grammar, text: str) -> None:
    found = match(grammar, text)
    assert found.intent.slots == {"roast": "light roast", "drink": "mocha"}
    assert found.confidence is not None and found.confidence > 0.8


def test_a_small_word_that_tells_values_apart_does(grammar: Grammar) -> None:
    assert match(grammar, "make me a mocca with some milk").intent.slots["milk"] == "some milk"
    assert match(grammar, "make me a mocca with milk").intent.slots["milk"] == "milk"


@pytest.mark.parametrize(
    "text",
    [
        "what time does the train leave tomorrow morning",
        "my sister is coming over for dinner",
        "the kitchen needs a new floor",
        "turn left at the next corner",
        "make up your mind",
        "I like the light in the bedroom very much",
        "light",
        "mocha",
        "hello",
    ],
)
def test_other_talk_is_refused(grammar: Grammar, text: str) -> None:
    assert isinstance(grammar.match(text), NoMatch)


def test_what_could_be_either_is_unsure(grammar: Grammar) -> None:
    certain = search(grammar, "turn on the kichen light")
    assert certain.confidence > 0.9
    assert replace(certain, margin=0.0).confidence < 0.5
    margins = [replace(certain, margin=margin).confidence for margin in (0.0, 0.1, 0.5, 1.0, 2.0)]
    assert margins == sorted(margins)


def test_a_coin_is_not_thrown(grammar: Grammar) -> None:
    found = grammar.match("turn the kitchen light")
    assert isinstance(found, NoMatch)
    assert found.intent == "Light"
    assert "it sounds as much like 'turn" in found.why


def test_the_unsure_is_refused_where_more_is_asked_for(grammar: Grammar) -> None:
    heard = Hypothesis("make me a light cross mocha")
    found = grammar.understand(heard, refuse_below=0.5)
    assert isinstance(found, Match)
    assert found.confidence is not None and found.confidence < 0.999
    refused = grammar.understand(heard, refuse_below=0.9999)
    assert isinstance(refused, NoMatch)
    assert "needed is 0.9999" in refused.why
    assert refused.closest == "make me a light roast mocha"


def test_the_explanation_tells_what_was_taken_for_what(grammar: Grammar) -> None:
    text = str(match(grammar, "make me light rose ice mocha um please").explanation)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0].endswith("(make|get) me a [{roast}] {drink} [with {milk}]")
    assert lines[1:] == [
        "make word",
        "me word",
        "a word, not heard",
        "light value of 'roast' -> roast",
        "roast value of 'roast' -> roast, heard as 'rose'",
        "iced value of 'drink' -> drink, heard as 'ice'",
        "mocha value of 'drink' -> drink",
        "please skipped",
        "ignored: 'um'",
    ]


def test_words_may_end_elsewhere(grammar: Grammar) -> None:
    steps = match(grammar, "get me a mericano").explanation.steps
    assert (steps[-1].word, steps[-1].heard) == ("americano", "a mericano")
    assert 0 < search(grammar, "turn on the kitch enlight").cost < 1


def test_it_can_be_switched_off(path: Path) -> None:
    found = Grammar.load([path]).match("turn on the kichen light")
    assert isinstance(found, NoMatch)
    assert found.closest == "turn on the kitchen light"


def test_a_replaced_list_is_searched(path: Path) -> None:
    grammar = Grammar.load([path], by_sound=True)
    assert isinstance(grammar.match("turn on the winter gorden light"), NoMatch)
    grammar.replace_list("area", ["winter garden"])
    assert match(grammar, "turn on the winter gorden light").intent.slots["area"] == "winter garden"


@pytest.mark.parametrize("text", ["", "...", "please", "부엌", "word " * 99, "mocha " * 200])
def test_odd_texts_are_no_match(grammar: Grammar, text: str) -> None:
    assert isinstance(grammar.match(text), NoMatch)


def test_the_answer_never_changes(path: Path) -> None:
    texts = ["make me a light rose ice mocha", "turn the kitchen light", "get me a bark roast mocha"]
    first = [Grammar.load([path], by_sound=True).match(text) for text in texts]
    grammar = Grammar.load([path], by_sound=True)
    again = [grammar.match(text) for text in reversed(texts)]
    assert [repr(found) for found in first] == [repr(found) for found in reversed(again)]


# The search


def searcher(grammar: Grammar) -> SoundSearcher:
    return SoundSearcher(grammar.automaton, [("Same", {}) for _ in grammar.automaton.starts])


def search(grammar: Grammar, text: str) -> Sounding:
    found, visited = searcher(grammar).search(text.split())
    assert found is not None and 0 < visited <= BUDGET
    return found


def test_costs_and_margin(grammar: Grammar) -> None:
    exact = search(grammar, "make me a light roast mocha")
    assert (exact.cost, exact.ignored, exact.excess) == (0, (), 0)
    other = search(grammar, "make me a lied roast mocha")
    assert 0 < other.cost < 2 < other.margin <= MAX_MARGIN
    assert other.weight == exact.weight
    assert other.confidence < exact.confidence
    assert search(grammar, "the quick brown fox jumps").excess > MAX_EXCESS


def test_the_rival_means_something_else(grammar: Grammar) -> None:
    found = SoundSearcher(grammar.automaton, [("Same", {}) for _ in grammar.automaton.starts]).search(
        ["make", "me", "a", "the", "mocca"]
    )[0]
    assert found is not None
    assert found.rival is not None
    assert {"iced", "mocha"} <= {*found.rival, *found.words}


def test_a_big_grammar_takes_few_steps(tmp_path: Path) -> None:
    syllables = ["ba", "lo", "min", "tar", "rus", "kel", "vi", "son", "fan", "du", "gre", "pol", "hat"]
    names = [f"{one}{two} {three}{one}" for one in syllables for two in syllables for three in syllables][:2000]
    verbs = ["call", "ring", "greet", "visit", "thank", "warn", "follow", "invite", "trust", "help"]
    things = ["quickly", "tomorrow", "tonight", "twice", "again"]
    sentences = [f"{verb} {{name}} {thing} number {digit}" for verb in verbs for thing in things for digit in "1234"]
    assert len(sentences) == 200
    lines = "\n".join(f"      - sentences: ['{sentence}']" for sentence in sentences)
    values = "\n".join(f"  - {name}" for name in names)
    path = tmp_path / "big.yaml"
    path.write_text(f"intents:\n  Big:\n    data:\n{lines}\nlists:\n  name:\n{values}\n", encoding="utf-8")
    big = SoundSearcher(Grammar.load([path]).automaton, [(sentence, {}) for sentence in sentences])
    found, visited = big.search(["wisit", "kelsun", "tar", "kel", "to", "night", "number", "too"])
    assert found is not None
    assert found.words == ("visit", "kelson", "tarkel", "tonight", "number", "two")
    assert visited < 500
    found, visited = big.search(["and", "now", "for", "something", "completely", "different"])
    assert found is None or found.excess > MAX_EXCESS
    assert visited < 500


def test_a_text_that_is_too_long_is_not_searched(grammar: Grammar) -> None:
    assert searcher(grammar).search(["a"] * (MAX_SOUNDS + 1)) == (None, 0)
