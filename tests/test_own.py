"""A wake word that the assistant says itself is none."""

import itertools
from collections.abc import Sequence

import numpy as np

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.audio.played import Played, Reference
from edgevoice.engines.protocols import WakeModel, WakeScore
from edgevoice.flow.worker import Inline, at_once
from edgevoice.listen.echo import Echoless
from edgevoice.listen.own import EXPLAINED, LATER, SCORES, OwnVoice

STEP = RATE // 100
WORDS = (WakeModel("computer", "Computer", 0.5, 1), WakeModel("jarvis", "Jarvis", 0.5, 1))


class Reply(Echoless):
    """A reply between two capture indices, in which a level of 1000 is the first wake word."""

    def __init__(self, start: int, end: int, said: int, unexplained: float) -> None:
        super().__init__(Reference(Played()))
        self._span = start, end
        self._samples = np.zeros(10 * RATE, np.int16)
        self._samples[said : said + STEP] = 1000
        self._times = unexplained

    def over_reply(self, position: int) -> bool:
        return self._span[0] <= position < self._span[1]

    def played(self, start: int, end: int) -> Audio:
        return Audio(self._samples[start:end], start=start)

    def unexplained(self, start: int, end: int) -> float:
        return self._times


class Engine:
    """Scores a level."""

    models: Sequence[WakeModel] = WORDS
    heavy = False
    memory = 0.0

    def __init__(self, score: float = 1.0) -> None:
        self.score = score
        self.opened = self.closed = 0
        self.fed: list[Audio] = []

    def open(self) -> "Engine":
        self.opened += 1
        return self

    def feed(self, audio: Audio) -> Sequence[WakeScore]:
        self.fed.append(audio)
        ends = [audio.start + int(at) for at in np.flatnonzero(audio.samples == 1000)[STEP - 1 :: STEP] + 1]
        return [WakeScore(0, self.score, end) for end in ends]

    def close(self) -> None:
        self.closed += 1


SAID = 3 * RATE


def judged(at: int, *, model: int = 0, unexplained: float = 1.0, engine: Engine | None = None) -> float:
    """What is left of a full score at the microphone there. The word is said at 3 s of a reply from 2 to 5 s."""
    own = OwnVoice((Inline(), engine or Engine()), Reply(2 * RATE, 5 * RATE, SAID, unexplained))
    for end in range(RATE, at, STEP):
        at_once(own.others([WakeScore(0, 0.0, end)]))
    (score,) = at_once(own.others([WakeScore(model, 1.0, at)]))
    return score.score


def test_its_own_word_is_none() -> None:
    assert judged(SAID + STEP) == 0.0
    assert judged(SAID + LATER) == 0.0


def test_a_word_long_after_or_before_it_is_one() -> None:
    assert judged(SAID + STEP + LATER + 1) == 1.0
    assert judged(SAID - STEP) == 1.0
    assert judged(RATE) == 1.0


def test_another_word_than_the_one_it_says_is_one() -> None:
    assert judged(SAID + STEP, model=1) == 1.0


def test_what_the_echo_does_not_explain_is_a_person() -> None:
    assert judged(SAID + STEP, unexplained=EXPLAINED - 0.1) == 0.0
    assert judged(SAID + STEP, unexplained=EXPLAINED) == 1.0


def test_what_scores_next_to_nothing_is_no_word_of_its_own() -> None:
    assert judged(SAID + STEP, engine=Engine(SCORES - 0.01)) == 1.0
    assert judged(SAID + STEP, engine=Engine(SCORES)) == 0.0


def test_it_listens_to_itself_only_while_it_speaks() -> None:
    engine = Engine()
    own = OwnVoice((Inline(), engine), Reply(2 * RATE, 5 * RATE, SAID, 1.0))
    for end in range(RATE, 2 * RATE, STEP):
        at_once(own.others([WakeScore(0, 0.0, end)]))
    assert engine.opened == 0
    for end in range(2 * RATE, 5 * RATE, STEP):
        at_once(own.others([WakeScore(0, 0.0, end)]))
    assert (engine.opened, engine.closed) == (1, 0)
    heard = [audio for audio in engine.fed if audio.start >= 2 * RATE]
    assert all(one.end == other.start for one, other in itertools.pairwise(heard))
    for end in range(5 * RATE, 6 * RATE + LATER, STEP):
        at_once(own.others([WakeScore(0, 0.0, end)]))
    assert (engine.opened, engine.closed) == (1, 1)


def test_its_features_have_heard_silence_before() -> None:
    engine = Engine()
    own = OwnVoice((Inline(), engine), Reply(2 * RATE, 5 * RATE, SAID, 1.0))
    at_once(own.others([WakeScore(0, 0.0, 2 * RATE)]))
    first, second = engine.fed
    assert first.end == second.start
    assert not first.samples.any()
    assert len(first) == RATE
