"""From audio to a transcript: when it is looked whether the speaker has finished, and what comes of it."""

import asyncio
import math
import threading
from collections.abc import AsyncGenerator, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fakes import FakeAsr, FakeAsrSession, FakeVad, FakeVadSession, ScriptSource, perform

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.audio.source import AudioSource
from edgevoice.automaton import Automaton
from edgevoice.engines.protocols import AsrHint, Ending, Hypothesis, SpeechScore
from edgevoice.events import Event, Partial, SpeechEnded, Transcript
from edgevoice.flow.hub import Hub
from edgevoice.flow.worker import Worker
from edgevoice.listen import transcribe as hearing
from edgevoice.listen.ending import HESITANT, PER_ODDS, odds_of_more, patience
from edgevoice.listen.endpoint import Options
from edgevoice.listen.transcribe import Recogniser, hear
from edgevoice.think.grammar import Grammar

T = TypeVar("T")

OPTIONS = Options(
    silence=0.6, silence_closed=0.15, silence_open=0.3, silence_unfinished=1.2, glance=0.06, pause=0.2, minimum=0.1
)
PACK = """
intents:
  Light:
    data:
      - sentences:
          - turn (on|off) the kitchen light
          - turn (on|off) the bedroom light [in <colour>]
          - <colour> light
expansion_rules:
  colour: (red|dark blue)
skip_words: [please]
"""


@pytest.fixture
def automaton(tmp_path: Path) -> Automaton:
    path = tmp_path / "pack.yaml"
    path.write_text(PACK, "utf-8")
    return Grammar.load([path]).automaton


def run(main: Coroutine[Any, Any, T]) -> T:
    async def guarded() -> T:
        return await asyncio.wait_for(main, 30)  # instead of a hang

    return asyncio.run(guarded())


async def listen(
    source: AudioSource, asr: FakeAsr, vad: FakeVad, hint: AsrHint | None, options: Options = OPTIONS
) -> list[Event]:
    events: list[Event] = []
    workers = Worker("edgevoice-vad"), Worker("edgevoice-asr")
    hub = Hub(source, preroll=RATE, on_gap=lambda lost, at: None)
    hub.hold()
    pump = asyncio.create_task(hub.run())
    with hub.tap(start=0) as tap:
        await hear(
            tap,
            begin=0,
            count_from=0,
            vad=(workers[0], vad),
            asr=(workers[1], asr),
            hint=hint,
            options=options,
            emit=events.append,
            cue=None,
            lossless=source.lossless,
        )
    pump.cancel()
    await asyncio.gather(pump, return_exceptions=True)
    for worker in workers:
        await worker.close()
    assert asr.open_sessions == 0
    return events


class Heard:
    def __init__(
        self,
        script: str,
        endings: Mapping[str, Ending],
        hint: AsrHint | None,
        block: int = 512,
        refused: Collection[str] = (),
    ) -> None:
        self.asr = FakeAsr(endings, refused)
        self.events = run(listen(ScriptSource(script + "." * 60, block), self.asr, FakeVad(), hint))
        (self.ended,) = (event for event in self.events if isinstance(event, SpeechEnded))
        (self.transcript,) = (event for event in self.events if isinstance(event, Transcript))
        self.text = self.transcript.text
        self.silence = (self.ended.at - self.ended.end) / RATE


HINT = AsrHint(automaton=Automaton((), ()))
LIGHT = "turn on the kitchen light"


def frames(silence: float) -> object:
    """So much silence, up to the end of a frame."""
    return pytest.approx(silence + 0.016, abs=0.0161)


@pytest.mark.parametrize(
    ("ending", "silence", "reason", "looks"),
    [
        ("closed", 0.15, "complete", 1),
        ("open", 0.3, "complete", 1),
        ("unfinished", 1.2, "silence", 2),
        (None, 0.6, "silence", 1),
    ],
)
def test_the_grammar_says_how_much_silence_is_needed(
    automaton: Automaton, ending: Ending | None, silence: float, reason: str, looks: int
) -> None:
    endings: dict[str, Ending] = {} if ending is None else {LIGHT: ending}
    if ending == "open":
        endings = {"turn on the bedroom light": "open"}
    heard = Heard("...ooookkkk" if ending != "open" else "...oooobbbb", endings, AsrHint(automaton=automaton))
    assert heard.silence == frames(silence)
    assert heard.ended.reason == reason
    assert (heard.asr.paused, heard.asr.finished) == (looks, 0)


def test_what_is_no_command_at_a_glance_is_understood_in_the_pause() -> None:
    heard = Heard("...ooookkkk", {LIGHT: "closed"}, HINT, refused=[LIGHT])
    assert (heard.text, heard.transcript.confidence) == (LIGHT, 0.01)
    assert (heard.asr.paused, heard.asr.finished) == (2, 0)
    assert heard.silence == frames(0.6)


def test_without_a_grammar_the_first_look_is_later() -> None:
    heard = Heard("...ooookkkk", {LIGHT: "closed"}, AsrHint(phrases=[LIGHT]))
    assert heard.asr.paused == 1
    assert heard.silence == frames(0.2)


def test_in_haste_there_is_no_look_before_a_pause_is_certain() -> None:
    endings: dict[str, Ending] = {LIGHT: "closed"}
    hasty = AsrHint(automaton=HINT.automaton, haste=True)
    for script, looks in (("...oooo.kkkk", (2, 1)), ("...ooookkkk", (1, 1))):  # the pause has 0.1 s
        assert tuple(Heard(script, endings, hint).asr.paused for hint in (HINT, hasty)) == looks
    assert Heard("...ooookkkk", endings, HINT).silence == frames(0.15)
    assert Heard("...ooookkkk", endings, hasty).silence == frames(0.2)


def test_who_goes_on_is_heard_to_the_end() -> None:
    endings: dict[str, Ending] = {"turn on": "unfinished", LIGHT: "closed"}
    heard = Heard("...oooo.........kkkk", endings, HINT)  # 0.9 s, more than ends anything else
    assert heard.text == LIGHT
    assert heard.silence == frames(0.15)
    assert Heard("...oooo.........kkkk", {LIGHT: "closed"}, HINT).text == "turn on"


def test_who_has_paused_before_gets_more_time() -> None:
    endings: dict[str, Ending] = {"turn on the bedroom light": "open"}
    longer = OPTIONS.silence_open + PER_ODDS * math.log(HESITANT)
    assert Heard("...oooobbbb", endings, HINT).silence == frames(OPTIONS.silence_open)
    assert Heard("...oooo..bbbb", endings, HINT).silence == frames(longer)


def test_what_was_understood_in_a_pause_does_not_end_the_next_one() -> None:
    endings: dict[str, Ending] = {"turn on": "closed"}
    heard = Heard("...oooo.kkkk", endings, HINT)
    assert (heard.text, heard.ended.reason) == (LIGHT, "silence")
    assert heard.silence == frames(0.6)


@pytest.mark.parametrize("script", ["...ooookkkk", "...oooo.kkkk", "...oooo........kkkk"])
def test_blocks_of_any_length_give_the_same_events(script: str) -> None:
    endings: dict[str, Ending] = {"turn on": "unfinished", LIGHT: "closed"}
    expected = Heard(script, endings, HINT)
    assert any(isinstance(event, Partial) for event in expected.events)
    for block in (100, 2048, 5000):
        heard = Heard(script, endings, HINT, block)
        assert heard.events == expected.events
        assert heard.asr.paused == expected.asr.paused


def test_a_result_that_comes_late_ends_the_utterance_at_once() -> None:
    """At a microphone, where nothing waits for the recogniser: no audio comes any more when it has its result."""
    everything = perform("...ooookkkk....")
    go = threading.Event()

    class Vad(FakeVad):
        def open(self) -> FakeVadSession:
            return VadSession()

    class VadSession(FakeVadSession):
        def feed(self, audio: Audio) -> Sequence[SpeechScore]:
            if audio.end == everything.end:
                go.set()
            return super().feed(audio)

    class SlowAsr(FakeAsr):
        def open(self, hint: AsrHint | None = None) -> FakeAsrSession:
            super().open(hint)
            return SlowSession(self)

    class SlowSession(FakeAsrSession):
        def pause(self, *, glance: bool = False) -> Hypothesis | None:
            assert go.wait(30)
            return super().pause(glance=glance)

    class Microphone:
        lossless = False
        eager = True

        async def blocks(self) -> AsyncGenerator[Audio, None]:
            yield everything
            await asyncio.Event().wait()

        async def close(self) -> None:
            pass

    events = run(listen(Microphone(), SlowAsr({LIGHT: "closed"}), Vad(), HINT))
    (ended,) = (event for event in events if isinstance(event, SpeechEnded))
    assert ended.reason == "complete"
    assert everything.end - 1024 < ended.at <= everything.end


def test_a_result_of_the_pause_before_is_thrown_away() -> None:
    go = threading.Event()
    begun = threading.Event()
    expected: list[str] = []

    class Session(FakeAsrSession):
        def pause(self, *, glance: bool = False) -> Hypothesis | None:
            begun.set()
            assert go.wait(30)
            return super().pause(glance=glance)

    async def main() -> Hypothesis:
        worker = Worker("edgevoice-asr")
        asr = FakeAsr()
        asr.open_sessions = 1
        recogniser = Recogniser(
            worker,
            Session(asr),
            lambda event: None,
            lambda heard: 0.1,
            lambda heard, silence: expected.append(heard.text),
        )
        recogniser.push(perform("oooo"))
        recogniser.look()
        await asyncio.to_thread(begun.wait, 30)
        recogniser.resume()
        recogniser.push(perform("kkkk"))
        recogniser.look()
        go.set()
        try:
            return await recogniser.finish()
        finally:
            recogniser.close()
            await worker.close()

    assert run(main()).text == LIGHT
    assert expected == [LIGHT]


def test_a_complete_command_is_judged_anew_when_more_is_known_of_the_pause() -> None:
    waits = iter([0.6, 0.3])
    expected: list[float] = []

    async def main() -> int:
        worker = Worker("edgevoice-asr")
        asr = FakeAsr({LIGHT: "open"})
        recogniser = Recogniser(
            worker,
            asr.open(HINT),
            lambda event: None,
            lambda heard: next(waits),
            lambda heard, silence: expected.append(silence),
        )
        recogniser.push(perform("ooookkkk"))
        for glance in (True, False):
            recogniser.look(glance=glance)
            await recogniser.caught_up()
        recogniser.close()
        await worker.close()
        return asr.paused

    assert run(main()) == 1  # is read once
    assert expected == [0.6, 0.3]


@pytest.mark.parametrize(
    ("words", "odds"),
    [
        ("turn on the kitchen light", 0.0),
        ("turn on the kitchen light please", 0.0),
        ("please turn off the bedroom light", 1.0),
        ("turn off the bedroom light in red", 0.0),
        ("dark blue light", 0.0),
        ("turn on the", float("inf")),
        ("turn off the bedroom light in dark", float("inf")),
        ("make coffee", 1.0),
    ],
)
def test_how_likely_something_follows(automaton: Automaton, words: str, odds: float) -> None:
    assert odds_of_more(automaton, words.split()) == odds


def test_templates_that_go_on_make_it_likelier(tmp_path: Path) -> None:
    path = tmp_path / "pack.yaml"
    sentences = ["make tea", "make tea with milk", "make tea with sugar", "make tea now"]
    path.write_text(f"intents: {{Tea: {{data: [{{sentences: {sentences}}}]}}}}", "utf-8")
    automaton = Grammar.load([path]).automaton
    assert odds_of_more(automaton, ["make", "tea"]) == 3.0
    tea = Hypothesis("make tea", ending="open")
    waits = [patience(tea, grammar, OPTIONS, hesitant=False) for grammar in (None, automaton)]
    assert waits[0] == OPTIONS.silence_open
    assert waits[1] == pytest.approx(OPTIONS.silence_open + PER_ODDS * math.log(3))


@pytest.mark.parametrize(
    "hypothesis",
    [
        Hypothesis(""),
        Hypothesis("x"),
        Hypothesis(" ", ending="closed"),
        Hypothesis("turn on the kitchen light", confidence=0.39, ending="closed"),
    ],
)
def test_what_is_not_understood_says_nothing(automaton: Automaton, hypothesis: Hypothesis) -> None:
    assert patience(hypothesis, automaton, OPTIONS, hesitant=False) is None


@pytest.mark.parametrize(
    ("seconds", "confidence", "noise"),
    [
        (0.3, 0.05, True),
        (0.9, 0.05, True),
        (1.1, 0.05, False),
        (0.3, 0.3, True),
        (0.5, 0.3, False),
        (0.3, 0.41, False),
        (0.3, None, False),
    ],
)
def test_the_shorter_a_sound_the_sooner_it_is_noise(seconds: float, confidence: float | None, noise: bool) -> None:
    hypothesis = Hypothesis("I...", confidence=confidence, readings=())
    heard = hearing.Heard(Transcript(at=0, text="I...", confidence=confidence), hypothesis, int(seconds * RATE))
    assert heard.noise is noise
    writes_freely = replace(hypothesis, readings=None)
    assert not replace(heard, hypothesis=writes_freely).noise
