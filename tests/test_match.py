"""Matching, against an independent reading of the templates: all sentences written out, with their slots."""

from pathlib import Path

import pytest
from grammars import Sample, bare, salads, samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevoice.errors import GrammarError
from edgevoice.think.grammar import Grammar, Match, NoMatch
from edgevoice.think.match import MAX_WORDS


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Grammar:
    path = tmp_path_factory.mktemp("pack") / "pack.yaml"
    path.write_text(
        """
intents:
  Light:
    data:
      - sentences:
          - turn (on|off) [the] {area} light[s] [in {color}]
          - turn all lights off
  Any:
    data:
      - sentences:
          - turn {what:item}
          - say {text} (to|in) {room:where}
          - remind me to {text}
  Order:
    data:
      - sentences: ["order (a {size};with {topping}) now"]
  Same:
    data:
      - sentences: ["turn (on|off) [the] {area} light"]
skip_words: [please, "(could|can) you", um]
lists:
  area: [kitchen, living room, kitchen window]
  color: [red]
  size: [small, large]
  topping: [cheese, cheese and ham]
  what: {wildcard: true}
  room: {wildcard: true}
  text: {wildcard: true}
""",
        encoding="utf-8",
    )
    return Grammar.load([path])


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("Turn on the kitchen lights.", "Light", {"area": "kitchen"}),
        ("turn off kitchen window light", "Light", {"area": "kitchen window"}),
        ("could you please turn on the kitchen light in red, please", "Light", {"area": "kitchen", "color": "red"}),
        ("um, please, um: turn all lights off", "Light", {}),
        ("turn on the bathroom light", "Any", {"item": "on the bathroom light"}),
        ("turn around please", "Any", {"item": "around"}),
        ("say hello to anna", "Any", {"text": "hello", "where": "anna"}),
        ("say go to bed to anna", "Any", {"text": "go", "where": "bed to anna"}),
        ("remind me to buy 2 eggs", "Any", {"text": "buy two eggs"}),
        ("order a small with cheese and ham now", "Order", {"size": "small", "topping": "cheese and ham"}),
        ("order with cheese a large now", "Order", {"size": "large", "topping": "cheese"}),
    ],
)
def test_intents_and_slots(home: Grammar, text: str, intent: str, slots: dict[str, str]) -> None:
    found = home.match(text)
    assert isinstance(found, Match), found
    assert (found.intent.name, found.intent.slots) == (intent, slots)
    assert found.spec is home.intents[intent]


@pytest.mark.parametrize(
    "text",
    ["", "please", "turn", "on the kitchen light", "remind me to", "order a small now",
     "order a small a small now", "say hello", "kitchen", "remind please me to go", "turn_", "..."],
)  # fmt: skip
def test_what_is_no_sentence(home: Grammar, text: str) -> None:
    assert isinstance(home.match(text), NoMatch) or text == "turn_"


def test_the_most_literal_template_wins_then_the_first(home: Grammar) -> None:
    # "Same" and "Light" say it with equally many words of their own; "Light" stands first. "Any" has a wildcard.
    found = home.match("turn on the kitchen light")
    assert isinstance(found, Match)
    assert found.intent.name == "Light"


def test_words_of_the_template_come_before_skipped_ones_and_wildcards(tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_text(
        "intents:\n  A: {data: [{sentences: [go, 'walk ({text}|<home>) now']}]}\n"
        "  B: {data: [{sentences: [please go]}]}\n"
        "skip_words: [please]\nlists: {text: {wildcard: true}}\nexpansion_rules: {home: home}\n"
    )
    grammar = Grammar.load([tmp_path])
    found = grammar.match("please go")
    assert isinstance(found, Match)
    assert found.intent.name == "B"
    found = grammar.match("walk home now")
    assert isinstance(found, Match)
    assert found.intent.slots == {}


def test_the_explanation_tells_what_became_of_every_word(home: Grammar) -> None:
    found = home.match("um turn on the living room light please")
    assert isinstance(found, Match)
    assert found.text == "um turn on the living room light please"
    assert [(step.word, step.kind, step.slot) for step in found.explanation.steps] == [
        ("um", "skipped", ""),
        ("turn", "word", ""),
        ("on", "word", ""),
        ("the", "word", ""),
        ("living", "value", "area"),
        ("room", "value", "area"),
        ("light", "word", ""),
        ("please", "skipped", ""),
    ]
    assert found.explanation.template == "turn (on|off) [the] {area} light[s] [in {color}]"
    assert found.explanation.place.endswith("pack.yaml:6")
    assert "living  value of 'area' -> area" in str(found.explanation)


def test_the_score_is_the_share_of_known_words(home: Grammar) -> None:
    scores = [
        found.score
        for text in ("turn all lights off please", "turn around", "remind me to go")
        if isinstance(found := home.match(text), Match)
    ]
    assert scores == [1.0, 0.75, 0.875]


@pytest.mark.parametrize(
    ("text", "closest", "distance", "why"),
    [
        ("order a small with chese now", "order a small with cheese now", 0.6, "'chese' instead of 'cheese'"),
        ("order a small with cheese", "order a small with cheese now", 0.5, "'now' is missing"),
        ("order a small with cheese right now", "order a small with cheese now", 1.0, "'right' is extra"),
        ("order a huge with cheese now", "order a small with cheese now", 1.0, "'huge' is no value of 'size'"),
        ("order with cheese a now", "order with cheese a small now", 1.0, "a value of 'size' is missing"),
        ("remind me to", "remind me to ...", 1.0, "a text is missing"),
        ("um order a small with cheese please please", "order a small with cheese now", 0.5, "'now' is missing"),
    ],
)
def test_what_came_closest(home: Grammar, text: str, closest: str, distance: float, why: str) -> None:
    found = home.match(text)
    assert isinstance(found, NoMatch)
    assert found.closest == closest
    assert found.distance == pytest.approx(distance, abs=0.05)
    assert found.why == why
    assert found.intent in home.intents
    assert found.place is not None and "pack.yaml:" in found.place


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there are no words in it"),
        ("?!", "there are no words in it"),
        ("please um", "nothing is left without the words that are skipped"),
        ("completely different subject matter altogether", "nothing comes close"),
        ("turn " * (MAX_WORDS + 1), f"more than {MAX_WORDS} words"),
    ],
)
def test_when_nothing_comes_close(home: Grammar, text: str, why: str) -> None:
    found = home.match(text)
    assert isinstance(found, NoMatch)
    assert (found.why, found.closest, found.intent, found.distance) == (why, None, None, None)


def test_the_longest_text_is_matched(home: Grammar) -> None:
    found = home.match("remind me to " + "go " * (MAX_WORDS - 3))
    assert isinstance(found, Match)


# Against all sentences, written out -----------------------------------------------------------------------------


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(samples(), st.data())
def test_a_grammar_matches_its_sentences_and_nothing_else(tmp_path: Path, sample: Sample, data: st.DataObject) -> None:
    path, sentences = tmp_path / "pack.yaml", sample.sentences
    path.write_text(sample.pack, encoding="utf-8")
    if () in sentences:
        with pytest.raises(GrammarError, match="matches the empty sentence"):
            Grammar.load([path])
        return
    grammar = Grammar.load([path])
    assert {tuple(phrase.split()) for phrase in grammar.phrases(10_000)} == set(sentences)
    tried = (
        list(sentences) if len(sentences) < 60 else data.draw(st.lists(st.sampled_from(list(sentences)), max_size=60))
    )
    for words in tried:
        found = grammar.match(" ".join(("zz", *words, "zz")))
        assert isinstance(found, Match), words
        assert (found.intent.name, found.intent.slots) in sentences[words]
        assert len(found.explanation.steps) == len(words) + 2
    for _ in range(20):
        salad = data.draw(salads())
        assert isinstance(grammar.match(" ".join(salad)), Match) == (bare(salad) in sentences), salad
