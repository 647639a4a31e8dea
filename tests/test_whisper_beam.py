"""The beam search, on logits that are made up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from edgevoice.audio.pcm import Float32
from edgevoice.engines.asr import whisper_tokens
from edgevoice.engines.asr.token_automaton import Speller, TokenAutomaton
from edgevoice.engines.asr.whisper_beam import Found, Scored, search
from edgevoice.engines.asr.whisper_fit import Fit, fit
from edgevoice.engines.asr.whisper_grammar import Read
from edgevoice.engines.asr.whisper_grammar import _ending as ending_of
from edgevoice.engines.asr.whisper_grammar import _in_doubt as in_doubt
from edgevoice.engines.asr.whisper_grammar import _mean as mean_of
from edgevoice.engines.asr.whisper_net import Decoding
from edgevoice.engines.asr.whisper_shortlist import Shortlist
from edgevoice.engines.asr.whisper_tokens import Tokens
from edgevoice.engines.protocols import Reading
from edgevoice.modelstore import ModelStore
from edgevoice.think.grammar import Grammar

PACK = """
intents:
  Order:
    data:
      - sentences: ["get me a {size} {drink} [with {milk} milk]"]
lists:
  size: [small, large]
  drink: [latte, mocha, tea]
  milk: [soy, oat]
"""


class ScriptedDecoding:
    """Beams that say certain sentences with certain probabilities."""

    def __init__(self, tokens: Tokens, told: Mapping[str, float]) -> None:
        self.tokens = tokens
        self.told = {(*tokens.encode(f" {text}"), tokens.end): probability for text, probability in told.items()}
        self.beams: list[tuple[int, ...]] = [()]
        self.widths: list[int] = []

    def logits(self, beam: tuple[int, ...]) -> Float32:
        row = np.full(len(self.tokens.texts) + 1000, -30.0, np.float32)
        fitting = {said: weight for said, weight in self.told.items() if said[: len(beam)] == beam}
        following: dict[int, float] = {}
        for said, weight in fitting.items():
            following[said[len(beam)]] = following.get(said[len(beam)], 0.0) + weight / sum(fitting.values())
        for token, probability in following.items():
            row[token] = np.log(probability)
        return row

    def step_beams(self, tokens: Sequence[int], parents: Sequence[int], shortlist: Shortlist | None = None) -> Float32:
        self.beams = [(*self.beams[at], token) for token, at in zip(tokens, parents, strict=True)]
        self.widths.append(len(tokens))
        rows = np.stack([self.logits(beam) for beam in self.beams])
        return rows if shortlist is None else rows[:, shortlist.tokens]


@pytest.fixture(scope="module")
def tokens(store: ModelStore) -> Tokens:
    return whisper_tokens.load(store.path("whisper-tiny.en-int8") / "tokens.json")


@pytest.fixture(scope="module")
def automaton(tokens: Tokens, tmp_path_factory: pytest.TempPathFactory) -> TokenAutomaton:
    path: Path = tmp_path_factory.mktemp("pack") / "pack.yaml"
    path.write_text(PACK, "utf-8")
    return TokenAutomaton(Grammar.load([path]).automaton, Speller(tokens, tokens.suppress))


def shortlist(tokens: Tokens) -> Shortlist:
    return Shortlist(lambda rows: np.zeros((len(rows), 1), np.float32), [], tokens.suppress, tokens.end)


def run(
    tokens: Tokens, automaton: TokenAutomaton, told: Mapping[str, float], width: int = 8
) -> tuple[Found, ScriptedDecoding]:
    decoding = ScriptedDecoding(tokens, told)
    listed = shortlist(tokens)
    found = search(cast(Decoding, decoding), decoding.logits(()), automaton, listed, width=width, limit=40)
    return found, decoding


def fitting(tokens: Tokens, automaton: TokenAutomaton, told: Mapping[str, float], text: str) -> Fit:
    decoding = ScriptedDecoding(tokens, told)
    said = tokens.encode(f" {text}")
    rows = [decoding.logits(tuple(said[:at])) for at in range(len(said) + 1)]
    return fit(rows, said, automaton, shortlist(tokens).everything)


def test_what_the_audio_says_is_found(tokens: Tokens, automaton: TokenAutomaton) -> None:
    found, decoding = run(tokens, automaton, {"get me a small mocha with oat milk": 0.7, "get me a small tea": 0.3})
    assert tokens.text(found.texts[0].tokens) == " get me a small mocha with oat milk"
    assert not found.texts[0].more
    assert max(decoding.widths) <= 8
    assert found.unfinished < found.texts[0].score


def test_what_the_grammar_does_not_know_is_never_written(tokens: Tokens, automaton: TokenAutomaton) -> None:
    found, _ = run(tokens, automaton, {"get me a small coffee": 0.99, "get me a small tea": 0.01})
    assert tokens.text(found.texts[0].tokens) == " get me a small tea"
    assert all("coffee" not in tokens.text(text.tokens) for text in found.texts)


def test_all_spellings_of_a_sentence_count_together(tokens: Tokens, automaton: TokenAutomaton) -> None:
    said = {"get me a small latte": 0.3, "get me a small Latte": 0.3, "get me a small tea": 0.4}
    wide, _ = run(tokens, automaton, said)
    tea = next(text for text in wide.texts if tokens.text(text.tokens) == " get me a small tea")
    latte = [text for text in wide.texts if tokens.text(text.tokens).lower() == " get me a small latte"]
    assert max(text.score for text in latte) > tea.score


def test_an_end_that_the_grammar_does_not_allow_is_noticed(tokens: Tokens, automaton: TokenAutomaton) -> None:
    found, _ = run(tokens, automaton, {"get me a small": 0.95, "get me a small tea": 0.05})
    assert found.unfinished > found.texts[0].score


def test_a_final_mark_is_an_end(tokens: Tokens, automaton: TokenAutomaton) -> None:
    found, _ = run(tokens, automaton, {"get me a small tea.": 1.0})
    assert tokens.text(found.texts[0].tokens) == " get me a small tea."
    assert found.texts[0].more


def test_how_well_a_sentence_fits(tokens: Tokens, automaton: TokenAutomaton) -> None:
    oat, tea = "get me a small mocha with oat milk", "get me a small tea"
    good = fitting(tokens, automaton, {oat: 0.7, tea: 0.3}, oat)
    assert good.full == pytest.approx(np.log(0.7), abs=1e-3)
    assert (good.tokens, good.worst, good.regret) == (len(tokens.encode(f" {oat}")), 0.0, 0.0)
    assert good.end == pytest.approx(0.0, abs=1e-3)


def test_a_word_that_the_grammar_does_not_know_spoils_the_fit(tokens: Tokens, automaton: TokenAutomaton) -> None:
    tea = fitting(tokens, automaton, {"get me a small coffee": 0.99, "get me a small tea": 0.01}, "get me a small tea")
    assert tea.worst == tea.regret == pytest.approx(np.log(0.01 / 0.99), abs=1e-3)
    rare = fitting(
        tokens, automaton, {"get me a small Zamboni": 0.99, "get me a small tea": 0.01}, "get me a small tea"
    )
    assert rare.worst == pytest.approx(np.log(0.01 / 0.99), abs=1e-3)


@pytest.mark.parametrize("mark", ["", ".", ",", "?"])
def test_marks_and_a_second_beginning_are_ends(tokens: Tokens, automaton: TokenAutomaton, mark: str) -> None:
    said = {f"get me a small tea{ending}": 0.25 for ending in ("", ".", ", please", " get me a small tea")}
    found = fitting(tokens, automaton, {**said, f"get me a small tea{mark}": 0.25}, f"get me a small tea{mark}")
    assert found.end == pytest.approx(0.0, abs=1e-3)
    assert found.regret == found.worst == 0.0
    more = fitting(tokens, automaton, {"get me a small tea": 0.1, "get me a small tea pot": 0.9}, "get me a small tea")
    assert more.end == pytest.approx(np.log(0.1), abs=1e-3)


def test_a_narrow_search_follows_the_likeliest_alone(tokens: Tokens, automaton: TokenAutomaton) -> None:
    _, decoding = run(tokens, automaton, {"get me a small tea": 0.5, "get me a large tea": 0.5}, width=1)
    assert set(decoding.widths) == {1}


def test_words_that_are_nearly_as_likely_are_not_left_out(tokens: Tokens, automaton: TokenAutomaton) -> None:
    found, _ = run(tokens, automaton, {"get me a small tea": 0.55, "get me a small tea with oat milk": 0.45})
    assert tokens.text(found.texts[0].tokens) == " get me a small tea with oat milk"
    found, _ = run(tokens, automaton, {"get me a small tea": 0.97, "get me a small tea with oat milk": 0.03})
    assert tokens.text(found.texts[0].tokens) == " get me a small tea"


def test_what_was_searched_before_does_not_matter(tokens: Tokens, automaton: TokenAutomaton) -> None:
    """Tokens that another sentence asked for stay in the shortlist."""
    said = {"get me a small tea": 0.6, "get me a large mocha with oat milk": 0.2, "get me a small latte": 0.2}
    listed = shortlist(tokens)
    first, second = (
        search(cast(Decoding, decoding), decoding.logits(()), automaton, listed, width=8, limit=40)
        for decoding in (ScriptedDecoding(tokens, said), ScriptedDecoding(tokens, said))
    )
    assert len(listed.tokens) > len(listed.view.mask)
    assert first == second


def test_a_sentence_is_unfinished_only_when_that_is_clear() -> None:
    """A complete order in noise is often a little behind an unfinished one."""
    for ahead, ending in ((-1.0, "closed"), (1.9, "closed"), (2.1, "unfinished")):
        assert ending_of(Found([Scored((1,), 5.0, more=False, free=False)], 5.0 + ahead)) == ending
    assert ending_of(Found([Scored((1,), 5.0, more=True, free=False)], 6.9)) == "open"


def test_what_is_in_doubt_is_read_again() -> None:
    def doubted(confidence: float, probability: float, doubt_below: float = 0.9) -> bool:
        return in_doubt(Read([Reading("tea", probability)], confidence, "open"), doubt_below)

    assert not doubted(0.19, 0.5)  # no command
    assert doubted(0.21, 1.0)
    assert doubted(0.69, 1.0)
    assert not doubted(0.71, 0.91)
    assert doubted(0.71, 0.89)
    assert not doubted(0.3, 0.5, doubt_below=0.0)
    assert not in_doubt(Read((), 0.9, "unfinished"), 0.9)


def test_the_mean_of_two_readings() -> None:
    first = Read([Reading("tea", 0.6), Reading("tea with milk", 0.4)], 0.9, "open")
    second = Read([Reading("tea with milk", 0.9), Reading("tea with silk", 0.06)], 0.5, "closed")
    both = mean_of(first, second)
    assert [(each.text, round(each.probability, 3)) for each in both.readings] == [
        ("tea with milk", 0.65),
        ("tea", 0.3),
        ("tea with silk", 0.03),
    ]
    assert both.confidence == pytest.approx(0.7)
    assert both.ending == "closed"
    assert mean_of(first, Read(second.readings[1:], 0.1, "closed")).ending == "open"
