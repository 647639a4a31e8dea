"""A small set of spoken commands through recognition and understanding: against breakage, not as a measure."""

from pathlib import Path

import numpy as np
import pytest

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio, Float32
from edgevoice.engines import registry
from edgevoice.engines.asr.whisper import Options, WhisperEngine
from edgevoice.engines.protocols import AsrHint, TtsEngine
from edgevoice.engines.registry import require
from edgevoice.modelstore import ModelStore
from edgevoice.think.grammar import Grammar, Match, default_pack

CAFE = """
intents:
  Order:
    data:
      - sentences: ["(get me|i'd like|can i have) a[n] {size} {drink} [with {milk} milk]"]
  Note:
    data:
      - sentences: ["write down {text}"]
lists:
  size: [small, large, {in: twelve ounce, out: 12 oz}]
  drink: [flat white, cappuccino, iced mocha, latte, hot chocolate]
  milk: [soy, oat, almond]
  text: {wildcard: true}
"""
"""Of other words than the sets that the engine was tuned with."""

HOME = [
    "turn on the kitchen light",
    "what time is it",
    "set the lights in the living room to forty percent",
    "turn off the fan in the bedroom",
    "volume up",
    "stop",
]
ORDERS = [
    ("get me a small flat white with oat milk", {"size": "small", "drink": "flat white", "milk": "oat"}),
    ("can i have a twelve ounce cappuccino", {"size": "12 oz", "drink": "cappuccino"}),
    ("i'd like a large iced mocha with soy milk", {"size": "large", "drink": "iced mocha", "milk": "soy"}),
    ("get me a large hot chocolate with almond milk", {"size": "large", "drink": "hot chocolate", "milk": "almond"}),
    ("write down bread and butter", {"text": "bread and butter"}),
]


@pytest.fixture(scope="module")
def engine(store: ModelStore) -> WhisperEngine:
    loaded = registry.load("asr", "whisper", Options(), store)
    assert isinstance(loaded, WhisperEngine)
    return loaded


@pytest.fixture(scope="module")
def voice(store: ModelStore) -> TtsEngine:
    loaded: TtsEngine = registry.load("tts", "hibari", None, store)
    return loaded


@pytest.fixture(scope="module")
def cafe(tmp_path_factory: pytest.TempPathFactory) -> Grammar:
    path: Path = tmp_path_factory.mktemp("cafe") / "cafe.yaml"
    path.write_text(CAFE, "utf-8")
    return Grammar.load([path])


def spoken(voice: TtsEngine, text: str, *, noise: float) -> Audio:
    """The text with half a second before and after it, in white noise of that standard deviation."""
    samples = np.concatenate([audio.samples for audio in voice.synthesize(text)])
    quiet = np.zeros(RATE // 2, np.int16)
    samples = np.concatenate([quiet, resample(samples, voice.rate, RATE), quiet])
    noisy = samples + np.random.default_rng(7).normal(0.0, noise, len(samples))
    return Audio(np.clip(noisy, -32768, 32767).astype(np.int16))


def understand(engine: WhisperEngine, grammar: Grammar, audio: Audio) -> Match:
    session = engine.open(AsrHint(automaton=grammar.automaton))
    session.feed(audio)
    hypothesis = session.finish()
    session.close()
    assert hypothesis.readings, "nothing was read"
    found = grammar.understand(hypothesis)
    assert isinstance(found, Match)
    assert found.confidence is not None
    assert 0.0 <= found.confidence <= 1.0
    return found


@pytest.mark.parametrize("noise", [8.0, 300.0])
@pytest.mark.parametrize("text", HOME)
def test_commands_for_a_home(engine: WhisperEngine, voice: TtsEngine, text: str, noise: float) -> None:
    grammar = Grammar.load([default_pack()])
    expected = grammar.match(text)
    assert isinstance(expected, Match)
    assert understand(engine, grammar, spoken(voice, text, noise=noise)).meaning == expected.meaning


@pytest.mark.parametrize(("text", "slots"), ORDERS)
def test_orders(engine: WhisperEngine, voice: TtsEngine, cafe: Grammar, text: str, slots: dict[str, str]) -> None:
    found = understand(engine, cafe, spoken(voice, text, noise=8.0))
    assert found.intent.slots == slots
    assert found.slot_confidence.keys() == slots.keys()


def test_one_beam_and_no_prompt_will_do_in_silence(store: ModelStore, voice: TtsEngine, cafe: Grammar) -> None:
    engine = registry.load("asr", "whisper", Options(beams=1, prompt=False), store)
    text, slots = ORDERS[0]
    assert understand(engine, cafe, spoken(voice, text, noise=8.0)).intent.slots == slots


def test_what_is_in_doubt_is_read_a_second_time(engine: WhisperEngine, voice: TtsEngine, cafe: Grammar) -> None:
    samples = spoken(voice, ORDERS[0][0], noise=4000.0).float32()
    faster = require("soxr").resample(samples, 1.07 * RATE, RATE)

    def read(audio: Float32, doubt_below: float) -> dict[str, float]:
        assert engine._net is not None
        doubting = WhisperEngine(Options(doubt_below=doubt_below), engine._net, engine.tokens)
        return {reading.text: reading.probability for reading in doubting.read(audio, cafe.automaton).readings}

    one, two = read(samples, 0.0), read(faster, 0.0)
    best = max(one.values())
    assert best < 0.99, "the noise leaves no doubt"
    assert read(samples, best) == one
    both = read(samples, best + 0.001)
    assert both == pytest.approx({text: (one.get(text, 0) + two.get(text, 0)) / 2 for text in {**one, **two}})
    assert list(both.values()) == sorted(both.values(), reverse=True)
    note = spoken(voice, ORDERS[-1][0], noise=1000.0).float32()
    assert len(free := read(note, 0.0)) > 1
    assert read(note, 1.0) == free
