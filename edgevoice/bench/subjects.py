"""The engines of the four tasks as what is measured: each input is one step of ``run``.

Everything here runs in the process of the engine that is measured.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from edgevoice.audio.pcm import Audio
from edgevoice.bench.process import Outcome
from edgevoice.bench.speech import Recording
from edgevoice.engines import registry
from edgevoice.engines.protocols import AsrEngine, AsrHint, TtsEngine
from edgevoice.modelstore import ModelStore

Variant = Literal["plain", "stream", "grammar"]
VARIANTS: tuple[Variant, ...] = ("plain", "stream", "grammar")
"""plain: a whole recording at once, anything may be said. stream: in the blocks of a microphone, with all partial
texts. grammar: a whole recording at once, held to the intents."""

Clock = Callable[[], float]


class _Session(Protocol):
    def feed(self, audio: Audio) -> object: ...
    def close(self) -> None: ...


class _Streaming(Protocol):
    def open(self) -> _Session: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Ours:
    """An engine of edgevoice, to be loaded in another process."""

    task: str
    engine: str
    options: msgspec.Struct

    def __call__(self) -> Any:
        return registry.load(self.task, self.engine, self.options, ModelStore())


@dataclass(frozen=True)
class Detector:
    """Makes the subject of a wake word or voice activity engine."""

    load: Callable[[], Any]
    parts: tuple[Recording, ...]
    block: int
    """Samples of a block, as the microphone is configured."""

    def __call__(self) -> "DetectorSubject":
        return DetectorSubject(self.load(), self.parts, self.block)


class DetectorSubject:
    """Fed with blocks without pauses."""

    def __init__(
        self, engine: _Streaming, parts: Sequence[Recording], block: int, clock: Clock = time.perf_counter
    ) -> None:
        self._engine = engine
        self._parts = parts
        self._block = block
        self._clock = clock

    @property
    def inputs(self) -> Sequence[str]:
        return [part.name for part in self._parts]

    def run(self, number: int) -> Outcome:
        """``chunk_ms``: the time for each block."""
        samples = self._parts[number].samples
        session = self._engine.open()
        chunks = []
        for at in range(0, len(samples), self._block):
            audio = Audio(samples[at : at + self._block], start=at)
            began = self._clock()
            session.feed(audio)
            chunks.append(1000 * (self._clock() - began))
        session.close()
        return Outcome({"chunk_ms": chunks}, Audio(samples).seconds)

    def close(self) -> None:
        self._engine.close()


@dataclass(frozen=True)
class Recogniser:
    """Makes the subject of a recogniser."""

    load: Callable[[], Any]
    parts: tuple[Recording, ...]
    block: int
    variant: Variant = "plain"
    packs: tuple[Path, ...] = ()
    """The intents that ``grammar`` holds it to."""

    def __call__(self) -> "RecogniserSubject":
        hint = None
        if self.variant == "grammar":
            from edgevoice.parts import PHRASES
            from edgevoice.think.grammar import Grammar

            grammar = Grammar.load(list(self.packs))
            phrases = grammar.phrases(PHRASES)
            hint = AsrHint(tuple(phrases) if phrases.complete else (), grammar.automaton)
        return RecogniserSubject(self.load(), self.parts, self.block if self.variant == "stream" else None, hint)


class RecogniserSubject:
    """Fed with a whole recording, or with its blocks without pauses."""

    def __init__(
        self,
        engine: AsrEngine,
        parts: Sequence[Recording],
        block: int | None,
        hint: AsrHint | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._engine = engine
        self._parts = parts
        self._block = block
        self._hint = hint
        self._clock = clock

    @property
    def inputs(self) -> Sequence[str]:
        return [part.name for part in self._parts]

    def run(self, number: int) -> Outcome:
        """``latency_ms``: from the last audio given to the final text. In blocks also ``chunk_ms``, the time for each,
        and ``first_ms``, the computing time up to the first partial text."""
        samples = self._parts[number].samples
        session = self._engine.open(self._hint)
        values: dict[str, list[float]] = {}
        begun = last = self._clock()
        if self._block is None:
            session.feed(Audio(samples))
        else:
            chunks = values["chunk_ms"] = []
            for at in range(0, len(samples), self._block):
                last = self._clock()
                partial = session.feed(Audio(samples[at : at + self._block], start=at))
                now = self._clock()
                chunks.append(1000 * (now - last))
                if partial is not None and partial.text and "first_ms" not in values:
                    values["first_ms"] = [1000 * (now - begun)]
            last = self._clock()
        text = session.finish().text
        values["latency_ms"] = [1000 * (self._clock() - last)]
        session.close()
        return Outcome(values, Audio(samples).seconds, text)

    def close(self) -> None:
        self._engine.close()


@dataclass(frozen=True)
class Voice:
    """Makes the subject of a voice."""

    load: Callable[[], Any]
    texts: tuple[str, ...]

    def __call__(self) -> "VoiceSubject":
        return VoiceSubject(self.load(), self.texts)


class VoiceSubject:
    """Speaks texts, divided into clauses as in a turn."""

    def __init__(self, engine: TtsEngine, texts: Sequence[str], clock: Clock = time.perf_counter) -> None:
        self._engine = engine
        self._texts = texts
        self._clock = clock

    @property
    def inputs(self) -> Sequence[str]:
        return self._texts

    def run(self, number: int) -> Outcome:
        """``first_ms``: from the text to the first audio, units written out; ``latency_ms``: to the last."""
        from edgevoice.speak.phrases import clauses

        values: dict[str, list[float]] = {}
        begun = self._clock()
        spoken = 0.0
        for clause in clauses(self._texts[number], language=self._engine.language):
            for audio in self._engine.synthesize(clause):
                spoken += audio.seconds
                values.setdefault("first_ms", [1000 * (self._clock() - begun)])
        values["latency_ms"] = [1000 * (self._clock() - begun)]
        return Outcome(values, spoken)

    def close(self) -> None:
        self._engine.close()
