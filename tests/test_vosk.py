import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speech import KOREAN, korean

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines.asr import vosk
from edgevoice.engines.protocols import AsrHint
from edgevoice.errors import ModelError
from edgevoice.modelstore import ModelStore


@pytest.fixture(scope="module")
def folder(store: ModelStore) -> Path:
    return store.path("vosk-ko")


@pytest.fixture(scope="module")
def engine(store: ModelStore) -> Any:
    engine = vosk.load(vosk.Options(model="vosk-ko"), store)
    yield engine
    engine.close()
    engine.close()


@pytest.fixture(scope="module")
def greeting(tmp_path_factory: pytest.TempPathFactory) -> Audio:
    return korean(tmp_path_factory.mktemp("korean") / "greeting.wav")


def run(engine: vosk.VoskEngine, audio: Audio, hint: AsrHint | None = None) -> tuple[list[str], str, float | None]:
    session = engine.open(hint)
    partials = []
    for at in range(0, len(audio), 512):
        partial = session.feed(Audio(audio.samples[at : at + 512], start=at))
        if partial is not None:
            partials.append(partial.text)
    final = session.finish()
    assert final == session.finish()
    assert final.stable == len(final.text)
    session.close()
    return partials, final.text, final.confidence


def test_streams_partial_texts(engine: vosk.VoskEngine, greeting: Audio) -> None:
    partials, text, confidence = run(engine, greeting)
    assert KOREAN in text
    assert partials
    assert partials[-1] in text
    assert confidence is not None
    assert 0.3 < confidence <= 1


def test_partials_can_be_switched_off(store: ModelStore, engine: vosk.VoskEngine, greeting: Audio) -> None:
    quiet = vosk.VoskEngine(engine._package, engine._model, vosk.Options(model="vosk-ko", partials=False))
    assert run(quiet, greeting)[0] == []


def test_phrases_bind_the_recogniser(engine: vosk.VoskEngine, greeting: Audio) -> None:
    other = "어머니"
    assert run(engine, greeting, AsrHint((KOREAN, other)))[1] == KOREAN
    assert KOREAN not in run(engine, greeting, AsrHint((other,)))[1]
    unbound = vosk.VoskEngine(engine._package, engine._model, vosk.Options(model="vosk-ko", use_phrases=False))
    assert KOREAN in run(unbound, greeting, AsrHint((other,)))[1]


def test_phrases_with_unknown_words_are_named(
    engine: vosk.VoskEngine, greeting: Audio, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert run(engine, greeting, AsrHint((KOREAN, "kitchen 아버지")))[1] == KOREAN
    assert "the words 'kitchen'; 1 of 2 phrases" in caplog.text
    # None is left: anything may be said, rather than nothing.
    assert KOREAN in run(engine, greeting, AsrHint(("kitchen",)))[1]


def test_silence_and_no_audio_give_no_text(engine: vosk.VoskEngine) -> None:
    assert run(engine, Audio(np.zeros(RATE, np.int16)))[1:] == ("", None)
    session = engine.open()
    assert session.feed(Audio(np.zeros(0, np.int16))) is None
    assert session.finish().text == ""


def copy(source: Path, target: Path) -> Path:
    """A model of links, of which a test can break one file."""
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).symlink_to(path)
    return target


@pytest.mark.parametrize("name", ["am/final.mdl", "conf/mfcc.conf", "graph/HCLr.fst", "graph/Gr.fst"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_or_empty_file_is_named(
    name: str, empty: bool, folder: Path, store: ModelStore, tmp_path: Path
) -> None:
    broken = copy(folder, tmp_path / "model")
    (broken / name).unlink()
    if empty:
        (broken / name).touch()
    with pytest.raises(ModelError, match=Path(name).name):
        vosk.load(vosk.Options(model=str(broken)), store)


@pytest.mark.parametrize("name", ["am/final.mdl", "conf/model.conf", "graph/HCLr.fst", "ivector/final.ie"])
def test_a_truncated_file_is_an_error(name: str, folder: Path, store: ModelStore, tmp_path: Path) -> None:
    broken = copy(folder, tmp_path / "model")
    data = (broken / name).read_bytes()[:100]
    (broken / name).unlink()
    (broken / name).write_bytes(data)
    with pytest.raises(ModelError, match="Vosk cannot load it"):
        vosk.load(vosk.Options(model=str(broken)), store)


def test_a_directory_of_another_kind(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no file am/final\.mdl; it must be the directory of an unpacked Vosk model"):
        vosk.load(vosk.Options(model=str(tmp_path)), store)
    with pytest.raises(ModelError):
        vosk.load(vosk.Options(model=str(tmp_path / "none")), store)
