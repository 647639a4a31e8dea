"""The runs of ``edgevoice eval asr``: recordings with their texts through a recogniser that may write anything."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from edgevoice.audio.pcm import RATE, Int16
from edgevoice.config import Config
from edgevoice.engines import registry
from edgevoice.engines.protocols import AsrEngine, Hypothesis
from edgevoice.evaluate import errors, lines, machine
from edgevoice.evaluate.effort import Effort, blocks
from edgevoice.evaluate.errors import Errors
from edgevoice.evaluate.normalise import RULES, mistakes
from edgevoice.evaluate.scene import Scene, Take
from edgevoice.modelstore import ModelStore


class _Line(msgspec.Struct, frozen=True):
    audio: str
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """A recording and what is said in it."""

    audio: str
    """As the manifest names it."""
    path: Path
    text: str
    line: int


def load(manifest: Path, rule: str, limit: int | None = None) -> list[Item]:
    """The recordings of a manifest, every line an object with ``audio`` and ``text``.

    Args:
        rule: of ``normalise.RULES``; a text of which it leaves nothing is a mistake.

    Raises:
        ConfigError: with every mistake, each with file and line.
    """
    found = lines.read_audio(manifest, _Line, limit, lambda line, _: mistakes(line.text, rule))
    return [Item(line.audio, path, line.text, number) for number, path, line in found]


class Transcription(msgspec.Struct, frozen=True, kw_only=True):
    """One recording under one condition."""

    audio: str
    """As the manifest names it."""
    seed: int | None
    """The seed its noise was drawn by; None without noise."""
    text: str
    """What is said, as the manifest has it."""
    heard: str
    """As the recogniser wrote it."""
    said_normalised: str
    heard_normalised: str
    words: Errors
    characters: Errors
    confidence: float | None
    """As the engine gives it."""
    latency_ms: float
    """From the end of the recording, had it come at the pace of a microphone, to the text."""
    compute_ms: float
    cpu_ms: float
    """Processor time of the whole process, all threads."""
    seconds: float
    """Length of the recording."""


@dataclass(frozen=True)
class Done:
    transcription: Transcription
    peak_mb: float


def load_engine(config: Config) -> AsrEngine:
    """
    Raises:
        EngineError, ModelError: what could not be loaded, and why.
    """
    engine: AsrEngine = registry.load("asr", config.asr.engine, config.asr.chosen, ModelStore())
    return engine


@dataclass(frozen=True)
class Settings:
    """What every process needs."""

    config: Config
    noise: Path | None = None
    rule: str = "english"
    load: Callable[[Config], AsrEngine] = load_engine
    """Other processes must be able to import it by name."""


@dataclass(frozen=True)
class Heard:
    hypothesis: Hypothesis
    latency: float
    """Seconds."""
    effort: Effort


def transcribe(engine: AsrEngine, audio: Int16, block: int) -> Heard:
    """Recognise audio block by block. The latency is what it would have been with audio that comes as it is spoken: a
    step begins when its block has been spoken and the step before has ended."""
    effort, free = Effort(), 0.0
    with closing(engine.open()) as session:
        for piece in blocks(audio, block):
            with effort.counted():
                session.feed(piece)
            free = max(free, piece.end / RATE) + effort.last
        with effort.counted():
            hypothesis = session.finish()
    end = len(audio) / RATE
    return Heard(hypothesis, max(free, end) + effort.last - end, effort)


class Bench:
    """Does jobs, in one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scene = Scene(settings.config.input.channel, settings.noise)

    @cached_property
    def _engine(self) -> AsrEngine:
        return self._settings.load(self._settings.config)

    def do(self, job: Take[Item]) -> Done:
        """
        Raises:
            AudioError, EngineError: an audio file or an engine failed.
        """
        item, rule = job.item, RULES[self._settings.rule]
        audio = self._scene.heard(item, self._scene.clean(item), job.under)
        heard = transcribe(self._engine, audio, self._settings.config.input.block)
        said, written = rule(item.text), rule(heard.hypothesis.text)
        result = Transcription(
            audio=item.audio,
            seed=job.under.seed,
            text=item.text,
            heard=heard.hypothesis.text,
            said_normalised=said,
            heard_normalised=written,
            words=errors.words(said, written),
            characters=errors.characters(said, written),
            confidence=heard.hypothesis.confidence,
            latency_ms=1000 * heard.latency,
            compute_ms=1000 * heard.effort.compute,
            cpu_ms=1000 * heard.effort.cpu,
            seconds=len(audio) / RATE,
        )
        return Done(result, machine.peak_memory())
