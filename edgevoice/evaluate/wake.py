"""The runs of ``edgevoice eval wake``: clips, some of which hold a wake word, one behind the other as a stream."""

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE, Int16
from edgevoice.config import Config
from edgevoice.engines import registry
from edgevoice.engines.protocols import AsrEngine, VadEngine, WakeEngine, WakeModel, WakeScore
from edgevoice.evaluate import lines, machine
from edgevoice.evaluate.effort import Effort, blocks
from edgevoice.evaluate.recording import speech_end
from edgevoice.evaluate.scene import CLEAN, Scene, Under
from edgevoice.flow.worker import Inline, at_once
from edgevoice.listen.spot import Scorer, Spotter, gated
from edgevoice.listen.wake import Detection, WakeDetector
from edgevoice.listen.wake import Options as WakeOptions
from edgevoice.modelstore import ModelStore

CLIPS = 10
"""Of a stream: many enough that most have others before them, few enough that there is work for several processes and
the bar moves. It does not depend on the number of processes, so neither do results."""
GAP = 2.0
"""Seconds between two clips unless another length is asked for: longer than any model looks back, and twice the default
refractory time, so that a wake does not hide the next clip's, and a false one soon before it does."""
BEFORE = 2.0
"""Seconds before the first clip of a stream: features are normalised by what was heard in the last second or so."""
THRESHOLDS = (*(number / 50 for number in range(1, 50)), 0.985, 0.99, 0.9925, 0.995, 0.9975, 0.999)
"""Of the DET curve: in steps of 0.02, and finer near 1, where good models work."""


class _Line(msgspec.Struct, frozen=True):
    audio: str
    phrase: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A clip."""

    audio: str
    """As the manifest names it."""
    path: Path
    phrase: str | None
    """The wake word that is said in it, once; None: it holds none."""
    line: int


def load(manifest: Path, limit: int | None = None) -> list[Item]:
    """The clips of a manifest, every line an object with ``audio`` and, where the clip holds it, ``phrase``.

    Raises:
        ConfigError: with every mistake, each with file and line.
    """

    def check(line: _Line, path: Path) -> list[str]:
        return ["the phrase is empty: leave it out"] if line.phrase is not None and not spoken(line.phrase) else []

    found = lines.read_audio(manifest, _Line, limit, check)
    return [Item(line.audio, path, line.phrase, number) for number, path, line in found]


def spoken(phrase: str) -> str:
    """A phrase by its letters: ``Hey, Jarvis`` and ``hey_jarvis`` are one."""
    return " ".join(re.sub(r"[\W_]+", " ", phrase).lower().split())


def holds(phrase: str | None, word: WakeModel) -> bool:
    """Whether a clip with this phrase should wake by this word."""
    return phrase is not None and spoken(phrase) in (spoken(word.phrase), spoken(word.name))


def unknown(items: Sequence[Item], words: Sequence[WakeModel]) -> list[str]:
    """Warnings: words that no clip holds, and phrases that are no word of these."""
    found = [
        f"no clip holds '{word.phrase}': its misses cannot be measured"
        for word in words
        if not any(holds(item.phrase, word) for item in items)
    ]
    phrases = dict.fromkeys(item.phrase for item in items if item.phrase is not None)
    others = [phrase for phrase in phrases if not any(holds(phrase, word) for word in words)]
    return found + [f"'{phrase}' is none of the wake words: its clips count as other speech" for phrase in others]


@dataclass(frozen=True)
class Stream:
    """Clips one behind the other, under one condition: a job."""

    items: tuple[Item, ...]
    under: Under = CLEAN


def streams(items: Sequence[Item], under: Sequence[Under]) -> list[Stream]:
    """The jobs of a condition.

    Args:
        under: the draws of noise.
    """
    return [Stream(tuple(items[at : at + CLIPS]), one) for one in under for at in range(0, len(items), CLIPS)]


class Woken(msgspec.Struct, frozen=True, kw_only=True):
    """A detection."""

    audio: str
    """The clip in or behind which it fell, as the manifest names it."""
    seed: int | None
    word: str
    score: float
    """0..1, the mean of ``patience`` scores; of a doubtful one the highest."""
    at: float
    """Seconds from the beginning of the clip to the moment when it was certain; negative in the gap before it."""
    right: bool
    """The clip holds the word, and this is its first detection."""
    confidence: float | None
    """Of the recogniser that looked again; None when the score was beyond doubt."""


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """A clip under one condition."""

    audio: str
    seed: int | None
    phrase: str | None
    seconds: float
    holds: list[str]
    """The wake words that are said in it."""
    missed: list[str]
    """Those of them that were not detected."""
    best: dict[str, float]
    """By word: the highest mean of ``patience`` scores."""
    latency_ms: float | None
    """From the end of the clip's speech, by its energy, to the right detection; negative when that came before."""


@dataclass(frozen=True)
class Done:
    clips: tuple[Clip, ...]
    detections: tuple[Woken, ...]
    refused: tuple[Woken, ...]
    """What the recogniser did not believe."""
    counts: dict[str, NDArray[np.int64]]
    """By word: detections in each clip by the first stage alone, were it listened for that word alone, by
    ``thresholds(word)``; shape [clips, thresholds]."""
    words: tuple[WakeModel, ...]
    compute: float
    cpu: float
    seconds: float
    """Of the whole stream."""
    peak_mb: float


def load_engine(config: Config) -> WakeEngine:
    """
    Raises:
        EngineError, ModelError: what could not be loaded, and why.
    """
    engine: WakeEngine = registry.load("wake", config.wake.engine, config.wake.chosen, ModelStore())
    return engine


def load_vad(config: Config) -> VadEngine:
    """
    Raises:
        EngineError, ModelError: what could not be loaded, and why.
    """
    engine: VadEngine = registry.load("vad", config.vad.engine, config.vad.chosen, ModelStore())
    return engine


def load_asr(config: Config) -> AsrEngine:
    """
    Raises:
        EngineError, ModelError: what could not be loaded, and why.
    """
    engine: AsrEngine = registry.load("asr", config.asr.engine, config.asr.chosen, ModelStore())
    return engine


def tasks(config: Config, engine: WakeEngine) -> tuple[str, ...]:
    """Whose engines are needed."""
    looks, waits = config.detection.verify.engine == "asr", gated(engine, config.detection)
    return ("wake", *(["vad"] if waits else []), *(["asr"] if looks else []))


@dataclass(frozen=True)
class Settings:
    """What every process needs."""

    config: Config
    noise: Path | None = None
    gap: float = GAP
    load: Callable[[Config], WakeEngine] = load_engine
    """Other processes must be able to import it by name, and the others."""
    load_vad: Callable[[Config], VadEngine] = load_vad
    load_asr: Callable[[Config], AsrEngine] = load_asr


def threshold(word: WakeModel, options: WakeOptions) -> float:
    """The one that the daemon would use."""
    return options.thresholds.get(word.name, word.threshold)


def thresholds(word: WakeModel, options: WakeOptions) -> list[float]:
    """Of the first stage's DET curve, its own among them, in order."""
    return sorted({*THRESHOLDS, threshold(word, options)})


@dataclass(frozen=True)
class _Place:
    """A clip in its stream, as sample indices."""

    since: int
    """Where the gap before it is half over, from which on detections belong to it."""
    begin: int
    length: int
    speech_end: int
    """From the beginning of the clip; 0 without speech."""


class Bench:
    """Does jobs, in one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scene = Scene(settings.config.input.channel, settings.noise)

    @cached_property
    def _engine(self) -> WakeEngine:
        return self._settings.load(self._settings.config)

    @cached_property
    def _vad(self) -> VadEngine | None:
        config = self._settings.config
        return self._settings.load_vad(config) if "vad" in tasks(config, self._engine) else None

    @cached_property
    def _asr(self) -> AsrEngine | None:
        config = self._settings.config
        return self._settings.load_asr(config) if "asr" in tasks(config, self._engine) else None

    def do(self, job: Stream) -> Done:
        """
        Raises:
            AudioError, EngineError: an audio file or an engine failed.
        """
        engine, options = self._engine, self._settings.config.detection
        words = tuple(engine.models)
        places: list[_Place] = []
        scores: list[WakeScore] = []
        found: list[Detection] = []
        refused: list[Detection] = []
        effort, at = Effort(), 0
        here, vad, asr = Inline(), self._vad, self._asr
        with closing(at_once(Scorer.open((here, engine), None if vad is None else (here, vad)))) as scorer:
            spotter = Spotter(scorer, engine, options, None if asr is None else (here, asr), refused=refused.append)
            for item in job.items:
                place, audio = self._clip(item, job.under, at)
                places.append(place)
                for piece in blocks(audio, self._settings.config.input.block, at):
                    with effort.counted():
                        new = at_once(scorer.feed(piece))
                        found += at_once(_all(spotter.judge(new)))
                    scores += new
                at += len(audio)
        starts = [place.since for place in places]
        detections = _woken(job, places, found)
        by_word = {word.name: [score for score in scores if score.model == number] for number, word in enumerate(words)}
        best = {word.name: _best(by_word[word.name], options.patience or word.patience, starts, at) for word in words}
        return Done(
            clips=tuple(
                _judge(job, number, place, words, detections, {name: each[number] for name, each in best.items()})
                for number, place in enumerate(places)
            ),
            detections=tuple(each for _, each in detections),
            refused=tuple(each for _, each in _woken(job, places, refused, refused=True)),
            counts={word.name: _counts(word, by_word[word.name], options, starts) for word in words},
            words=words,
            compute=effort.compute,
            cpu=effort.cpu,
            seconds=at / RATE,
            peak_mb=machine.peak_memory(),
        )

    def _clip(self, item: Item, under: Under, at: int) -> tuple[_Place, Int16]:
        """A clip with half a gap on both sides, which begins at ``at`` of the stream."""
        clean, half = self._scene.clean(item), int(self._settings.gap * RATE / 2)
        lead = half if at else int(BEFORE * RATE) + half
        audio = self._scene.heard(item, clean, under, lead=lead, tail=half)
        return _Place(at, at + lead, len(clean), speech_end(clean)), audio


def _which(starts: Sequence[int], ends: Sequence[int]) -> list[int]:
    """The clip that each moment falls in or behind. A moment is the index of the sample after the one that decided."""
    return (np.searchsorted(starts, np.asarray(ends, np.int64), side="left") - 1).clip(0).tolist()  # type: ignore[no-any-return]


async def _all(found: AsyncGenerator[Detection, None]) -> list[Detection]:
    return [each async for each in found]


def _woken(
    job: Stream, places: Sequence[_Place], found: Sequence[Detection], *, refused: bool = False
) -> list[tuple[int, Woken]]:
    """Every detection with the number of its clip; what was refused is never right."""
    seen: set[tuple[int, str]] = set()
    result = []
    for number, each in zip(_which([p.since for p in places], [one.at for one in found]), found, strict=True):
        item, key = job.items[number], (number, each.model.name)
        right = not refused and holds(item.phrase, each.model) and key not in seen
        seen.add(key)
        woken = Woken(
            audio=item.audio,
            seed=job.under.seed,
            word=each.model.name,
            score=each.score,
            at=(each.at - places[number].begin) / RATE,
            right=right,
            confidence=each.confidence,
        )
        result.append((number, woken))
    return result


def _judge(
    job: Stream,
    number: int,
    place: _Place,
    words: Sequence[WakeModel],
    detections: Sequence[tuple[int, Woken]],
    best: dict[str, float],
) -> Clip:
    item = job.items[number]
    right = {each.word: each for at, each in detections if at == number and each.right}
    wanted = [word.name for word in words if holds(item.phrase, word)]
    first = min((each.at for each in right.values()), default=None)
    return Clip(
        audio=item.audio,
        seed=job.under.seed,
        phrase=item.phrase,
        seconds=place.length / RATE,
        holds=wanted,
        missed=[name for name in wanted if name not in right],
        best=best,
        latency_ms=None if first is None or not place.speech_end else 1000 * (first - place.speech_end / RATE),
    )


def _best(scores: Sequence[WakeScore], patience: int, starts: Sequence[int], end: int) -> list[float]:
    """By clip: the highest mean of ``patience`` scores in a row; 0 where there is none."""
    if len(scores) < patience:
        return [0.0] * len(starts)
    sums = np.cumsum([0.0, *(score.score for score in scores)])
    means = (sums[patience:] - sums[:-patience]) / patience
    edges = np.searchsorted([score.end for score in scores[patience - 1 :]], [*starts, end], side="right")
    return [round(float(max(means[low:high], default=0.0)), 4) for low, high in pairwise(edges.tolist())]


def _counts(
    word: WakeModel, scores: Sequence[WakeScore], options: WakeOptions, starts: Sequence[int]
) -> NDArray[np.int64]:
    """See ``Done.counts``; by the daemon's own state machine."""
    alone = [WakeScore(0, score.score, score.end) for score in scores]
    highest = max((score.score for score in scores), default=0.0)
    counts = np.zeros((len(starts), len(levels := thresholds(word, options))), np.int64)
    for column, level in enumerate(levels):
        if level > highest:  # then no mean passes it
            break
        detector = WakeDetector([word], msgspec.structs.replace(options, thresholds={word.name: level}))
        for number in _which(starts, [each.at for each in detector.push(alone)]):
            counts[number, column] += 1
    return counts
