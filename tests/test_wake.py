"""From scores to wakes, and the tail of the wake word in a transcript."""

import pytest

from edgevoice.engines.protocols import WakeModel, WakeScore
from edgevoice.listen.wake import Options, WakeDetector
from edgevoice.listen.wakephrase import strip_phrase

STEP = 480
NABU = WakeModel("okay_nabu", "Okay Nabu", threshold=0.8, patience=3)
DEFAULTS = Options()
ALEXA = WakeModel("alexa", "Alexa", threshold=0.9, patience=2)


def detect(
    scores: list[float], options: Options = DEFAULTS, models: tuple[WakeModel, ...] = (NABU,)
) -> list[tuple[str, int]]:
    detector = WakeDetector(models, options)
    found = []
    for index, score in enumerate(scores):
        step = [WakeScore(model, score, (index + 1) * STEP) for model in range(len(models))]
        found += [(hit.model.name, hit.at // STEP) for hit in detector.push(step)]
    return found


def test_the_mean_of_patience_scores_decides() -> None:
    assert detect([0, 0, 1, 1, 0, 0]) == []
    assert detect([0, 0, 1, 1, 1, 0]) == [("okay_nabu", 5)]
    assert detect([1, 1]) == []  # not enough scores yet
    assert detect([0, 0, 1, 0], Options(patience=1)) == [("okay_nabu", 3)]


def test_thresholds_by_word() -> None:
    scores = [0.0] * 5 + [0.85] * 5
    assert detect(scores, models=(NABU, ALEXA)) == [("okay_nabu", 8)]
    assert detect(scores, Options(thresholds={"okay_nabu": 0.9, "alexa": 0.5}), (NABU, ALEXA)) == [("alexa", 7)]


def test_one_long_utterance_wakes_once() -> None:
    assert detect([0.0] * 3 + [1.0] * 200) == [("okay_nabu", 6)]


def test_refractory_time() -> None:
    pair = [0.0] * 3 + [1.0] * 3 + [0.0] * 10 + [1.0] * 3 + [0.0] * 3
    assert detect(pair, Options(refractory=1.0)) == [("okay_nabu", 6)]
    assert detect(pair, Options(refractory=0.2)) == [("okay_nabu", 6), ("okay_nabu", 19)]


def test_two_words_at_the_same_moment_are_one_wake() -> None:
    assert len(detect([0.0] * 3 + [1.0] * 5, models=(NABU, NABU))) == 1


@pytest.mark.parametrize(
    ("heard", "command"),
    [
        ("Okay Nabu, turn on the light.", "turn on the light."),
        ("Nabu, turn on the light.", "turn on the light."),
        ("Nab, turn on the light.", "turn on the light."),
        ("boo. Turn on the light.", "boo. Turn on the light."),
        ("now turn on the light", "now turn on the light"),
        ("Turn on the light.", "Turn on the light."),
        ("Okay, Nabu.", ""),
        ("", ""),
    ],
)
def test_the_end_of_the_wake_word_is_taken_off(heard: str, command: str) -> None:
    assert strip_phrase(heard, "Okay Nabu") == command


def test_without_a_phrase_nothing_is_taken_off() -> None:
    assert strip_phrase("turn on the light", "") == "turn on the light"
