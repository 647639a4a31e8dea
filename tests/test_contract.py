"""What every engine must do: the fakes and the real ones, straight from the registry."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeAsr, FakeTts, FakeVad, FakeWake, perform
from speech import korean

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines import registry
from edgevoice.errors import ConfigError, EngineMissingError, ModelError, TextError
from edgevoice.modelstore import ModelStore

Pieces = Callable[[Audio], Iterator[Audio]]


def whole(audio: Audio) -> Iterator[Audio]:
    yield audio


def in_blocks(audio: Audio, size: int = 777) -> Iterator[Audio]:
    for at in range(0, len(audio), size):
        yield Audio(audio.samples[at : at + size], start=audio.start + at)


@pytest.fixture(scope="module")
def load(store: ModelStore) -> Iterator[Callable[[str, str], Any]]:
    """Loads an engine once, whoever asks; closes them all."""
    fakes: dict[str, Callable[[], Any]] = {"wake": FakeWake, "vad": FakeVad, "asr": FakeAsr, "tts": FakeTts}
    loaded: dict[tuple[str, str], Any] = {}

    def get(task: str, name: str) -> Any:
        if (task, name) not in loaded:
            options = None
            if (task, name) == ("wake", "microwakeword"):
                options = registry.options_type(task, name)(models=("alexa", "hey_jarvis"))
            if (task, name) == ("wake", "openwakeword"):
                options = registry.options_type(task, name)(models=("oww-alexa", "oww-hey_jarvis"))
            if (task, name) == ("asr", "vosk"):
                options = registry.options_type(task, name)(model="vosk-ko")
            loaded[task, name] = fakes[task]() if name == "fake" else registry.load(task, name, options, store)
        return loaded[task, name]

    yield get
    for engine in loaded.values():
        engine.close()
        engine.close()  # twice does no harm


@pytest.fixture(scope="module")
def spoken(load: Callable[[str, str], Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Audio]:
    """Speech for an engine: a fake hears a script, Vosk Korean, the others English."""

    def say(engine: str) -> Audio:
        if engine == "fake":
            return perform("..WWWW..ooookkkk......")
        if engine == "vosk":
            return korean(tmp_path_factory.mktemp("korean") / "speech.wav")
        voice = load("tts", "hibari")
        samples = np.concatenate([audio.samples for audio in voice.synthesize("Alexa, turn on the kitchen light.")])
        quiet = np.zeros(RATE // 2, np.int16)
        return Audio(np.concatenate([quiet, resample(samples, voice.rate, RATE), quiet]))

    return say


def engines(task: str) -> list[str]:
    return ["fake", *registry.names(task)]


@pytest.mark.parametrize("name", engines("wake"))
def test_wake(name: str, load: Callable[[str, str], Any], spoken: Callable[[str], Audio]) -> None:
    engine, audio = load("wake", name), spoken(name)
    assert all(0 <= model.threshold <= 1 and model.patience >= 1 for model in engine.models)
    scores = engine.open().feed(audio)
    assert max(score.score for score in scores if score.model == 0) > 0.5  # it hears its word
    assert all(0 <= score.score <= 1 and 0 < score.end <= audio.end for score in scores)
    assert [score.end for score in scores] == sorted(score.end for score in scores)
    session = engine.open()  # sessions share no state, and the length of the pieces does not matter
    assert [score for piece in in_blocks(audio) for score in session.feed(piece)] == list(scores)
    session.close()


@pytest.mark.parametrize("name", engines("vad"))
def test_vad(name: str, load: Callable[[str, str], Any], spoken: Callable[[str], Audio]) -> None:
    engine, audio = load("vad", name), spoken(name)
    scores = engine.open().feed(audio)
    assert max(score.probability for score in scores) > 0.9
    assert min(score.probability for score in scores) < 0.3
    assert all(left.end == right.start for left, right in itertools.pairwise(scores))
    session = engine.open()
    assert [score for piece in in_blocks(audio) for score in session.feed(piece)] == list(scores)
    session.close()
    assert not engine.open().feed(Audio(np.zeros(0, np.int16)))


EXPECTED = {"fake": "kitchen light", "whisper": "kitchen light", "vosk": "아버지"}


@pytest.mark.parametrize("name", engines("asr"))
def test_asr(name: str, load: Callable[[str, str], Any], spoken: Callable[[str], Audio]) -> None:
    engine, audio = load("asr", name), spoken(name)
    texts = []
    for cut in (whole, in_blocks):
        session = engine.open()
        for piece in cut(audio):
            partial = session.feed(piece)
            assert partial is None or 0 <= partial.stable <= len(partial.text)
        early = session.pause()
        final = session.finish()
        assert early is None or early.text == final.text
        assert final.confidence is None or 0 <= final.confidence <= 1
        texts.append(final.text)
        session.close()
    assert EXPECTED[name] in texts[0].lower()
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", engines("asr"))
def test_asr_goes_on_after_a_pause(name: str, load: Callable[[str, str], Any], spoken: Callable[[str], Audio]) -> None:
    engine, audio = load("asr", name), spoken(name)
    half = len(audio) // 2
    session = engine.open()
    session.feed(Audio(audio.samples[:half]))
    session.pause()
    session.feed(Audio(audio.samples[half:], start=half))
    assert EXPECTED[name] in session.finish().text.lower()
    session.close()


@pytest.mark.parametrize("name", engines("asr"))
def test_asr_hears_nothing_in_silence(name: str, load: Callable[[str, str], Any]) -> None:
    session = load("asr", name).open()
    session.feed(Audio(np.zeros(RATE * 2, np.int16)))
    assert session.finish().text.strip() == ""
    session.close()
    empty = load("asr", name).open()
    assert empty.finish().text.strip() == ""
    empty.close()


@pytest.mark.parametrize("name", engines("tts"))
def test_tts(name: str, load: Callable[[str, str], Any]) -> None:
    engine = load("tts", name)
    pieces = list(engine.synthesize("The kitchen light is on."))
    assert pieces
    assert all(piece.rate == engine.rate and piece.samples.dtype == np.int16 for piece in pieces)
    assert 0.5 < sum(piece.seconds for piece in pieces) < 5
    assert max(int(np.abs(piece.samples).max()) for piece in pieces) > 500
    with pytest.raises(TextError):
        list(engine.synthesize("..."))


@pytest.mark.parametrize(("task", "name"), list(registry.ENGINES))
def test_every_option_is_documented_and_has_a_default(task: str, name: str) -> None:
    import msgspec

    from edgevoice.config import _description

    options = registry.options_type(task, name)
    options()
    for field in msgspec.structs.fields(options):
        assert _description(field.type), f"{task} {name}: {field.name}"


def test_unknown_engine() -> None:
    with pytest.raises(ConfigError, match="choose one of: whisper, vosk"):
        registry.module("asr", "whispr")


def test_a_missing_package_names_the_remedy() -> None:
    with pytest.raises(EngineMissingError, match=r"pip install 'edgevoice\[nothing\]'"):
        registry.require("edgevoice_no_such_package", extra="nothing")


def test_a_broken_package_is_told_from_a_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgevoice.errors import EngineBrokenError

    (tmp_path / "edgevoice_broken_package.py").write_text("raise OSError('libatomic.so.1: cannot open')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineBrokenError, match=r"libatomic\.so\.1: cannot open.*apt install libatomic1"):
        registry.require("edgevoice_broken_package")


@pytest.mark.parametrize("package", ["edgevoice_half_package", "edgevoice_half_package.inner", "edgevoice_half_outer"])
def test_what_a_package_lacks_is_not_taken_for_the_package(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgevoice.errors import EngineBrokenError

    folder = tmp_path / "edgevoice_half_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("import edgevoice_absent_part.deep")
    (folder / "inner.py").write_text("")
    (tmp_path / "edgevoice_half_outer.py").write_text("import edgevoice_half_package")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        EngineBrokenError, match=r"edgevoice_half_package needs edgevoice_absent_part, which is missing"
    ):
        registry.require(package)


def test_a_package_of_another_version_is_not_called_missing() -> None:
    from edgevoice.errors import EngineBrokenError

    with pytest.raises(EngineBrokenError, match=r"there is no json\.edgevoice_part in it"):
        registry.require("json.edgevoice_part")


@pytest.mark.parametrize("package", ["edgevoice_no_such_package.inner", "edgevoice_empty_space.inner"])
def test_a_part_of_what_is_not_installed(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "edgevoice_empty_space").mkdir()  # as google is, of which protobuf is one package among others
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineMissingError, match="it is not installed"):
        registry.require(package)


@pytest.mark.parametrize(("task", "name", "option"), [("vad", "silero", "model"), ("asr", "whisper", "model")])
@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07" * 5000])
def test_a_damaged_model_is_an_error_not_a_crash(
    task: str, name: str, option: str, content: bytes, tmp_path: Path, store: ModelStore
) -> None:
    for file in ("encoder.onnx", "decoder.onnx", "model.onnx"):
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelError):
        registry.load(task, name, registry.options_type(task, name)(**{option: str(tmp_path)}), store)


def test_importing_edgevoice_loads_no_engine() -> None:
    modules = list(registry.ENGINES.values())
    code = (
        "import sys, importlib, edgevoice, edgevoice.__main__ as main\n"
        f"[importlib.import_module(name) for name in {modules!r}]\n"
        "main.parser()\n"
        "heavy = {'onnxruntime', 'ai_edge_litert', 'pyaudio', 'vosk', 'hibari', 'piper', 'onnx', 'soundfile'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
