"""The automaton of tokens, against all sentences of random grammars, written in all manner of ways."""

import random
from pathlib import Path

import numpy as np
import pytest
from grammars import Sample, bare, salads, samples
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from edgevoice.engines.asr import whisper_tokens
from edgevoice.engines.asr.token_automaton import Speller, State, TokenAutomaton
from edgevoice.modelstore import ModelStore
from edgevoice.think.grammar import Grammar, Match

PACK = """
intents:
  Order:
    data:
      - sentences:
          - (get me|i'd like) a[n] {size} {drink} [with {milk} milk]
          - wake me (at|in) {n} [percent]
          - remind me to {text}
          - say {text} to the guests
lists:
  size: [twelve ounce, small]
  drink: [iced mocha, flat white, latte]
  milk: [soy, oat]
  n: {range: {from: 0, to: 120}}
  text: {wildcard: true}
skip_words: [please]
"""


@pytest.fixture(scope="module")
def speller(store: ModelStore) -> Speller:
    tokens = whisper_tokens.load(store.path("whisper-tiny.en-int8") / "tokens.json")
    return Speller(tokens, tokens.suppress)


def load(folder: Path, pack: str) -> Grammar:
    (folder / "pack.yaml").write_text(pack, "utf-8")
    return Grammar.load([folder / "pack.yaml"])


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Grammar:
    return load(tmp_path_factory.mktemp("order"), PACK)


def tokens_of(speller: Speller, text: str) -> list[int]:
    return list(speller.spell(text))


def walk(automaton: TokenAutomaton, tokens: list[int]) -> State | None:
    """The state that the tokens lead to; None when one of them is not allowed."""
    state = automaton.start
    for token in tokens:
        if token not in automaton.allowed(state):
            return None
        state = automaton.next(state, token)
    return state


def accepts(automaton: TokenAutomaton, tokens: list[int]) -> bool:
    state = walk(automaton, tokens)
    return state is not None and state.accepting


def written(words: tuple[str, ...], chance: random.Random) -> str:
    """A way to write words: case and what stands between them by chance."""
    text = ""
    for number, word in enumerate(words):
        text += chance.choice([" ", ", ", "-"]) if number else " "
        text += word.capitalize() if chance.random() < 0.3 else word
    return text + chance.choice(["", ".", "?", "!"])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(samples(), st.data(), st.randoms(use_true_random=False))
def test_it_accepts_the_sentences_and_nothing_else(
    tmp_path: Path, speller: Speller, sample: Sample, data: st.DataObject, chance: random.Random
) -> None:
    assume(() not in sample.sentences)
    automaton = TokenAutomaton(load(tmp_path, sample.pack).automaton, speller)
    for words in data.draw(st.lists(st.sampled_from(sorted(sample.sentences)), max_size=30)):
        tokens = tokens_of(speller, written(("zz", *words, "zz"), chance))
        assert accepts(automaton, tokens)
        assert ("zz", *words, "zz") in automaton.sentences(tokens)
    for salad in data.draw(st.lists(salads(), max_size=20)):
        tokens = tokens_of(speller, written(salad, chance))
        assert accepts(automaton, tokens) == (bare(salad) in sample.sentences), salad


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(samples(), st.randoms(use_true_random=False))
def test_whatever_it_allows_is_a_sentence(
    tmp_path: Path, speller: Speller, sample: Sample, chance: random.Random
) -> None:
    assume(() not in sample.sentences)
    automaton = TokenAutomaton(load(tmp_path, sample.pack).automaton, speller)
    for _ in range(10):
        state, tokens = automaton.start, []
        while not (state.accepting and chance.random() < 0.5) and len(allowed := automaton.allowed(state)):
            assert (np.diff(allowed) > 0).all()
            tokens.append(int(chance.choice(allowed.tolist())))
            state = automaton.next(state, tokens[-1])
        found = automaton.sentences(tokens)
        assert bool(found) == state.accepting
        for words in found:
            assert bare(words) in sample.sentences


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" Get me a twelve ounce iced mocha.", "get me a twelve ounce iced mocha"),
        (" I'd like a 12-ounce iced mocha", "i'd like a twelve ounce iced mocha"),
        (" get me a 12 oz latte with Soy milk?", "get me a twelve ounce latte with soy milk"),
        (" get me a 12oz flat-white, with oat milk.", "get me a twelve ounce flat white with oat milk"),
        (" Please, get me a small latte, please!", "please get me a small latte please"),
        (" Wake me at 45%", "wake me at forty five percent"),
        (" wake me in 105", "wake me in one hundred five"),
        (" Remind me to feed O'Neill's 3 cats", "remind me to feed o'neill's three cats"),
        (" Say Good Morning to the guests.", "say good morning to the guests"),
    ],
)
def test_spellings(order: Grammar, speller: Speller, text: str, sentence: str) -> None:
    automaton = TokenAutomaton(order.automaton, speller)
    tokens = tokens_of(speller, text)
    assert accepts(automaton, tokens)
    assert tuple(sentence.split()) in automaton.sentences(tokens)
    assert isinstance(order.match(sentence), Match)


CLOCK = """
intents:
  Timer: {data: [{sentences: ["timer for {d}"]}]}
  Alarm: {data: [{sentences: ["wake me at {t}"]}]}
lists: {d: {duration: true}, t: {time: true}}
"""


@pytest.mark.parametrize(
    ("text", "sentence", "value"),
    [
        (" Timer for 5 minutes.", "timer for five minutes", 300),
        (" timer for 90 min", "timer for ninety minutes", 5400),
        (" Timer for 120 seconds", "timer for one hundred twenty seconds", 120),
        (" timer for 1 1/2 hours", "timer for one and a half hours", 5400),
        (" timer for 1/2 an hour", "timer for half an hour", 1800),
        (" timer for 1.5 hours", "timer for one point five hours", 5400),
        (" timer for 2 hours, 30 minutes", "timer for two hours thirty minutes", 9000),
        (" timer for an hour and a half", "timer for an hour and a half", 5400),
        (" Wake me at 7:30.", "wake me at seven thirty", "07:30"),
        (" wake me at 7:05", "wake me at seven oh five", "07:05"),
        (" wake me at 7:00", "wake me at seven", "07:00"),
        (" wake me at 07:00", "wake me at seven", "07:00"),
        (" wake me at 19:45", "wake me at nineteen forty five", "19:45"),
        (" wake me at 7 o'clock", "wake me at seven o'clock", "07:00"),
        (" wake me at 6 p.m.", "wake me at six pm", "18:00"),
        (" wake me at 6:15 P.M.", "wake me at six fifteen pm", "18:15"),
        (" wake me at 6:15am", "wake me at six fifteen am", "06:15"),
        (" Wake me at half-past 6", "wake me at half past six", "06:30"),
        (" wake me at 10 to 9 in the evening", "wake me at ten to nine in the evening", "20:50"),
        (" wake me at 12 noon", "wake me at twelve noon", "12:00"),
    ],
)
def test_spellings_of_durations_and_times(
    tmp_path: Path, speller: Speller, text: str, sentence: str, value: str | int
) -> None:
    grammar = load(tmp_path, CLOCK)
    automaton = TokenAutomaton(grammar.automaton, speller)
    tokens = tokens_of(speller, text)
    assert accepts(automaton, tokens)
    assert tuple(sentence.split()) in automaton.sentences(tokens)
    for said in (sentence, text):
        found = grammar.match(said)
        assert isinstance(found, Match)
        assert list(found.intent.slots.values()) == [value]


@pytest.mark.parametrize(
    "text",
    [
        *(" timer for 90", " timer for 1:30", " timer for half", " timer for 1.5 seconds", " timer for 2 1/2"),
        *(" wake me at 7:60", " wake me at 24:00", " wake me at 7:5", " wake me at 13 p.m.", " wake me at quarter to"),
    ],
)
def test_what_is_no_duration_or_time(tmp_path: Path, speller: Speller, text: str) -> None:
    grammar = load(tmp_path, CLOCK)
    assert not accepts(TokenAutomaton(grammar.automaton, speller), tokens_of(speller, text))
    assert not isinstance(grammar.match(text), Match)


@pytest.mark.parametrize(
    "text",
    [
        " get me a 13 ounce latte",
        " get me a twelve ounce",
        " get me a small latte with",
        " get me a small latte with oat milk and",
        " get me a small latte. .",
        ", get me a small latte",
        "get me a small latte",
        " get me a small latte,",
        " get me a smallish latte",
        " get me a small lattes",
        " wake me at 121",
        " wake me at one hundred twenty one",
        " remind me to",
        " say to the guests",
    ],
)
def test_what_is_no_sentence(order: Grammar, speller: Speller, text: str) -> None:
    automaton = TokenAutomaton(order.automaton, speller)
    tokens = tokens_of(speller, text)
    assert not accepts(automaton, tokens)
    assert not automaton.sentences(tokens) or walk(automaton, tokens) is None


@pytest.mark.parametrize(
    ("text", "accepting", "more"),
    [
        (" get me a small", False, True),
        (" get me a small latte", True, True),
        (" get me a small latte with", False, True),
        (" get me a small latte with soy milk", True, False),
        (" get me a small latte with soy milk please", True, False),
        (" remind me to go", True, True),
    ],
)
def test_what_may_follow(order: Grammar, speller: Speller, text: str, accepting: bool, more: bool) -> None:
    state = walk(TokenAutomaton(order.automaton, speller), tokens_of(speller, text))
    assert state is not None
    assert (state.accepting, state.more) == (accepting, more)


def test_a_replaced_list_is_heard_at_once(order: Grammar, speller: Speller) -> None:
    latte, tea = (tokens_of(speller, f" get me a small {drink}") for drink in ("latte", "green tea"))
    before = TokenAutomaton(order.automaton, speller)
    try:
        order.replace_list("drink", ["green tea"])
        after = TokenAutomaton(order.automaton, speller)
    finally:
        order.replace_list("drink", ["iced mocha", "flat white", "latte"])
    assert accepts(before, latte) and not accepts(before, tea)
    assert accepts(after, tea) and not accepts(after, latte)


def test_what_is_forgotten_is_made_again(order: Grammar, speller: Speller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevoice.engines.asr.token_automaton._MAX_KEPT", 40)
    automaton = TokenAutomaton(order.automaton, speller)
    for _ in range(3):
        for text in (" get me a small latte with soy milk", " wake me at 7%", " say good morning to the guests"):
            assert accepts(automaton, tokens_of(speller, text))
    assert automaton._size <= 40 or len(automaton._states) == 1


@pytest.mark.parametrize(
    ("before", "token", "begins"),
    [
        ("", " get", True),
        ("", " please", False),
        (" please", " remind", True),
        (" get me a small", " lat", True),
        (" get me a small lat", "te", False),
        (" get me a small latte", " please", False),
        (" get me a small latte", " with", True),
        (" remind me to", " get", False),
    ],
)
def test_which_words_are_of_the_sentence(
    order: Grammar, speller: Speller, before: str, token: str, begins: bool
) -> None:
    automaton = TokenAutomaton(order.automaton, speller)
    state = walk(automaton, tokens_of(speller, before))
    assert state is not None
    (number,) = tokens_of(speller, token)
    assert automaton.begins_word(state, number) is begins
