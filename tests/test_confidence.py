"""What is said outside of the grammar is refused, and what is said in it is believed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines import registry
from edgevoice.engines.asr import whisper
from edgevoice.engines.asr.whisper_confidence import Sound, confidence, features, length, sound
from edgevoice.engines.asr.whisper_fit import Fit
from edgevoice.engines.protocols import AsrHint, Hypothesis
from edgevoice.modelstore import ModelStore
from edgevoice.think.grammar import Grammar, Match, NoMatch, default_pack

BELIEVED = 0.4

CAFE = """
intents:
  Order:
    data:
      - sentences: ["(get me|i'd like|can i have) a[n] {size} {drink} [with {milk} milk]"]
lists:
  size: [small, large]
  drink: [flat white, cappuccino, latte]
  milk: [soy, almond]
"""

Hear = Callable[[str, Grammar], Hypothesis]


# The function ----------------------------------------------------------------------------------------------------

PERFECT = Fit(tokens=3, full=-0.1, regret=0.0, worst=0.0, end=-0.1)

LENGTH = (4, Sound(seconds=1.2, depth=50.0))
"""Words, and the speech."""


def test_a_sentence_that_fits_is_believed() -> None:
    assert confidence(PERFECT, -6.0, *LENGTH) > 0.9


@pytest.mark.parametrize(
    ("worse", "no_speech"),
    [
        (replace(PERFECT, worst=-9.0, regret=-9.0), -6.0),
        (replace(PERFECT, worst=-3.0, regret=-25.0), -6.0),
        (replace(PERFECT, end=-5.0), -6.0),
        (PERFECT, -0.01),
    ],
)
def test_whatever_fits_badly_makes_doubtful(worse: Fit, no_speech: float) -> None:
    assert confidence(worse, no_speech, *LENGTH) < confidence(PERFECT, -6.0, *LENGTH) - 0.05


def test_a_few_words_are_no_reading_of_long_speech() -> None:
    def odds(words: int, seconds: float, depth: float = 50.0) -> float:
        return length(words, Sound(seconds, depth))

    assert odds(2, 5.0) < odds(2, 2.0) < odds(2, 0.9) == odds(2, 0.4) == 0.0
    assert odds(12, 5.0) == 0.0  # where everything can be heard
    assert odds(12, 5.0, 10.0) == odds(10, 4.0, 10.0) > odds(6, 2.4, 10.0) > odds(6, 2.4, 25.0) > 0.0
    sure = [confidence(PERFECT, -6.0, 1, Sound(seconds, 50.0)) for seconds in (4.0, 0.5)]
    assert sure[0] < 0.01 < 0.9 < sure[1]


def test_speech_by_its_energy() -> None:
    random = np.random.default_rng(3)
    samples = random.normal(0.0, 1e-3, 5 * RATE).astype(np.float32)
    samples[RATE : 3 * RATE] += random.normal(0.0, 0.1, 2 * RATE).astype(np.float32)
    assert sound(samples).seconds == pytest.approx(2.0, abs=0.05)
    assert sound(samples).depth == pytest.approx(40.0, abs=1.5)
    assert sound(samples[:RATE]).seconds < 0.1


def test_any_fit_gives_a_probability() -> None:
    hopeless = Fit(tokens=1, full=-1e6, regret=-1e6, worst=-1e6, end=-1e6)
    assert confidence(hopeless, 0.0, *LENGTH) == pytest.approx(0.0)
    assert 0.0 < confidence(PERFECT, -1e6, *LENGTH) < 1.0
    assert confidence(PERFECT, -1e6, *LENGTH) == confidence(PERFECT, -50.0, *LENGTH)


def test_the_mean_counts_the_end() -> None:
    assert features(replace(PERFECT, tokens=1, full=-0.2), -1.0)[3] == pytest.approx(-0.1)


# The model -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(store: ModelStore) -> whisper.WhisperEngine:
    return whisper.load(whisper.Options(), store)


@pytest.fixture(scope="module")
def hear(store: ModelStore, engine: whisper.WhisperEngine) -> Hear:
    voice = registry.load("tts", "hibari", None, store)

    def heard(text: str, grammar: Grammar) -> Hypothesis:
        samples = resample(np.concatenate([audio.samples for audio in voice.synthesize(text)]), voice.rate, RATE)
        quiet = np.zeros(RATE // 2, np.int16)
        noise = np.random.default_rng(3).normal(0.0, 20.0, len(samples) + RATE)
        return listen(engine, grammar, np.concatenate([quiet, samples, quiet]) + noise)

    return heard


def listen(engine: whisper.WhisperEngine, grammar: Grammar, samples: np.typing.NDArray[np.float64]) -> Hypothesis:
    session = engine.open(AsrHint(automaton=grammar.automaton))
    session.feed(Audio(np.clip(samples, -32768, 32767).astype(np.int16)))
    hypothesis = session.finish()
    session.close()
    return hypothesis


@pytest.fixture(scope="module")
def home() -> Grammar:
    return Grammar.load([default_pack()])


@pytest.fixture(scope="module")
def cafe(tmp_path_factory: pytest.TempPathFactory) -> Grammar:
    path: Path = tmp_path_factory.mktemp("cafe") / "cafe.yaml"
    path.write_text(CAFE, "utf-8")
    return Grammar.load([path])


@pytest.mark.parametrize(
    "text",
    ["turn on the kitchen light", "set the bedroom light to forty percent", "what time is it", "volume up", "stop"],
)
def test_a_command_is_believed(text: str, hear: Hear, home: Grammar) -> None:
    found = home.understand(hear(text, home), BELIEVED)
    assert isinstance(found, Match)
    expected = home.match(text)
    assert isinstance(expected, Match)
    assert found.meaning == expected.meaning


@pytest.mark.parametrize(
    "text",
    [
        "the train to the coast was late again this morning",
        "did anybody remember to buy bread",
        "umbrella",
        "my uncle paints old boats in the summer",
    ],
)
def test_other_talk_is_refused(text: str, hear: Hear, home: Grammar, cafe: Grammar) -> None:
    for grammar in (home, cafe):
        assert isinstance(grammar.understand(hear(text, grammar), BELIEVED), NoMatch)


@pytest.mark.parametrize("text", ["get me a large latte with oat milk", "i'd like a small orange juice"])
def test_a_near_miss_is_refused(text: str, hear: Hear, cafe: Grammar) -> None:
    assert isinstance(cafe.understand(hear(text, cafe), BELIEVED), NoMatch)


def test_an_order_is_believed(hear: Hear, cafe: Grammar) -> None:
    found = cafe.understand(hear("get me a large latte with soy milk", cafe), BELIEVED)
    assert isinstance(found, Match)
    assert found.intent.slots == {"size": "large", "drink": "latte", "milk": "soy"}


def test_words_behind_a_sentence_are_heard(hear: Hear, home: Grammar) -> None:
    assert isinstance(home.understand(hear("turn on the kitchen sink", home), BELIEVED), NoMatch)


@pytest.mark.parametrize("level", [30.0, 1000.0])
def test_noise_is_refused(level: float, engine: whisper.WhisperEngine, home: Grammar, cafe: Grammar) -> None:
    noise = np.random.default_rng(1).normal(0.0, level, 2 * RATE)
    for grammar in (home, cafe):
        assert isinstance(grammar.understand(listen(engine, grammar, noise), BELIEVED), NoMatch)
