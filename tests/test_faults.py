"""Faults in the middle of a turn: what is said, what is lost, and that the next command is answered.

Those of a device are in test_ear.py and test_ear_card.py, of a reload in test_reload.py, of the control socket in
test_control.py, of a state that cannot be written in test_mute.py. All of them at a real daemon: tools/faults.py.
"""

import ast
import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stage import Engines, staged

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines import registry
from edgevoice.engines.asr.whisper_net import WhisperNet
from edgevoice.engines.wake import microwakeword
from edgevoice.errors import EngineError
from edgevoice.events import Event, TurnEnded
from edgevoice.modelstore import ModelStore
from edgevoice.speak.earcon import earcon
from tools.faultscene import Sound
from tools.soundcard import RATE as CARD_RATE

COMMAND = "....WWWW..ookkk" + "." * 60
"""And the time that the answer takes."""
PACK = """
intents:
  Siren:
    data: [{{sentences: [colourless green ideas]}}]
    action: {{command: {command}, timeout: 0.1, name: the siren}}
    response: done
"""
SIREN = "....WWWW..xxx" + "." * 60


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(monkeypatch)


def fail(engines: Engines, task: str, error: Exception, times: int = 1) -> None:
    """An engine that fails so many times."""
    left = [error] * times

    def check() -> None:
        if left:
            raise left.pop()

    def spoil(loaded: str) -> None:
        if loaded != task:
            return
        engine = engines.made[task]
        if task == "tts":
            synthesize = engine.synthesize

            def speak(text: str) -> Iterator[Audio]:
                check()
                yield from synthesize(text)

            engine.synthesize = speak
            return
        opened = engine.open

        def open_(*arguments: Any) -> Any:
            session = opened(*arguments)
            feed = session.feed

            def feed_(audio: Audio) -> Any:
                if np.any(audio.samples):  # in the turn, and not in the silence before it
                    check()
                return feed(audio)

            session.feed = feed_
            return session

        engine.open = open_

    engines.on_load = spoil


def outcomes(events: list[Event]) -> list[str]:
    return [event.outcome for event in events if isinstance(event, TurnEnded)]


@pytest.mark.parametrize("task", ["wake", "vad", "tts"])
@pytest.mark.parametrize("kind", [RuntimeError, MemoryError])
def test_a_defect_of_an_engine_ends_the_process_and_hides_nothing(
    engines: Engines, task: str, kind: type[Exception]
) -> None:
    """The service manager starts it anew: nobody knows what state the engine is in."""
    fail(engines, task, kind("injected"))

    async def main() -> None:
        async with staged() as stage:
            stage.source.put(COMMAND)

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(main())
    assert raised.value.subgroup(kind) is not None
    assert engines.open == []


def test_a_defect_of_the_recogniser_does_so_too(engines: Engines) -> None:
    """Not while it is warmed up, which is before anybody listens."""

    async def main() -> None:
        async with staged() as stage:
            engine = engines.made["asr"]
            engine.open = lambda *_: 1 / 0
            stage.source.put(COMMAND)

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(main())
    assert raised.value.subgroup(ZeroDivisionError) is not None
    assert engines.open == []


@pytest.mark.parametrize("task", ["vad", "tts"])
def test_an_error_of_an_engine_costs_one_turn(engines: Engines, task: str) -> None:
    fail(engines, task, EngineError("injected", place="engine"))

    async def main() -> None:
        async with staged() as stage:
            await stage.play(COMMAND)
            assert outcomes(stage.events) == ["failed"]
            assert [fault["message"] for fault in stage.of("Fault")] == ["engine: injected"]
            assert stage.sink.played  # the apology
            await stage.play(COMMAND)
            assert outcomes(stage.events) == ["failed", "answered"]

    asyncio.run(main())


def test_a_voice_that_is_broken_for_good_is_replaced_by_a_tone(engines: Engines) -> None:
    """Whoever has spoken hears that it did not work."""
    fail(engines, "tts", EngineError("injected", place="engine"), times=100)

    async def main() -> None:
        async with staged() as stage:
            await stage.play(COMMAND)
            assert outcomes(stage.events) == ["failed"]
            tone = earcon("failed").samples
            assert [np.array_equal(audio.samples, tone) for audio in stage.sink.played] == [True]

    asyncio.run(main())


@pytest.mark.parametrize("command", ['[sleep, "60"]', "[sh, -c, yes & yes >&2]"])
def test_an_action_that_hangs_or_floods_costs_one_turn(engines: Engines, tmp_path: Path, command: str) -> None:
    pack = tmp_path / "pack.yaml"
    pack.write_text(PACK.format(command=command), "utf-8")

    async def main() -> None:
        async with staged(f"intents.packs=[{pack}]") as stage:
            await stage.play(SIREN)
            assert outcomes(stage.events) == ["failed"]
            assert "siren" in stage.of("Reply")[0]["text"] or stage.of("Fault")
            await stage.play(COMMAND)
            assert outcomes(stage.events) == ["failed", "answered"]

    asyncio.run(main())


def test_a_clock_that_jumps_changes_nothing(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> list[str]:
        async with staged() as stage:
            await stage.play(COMMAND)
            return stage.kinds()

    usual = asyncio.run(main())
    hour = iter(range(0, 10**9, 3600))
    monkeypatch.setattr(time, "time", lambda: float(next(hour)))
    assert asyncio.run(main()) == usual
    assert "TurnEnded" in usual


WALL_CLOCK = {
    "edgevoice/assistant.py": "what time it is, for who asks that",
    "edgevoice/wakes/keeper.py": "when a wake was, for its name and its label",
    "edgevoice/waketrain/work.py": "the age of what trainings have left, in days",
    "edgevoice/recordings.py": "the age of recordings, in days, and their names",
    "edgevoice/modelstore.py": "the age of downloads that were given up, in days",
    "edgevoice/evaluate/record.py": "when a report was made",
    "edgevoice/tune/report.py": "when a report was made",
    "edgevoice/bench/session.py": "when a report was made",
}
"""Who may read the clock on the wall, and what for. No deadline may: it jumps."""


def test_no_deadline_is_kept_by_the_clock_on_the_wall() -> None:
    root = Path(__file__).parent.parent
    found = set()
    for path in sorted((root / "edgevoice").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name in ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "time.localtime"):
                    found.add(str(path.relative_to(root)))
    assert found == set(WALL_CLOCK)


@pytest.mark.parametrize(("name", "told"), [("wake", "the tone of waking"), ("failed", "the tone of a failure")])
def test_the_tool_tells_the_tones_apart(name: Any, told: str) -> None:
    samples = np.repeat(earcon(name).samples, 2)  # at the card's rate
    assert Sound(0.0, len(samples) / CARD_RATE, [samples]).tone == told
    assert Sound(0.0, 1.0, [samples]).tone == ""


LOADED_AND_LOST = """
import os, sys
from pathlib import Path
from edgevoice.engines.litert import interpreter

path = Path(sys.argv[1])
made = interpreter(path)
before = path.read_bytes()
path.write_bytes(os.urandom(len(before)))  # as by a worn card, or by who copies another one over it
made.invoke()
os.truncate(path, 0)
made.invoke()
print("goes on")
"""


def test_a_model_in_use_may_be_damaged_on_the_disk(store: ModelStore, tmp_path: Path) -> None:
    """In a process of its own, for the kernel ends one that reads behind the end of a mapped file."""
    model = next(store.path("okay_nabu").glob("*.tflite"))
    copy = tmp_path / model.name
    shutil.copy(model, copy)
    ran = subprocess.run(
        [sys.executable, "-c", LOADED_AND_LOST, str(copy)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "goes on\n"), ran.stderr


def test_a_wake_word_in_use_is_opened_again_without_the_disk(store: ModelStore, tmp_path: Path) -> None:
    """As it is after every reopening of the microphone."""
    word = tmp_path / "okay_nabu"
    shutil.copytree(store.path("okay_nabu"), word)
    engine = registry.load("wake", "microwakeword", microwakeword.Options(models=(str(word),)), store)
    for file in word.iterdir():
        file.unlink()
    session = engine.open()
    assert session.feed(Audio(np.zeros(RATE, np.int16)))
    session.close()


@pytest.mark.parametrize("left", [None, 1_000])
def test_a_recogniser_whose_file_goes_says_so(left: int | None, store: ModelStore, tmp_path: Path) -> None:
    for path in store.path("whisper-tiny.en-int8").iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "embedding.bin").unlink()
    shutil.copy(store.path("whisper-tiny.en-int8") / "embedding.bin", tmp_path)
    net = WhisperNet(tmp_path, 1)
    tokens = np.array([5, 40_000])
    assert net.rows(tokens).shape == (2, 384)
    if left is None:
        (tmp_path / "embedding.bin").unlink()
    else:
        os.truncate(tmp_path / "embedding.bin", left)
    with pytest.raises(EngineError, match=r"embedding.bin: it cannot be read any more"):
        net.rows(tokens)
