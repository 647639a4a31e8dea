"""From audio to wakes: the gate, doubt, and the second look."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from fakes import FakeAsr, FakeVad, FakeWake, perform, seconds

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.automaton import Automaton
from edgevoice.engines.protocols import SpeechScore, WakeModel, WakeScore
from edgevoice.flow.worker import Inline, Worker
from edgevoice.listen.gate import HOLD, LEAD, Gate, Span
from edgevoice.listen.spot import Recent, Scorer, Spotter
from edgevoice.listen.verify import automaton, verifier
from edgevoice.listen.wake import AGAIN, LISTEN_ON, LOOKS, Detection, Options, Verify, WakeDetector
from edgevoice.think.phrases import sentences

STEP = RATE // 100
WORD = WakeModel("computer", "Computer", threshold=0.8, patience=1)
OTHER = WakeModel("jarvis", "Jarvis", threshold=0.8, patience=1)
OPTIONS = Options(verify=Verify(loose=0.25, sure=0.95, threshold=0.1))


class Prover(FakeAsr):
    """Believes what it is told to, and knows what it was asked."""

    def __init__(self, *answers: float) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[Audio] = []

    def prove(self, audio: Audio, phrase: Automaton) -> float:
        self.asked.append(audio)
        return self.answers.pop(0)


class Scores(FakeWake):
    """Gives the scores that it was told to, one every 10 ms."""

    def __init__(self, scores: Sequence[float], model: WakeModel = WORD) -> None:
        self.scores = list(scores)
        self.models = (model,)
        self.sessions = 0

    def open(self) -> "Scores":  # type: ignore[override]
        self.sessions += 1
        return self

    def feed(self, audio: Audio) -> Sequence[WakeScore]:
        first = audio.start // STEP
        return [WakeScore(0, self.scores[at], (at + 1) * STEP) for at in range(first, first + len(audio) // STEP)]


def listen(scores: Sequence[float], asr: FakeAsr | None, options: Options = OPTIONS, block: int = 3) -> list[Detection]:
    """The wakes; ``block`` in scores."""
    return hear(Scores(scores), asr, options, block)


def hear(engine: Scores, asr: FakeAsr | None, options: Options, block: int = 3) -> list[Detection]:
    audio = Audio(np.arange(len(engine.scores) * STEP, dtype=np.int16))

    async def go() -> list[Detection]:
        scorer = await Scorer.open((Inline(), engine), None)
        spotter = Spotter(scorer, engine, options, None if asr is None else (Inline(), asr))
        found: list[Detection] = []
        for at in range(0, len(audio), block * STEP):
            piece = Audio(audio.samples[at : at + block * STEP], start=at)
            found += [each async for each in spotter.hear(piece)]
        scorer.close()
        return found

    return asyncio.run(go())


QUIET, SURE = [0.0] * 50, [0.99] * 30
MAYBE = [0.5] * 12
"""Long enough for a look, too short for a second while it lasts."""


def test_what_is_sure_wakes_at_once_and_unseen() -> None:
    asr = Prover()
    (wake,) = listen(QUIET + SURE + QUIET, asr)
    assert (wake.at, wake.score, wake.doubtful, wake.confidence) == (51 * STEP, 0.99, False, None)
    assert asr.asked == []


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_what_is_doubtful_wakes_if_the_recogniser_says_so(block: int) -> None:
    asr = Prover(0.3)
    (wake,) = listen(QUIET + MAYBE + QUIET, asr, block=block)
    assert (wake.score, wake.confidence) == (0.5, 0.3)
    assert wake.at == 51 * STEP + LISTEN_ON
    (heard,) = asr.asked
    assert heard.end == wake.at  # nothing later, however much audio has come
    refusing = Prover(0.09, 0.09)
    assert listen(QUIET + MAYBE + QUIET, refusing, block=block) == []
    assert [heard.end for heard in refusing.asked] == [wake.at, wake.at + AGAIN]


def test_a_first_look_may_come_too_early() -> None:
    (wake,) = listen(QUIET + MAYBE + QUIET, Prover(0.0, 0.3))  # it scores no more when the second one comes
    assert (wake.at, wake.score, wake.confidence) == (51 * STEP + LISTEN_ON + AGAIN, 0.5, 0.3)


def test_the_recogniser_sees_the_last_moments_only() -> None:
    asr = Prover(0.3)
    listen([0.0] * 500 + MAYBE + QUIET, asr)
    assert asr.asked[0].seconds == pytest.approx(1.5)


def test_without_a_recogniser_the_threshold_decides() -> None:
    good = [0.85] * 12
    for asr, options in ((None, OPTIONS), (FakeAsr(), OPTIONS), (Prover(), Options(verify=Verify(engine="none")))):
        assert listen(QUIET + MAYBE + QUIET, asr, options) == []
        (wake,) = listen(QUIET + good + QUIET, asr, options)
        assert (wake.at, wake.score) == (51 * STEP, 0.85)


def test_a_score_above_the_threshold_is_looked_at_as_well() -> None:
    """The threshold is that of a first stage alone; with a second one it only decides where there is no answer."""
    assert listen(QUIET + [0.85] * 12 + QUIET, Prover(0.01, 0.01)) == []


def test_the_less_it_scores_the_surer_the_recogniser_must_be() -> None:
    for score, confidence, wakes in ((0.65, 0.1, 1), (0.4, 0.15, 0), (0.4, 0.17, 1), (0.21, 0.3, 0), (0.21, 0.31, 1)):
        answers = [confidence] * 2
        assert len(listen(QUIET + [score] * 12 + QUIET, Prover(*answers))) == wakes


def test_a_card_says_what_is_doubtful() -> None:
    def wakes(score: float, *answers: float) -> int:
        engine = Scores(QUIET + [score] * 12 + QUIET, replace(WORD, loose=0.6, sure=0.97))
        return len(hear(engine, Prover(*answers), OPTIONS))

    assert wakes(0.5) == 0
    assert wakes(0.65, 0.3) == 1
    assert wakes(0.96, 0.3) == 1
    assert wakes(0.975) == 1


def test_a_rated_score_above_the_threshold_needs_little_belief() -> None:
    def wakes(score: float, word: WakeModel) -> int:
        return len(hear(Scores(QUIET + [score] * 12 + QUIET, word), Prover(0.03, 0.03), OPTIONS))

    rated = replace(WORD, loose=0.6)
    assert wakes(0.85, rated) == 1
    assert wakes(0.75, rated) == 0
    assert wakes(0.85, WORD) == 0


def test_what_becomes_sure_while_in_doubt_wakes() -> None:
    asr = Prover(0.01)
    (wake,) = listen(QUIET + MAYBE + SURE + QUIET, asr)
    assert wake.at == 63 * STEP
    assert len(asr.asked) == 1
    (wake,) = listen(QUIET + MAYBE[:4] + SURE + QUIET, Prover())  # before there was an answer


def test_a_word_that_scores_on_is_looked_at_a_few_times() -> None:
    asr = Prover(0.0, 0.0, 0.4)
    (wake,) = listen(QUIET + [0.5] * 200 + QUIET, asr)
    assert wake.at >= 51 * STEP + LISTEN_ON + 2 * AGAIN
    asr = Prover(*[0.0] * 20)
    assert listen(QUIET + [0.5] * 500 + QUIET, asr) == []
    assert len(asr.asked) == LOOKS
    asr = Prover(*[0.0] * 20)  # once it has fallen, another doubt begins
    assert listen(QUIET + [0.5] * 500 + QUIET + [0.5] * 500, asr) == []
    assert len(asr.asked) == 2 * LOOKS


def test_a_refused_word_does_not_hide_the_next() -> None:
    """The refractory time begins with a wake only."""
    (wake,) = listen(QUIET + MAYBE + [0.0] * 30 + SURE, Prover(0.0, 0.0))
    assert wake.at == 93 * STEP


def test_a_word_that_woke_wakes_once() -> None:
    assert len(listen(QUIET + [0.5] * 400 + QUIET, Prover(0.9, 0.9, 0.9))) == 1


def test_words_in_doubt_do_not_disturb_each_other() -> None:
    detector = WakeDetector([WORD, OTHER], OPTIONS, ["computer"])
    scores = [WakeScore(model, (0.5, 0.85)[model], (at + 1) * STEP) for at in range(20) for model in (0, 1)]
    (wake,) = list(detector.look(scores))
    assert (wake.model, wake.doubtful) == (OTHER, False)


def test_a_recogniser_that_does_not_answer_in_time() -> None:
    """The score alone decides then, by its threshold."""

    async def go() -> list[float | None]:
        worker, asr = Worker("busy"), Prover(0.9)
        try:
            made = verifier((worker, asr), [WORD], patience=0.0)
            assert made is not None
            return [await made.sure(Audio(np.zeros(RATE, np.int16)), WORD)]
        finally:
            await worker.close()

    assert asyncio.run(go()) == [None]


def test_a_phrase_as_an_automaton() -> None:
    made = automaton("Hey, Jarvis!")
    assert made is not None
    assert sentences(made, 9)[0] == ["hey jarvis"]
    assert automaton("?!") is None


def test_who_cannot_check_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class English(Prover):
        def unwritable(self, words: Sequence[str]) -> list[str]:
            return [word for word in words if not word.isascii()]

    with caplog.at_level("INFO"):
        assert verifier((Inline(), FakeAsr()), [WORD]) is None
        assert "cannot" in caplog.text
        korean = WakeModel("annyeong", "안녕", 0.5, 1)
        made = verifier((Inline(), English()), [WORD, korean])
    assert made is not None
    assert made.knows(WORD)
    assert not made.knows(korean)
    assert "'안녕' is not checked" in caplog.text


# The gate ------------------------------------------------------------------------------------------------------

FRAME = 512


def spans(speech: Sequence[tuple[float, float]], length: float, block: int) -> list[tuple[int, int, bool]]:
    """What is listened to where there is speech between these seconds; joined where it goes on."""
    gate, found = Gate(), list[Span]()
    frames = [
        SpeechScore(float(any(a <= at / RATE < b for a, b in speech)), at, at + FRAME)
        for at in range(0, int(length * RATE), FRAME)
    ]
    for at in range(0, len(frames), block):
        found += gate.push(frames[at : at + block])
    joined: list[tuple[int, int, bool]] = []
    for span in found:
        if joined and not span.anew:
            assert span.start == joined[-1][1]
            joined[-1] = (joined[-1][0], span.end, joined[-1][2])
        else:
            joined.append((span.start, span.end, span.anew))
    return joined


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_the_gate_is_open_around_speech(block: int) -> None:
    first, second = spans([(3.0, 3.5), (4.0, 4.5), (9.0, 9.2)], 12.0, block)
    assert first[0] == pytest.approx(3.0 * RATE - LEAD, abs=FRAME)
    assert first[1] == pytest.approx(4.5 * RATE + HOLD, abs=2 * FRAME)
    assert second[0] == pytest.approx(9.0 * RATE - LEAD, abs=FRAME)
    assert first[2]
    assert second[2]


def test_nothing_is_heard_twice() -> None:
    """Speech soon after the gate has closed: what it heard before it closed does not come again."""
    first, second = spans([(3.0, 3.1), (4.6, 4.7)], 8.0, 1)
    assert first[1] == second[0]


def test_a_word_behind_the_gate_is_found_from_its_beginning() -> None:
    script = "." * 60 + "WWWWW" + "." * 40 + "WWWWW" + "." * 20
    fed: list[Audio] = []

    class Listening(FakeWake):
        heavy = True

    async def go(block: int, *, gate: bool) -> list[int]:
        engine, vad, audio = Listening(), FakeVad(), perform(script)
        session = engine.open()
        feed = session.feed

        def counted(audio: Audio) -> Sequence[WakeScore]:
            fed.append(audio)
            return feed(audio)

        session.feed = counted  # type: ignore[method-assign]
        engine.open = lambda: session  # type: ignore[method-assign]
        scorer = await Scorer.open((Inline(), engine), (Inline(), vad) if gate else None)
        spotter = Spotter(scorer, engine, Options(), None)
        wakes: list[int] = []
        for at in range(0, len(audio), block):
            piece = Audio(audio.samples[at : at + block], start=at)
            wakes += [found.at async for found in spotter.hear(piece)]
        return wakes

    open_ = asyncio.run(go(512, gate=False))
    assert len(open_) == 2
    for block in (512, 4096, 160):
        fed.clear()
        assert asyncio.run(go(block, gate=True)) == pytest.approx(open_, abs=160)
        assert sum(map(len, fed)) / RATE < 0.7 * seconds(script)


def test_what_is_remembered_ends_at_a_gap() -> None:
    recent = Recent()
    recent.push(Audio(np.ones(100, np.int16)))
    recent.push(Audio(np.ones(100, np.int16), start=100))
    assert (recent.span(50, 150).start, len(recent.span(50, 150))) == (50, 100)
    recent.push(Audio(np.ones(100, np.int16), start=5000))
    assert (recent.span(0, 5050).start, len(recent.span(0, 5050))) == (5000, 50)
    for at in range(5100, 5100 + 100_000, 100):
        recent.push(Audio(np.ones(100, np.int16), start=at))
    assert len(recent.span(0, 1_000_000)) < 3 * RATE
