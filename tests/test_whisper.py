import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgevoice.audio.pcm import RATE, Audio, from_float32
from edgevoice.engines.asr import (
    whisper,
    whisper_decode,
    whisper_grammar,
    whisper_mel,
    whisper_stream,
    whisper_tokens,
)
from edgevoice.engines.asr.whisper_beam import search
from edgevoice.engines.asr.whisper_decode import Decoded
from edgevoice.engines.protocols import AsrHint, Hypothesis
from edgevoice.errors import ConfigError, EngineError, ModelError
from edgevoice.modelstore import ModelStore
from edgevoice.think.grammar import Grammar, default_pack

PLAIN = whisper.Options(partials=False)


@pytest.fixture(scope="module")
def engine(store: ModelStore) -> whisper.WhisperEngine:
    return whisper.load(whisper.Options(), store)


@pytest.fixture(scope="module")
def say(store: ModelStore) -> Callable[[str], Audio]:
    from edgevoice.audio.convert import resample
    from edgevoice.engines import registry

    voice = registry.load("tts", "hibari", None, store)

    def speak(text: str) -> Audio:
        spoken = np.concatenate([audio.samples for audio in voice.synthesize(text)])
        quiet = np.zeros(RATE // 2, np.int16)
        return Audio(np.concatenate([quiet, resample(spoken, voice.rate, RATE), quiet]))

    return speak


def run(engine: whisper.WhisperEngine, audio: Audio, block: int) -> tuple[list[Hypothesis], Hypothesis]:
    session = engine.open()
    partials = []
    for at in range(0, len(audio), block):
        partial = session.feed(Audio(audio.samples[at : at + block], start=audio.start + at))
        if partial is not None:
            partials.append(partial)
    final = session.finish()
    session.close()
    return partials, final


def with_options(engine: whisper.WhisperEngine, options: whisper.Options) -> whisper.WhisperEngine:
    assert engine._net is not None
    return whisper.WhisperEngine(options, engine._net, engine.tokens)


def test_in_haste_it_follows_fewer_sentences_and_gives_no_partial_texts(
    engine: whisper.WhisperEngine, say: Callable[[str], Audio], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = say("turn on the kitchen light")
    automaton = Grammar.load([default_pack("en")]).automaton
    widths: list[int] = []

    def counted(*args: Any, width: int, limit: int) -> Any:
        widths.append(width)
        return search(*args, width=width, limit=limit)

    monkeypatch.setattr(whisper_grammar, "search", counted)
    texts = []
    for haste in (False, True):
        session = engine.open(AsrHint(automaton=automaton, haste=haste))
        session.feed(spoken)
        texts.append(session.finish().text)
        session.close()
    assert texts == ["turn on the kitchen light"] * 2
    assert widths == [8, 2]

    session = engine.open(AsrHint(haste=True))
    assert session.feed(say("This is a long sentence, and it takes more than two seconds to say all of it.")) is None
    assert "long sentence" in session.finish().text
    session.close()


def test_at_a_glance_nothing_but_commands_is_read(
    engine: whisper.WhisperEngine, say: Callable[[str], Audio], monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = AsrHint(automaton=Grammar.load([default_pack("en")]).automaton)
    decoded: list[int] = []
    decode = engine.decode

    def counted(heard: Any) -> Any:
        decoded.append(len(heard))
        return decode(heard)

    monkeypatch.setattr(engine, "decode", counted)

    session = engine.open(hint)
    session.feed(say("My sister bought a yellow car yesterday."))
    assert session.pause(glance=True) is None
    assert not decoded
    heard = session.pause()
    assert heard is not None
    assert "yellow" in heard.text
    session.close()

    session = engine.open(hint)
    session.feed(say("turn on the kitchen light"))
    heard = session.pause(glance=True)
    assert heard is not None
    assert heard.text == "turn on the kitchen light"
    session.close()


# The spectrogram -------------------------------------------------------------------------------------------------


def test_mel_filters_are_slaneys() -> None:
    filters = whisper_mel.filters(80)
    assert filters.shape == (201, 80)
    # Below 1 kHz one filter every 36.7 Hz (8 kHz are 45.2 mel, in 81 steps), each of area 1 over its width in Hz.
    assert filters[:, 0].argmax() == 1
    assert filters[1, 0] == pytest.approx(0.02486259, abs=1e-7)  # as published with the models (mel_filters.npz)
    assert (filters.sum(axis=0) > 0).all()


def test_a_tone_lights_its_own_filter() -> None:
    time = np.arange(RATE, dtype=np.float32) / RATE
    mel = whisper_mel.log_mel(np.sin(2 * np.pi * 2000 * time).astype(np.float32) * np.float32(0.5), 80)
    assert mel.shape == (80, 100)
    assert mel.dtype == np.float32
    loudest = int(mel[:, 50].argmax())
    centre = whisper_mel.filters(80)[:, loudest].argmax() * 40
    assert abs(int(centre) - 2000) < 120
    assert mel.max() - mel.min() == pytest.approx(2.0, abs=1e-5)  # the range is cut to 8 in log10, divided by 4


# Tokens ----------------------------------------------------------------------------------------------------------


def test_the_alphabet_spells_every_byte() -> None:
    alphabet = whisper_tokens.byte_alphabet()
    assert len(set(alphabet)) == 256
    assert "".join(alphabet).isprintable()
    assert (alphabet[0x20], alphabet[0x0A], alphabet[0x41], alphabet[0xAD]) == ("Ġ", "Ċ", "A", "Ń")
    every = bytes(range(256))
    assert whisper_tokens.spell(whisper_tokens.write(every)) == every
    with pytest.raises(ValueError, match="stands for no byte"):
        whisper_tokens.spell("a b")


def tokens(languages: dict[str, int]) -> whisper_tokens.Tokens:
    return whisper_tokens.Tokens(
        texts=["Ġcaf", "Ã", "©", "Ġau"],
        start=5,
        end=4,
        previous=6,
        no_speech=7,
        no_timestamps=8,
        transcribe=9,
        languages=languages,
        suppress=[],
        suppress_first=[],
    )


def test_characters_may_span_tokens() -> None:
    assert tokens({}).text([0, 1, 2, 3, 4, 8]) == " café au"
    assert tokens({}).text([0, 1]) == " caf\N{REPLACEMENT CHARACTER}"


def test_prefix_names_the_language_of_a_multilingual_model() -> None:
    assert tokens({}).prefix(None) == tokens({}).prefix("en") == [5, 8]
    many = tokens({"en": 10, "de": 11})
    assert many.prefix(None) == [5, 10, 9, 8]
    assert many.prefix("de") == [5, 11, 9, 8]
    with pytest.raises(ConfigError, match="choose one of: en, de"):
        many.prefix("xx")
    with pytest.raises(ConfigError, match="multilingual"):
        tokens({}).prefix("de")


# Loops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("a b c d e f", ""),
        ("n n n n", ""),
        ("x a a a a a a a a a a", "a a a a a a a a a"),
        ("x a b c d a b c d a b c d", "a b c d a b c d"),
        ("x a b c d a b c d a b c e", ""),
        ("x a b c d a b c d", ""),
    ],
)
def test_a_loop_is_cut_where_it_begins(text: str, cut: str) -> None:
    assert whisper_decode.repetition([ord(word) for word in text.split()]) == len(cut.split())


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ("stop . stop .", True),
        ("stop . stop", True),
        ("stop , stop .", True),
        ("stop stop", True),
        ("turn it on . turn it on .", True),
        ("well turn it on now . turn it on now .", True),
        ("well turn it on now , turn it on now .", True),
        ("well no no", False),
        ("turn it on . turn it off .", False),
        ("turn it on .", False),
        ("stop", False),
        (".", False),
        ("", False),
    ],
)
def test_a_text_written_twice_is_suspect(text: str, twice: bool) -> None:
    assert whisper_decode.said_twice(text.split()) is twice  # type: ignore[arg-type]  # words are as good as numbers


@pytest.mark.parametrize(
    ("context", "suspect", "retry", "seen"),
    [
        (12, 0, True, [12]),
        (12, 1, True, [12, 16]),
        (12, 9, True, [12, 16, 30]),
        (12, 9, False, [12]),
        (28, 9, True, [28, 30]),
        (30, 9, True, [30]),
    ],
)
def test_a_suspect_text_is_tried_with_more_context(
    monkeypatch: pytest.MonkeyPatch, context: float, suspect: int, retry: bool, seen: list[int]
) -> None:
    lengths: list[float] = []

    def attempt(_net: object, _rule: object, _samples: object, length: int, _forced: object) -> Decoded:
        lengths.append(length / RATE)
        return Decoded([], 0.0, 0.0, len(lengths) <= suspect)

    monkeypatch.setattr(whisper_decode, "_attempt", attempt)
    net: Any = SimpleNamespace(audio_positions=1500)
    rule: Any = None
    result = whisper_decode.decode(net, rule, np.zeros(RATE, np.float32), context=context, retry=retry)
    assert lengths == seen
    assert result.suspect is (len(seen) <= suspect)


# Partial texts ---------------------------------------------------------------------------------------------------


def test_the_schedule_bounds_the_work() -> None:
    schedule = whisper_stream.Schedule(1.0)
    lengths = []
    while schedule.next <= 28 * RATE:
        lengths.append(schedule.next)
        schedule.advance(schedule.next)
    assert lengths[:3] == [RATE, 2 * RATE, 3 * RATE]
    assert sum(lengths) <= 5 * 28 * RATE
    assert len(lengths) == 12


def test_only_agreed_whole_words_are_committed() -> None:
    agreement = whisper_stream.Agreement(lambda token: token >= 10)  # from 10 on a token begins a word
    agreement.push([10, 11, 12])
    assert agreement.committed == []
    agreement.push([10, 11, 12, 13, 14])
    assert agreement.committed == [10, 11, 12]
    agreement.push([10, 11, 12, 13, 1, 15])
    assert agreement.committed == [10, 11, 12]  # "13" went on as "13 1"
    agreement.push([10, 11, 12, 13, 1, 15, 16, 17])
    assert agreement.committed == [10, 11, 12, 13, 1, 15]
    agreement.push([10, 11, 12, 13, 1, 15])
    assert agreement.committed == [10, 11, 12, 13, 1, 15]  # never less


def test_long_audio_is_cut_in_the_longest_pause() -> None:
    noise = np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    noise[6 * RATE : 6 * RATE + 4000] = 0
    noise[3 * RATE : 3 * RATE + 1000] = 0
    assert 6 * RATE < whisper_stream.quietest(noise, 2 * RATE, 9 * RATE) < 6 * RATE + 4000
    assert whisper_stream.quietest(noise, 100, 200) == 200


# The engine ------------------------------------------------------------------------------------------------------


def test_partials_grow_and_keep_what_is_stable(engine: whisper.WhisperEngine, say: Callable[[str], Audio]) -> None:
    audio = say("Please turn on the kitchen light and then tell me what time it is in the living room.")
    partials, final = run(engine, audio, 512)
    assert "kitchen light" in final.text
    assert "living room" in final.text
    assert len(partials) >= 3
    stable = [partial.text[: partial.stable] for partial in partials]
    assert stable[-1]
    for earlier, later in pairwise(stable):
        assert later.startswith(earlier)
    assert final.stable == len(final.text)
    assert final.confidence is not None
    assert 0.5 < final.confidence <= 1


def test_block_sizes_do_not_matter(engine: whisper.WhisperEngine, say: Callable[[str], Audio]) -> None:
    audio = say("Set a timer for five minutes.")
    fine, coarse, whole = (run(engine, audio, block) for block in (512, 7001, len(audio)))
    assert fine == coarse
    assert fine[1] == whole[1]
    assert fine[0][-1] == whole[0][-1]


def test_without_partials_nothing_is_decoded_before_the_end(
    engine: whisper.WhisperEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = with_options(engine, PLAIN)
    calls: list[int] = []

    def decode(samples: np.ndarray, forced: object = (), *, retry: bool = True) -> Decoded:
        calls.append(len(samples))
        return Decoded([], 0.0, 0.0, False)

    monkeypatch.setattr(quiet, "decode", decode)
    session = quiet.open()
    for at in range(5):
        assert session.feed(Audio(np.ones(RATE, np.int16), start=at * RATE)) is None
    assert calls == []
    paused = session.pause()
    assert session.finish() is paused  # nothing came since
    assert calls == [5 * RATE]
    session.feed(Audio(np.ones(100, np.int16)))
    session.finish()
    assert calls == [5 * RATE, 5 * RATE + 100]


@pytest.mark.parametrize("seconds", [9, 40])
def test_partials_do_not_change_the_final_text(
    engine: whisper.WhisperEngine, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    def decode(samples: np.ndarray, forced: list[int] | tuple[()] = (), *, retry: bool = True) -> Decoded:
        """Hears one word more with every second, and corrects the first one after the sixth."""
        count = len(samples) // RATE
        heard = [words[0] if count < 6 else words[1], *words[2 : 2 + count]]
        return Decoded([*forced, *heard[len(forced) :]], -0.1, 0.0, False)

    words = [at for at, text in enumerate(engine.tokens.texts) if text.startswith("Ġ") and text[1:].isalpha()][:40]
    audio = Audio(np.ones(seconds * RATE, np.int16))
    results = []
    for options in (whisper.Options(), PLAIN):
        fake = with_options(engine, options)
        monkeypatch.setattr(fake, "decode", decode)
        results.append(run(fake, audio, 4096))
    (partials, final), (none, plain) = results
    first = engine.tokens.text(words[:1]).strip()
    assert partials
    assert not none
    assert any(partial.text[: partial.stable].startswith(first) for partial in partials)
    assert final == plain
    assert not final.text.startswith(first)


def test_nothing_is_lost_of_long_audio(engine: whisper.WhisperEngine, say: Callable[[str], Audio]) -> None:
    numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    pieces = [say(f"This is sentence number {number}, and the kitchen light is on.").samples for number in numbers]
    audio = Audio(np.concatenate(pieces), start=1000)
    assert audio.seconds > 32
    _, final = run(with_options(engine, PLAIN), audio, 4096)
    assert final.text.lower().count("sentence number") == len(numbers)
    assert final.text.lower().count("kitchen light") == len(numbers)


@pytest.mark.parametrize("level", [0.0, 0.0003, 0.01])
def test_silence_and_noise_give_no_text(engine: whisper.WhisperEngine, level: float) -> None:
    noise = np.random.default_rng(3).standard_normal(3 * RATE).astype(np.float32) * np.float32(level)
    partials, final = run(engine, from_float32(noise, RATE), 512)
    assert (final.text, final.confidence) == ("", 0.0)
    assert all(partial.text == "" for partial in partials)


def test_a_single_word_is_not_repeated(engine: whisper.WhisperEngine, say: Callable[[str], Audio]) -> None:
    for word in ("Stop.", "Alexa."):
        text = run(with_options(engine, PLAIN), say(word), 4096)[1].text.lower()
        assert text.count(word[:-1].lower()) == 1


def test_symbols_can_be_allowed(engine: whisper.WhisperEngine) -> None:
    assert engine._rules.suppress == engine.tokens.suppress
    assert not with_options(engine, whisper.Options(suppress_symbols=False))._rules.suppress


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("model.json", None, "no such file"),
        ("model.json", "{", "damaged"),
        ("model.json", '{"kind": "whisper", "format": 1}', "damaged"),
        ("model.json", '{"kind": "whisper", "format": 2, "dims": {}}', ": it is damaged"),
        ("model.json", '{"kind": "whisper", "format": 99, "dims": {}}', "format 99; needed is 'whisper', format 2"),
        ("tokens.json", None, "no such file"),
        ("tokens.json", '{"special": {}}', "no tokens of Whisper"),
        ("encoder.onnx", None, "no such file"),
        ("decoder.onnx", "no model", "cannot be loaded"),
        ("embedding.bin", "short", "embedding.bin: it is damaged: it has 5 bytes"),
    ],
)
def test_a_damaged_model_is_named(
    name: str, content: str | None, match: str, store: ModelStore, tmp_path: Path
) -> None:
    for path in store.path("whisper-tiny.en-int8").iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=match) as caught:
        whisper.load(whisper.Options(model=str(tmp_path)), store)
    assert name in str(caught.value)


def _with(store: ModelStore, folder: Path, name: str, content: bytes) -> None:
    """The model in a folder, with another file in it."""
    for path in store.path("whisper-tiny.en-int8").iterdir():
        (folder / path.name).symlink_to(path)
    (folder / name).unlink()
    (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("tokens", ["a", None], "Expected `str`"),
        ("tokens", ["\u4e00"], "stands for no byte"),
        ("special", {"start": -1}, "`int` >= 0"),
        ("special", {"start": 51_864}, "has the token 51864, and the network's last one is 51863"),
        ("special", {"end": 9}, "not behind those of text"),
        ("suppress", [60_000], "not behind those of text"),
        ("languages", {"en": "x"}, "Expected `int`"),
    ],
)
def test_damaged_tokens_are_refused(key: str, value: Any, match: str, store: ModelStore, tmp_path: Path) -> None:
    content = json.loads((store.path("whisper-tiny.en-int8") / "tokens.json").read_bytes())
    content[key] = {**content[key], **value} if isinstance(value, dict) else value
    _with(store, tmp_path, "tokens.json", json.dumps(content).encode())
    with pytest.raises(ModelError, match=match) as caught:
        whisper.load(whisper.Options(model=str(tmp_path)), store)
    assert "tokens.json" in str(caught.value)


def test_weights_that_are_no_numbers_are_refused(store: ModelStore, tmp_path: Path) -> None:
    weights = (store.path("whisper-tiny.en-int8") / "embedding.bin").read_bytes()
    _with(store, tmp_path, "embedding.bin", weights[:-400] + np.full(100, np.nan, np.float32).tobytes())
    with pytest.raises(EngineError, match="are no numbers"):
        whisper.load(whisper.Options(model=str(tmp_path)), store)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"heads": 0}, "damaged"),
        ({"heads": 5}, "cross_key_0"),
        ({"mels": 128}, "'mel'"),
        ({"decoder_layers": 10**9}, "it says"),
    ],
)
def test_a_description_that_does_not_fit_the_graphs_is_refused(
    changes: dict[str, int], match: str, store: ModelStore, tmp_path: Path
) -> None:
    for path in store.path("whisper-tiny.en-int8").iterdir():
        (tmp_path / path.name).symlink_to(path)
    model = tmp_path / "model.json"
    content = json.loads(model.read_text())
    model.unlink()
    model.write_text(json.dumps({**content, "dims": {**content["dims"], **changes}}))
    with pytest.raises(ModelError, match=match):
        whisper.load(whisper.Options(model=str(tmp_path)), store)


def test_graphs_of_another_kind_are_refused(store: ModelStore, tmp_path: Path) -> None:
    for path in store.path("whisper-tiny.en-int8").iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "encoder.onnx").unlink()
    (tmp_path / "encoder.onnx").symlink_to(tmp_path / "decoder.onnx")
    with pytest.raises(ModelError, match="the input 'mel' is missing"):
        whisper.load(whisper.Options(model=str(tmp_path)), store)


def test_real_speech(engine: whisper.WhisperEngine) -> None:
    data = os.environ.get("EDGEVOICE_DATA")
    if not data:
        pytest.skip("EDGEVOICE_DATA names no folder of recordings")
    import soundfile

    folder = Path(data) / "dictation"
    for line in (folder / "dev.jsonl").read_text().splitlines()[:4]:
        entry = json.loads(line)
        samples, _ = soundfile.read(folder / entry["audio"], dtype="int16")
        said = {word for word in entry["text"].lower().split() if len(word) > 3}
        heard = run(engine, Audio(samples), 512)[1].text.lower()
        assert sum(word in heard for word in said) >= 0.7 * len(said)
