"""A configuration that changes while the assistant listens."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeStore, seconds
from stage import Engines, configured, reader, staged

from edgevoice.audio.pcm import RATE
from edgevoice.config import Config
from edgevoice.errors import DeviceError, ModelError
from edgevoice.events import Reloaded, ReloadRejected
from edgevoice.reload import Latest

COMMAND = "...WWWW......ooookkkk"
END = "." * 80


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(monkeypatch)


def run(work: Coroutine[Any, Any, None]) -> None:
    before = threading.enumerate()
    asyncio.run(work)
    assert threading.enumerate() == before


def test_only_what_changed_is_loaded_again(engines: Engines) -> None:
    async def go() -> None:
        async with staged() as stage:
            engines.loaded.clear()
            outcome = await stage.assistant.reload(reader("asr.whisper.beams=2", "endpoint.silence=1.1"))
            assert outcome == Reloaded(at=0, changed=("endpoint.silence", "asr.whisper.beams"))
            assert engines.loaded == ["asr"]
            assert sorted(engines.open) == ["asr", "tts", "vad", "wake"]
            await stage.play(COMMAND + END)
            assert stage.of("TurnEnded")[0]["outcome"] == "answered"
            ended = stage.of("SpeechEnded")[0]
            assert (ended["at"] - ended["end"]) / RATE == pytest.approx(1.1, abs=0.07)
        assert engines.open == []

    run(go())


def test_the_same_configuration_loads_nothing(engines: Engines) -> None:
    async def go() -> None:
        async with staged() as stage:
            engines.loaded.clear()
            before = stage.assistant.parts
            assert await stage.assistant.reload(reader()) == Reloaded(at=0, changed=())
            assert engines.loaded == []
            assert stage.assistant.parts.skills.grammar is before.skills.grammar

    run(go())


def broken_file() -> Config:
    return configured("wake.thresold=1")


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (broken_file, "wake.thresold"),
        (reader("asr.whisper.beams=2", "detection.thresholds={jarvis: 0.5}"), "no such wake word is loaded"),
        (reader("asr.whisper.beams=2", "detection.commands={jarvis: stop}"), "no such wake word is loaded"),
        (reader("detection.commands={computer: stp}"), "'stp' is no command"),
        (reader("wake.microwakeword.models=[alexa]", "asr.whisper.beams=2"), "it is damaged"),
        (reader("wake.microwakeword.models=[alexa]", "intents.packs=[/no/such/pack]"), "/no/such/pack"),
    ],
)
def test_a_mistake_changes_nothing(engines: Engines, read: Any, why: str) -> None:
    async def go() -> None:
        async with staged() as stage:
            engines.failing["asr"] = ModelError("it is damaged", place="whisper")
            config, parts = stage.assistant.config, stage.assistant.parts
            outcome = await stage.assistant.reload(read)
            assert isinstance(outcome, ReloadRejected)
            assert why in outcome.why
            assert stage.of("ReloadRejected")[0]["why"] == outcome.why
            assert (stage.assistant.config, stage.assistant.parts) == (config, parts)
            assert sorted(engines.open) == ["asr", "tts", "vad", "wake"]
            await stage.play(COMMAND + END)
            assert stage.of("TurnEnded")[0]["outcome"] == "answered"

    run(go())


def test_a_pack_that_says_something_else(engines: Engines, tmp_path: Path) -> None:
    pack = tmp_path / "own.yaml"

    def answering(text: str) -> None:
        pack.write_text(
            f"intents: {{Own: {{data: [{{sentences: [colourless green ideas]}}], response: {text}}}}}", "utf-8"
        )

    async def go() -> None:
        answering("one")
        async with staged(f"intents.packs=[{pack}]") as stage:
            await stage.play("...WWWW..xxxx" + END)
            answering("two")
            engines.loaded.clear()
            outcome = await stage.assistant.reload(reader(f"intents.packs=[{pack}]"))
            assert isinstance(outcome, Reloaded)
            assert outcome.changed == ("intents.packs",)
            assert engines.loaded == []
            await stage.play("...WWWW..xxxx" + END)
            assert [event["text"] for event in stage.of("Reply")] == ["one", "two"]

    run(go())


def test_a_model_that_is_overwritten_in_its_place_is_loaded_again(engines: Engines, tmp_path: Path) -> None:
    async def go() -> None:
        files = {"vad": tmp_path / "vad.onnx", "asr": tmp_path / "asr/net.onnx", "wake": tmp_path / "word.tflite"}
        files["asr"].parent.mkdir()
        for file in files.values():
            file.write_bytes(b"one")
        (tmp_path / "word.json").write_text("{}", "utf-8")
        own = (
            f"vad.silero.model={files['vad']}",
            f"asr.whisper.model={files['asr'].parent}",
            f"wake.microwakeword.models=[{tmp_path / 'word.json'}]",
        )
        async with staged(*own) as stage:
            engines.loaded.clear()
            assert await stage.assistant.reload(reader(*own)) == Reloaded(at=0, changed=())
            for task, file in files.items():
                with file.open("r+b") as written:
                    written.write(b"other")
                outcome = await stage.assistant.reload(reader(*own))
                assert isinstance(outcome, Reloaded)
                assert [key.partition(".")[0] for key in outcome.changed] == [task]
                assert engines.loaded == [task]
                engines.loaded.clear()

    run(go())


def test_another_version_of_a_model_is_loaded(
    engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        async with staged() as stage:
            engines.loaded.clear()
            monkeypatch.setattr(FakeStore, "path", lambda self, name: tmp_path / f"{name}@int8")
            await stage.assistant.reload(reader())
            assert engines.loaded == ["wake", "vad", "asr"]

    run(go())


def test_a_turn_ends_as_it_began(engines: Engines) -> None:
    async def go() -> None:
        async with staged() as stage:
            await stage.play("...WWWW..oooo")
            first = engines.made["asr"]
            assert first.open_sessions == 1
            loaded, loop = asyncio.Event(), asyncio.get_running_loop()
            engines.on_load = lambda task: loop.call_soon_threadsafe(loaded.set)
            reloading = asyncio.create_task(stage.assistant.reload(reader("asr.whisper.beams=2")))
            await loaded.wait()
            assert engines.made["asr"] is not first
            await stage.play("kkkk" + END)
            outcome = await reloading
            assert stage.kinds().index("TurnEnded") < stage.kinds().index("Reloaded")
            assert isinstance(outcome, Reloaded)
            assert stage.of("Transcript")[-1]["text"] == "turn on the kitchen light"
            heard, of_both = len(first.begins), len(first.begins) + len(engines.made["asr"].begins)
            await stage.play(COMMAND + END)
            assert len(first.begins) == heard
            assert len(first.begins) + len(engines.made["asr"].begins) == of_both + 1
            assert [event["outcome"] for event in stage.of("TurnEnded")] == ["answered", "answered"]

    run(go())


@pytest.mark.parametrize("said", [1, 2, 3, 4, 6])
def test_a_wake_word_that_is_being_said_is_heard_by_another_engine(engines: Engines, said: int) -> None:
    word = "...WWWW"

    async def go() -> None:
        async with staged() as stage:
            await stage.play(word[:said])
            outcome = await stage.assistant.reload(reader("wake.microwakeword.models=[alexa]"))
            assert isinstance(outcome, Reloaded)
            assert engines.loaded.count("wake") == 2
            await stage.play(word[said:] + "......ooookkkk" + END)
            (wake,) = stage.of("Wake")
            assert wake["at"] / RATE == pytest.approx(seconds(word), abs=0.1)
            assert stage.of("TurnEnded")[0]["outcome"] == "answered"

    run(go())


def test_a_wake_word_that_was_answered_wakes_no_second_time(engines: Engines) -> None:
    async def go() -> None:
        async with staged("endpoint.no_speech=0.5") as stage:
            await stage.play("...WWWW........")  # the turn is over, and the word still in the pre-roll
            assert stage.of("TurnEnded")[0]["outcome"] == "no_speech"
            await stage.assistant.reload(reader("wake.microwakeword.models=[alexa]"))
            await stage.play(END)
            assert len(stage.of("Wake")) == 1

    run(go())


def test_a_storm_of_reloads_is_one_or_two(engines: Engines) -> None:
    reads: list[int] = []

    def reading(number: int) -> Any:
        def read() -> Config:
            reads.append(number)
            return configured(f"output.volume={number}")

        return read

    async def go() -> None:
        async with staged() as stage:
            outcomes = await asyncio.gather(*(stage.assistant.reload(reading(number)) for number in range(100)))
            assert len(reads) <= 2
            assert reads[-1] == 99
            assert stage.assistant.config.output.volume == 99
            assert len(stage.of("Reloaded")) == len(reads)
            assert outcomes[-1] == Reloaded(at=0, changed=("output.volume",))

    run(go())


def test_what_comes_during_a_reload_is_done_after_it() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    done: list[int] = []

    async def job(number: int) -> int:
        began.set()
        await go_on.wait()
        done.append(number)
        return number

    async def go() -> None:
        latest = Latest(job, asyncio.create_task)
        first = asyncio.create_task(latest.request(1))
        await began.wait()
        others = [asyncio.create_task(latest.request(number)) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        go_on.set()
        assert await first == 1
        assert await asyncio.gather(*others) == [4, 4, 4]
        assert done == [1, 4]

    asyncio.run(go())


def test_a_device_that_cannot_be_opened_rejects_everything(engines: Engines) -> None:
    class Absent:
        async def change(self, before: Config, after: Config) -> None:
            raise DeviceError("there is no such microphone", place="input.device")

    async def go() -> None:
        async with staged(devices=Absent()) as stage:
            outcome = await stage.assistant.reload(reader("input.device=other", "wake.microwakeword.models=[alexa]"))
            assert isinstance(outcome, ReloadRejected)
            assert stage.assistant.config.input.device == "default"
            assert engines.open.count("wake") == 1
            await stage.play(COMMAND + END)
            assert stage.of("TurnEnded")[0]["outcome"] == "answered"

    run(go())


def test_what_is_read_at_the_start_is_said(engines: Engines, caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        async with staged() as stage:
            await stage.assistant.reload(reader("assistant.stop_deadline=9"))

    run(go())
    assert "assistant.stop_deadline: it is read when edgevoice starts" in caplog.text


def test_a_defect_while_reading_is_not_swallowed(engines: Engines) -> None:
    def read() -> Config:
        raise RuntimeError("a defect")

    async def go() -> None:
        async with staged() as stage:
            await stage.assistant.reload(read)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(go())
    assert caught.group_contains(RuntimeError, match="a defect")
