"""The end of speech, on sample positions."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.audio.pcm import Audio, concatenate
from edgevoice.engines.protocols import SpeechScore
from edgevoice.listen.endpoint import Change, Ended, Endpoint, Glanced, Options, Paused, Resumed, Started

FRAME = 512
OPTIONS = Options(
    threshold=0.5, release=0.35, minimum=0.1, silence=0.5, glance=0.1, pause=0.2, no_speech=2.0, maximum=5.0
)


def run(probabilities: Sequence[float], options: Options = OPTIONS, start: int = 0) -> list[Change]:
    endpoint = Endpoint(options, start)
    return [
        change
        for index, probability in enumerate(probabilities)
        for change in endpoint.push(SpeechScore(probability, index * FRAME, (index + 1) * FRAME))
    ]


def frames(seconds: float) -> int:
    return round(seconds * 16_000 / FRAME)


def test_speech_then_silence() -> None:
    changes = run([0.0] * 10 + [0.9] * 20 + [0.0] * 40)
    assert changes == [
        Started(10 * FRAME),
        Glanced(),
        Paused(),
        Ended(end=30 * FRAME, at=46 * FRAME, reason="silence"),  # 16 frames are the first 0.5 s
    ]


def test_hysteresis_keeps_speech_going_between_the_thresholds() -> None:
    assert run([0.9] * 10 + [0.4] * 40)[1:] == []
    assert [type(change) for change in run([0.4] * 40)] == []


def test_a_pause_that_ends_is_taken_back() -> None:
    changes = run([0.9] * 10 + [0.0] * 8 + [0.9] * 5 + [0.0] * 30)
    assert [type(change) for change in changes] == [Started, Glanced, Paused, Resumed, Glanced, Paused, Ended]
    assert changes[-1] == Ended(end=23 * FRAME, at=39 * FRAME, reason="silence")


def test_a_click_is_no_utterance() -> None:
    changes = run([0.9] * 2 + [0.0] * 80)
    assert changes == [Ended(end=0, at=63 * FRAME, reason="no_speech")]


def test_clicks_do_not_add_up() -> None:
    click = [0.9] * 2 + [0.0] * 10
    assert [type(change) for change in run(click * 5)] == []


def test_nobody_speaks() -> None:
    assert run([0.1] * 100) == [Ended(end=0, at=63 * FRAME, reason="no_speech")]


def test_speech_that_does_not_end_is_cut() -> None:
    changes = run([0.9] * 400)
    assert changes == [Started(0), Ended(end=157 * FRAME, at=157 * FRAME, reason="too_long")]


def test_frames_before_the_start_do_not_count() -> None:
    changes = run([0.9] * 10 + [0.0] * 80, start=10 * FRAME)
    assert changes == [Ended(end=10 * FRAME, at=73 * FRAME, reason="no_speech")]


def test_a_short_pause_is_only_glanced_at() -> None:
    changes = run([0.9] * 10 + [0.0] * 4 + [0.9] * 5)
    assert [type(change) for change in changes] == [Started, Glanced, Resumed]


def test_both_looks_can_be_switched_off() -> None:
    options = Options(glance=0.5, pause=0.5, silence=0.5)
    assert [type(change) for change in run([0.9] * 10 + [0.0] * 30, options)] == [Started, Ended]


def push(endpoint: Endpoint, probabilities: Sequence[float], at: int) -> list[Change]:
    """Frames from number ``at`` on."""
    return [
        change
        for index, probability in enumerate(probabilities, at)
        for change in endpoint.push(SpeechScore(probability, index * FRAME, (index + 1) * FRAME))
    ]


def paused(quiet: int) -> Endpoint:
    """Ten frames of speech and so many of silence."""
    endpoint = Endpoint(OPTIONS, 0)
    push(endpoint, [0.9] * 10 + [0.0] * quiet, 0)
    return endpoint


def test_a_shorter_silence_may_be_enough() -> None:
    endpoint = paused(4)
    assert endpoint.expect(0.25, complete=True) is None
    assert push(endpoint, [0.0] * 30, 14)[-1] == Ended(end=10 * FRAME, at=18 * FRAME, reason="complete")
    assert endpoint.expect(0.1, complete=True) is None


def test_a_longer_silence_may_be_needed() -> None:
    endpoint = paused(4)
    assert endpoint.expect(1.0, complete=False) is None
    assert push(endpoint, [0.0] * 60, 14)[-1] == Ended(end=10 * FRAME, at=42 * FRAME, reason="silence")


def test_what_comes_late_ends_at_once() -> None:
    assert paused(9).expect(0.25, complete=True) == Ended(end=10 * FRAME, at=19 * FRAME, reason="complete")


def test_what_is_expected_holds_for_one_pause() -> None:
    endpoint = paused(4)
    endpoint.expect(0.2, complete=True)
    assert endpoint.expect(0.3, complete=False) is None  # the last word counts
    changes = push(endpoint, [0.9] + [0.0] * 30, 14)
    assert changes[0] == Resumed()
    assert changes[-1] == Ended(end=15 * FRAME, at=31 * FRAME, reason="silence")


def test_nothing_is_expected_of_who_speaks() -> None:
    endpoint = paused(4)
    push(endpoint, [0.9], 14)
    assert endpoint.expect(0.0, complete=True) is None
    assert push(endpoint, [0.0] * 30, 15)[-1] == Ended(end=15 * FRAME, at=31 * FRAME, reason="silence")


def loud(*levels: int) -> Audio:
    """A frame of four levels."""
    return Audio(np.repeat(np.array(levels, np.int16), FRAME // 4))


def sounds(frames: Sequence[tuple[float, Audio]]) -> list[Change]:
    endpoint = Endpoint(OPTIONS, 0)
    changes: list[Change] = []
    for index, (probability, audio) in enumerate(frames):
        at = index * FRAME
        before = Audio(np.full(100, 9000, np.int16), start=at - 100)  # belongs to the frame before
        piece = concatenate([before, Audio(audio.samples, start=at)])
        changes += endpoint.push(SpeechScore(probability, at, at + FRAME), piece)
    return changes


def test_silence_is_counted_from_the_last_sound() -> None:
    """20 dB are a tenth of the amplitude; the VAD holds on for two frames."""
    speech = [(0.9, loud(3000, 3000, 3000, 3000))] * 10
    fading = [(0.8, loud(3000, 1000, 100, 100)), (0.5, loud(100, 100, 100, 100))]
    silence = [(0.0, loud(10, 10, 10, 10))] * 40
    ended = sounds([*speech, *fading, *silence])[-1]
    assert ended == Ended(end=10 * FRAME + 256, at=27 * FRAME, reason="silence")  # 0.5 s are 15.6 frames


def test_in_noise_the_vad_alone_decides() -> None:
    speech = [(0.9, loud(3000, 3000, 3000, 3000))] * 10
    noise = [(0.0, loud(1000, 1000, 1000, 1000))] * 40
    ended = sounds([*speech, *noise])[-1]
    assert ended == Ended(end=10 * FRAME, at=26 * FRAME, reason="silence")


@pytest.mark.parametrize(
    ("level", "went_on", "hesitant"),
    [(10, False, False), (70, False, False), (80, False, True), (10, True, True)],  # 32 dB below 3000 are 75
)
def test_who_paused_before_or_may_have_in_the_noise_is_hesitant(level: int, went_on: bool, hesitant: bool) -> None:
    endpoint = Endpoint(OPTIONS, 0)
    speech = [(0.9, loud(3000, 3000, 3000, 3000))] * 10
    silence = [(0.0, loud(9000, level, level, level)), (0.0, loud(level, level, level, level))] * 2
    for index, (probability, audio) in enumerate(
        [*speech, *silence, *speech, *silence] if went_on else [*speech, *silence]
    ):
        at = index * FRAME
        endpoint.push(SpeechScore(probability, at, at + FRAME), Audio(audio.samples, start=at))
    assert endpoint.hesitant is hesitant


@given(st.lists(st.floats(0, 1), max_size=400))
def test_any_scores_give_an_orderly_history(probabilities: list[float]) -> None:
    changes = run(probabilities)
    kinds = [type(change) for change in changes]
    assert kinds.count(Ended) <= 1
    assert Ended not in kinds[:-1]
    assert kinds.count(Started) <= 1
    assert kinds.count(Glanced) - kinds.count(Resumed) in (0, 1)
    assert kinds.count(Paused) <= kinds.count(Glanced)
    if len(probabilities) >= frames(OPTIONS.maximum) + 1:
        assert kinds[-1] is Ended
    if Glanced in kinds:
        assert kinds[0] is Started


def sounding(levels: Sequence[tuple[float, int]]) -> tuple[Endpoint, list[list[Change]]]:
    """Frames by probability and loudness, and what each of them changes."""
    endpoint = Endpoint(OPTIONS, 0)
    changes = []
    for index, (probability, level) in enumerate(levels):
        audio = Audio(np.full(FRAME, level, np.int16), start=index * FRAME)
        changes.append(endpoint.push(SpeechScore(probability, audio.start, audio.end), audio))
    return endpoint, changes


SPOKEN = [(0.9, 3000)] * 10


def test_a_detector_that_holds_on_keeps_nobody_from_looking() -> None:
    endpoint, changes = sounding([*SPOKEN, *[(0.6, 5)] * 7])
    assert [len(each) for each in changes[10:]] == [0, 0, 0, 1, 0, 0, 0]  # 0.1 s
    assert changes[13] == [Glanced()]
    assert not endpoint.hesitant
    assert endpoint.expect(0.1, complete=True) is None  # while it holds on
    assert endpoint.push(*silent(17)) == [Paused(), Ended(end=10 * FRAME, at=18 * FRAME, reason="complete")]


def test_what_is_soft_is_speech_in_the_end() -> None:
    _, changes = sounding([*SPOKEN, *[(0.6, 5)] * 20])
    assert [change for each in changes[10:] for change in each] == [Glanced(), Resumed()]
    assert changes[17] == [Resumed()]  # 0.25 s


def test_a_sound_in_a_word_is_no_pause_of_a_speaker() -> None:
    endpoint, changes = sounding([*SPOKEN, *[(0.6, 5)] * 4, (0.9, 3000), *[(0.0, 5)] * 4])
    assert [change for each in changes[10:] for change in each] == [Glanced(), Resumed(), Glanced()]
    assert not endpoint.hesitant
    endpoint, _ = sounding([*SPOKEN, *[(0.0, 5)] * 4, (0.9, 3000), *[(0.0, 5)] * 4])
    assert endpoint.hesitant


def test_in_noise_a_pause_that_is_seen_while_the_detector_holds_on_is_one_of_many() -> None:
    endpoint, changes = sounding([*SPOKEN, *[(0.6, 250)] * 4])  # 22 dB below
    assert changes[13] == [Glanced()]
    assert endpoint.hesitant


def silent(index: int) -> tuple[SpeechScore, Audio]:
    audio = Audio(np.full(FRAME, 5, np.int16), start=index * FRAME)
    return SpeechScore(0.0, audio.start, audio.end), audio
