"""Words of the intents that a recogniser cannot write."""

from pathlib import Path

import pytest
from fakes import FakeAsr

from edgevoice.engines.asr import whisper
from edgevoice.engines.asr.spelling import is_latin
from edgevoice.modelstore import ModelStore
from edgevoice.parts import warn_unwritable
from edgevoice.think.grammar import Grammar

PACK = """
intents:
  Play: {data: [{sentences: ["play {song}", "[пожалуйста] stop"]}]}
lists:
  song:
    - café música
    - in: ночь
      out: night
    - in: (東京|tokyo)
"""


@pytest.fixture
def grammar(tmp_path: Path) -> Grammar:
    (tmp_path / "pack.yaml").write_text(PACK, "utf-8")
    return Grammar.load([tmp_path / "pack.yaml"])


def test_words_of_another_script_are_named_with_their_places(
    store: ModelStore, grammar: Grammar, caplog: pytest.LogCaptureFixture
) -> None:
    engine = whisper.load(whisper.Options(), store)
    warn_unwritable(engine, grammar)
    engine.close()
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == 3
    for line, word in ((3, "пожалуйста"), (7, "ночь"), (9, "東京")):
        assert any(f"pack.yaml:{line}: the recogniser cannot write '{word}'" in message for message in found), word


def test_only_some_are_named_where_there_are_many(
    store: ModelStore, grammar: Grammar, caplog: pytest.LogCaptureFixture
) -> None:
    engine = whisper.load(whisper.Options(), store)
    letters = "абвгд"
    grammar.replace_list("song", [first + second for first in letters for second in letters])
    warn_unwritable(engine, grammar)
    engine.close()
    assert len(caplog.records) == 21
    assert caplog.records[-1].getMessage() == "and 6 words more that the recogniser cannot write"


def test_other_recognisers_are_not_asked(grammar: Grammar, caplog: pytest.LogCaptureFixture) -> None:
    warn_unwritable(FakeAsr(), grammar)
    assert not caplog.records


@pytest.mark.parametrize(
    ("word", "latin"),
    [("o'clock", True), ("naïve", True), ("straße", True), ("r2d2", True), ("αβγ", False), ("b東", False)],
)
def test_scripts(word: str, latin: bool) -> None:
    assert is_latin(word) == latin
