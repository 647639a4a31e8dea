"""An assistant that runs beside the test, on audio that the test gives it piece by piece."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fakes import FakeAsr, FakeStore, FakeTts, FakeVad, FakeWake, RecordingSink, perform

from edgevoice.assistant import Assistant
from edgevoice.audio.pcm import Audio
from edgevoice.config import Config, load
from edgevoice.engines import registry
from edgevoice.errors import EdgeVoiceError
from edgevoice.events import Event
from edgevoice.parts import Loader
from edgevoice.reload import Devices

BLOCK = 512


class Played:
    """A recording that goes on when the test says so."""

    lossless = True
    eager = True

    def __init__(self) -> None:
        self._blocks: asyncio.Queue[Audio | None] = asyncio.Queue()
        self._at = 0
        self.empty = asyncio.Event()

    def put(self, script: str | None) -> None:
        self.empty.clear()
        if script is None:
            self._blocks.put_nowait(None)
            return
        samples = perform(script).samples
        for at in range(0, len(samples), BLOCK):
            self._blocks.put_nowait(Audio(samples[at : at + BLOCK], start=self._at + at))
        self._at += len(samples)

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        while True:
            if self._blocks.empty():
                self.empty.set()
            if (block := await self._blocks.get()) is None:
                return
            yield block

    async def close(self) -> None:
        pass


class Engines:
    """Loads fakes in the place of engines, and knows which were loaded and closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.failing: dict[str, EdgeVoiceError] = {}
        self.made: dict[str, Any] = {}
        self.on_load: Callable[[str], object] = lambda task: None
        """Called in the engine's thread."""
        monkeypatch.setattr(registry, "load", self._load)

    def _load(self, task: str, name: str, options: msgspec.Struct, store: object) -> Any:
        self.loaded.append(task)
        if task in self.failing:
            raise self.failing[task]
        engine: Any = {"wake": FakeWake, "vad": FakeVad, "asr": FakeAsr, "tts": FakeTts}[task]()
        self.open.append(task)
        engine.close = lambda: self.open.remove(task)
        self.made[task] = engine
        self.on_load(task)
        return engine


class Stage:
    def __init__(self, assistant: Assistant, source: Played, sink: RecordingSink, events: list[Event]) -> None:
        self.assistant = assistant
        self.source = source
        self.sink = sink
        self.events = events

    async def play(self, script: str) -> None:
        """Returns when all of it was heard and everybody waits for more."""
        self.source.put(script)
        await self.source.empty.wait()
        await self.assistant._hub._free.wait()

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [msgspec.to_builtins(event) for event in self.events if type(event).__name__ == name]


def configured(*overrides: str) -> Config:
    return load(Path("/dev/null"), environ={}, overrides=["assistant.earcons=false", *overrides])


def reader(*overrides: str) -> Callable[[], Config]:
    return lambda: configured(*overrides)


@asynccontextmanager
async def staged(*overrides: str, devices: Devices | None = None) -> AsyncIterator[Stage]:
    """An assistant that listens until the end of the block, and whose engines are all closed afterwards."""
    config, events, source, sink = configured(*overrides), list[Event](), Played(), RecordingSink()
    async with Loader(FakeStore()) as loader:
        parts = await loader.load(config)
        assistant = Assistant(config, parts, source, sink, events.append, loader=loader, devices=devices)
        running = asyncio.create_task(assistant.run())
        await source.empty.wait()
        await assistant._hub._free.wait()
        try:
            yield Stage(assistant, source, sink, events)
        finally:
            source.put(None)
            await running
