"""The runs of ``edgevoice eval tts``: texts spoken by the voice and listened to by the recogniser."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from edgevoice.audio.convert import CLIPPED, SILENCE_DBFS, dbfs, resample
from edgevoice.audio.pcm import RATE, Audio, Int16, concatenate
from edgevoice.config import Config
from edgevoice.engines import registry
from edgevoice.engines.protocols import AsrEngine, TtsEngine
from edgevoice.errors import TextError
from edgevoice.evaluate import asr, errors, lines, machine
from edgevoice.evaluate.errors import Errors
from edgevoice.evaluate.normalise import RULES, mistakes
from edgevoice.modelstore import ModelStore
from edgevoice.speak.phrases import clauses

PADDING = RATE // 2
"""Samples of silence before and behind what is listened to, as a microphone would have heard."""
FRAME = 50
"""Frames of a second for loudness: 20 ms."""
DEPTH = 30.0
"""dB below the loudest frame down to which a frame is speech."""
QUIET, LOUD = -35.0, -8.0
"""dBFS of speech outside of which a reply is hard to hear, or distorts on a small loudspeaker."""
FASTEST, SLOWEST, SLACK = 35.0, 5.0, 1.5
"""Characters a second; people read 12 to 20. The slack, in seconds, is for short texts."""
PAUSE = 2.0
"""Seconds of silence within a reply that nobody makes."""


class _Line(msgspec.Struct, frozen=True):
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    text: str
    line: int


def load(manifest: Path, rule: str, limit: int | None = None) -> list[Item]:
    """The texts of a manifest, every line an object with ``text``.

    Args:
        rule: of ``normalise.RULES``; a text of which it leaves nothing is a mistake.

    Raises:
        ConfigError: with every mistake, each with file and line.
    """
    found = lines.read(manifest, _Line, limit, lambda _, line: mistakes(line.text, rule))
    return [Item(line.text, number) for number, line in found]


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """One text."""

    line: int
    """Of the manifest."""
    text: str
    heard: str
    """As the recogniser wrote it."""
    said_normalised: str
    """The text as it stands in the manifest, or as it was given to the voice with units written out: what is nearer to
    what was heard."""
    heard_normalised: str
    words: Errors
    characters: Errors
    first_audio_ms: float | None
    """From the text to the first piece of audio, division into clauses included; None when nothing could be spoken."""
    compute_ms: float
    cpu_ms: float
    """Processor time of the whole process, all threads, without that of the recogniser."""
    seconds: float
    """Of audio."""
    loudness_dbfs: float
    """Mean power of the frames that are speech."""
    peak_dbfs: float
    clipped: int
    """Samples."""
    pause: float
    """Seconds of the longest silence within it."""
    problems: list[str]
    """What is wrong with the sound, in words."""


@dataclass(frozen=True)
class Done:
    spoken: Spoken
    peak_mb: float


def load_engines(config: Config) -> tuple[TtsEngine, AsrEngine]:
    """
    Raises:
        EngineError, ModelError: what could not be loaded, and why.
    """
    return registry.load("tts", config.tts.engine, config.tts.chosen, ModelStore()), asr.load_engine(config)


@dataclass(frozen=True)
class Settings:
    """What every process needs."""

    config: Config
    rule: str = "english"
    load: Callable[[Config], tuple[TtsEngine, AsrEngine]] = load_engines
    """Other processes must be able to import it by name."""


@dataclass(frozen=True)
class Sound:
    loudness: float
    peak: float
    """dBFS."""
    clipped: int
    pause: float


def measure(audio: Audio) -> Sound:
    """How loud audio is, and its longest silence between the first and the last frame of speech."""
    size = max(audio.rate // FRAME, 1)
    samples = audio.float32()
    count = len(samples) // size
    peak = float(np.abs(samples).max(initial=0.0))
    power = np.square(samples[: count * size].reshape(count, size), dtype=np.float64).mean(axis=1)
    if not count or not power.max() > 0:
        return Sound(SILENCE_DBFS, dbfs(peak), 0, 0.0)
    speech = np.flatnonzero(power >= power.max() * 10 ** (-DEPTH / 10))
    return Sound(
        loudness=dbfs(float(np.sqrt(power[speech].mean()))),
        peak=dbfs(peak),
        clipped=int((np.abs(audio.samples.astype(np.int32)) >= CLIPPED).sum()),
        pause=float(np.diff(speech).max(initial=1) - 1) / FRAME,
    )


def problems(sound: Sound, seconds: float, characters: int) -> list[str]:
    """What no good reply has.

    Args:
        characters: of the text as it is said, numbers written out.
    """
    found = []
    if sound.clipped:
        found.append(f"{sound.clipped} samples are clipped")
    if sound.loudness <= SILENCE_DBFS:
        found.append("it is silent")
    elif not QUIET <= sound.loudness <= LOUD:
        found.append(f"it is {'quiet' if sound.loudness < QUIET else 'loud'}: {sound.loudness:.0f} dBFS")
    if seconds < characters / FASTEST:
        found.append(f"{seconds:.1f} s are too short for {characters} characters")
    elif seconds > characters / SLOWEST + SLACK:
        found.append(f"{seconds:.1f} s are too long for {characters} characters")
    if sound.pause > PAUSE:
        found.append(f"it falls silent for {sound.pause:.1f} s")
    return found


class Bench:
    """Does jobs, in one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _engines(self) -> tuple[TtsEngine, AsrEngine]:
        return self._settings.load(self._settings.config)

    def do(self, job: Item) -> Done:
        """
        Raises:
            EngineError: an engine failed.
        """
        voice, recogniser = self._engines
        rule = RULES[self._settings.rule]
        pieces: list[Audio] = []
        parts: list[str] = []
        first, refused = None, None
        begun, processor = time.perf_counter(), time.process_time()
        try:
            for clause in clauses(job.text, language=voice.language):
                parts.append(clause)
                for piece in voice.synthesize(clause):
                    pieces.append(piece)
                    first = time.perf_counter() - begun if first is None else first
        except TextError as error:
            refused = f"it cannot be spoken: {error.cause}"
        compute, processor = time.perf_counter() - begun, time.process_time() - processor
        audio = concatenate(pieces)
        sound = measure(audio)
        heard = ""
        if len(audio):
            block = self._settings.config.input.block
            heard = asr.transcribe(recogniser, _microphone(audio), block).hypothesis.text
        written = rule(heard)
        readings = [text for text in (rule(job.text), rule(" ".join(parts))) if text]
        said = min(readings, key=lambda text: errors.words(text, written).wrong)
        result = Spoken(
            line=job.line,
            text=job.text,
            heard=heard,
            said_normalised=said,
            heard_normalised=written,
            words=errors.words(said, written),
            characters=errors.characters(said, written),
            first_audio_ms=None if first is None else 1000 * first,
            compute_ms=1000 * compute,
            cpu_ms=1000 * processor,
            seconds=audio.seconds,
            loudness_dbfs=round(sound.loudness, 2),
            peak_dbfs=round(sound.peak, 2),
            clipped=sound.clipped,
            pause=sound.pause,
            problems=[refused] if refused else problems(sound, audio.seconds, len(" ".join(parts))),
        )
        return Done(result, machine.peak_memory())


def _microphone(audio: Audio) -> Int16:
    samples: Int16 = np.pad(resample(audio.samples, audio.rate, RATE), PADDING)
    return samples
