"""Turns from a script of audio, with fake engines, the real grammar and the real clock of samples."""

import asyncio
import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fakes import FakeAsr, FakeTts, FakeVad, FakeWake, RecordingSink, ScriptSource, seconds

from edgevoice.assistant import Assistant
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.automaton import Automaton
from edgevoice.config import Config, load
from edgevoice.errors import EngineError, OutputError
from edgevoice.events import Event
from edgevoice.flow.worker import Worker
from edgevoice.parts import Parts, load_skills
from edgevoice.speak.earcon import earcon
from edgevoice.turn import Engines

PACK = """
language: en
intents:
  Slow:
    data: [{sentences: [colourless green ideas]}]
    action: {command: [sleep, "60"], timeout: 0.05}
    response: done
"""


class Played:
    """What came of a script."""

    def __init__(self, events: list[Event], sink: RecordingSink, asr: FakeAsr) -> None:
        self.events = events
        self.sink = sink
        self.asr = asr

    def kinds(self, *without: str) -> list[str]:
        return [name for event in self.events if (name := type(event).__name__) not in (*without, "Listening")]

    def of(self, name: str) -> list[dict[str, object]]:
        return [msgspec.to_builtins(event) for event in self.events if type(event).__name__ == name]


def play(
    script: str,
    *,
    pack: Path | None = None,
    block: int = 512,
    overrides: Sequence[str] = (),
    asr: FakeAsr | None = None,
    tts: FakeTts | None = None,
    push_at: float | None = None,
    events: list[Event] | None = None,
    processed: list[int] | None = None,
) -> Played:
    config = load(Path("/dev/null"), environ={}, overrides=["assistant.earcons=false", *overrides])
    if pack is not None:
        config = _with_pack(config, pack)
    asr = asr or FakeAsr()
    sink = RecordingSink()
    events = [] if events is None else events

    async def go() -> None:
        workers = {name: Worker(f"edgevoice-{name}") for name in ("wake", "vad", "asr", "tts", "think")}
        parts = Parts(
            wake=(workers["wake"], FakeWake()),
            engines=Engines(
                vad=(workers["vad"], FakeVad()), asr=(workers["asr"], asr), tts=(workers["tts"], tts or FakeTts())
            ),
            skills=load_skills(config, workers["think"]),
        )
        assistant: Assistant

        def emit(event: Event) -> None:
            events.append(event)
            if push_at is not None and type(event).__name__ == "Listening" and len(events) == 1:
                asyncio.get_running_loop().create_task(push())

        async def push() -> None:
            assistant._hub.hold()
            await assistant._hub.wait_until(int((push_at or 0) * RATE))
            assistant.push_to_talk()
            assistant._hub.release()

        now = datetime(2026, 5, 17, 15, 4, tzinfo=UTC)
        assistant = Assistant(config, parts, ScriptSource(script, block), sink, emit, now=lambda: now)
        if processed is not None:
            assistant.on_processed = processed.append
        try:
            await assistant.run()
        finally:
            for worker in workers.values():
                await worker.close()
        leftover = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert leftover == []

    asyncio.run(go())
    assert [thread for thread in threading.enumerate() if thread.name.startswith("edgevoice")] == []
    return Played(events, sink, asr)


def _with_pack(config: Config, pack: Path) -> Config:
    return msgspec.structs.replace(config, intents=msgspec.structs.replace(config.intents, packs=(str(pack),)))


TURN = ["Wake", "SpeechStarted", "Partial", "Partial", "SpeechEnded", "Transcript", "IntentMatched", "ActionDone"]
ANSWER = ["Reply", "Speaking", "TurnEnded"]
COMMAND = "...WWWW......ooookkkk"


def test_a_turn_from_wake_to_reply() -> None:
    played = play(COMMAND + "." * 80)
    assert played.kinds() == TURN + ANSWER
    assert played.of("Transcript")[0]["text"] == "turn on the kitchen light"
    assert "kitchen" in str(played.of("Reply")[0]["text"])
    assert played.of("TurnEnded")[0]["outcome"] == "answered"
    spoken = sum(audio.seconds for audio in played.sink.played)
    assert spoken == pytest.approx(0.05 * len(str(played.of("Reply")[0]["text"])), rel=0.1)


def test_a_wake_word_that_is_a_command() -> None:
    played = play("...WWWW" + "." * 80, overrides=["detection.commands={computer: turn on the kitchen light}"])
    assert played.kinds() == ["Wake", "IntentMatched", "ActionDone", *ANSWER]
    assert played.of("IntentMatched")[0]["slots"]
    assert played.asr.begins == []
    pushed = play("." * 20, push_at=0.5, overrides=["detection.commands={computer: turn on the kitchen light}"])
    assert "IntentMatched" not in pushed.kinds()


class Doubting(FakeAsr):
    """Tells whether a wake word was said.

    Args:
        answers: one for every time that it is asked.
    """

    def __init__(self, *answers: float) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[int] = []

    def prove(self, audio: Audio, phrase: Automaton) -> float:
        self.asked.append(audio.end)
        return self.answers.pop(0)


DOUBT = ["detection.verify={sure: 1.0, loose: 0.5}", "detection.patience=30"]
"""A word is in doubt from a mean of a quarter on, and 30 scores of 10 ms never are all 1 with four ``W``."""


@pytest.mark.parametrize("block", [160, 512, 4096])
def test_a_doubtful_wake_waits_for_the_recogniser(block: int) -> None:
    played = play(
        "." * 10 + COMMAND + "." * 80,
        overrides=[*DOUBT, "detection.thresholds={computer: 0.2}"],
        block=block,
        asr=Doubting(0.7),
    )
    assert played.kinds() == TURN + ANSWER
    wake = played.of("Wake")[0]
    assert wake["confidence"] == 0.7
    assert isinstance(played.asr, Doubting)
    assert played.asr.asked == [wake["at"]]
    assert played.of("Transcript")[0]["text"] == "turn on the kitchen light"  # nothing of it is lost
    refused = play(
        "." * 10 + COMMAND + "." * 80,
        overrides=[*DOUBT, "detection.thresholds={computer: 0.2}"],
        block=block,
        asr=Doubting(0.04, 0.04),
    )
    assert refused.kinds() == []


def test_a_doubtful_wake_during_a_turn() -> None:
    """It interrupts the turn if it is one, and leaves it alone if it is none."""
    script = "." * 10 + COMMAND + "." * 30 + "WWWW......ffffbbbb" + "." * 80
    options = [*DOUBT, "detection.thresholds={computer: 0.2}"]
    both = play(script, overrides=options, asr=Doubting(0.7, 0.8))
    assert [each["confidence"] for each in both.of("Wake")] == [0.7, 0.8]
    one = play(script, overrides=options, asr=Doubting(0.7, 0.0, 0.0))
    assert [each["confidence"] for each in one.of("Wake")] == [0.7]
    assert [each["outcome"] for each in one.of("TurnEnded")] == ["answered"]
    assert play(script, overrides=options, asr=Doubting(0.7, 0.8)).events == both.events


def test_positions_are_those_of_the_recording() -> None:
    played = play(COMMAND + "." * 80, overrides=["endpoint.silence=0.5"])
    speech = played.of("SpeechStarted")[0]["at"]
    ended = played.of("SpeechEnded")[0]
    assert speech == pytest.approx(seconds("...WWWW......") * RATE, abs=512)
    assert ended["end"] == pytest.approx(seconds(COMMAND) * RATE, abs=512)
    assert ended["at"] == pytest.approx((seconds(COMMAND) + 0.5) * RATE, abs=512)


def test_a_command_in_one_breath_with_the_wake_word_loses_nothing() -> None:
    played = play("...WWWWooookkkk" + "." * 80, overrides=["assistant.overlap=0.2"])
    assert played.of("Transcript")[0]["text"] == "turn on the kitchen light"
    wake = played.of("Wake")[0]["at"]
    assert isinstance(wake, int)
    assert played.asr.begins == [wake - 3200]


@pytest.mark.parametrize("block", [160, 512, 1000, 4096])
def test_the_block_length_changes_what_is_understood_in_nothing(block: int) -> None:
    def meaning(played: Played) -> list[object]:
        return [msgspec.structs.replace(event, at=0) for event in played.events if type(event).__name__ != "Partial"]

    script = COMMAND + "." * 60 + "WWWW..tttt" + "." * 80
    reference = play(script)
    assert [
        event.at for event in reference.events if type(event).__name__ in ("Wake", "SpeechStarted", "SpeechEnded")
    ] == [
        event.at
        for event in play(script, block=block).events
        if type(event).__name__ in ("Wake", "SpeechStarted", "SpeechEnded")
    ]
    assert meaning(play(script, block=block)) == meaning(reference)


def test_the_same_recording_gives_the_same_events() -> None:
    script = COMMAND + "." * 60 + "WWWW..tttt" + "." * 20 + "WWWWssss" + "." * 80
    assert play(script).events == play(script).events


def test_noise_is_no_answer() -> None:
    """What the recogniser is sure is no command, and is too short for talk, is waited through."""
    played = play(".WWWW..kk" + "." * 30 + "ooookkkk" + "." * 80, asr=FakeAsr(refused=["the kitchen light"]))
    assert [event["text"] for event in played.of("Transcript")] == ["the kitchen light", "turn on the kitchen light"]
    assert played.kinds()[-1] == "TurnEnded"
    assert played.of("IntentMatched")
    assert not played.of("NotUnderstood")


def test_talk_that_is_refused_is_answered() -> None:
    played = play(".WWWW..kkkkkkkkkkkkkk" + "." * 60, asr=FakeAsr(refused=["the kitchen light"]))
    assert played.of("NotUnderstood")
    assert played.of("TurnEnded")[0]["outcome"] == "not_understood"


def test_the_pause_is_used_to_finish_early() -> None:
    played = play(COMMAND + "." * 80)
    assert (played.asr.paused, played.asr.finished) == (1, 0)
    played = play("...WWWW..oooo....kkkk" + "." * 80)
    assert played.of("Transcript")[0]["text"] == "turn on the kitchen light"
    assert (played.asr.paused, played.asr.finished) == (2, 0)
    played = play(COMMAND + "." * 80, overrides=["endpoint.pause=0.7"])
    assert (played.asr.paused, played.asr.finished) == (0, 1)


def test_a_pause_after_the_wake_word_is_no_end() -> None:
    played = play("...WWWW" + "." * 30 + "ooookkkk" + "." * 80)
    assert played.of("Transcript")[-1]["text"] == "turn on the kitchen light"
    assert played.of("TurnEnded")[0]["outcome"] == "answered"


@pytest.mark.parametrize(("pause", "sounds"), [("", 0), ("......", 1), ("." * 30, 1)])
def test_the_earcon_sounds_only_for_who_waits_for_it(pause: str, sounds: int) -> None:
    script = "...WWWW" + pause + "ooookkkk" + "." * 80
    played = play(script, overrides=["assistant.earcons=true"])
    assert played.of("TurnEnded")[0]["outcome"] == "answered"
    assert sum(audio.seconds == earcon("wake").seconds for audio in played.sink.played) == sounds


def test_nobody_says_anything() -> None:
    played = play("...WWWW" + "." * 80)
    assert played.kinds() == ["Wake", "SpeechEnded", "Transcript", "TurnEnded"]
    assert played.of("SpeechEnded")[0]["reason"] == "no_speech"
    assert played.of("TurnEnded")[0]["outcome"] == "no_speech"
    assert played.sink.played == []


def test_what_is_no_command_is_declined() -> None:
    played = play("...WWWW..xxxx" + "." * 80)
    assert played.of("NotUnderstood")[0]["text"] == "colourless green ideas"
    assert played.of("Reply")[0]["text"] == "Sorry, I didn't understand that."
    assert played.of("TurnEnded")[0]["outcome"] == "not_understood"


def test_repeat_that() -> None:
    played = play("...WWWW..tttt" + "." * 60 + "WWWW..rrrr" + "." * 80)
    first, second = played.of("Reply")
    assert "3:04" in str(first["text"])
    assert first["text"] == second["text"]


def test_stop_is_silent() -> None:
    played = play("...WWWW..ssss" + "." * 80)
    assert played.of("TurnEnded")[0]["outcome"] == "silent"
    assert played.sink.played == []


def test_barge_in_silences_the_reply_and_starts_a_new_turn() -> None:
    script = COMMAND + "." * 10 + "WWWW..tttt" + "." * 80
    played = play(script)
    kinds = played.kinds("Partial")
    assert [event["outcome"] for event in played.of("TurnEnded")] == ["interrupted", "answered"]
    assert kinds.index("TurnEnded") < kinds.index("Wake", 1)
    wake = played.of("Wake")[1]
    assert played.of("TurnEnded")[0]["at"] == pytest.approx(wake["at"], abs=512)
    assert played.sink.flushes >= 2
    reply = str(played.of("Reply")[0]["text"])
    heard = sum(audio.seconds for audio in played.sink.played) - 0.05 * len(str(played.of("Reply")[1]["text"]))
    assert heard < 0.05 * len(reply) * 0.8  # a part of the first reply only


def test_push_to_talk() -> None:
    played = play("." * 20 + "ooookkkk" + "." * 80, push_at=1.5)
    assert played.of("Wake")[0]["by"] == "push"
    assert played.of("TurnEnded")[0]["outcome"] == "answered"


def test_a_failing_recogniser_costs_the_turn_only() -> None:
    played = play("...WWWW..!!!!" + "." * 80 + "WWWW..tttt" + "." * 80)
    assert played.of("Fault")[0]["error"] == EngineError.__name__
    assert [event["outcome"] for event in played.of("TurnEnded")] == ["failed", "answered"]
    assert played.of("Reply")[0]["text"] == "Sorry, something went wrong."
    assert played.asr.open_sessions == 0


def test_a_hanging_action_is_apologised_for(tmp_path: Path) -> None:
    pack = tmp_path / "pack.yaml"
    pack.write_text(PACK, "utf-8")
    played = play("...WWWW..xxxx" + "." * 80, pack=pack)
    assert played.of("ActionDone")[0]["ok"] is False
    assert played.of("Fault")[0]["error"] == "ActionError"
    assert played.of("Reply")[0]["text"] != "done"
    assert played.of("TurnEnded")[0]["outcome"] == "failed"


def own_pack(folder: Path, response: str, **more: object) -> Path:
    pack = folder / "own.yaml"
    own = {"data": [{"sentences": ["colourless green ideas"]}], "response": response, **more}
    pack.write_text(json.dumps({"intents": {"Own": own}}, ensure_ascii=False), "utf-8")
    return pack


TWO = "...WWWW..xxxx" + "." * 80 + "WWWW..tttt" + "." * 80


def outcomes(played: Played) -> list[object]:
    return [event["outcome"] for event in played.of("TurnEnded")]


def test_a_reply_that_cannot_be_spoken_is_apologised_for(tmp_path: Path) -> None:
    played = play(TWO, pack=own_pack(tmp_path, "🎉"))
    assert [event["error"] for event in played.of("Fault")] == ["TextError"]
    assert outcomes(played) == ["failed", "answered"]
    assert len(played.of("Speaking")) == 2


def test_where_no_words_help_a_sound_does(tmp_path: Path) -> None:
    played = play(TWO, pack=own_pack(tmp_path, "🎉"), overrides=["assistant.apology='🙏'"])
    assert outcomes(played) == ["failed", "answered"]
    assert len(played.of("Speaking")) == 1
    assert any(np.array_equal(audio.samples, earcon("failed").samples) for audio in played.sink.played)


def test_a_blank_reply_is_silence(tmp_path: Path) -> None:
    played = play(TWO, pack=own_pack(tmp_path, "   "))
    assert outcomes(played) == ["silent", "answered"]
    assert len(played.of("Reply")) == 1


def test_half_a_surrogate_pair_in_a_reply_does_no_harm(tmp_path: Path) -> None:
    answer = r'{{"reply": "Tea \ud800 time."}}'
    played = play(TWO, pack=own_pack(tmp_path, "Tea.", action={"command": ["/bin/echo", answer]}))
    assert outcomes(played) == ["answered", "answered"]
    assert str(played.of("Reply")[0]["text"]).encode() == b"Tea ? time."


def test_a_reply_that_cannot_be_written_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: RecordingSink, audio: Audio) -> None:
        raise OutputError("it cannot be written: No space left on device", place="reply.wav")

    monkeypatch.setattr(RecordingSink, "play", full)
    with pytest.raises(OutputError, match="No space left"):
        play(TWO)


def test_a_reader_of_events_that_goes_away_ends_the_run() -> None:
    class Closed(list[Event]):
        def append(self, event: Event) -> None:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        play(COMMAND, events=Closed())


@pytest.mark.parametrize(("sentence", "hinted"), [("make coffee", True), ("remember {anything}", False)])
def test_a_recogniser_gets_the_phrases_only_if_they_are_all(tmp_path: Path, sentence: str, hinted: bool) -> None:
    pack = tmp_path / "own.yaml"
    content = {
        "intents": {"Own": {"data": [{"sentences": ["make tea", sentence]}]}},
        "lists": {"anything": {"wildcard": True}},
    }
    pack.write_text(json.dumps(content), "utf-8")
    config = load(
        Path("/dev/null"),
        environ={},
        overrides=["asr.engine=vosk", "intents.default_pack=false", f"intents.packs=[{pack}]"],
    )
    assert bool(load_skills(config, Worker("edgevoice-think")).hint.phrases) is hinted


def test_a_defect_is_not_swallowed() -> None:
    class Broken(FakeTts):
        def synthesize(self, text: str) -> object:  # type: ignore[override]
            raise RuntimeError("a defect")

    with pytest.raises(ExceptionGroup) as caught:
        play(COMMAND + "." * 80, tts=Broken())
    assert caught.group_contains(RuntimeError, match="a defect")


def test_the_end_of_the_recording_ends_the_utterance() -> None:
    played = play("...WWWW..tttt")
    assert played.of("SpeechEnded")[0]["reason"] == "end_of_audio"
    assert played.of("TurnEnded")[0]["outcome"] == "answered"


def test_all_audio_is_reported_as_processed() -> None:
    script, processed = COMMAND + "." * 80, list[int]()
    play(script, processed=processed)
    assert sum(processed) == seconds(script) * RATE
