"""Sentences of two templates, against all sentences of random grammars."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from grammars import Sample, samples
from hypothesis import HealthCheck, assume, given, settings

from edgevoice.think import claims as module
from edgevoice.think.claims import Claims
from edgevoice.think.grammar import Grammar
from edgevoice.think.match import Matcher


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples())
def test_a_shared_sentence_is_found_where_there_is_one(tmp_path: Path, sample: Sample) -> None:
    assume(() not in sample.sentences)
    (tmp_path / "pack.yaml").write_text(sample.pack, "utf-8")
    automaton = Grammar.load([tmp_path / "pack.yaml"]).automaton
    matcher = Matcher(automaton)

    def costs(words: Sequence[str]) -> dict[int, int]:
        return {found.template: found.cost for found in matcher.candidates(words)}

    expected = set()
    for words in sample.sentences:
        for (one, cost), (other, other_cost) in itertools.combinations(sorted(costs(words).items()), 2):
            if cost == other_cost:
                expected.add((one, other))
    claims = Claims(automaton)
    found = set()
    for one, other in claims.pairs():

        def alike(words: Sequence[str], pair: tuple[int, int] = (one, other)) -> bool:
            by = costs(words)
            return all(number in by for number in pair) and by[pair[0]] == by[pair[1]]

        if claims.shared(one, other, alike) is not None:
            found.add((one, other))
    assert found == expected
    assert claims.complete


def claimed(folder: Path, *templates: str, lists: str = "") -> tuple[list[tuple[str, ...]], bool]:
    """The shared sentences of templates, each of an intent of its own; and whether the search was finished."""
    rows = "".join(f"  I{number}: {{data: [{{sentences: ['{text}']}}]}}\n" for number, text in enumerate(templates))
    (folder / "pack.yaml").write_text(f"intents:\n{rows}lists:\n  x: [{lists or 'a'}]\n  w: {{wildcard: true}}\n")
    claims = Claims(Grammar.load([folder / "pack.yaml"]).automaton)
    found = [claims.shared(*pair, lambda words: True) for pair in claims.pairs()]
    return [words for words in found if words is not None], claims.complete


def test_a_rare_overlap_is_found(tmp_path: Path) -> None:
    numbers = "|".join(f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(500))
    assert claimed(tmp_path, f"go ({numbers}) home", "[now] go (left|wne) home") == (
        [("go", "wne", "home")],
        True,
    )


def test_a_list_is_passed_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PLACES", 20)
    names = ", ".join(f"n{chr(97 + number // 26)}{chr(97 + number % 26)} x" for number in range(200))
    found, complete = claimed(tmp_path, "call {x} now", "call {x} [now]", "call {x} later", lists=names)
    assert complete
    assert [(words[0], words[-1]) for words in found] == [("call", "now")]


def test_values_that_begin_others_are_told_apart(tmp_path: Path) -> None:
    assert claimed(tmp_path, "call {x} light", "call {x}", lists="den, den light")[1]
    assert claimed(tmp_path, "call {x} light on", "call {x} on", lists="den, den light") == ([], True)


@pytest.mark.parametrize("lists", ["aaa, bbb", "bbb, aaa"])
def test_another_value_may_be_the_one(tmp_path: Path, caplog: pytest.LogCaptureFixture, lists: str) -> None:
    """Whoever says "aaa" literally gets it; only "bbb" is as good a sentence of both."""
    claimed(tmp_path, "go {x}", "go (aaa|{x})", lists=lists)
    assert [" 'go bbb' is a sentence of I1 and of I0" in message for message in caplog.messages] == [True]


def test_free_texts_meet(tmp_path: Path) -> None:
    assert claimed(tmp_path, "say {w} now", "say {w} [now]")[0]
    assert claimed(tmp_path, "say {w} now", "say {w} later") == ([], True)


def test_it_is_given_up_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PLACES", 3)
    assert claimed(tmp_path, "a b c d e f", "a b c d e [g] f") == ([], False)
    monkeypatch.setattr(module, "MAX_ALL", 3)
    assert claimed(tmp_path, "a b", "a b", "a b", "a b")[1] is False
