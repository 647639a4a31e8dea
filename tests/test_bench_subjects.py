"""How the engines of each task are fed and timed, with engines that read scripts."""

from collections.abc import Sequence

import pytest
from fakes import FakeAsr, FakeTts, FakeVad, perform, seconds

from edgevoice.audio.pcm import Audio
from edgevoice.bench.speech import COMMANDS, SENTENCES, Recording, lasting, stream
from edgevoice.bench.subjects import DetectorSubject, RecogniserSubject, VoiceSubject
from edgevoice.engines.protocols import AsrHint, Hypothesis
from edgevoice.think.grammar import Grammar, Match, default_pack


class Ticking:
    """A millisecond later at each reading."""

    def __init__(self) -> None:
        self.readings = 0

    def __call__(self) -> float:
        self.readings += 1
        return self.readings / 1000


def recording(script: str) -> Recording:
    return Recording(script, perform(script).samples, "")


def test_a_detector_is_fed_block_by_block() -> None:
    subject = DetectorSubject(FakeVad(), [recording("..oo..")], 512, Ticking())
    outcome = subject.run(0)
    assert outcome.values["chunk_ms"] == pytest.approx([1.0] * 19)  # 9600 samples: 18 blocks and a rest
    assert outcome.audio_s == seconds("..oo..")
    assert subject.inputs == ["..oo.."]


def test_a_recogniser_is_given_a_whole_recording() -> None:
    engine = FakeAsr()
    subject = RecogniserSubject(engine, [recording("..oookkk..")], None, clock=Ticking())
    outcome = subject.run(0)
    assert outcome.text == "turn on the kitchen light"
    assert outcome.values == {"latency_ms": [pytest.approx(1.0)]}
    assert engine.open_sessions == 0


def test_a_recogniser_is_given_blocks() -> None:
    subject = RecogniserSubject(FakeAsr(), [recording("..oookkk..")], 1600, clock=Ticking())
    values = subject.run(0).values
    assert values["chunk_ms"] == pytest.approx([1.0] * 10)
    assert values["latency_ms"] == pytest.approx([1.0])  # finishing alone
    (first,) = values["first_ms"]
    assert 3.0 < first < 12.0  # it first wrote something at the third block


def test_a_recogniser_gets_the_hint() -> None:
    hints: list[AsrHint | None] = []

    class Engine(FakeAsr):
        def open(self, hint: AsrHint | None = None):  # type: ignore[no-untyped-def]
            hints.append(hint)
            return super().open(hint)

    hint = AsrHint(phrases=("turn on",))
    RecogniserSubject(Engine(), [recording("o")], None, hint).run(0)
    assert hints == [hint]


def test_a_voice_speaks_clause_by_clause() -> None:
    clock = Ticking()
    subject = VoiceSubject(FakeTts(), ["It is seven. The light is on."], clock)
    outcome = subject.run(0)
    assert outcome.values["first_ms"] == pytest.approx([1.0])
    assert outcome.values["latency_ms"][0] > outcome.values["first_ms"][0]
    assert outcome.audio_s == pytest.approx(0.05 * len("It is seven.The light is on."), abs=0.2)


def test_text_of_a_hypothesis_is_the_last_one() -> None:
    class Session:
        constrained = False

        def feed(self, audio: Audio) -> Hypothesis:
            return Hypothesis("")

        def pause(self, *, glance: bool = False) -> None: ...

        def finish(self) -> Hypothesis:
            return Hypothesis("final")

        def close(self) -> None: ...

    class Engine:
        def open(self, hint: AsrHint | None = None) -> Session:
            return Session()

        def close(self) -> None: ...

    outcome = RecogniserSubject(Engine(), [recording("o")], 512).run(0)
    assert outcome.text == "final"
    assert "first_ms" not in outcome.values  # an empty text is no result


def test_recordings_are_joined_and_repeated() -> None:
    parts = [recording("o" * 200), recording("k" * 200)]
    assert len(stream(parts).samples) == 30 * 16_000
    assert len(lasting(parts, 45.0).samples) == 45 * 16_000
    short: Sequence[Recording] = parts[:1]
    assert len(lasting(short, 1.0).samples) == 16_000


def test_the_commands_are_understood() -> None:
    grammar = Grammar.load([default_pack()])
    assert all(isinstance(grammar.match(text.rstrip(".?").lower()), Match) for text in COMMANDS)
    assert len(set(SENTENCES)) == len(SENTENCES)
