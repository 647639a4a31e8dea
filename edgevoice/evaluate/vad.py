"""The runs of ``edgevoice eval vad``: recordings in which it is known where somebody speaks."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE
from edgevoice.config import Config
from edgevoice.engines import registry
from edgevoice.engines.protocols import SpeechScore, VadEngine
from edgevoice.evaluate import lines, machine
from edgevoice.evaluate.effort import Effort, blocks
from edgevoice.evaluate.listening import WARM_UP
from edgevoice.evaluate.scene import Scene, Take
from edgevoice.listen.endpoint import Endpoint
from edgevoice.listen.endpoint import Options as EndpointOptions
from edgevoice.modelstore import ModelStore

LOGIT, STEP = 10.0, 0.02
"""Probabilities are counted in steps of 0.02 between -10 and 10 on the logit scale (0.00005 and 0.99995), on which even
networks that are always sure spread their answers; so recordings of any length can be put together."""
BINS = round(2 * LOGIT / STEP) + 1
SLACK = 0.05
"""Seconds that a label may end behind the recording: whoever writes labels rounds."""
_NEVER = 1e9
"""Seconds; longer than any recording."""

Stretch = tuple[float, float]
"""Seconds from and to."""


class _Line(msgspec.Struct, frozen=True):
    audio: str
    speech: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Item:
    """A recording and where in it somebody speaks."""

    audio: str
    """As the manifest names it."""
    path: Path
    speech: tuple[Stretch, ...]
    """In order of time, apart from each other."""
    line: int


def load(manifest: Path, limit: int | None = None) -> list[Item]:
    """The recordings of a manifest, every line an object with ``audio`` and ``speech``: [[from, to], ...] in seconds.

    Raises:
        ConfigError: with every mistake, each with file and line.
    """
    found = lines.read_audio(manifest, _Line, limit, _mistakes)
    return [Item(line.audio, path, tuple(line.speech), number) for number, path, line in found]


def _mistakes(line: _Line, path: Path) -> list[str]:
    length = lines.seconds(path)
    found, before = [], 0.0
    for begin, end in line.speech:
        if not 0.0 <= begin < end:
            found.append(f"speech [{begin:g}, {end:g}] does not end after it begins, or begins before 0")
        elif begin < before:
            found.append(f"speech [{begin:g}, {end:g}] begins before the end of the one before, {before:g}")
        elif end > length + SLACK:
            found.append(f"speech [{begin:g}, {end:g}] ends behind the recording's end, {length:.2f}")
        before = max(before, end)
    return found


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """One recording under one condition."""

    audio: str
    """As the manifest names it."""
    seed: int | None
    """The seed its noise was drawn by; None without noise."""
    speech: list[Stretch]
    """As labelled."""
    detected: list[Stretch]
    """As the daemon would take it, at ``endpoint.threshold`` and ``endpoint.release``."""
    speech_frames: int
    """Frames at least half of which is speech by the label."""
    other_frames: int
    missed_frames: int
    """Of the frames of speech, those that were not detected."""
    false_frames: int
    """Of the other frames, those that were taken for speech."""
    start_lags_ms: list[float]
    """How much later than by the label speech began, where it was detected and did not merge with what was before."""
    end_lags_ms: list[float]
    compute_ms: float
    cpu_ms: float
    seconds: float


@dataclass(frozen=True)
class Done:
    detection: Detection
    counts: NDArray[np.int64]
    """Frames by label (0: other, 1: speech) and probability; shape [2, BINS]."""
    peak_mb: float


def load_engine(config: Config) -> VadEngine:
    """
    Raises:
        EngineError, ModelError: what could not be loaded, and why.
    """
    engine: VadEngine = registry.load("vad", config.vad.engine, config.vad.chosen, ModelStore())
    return engine


@dataclass(frozen=True)
class Settings:
    """What every process needs."""

    config: Config
    noise: Path | None = None
    load: Callable[[Config], VadEngine] = load_engine
    """Other processes must be able to import it by name."""


class Bench:
    """Does jobs, in one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scene = Scene(settings.config.input.channel, settings.noise)

    @cached_property
    def _engine(self) -> VadEngine:
        return self._settings.load(self._settings.config)

    def do(self, job: Take[Item]) -> Done:
        """
        Raises:
            AudioError, EngineError: an audio file or an engine failed.
        """
        item, config = job.item, self._settings.config
        # The engine has heard something before, as in the daemon; and the last frame is whole.
        audio = self._scene.heard(item, self._scene.clean(item), job.under, lead=WARM_UP, tail=WARM_UP)
        effort, scores = Effort(), list[SpeechScore]()
        with closing(self._engine.open()) as session:
            for piece in blocks(audio, config.input.block):
                with effort.counted():
                    scores += session.feed(piece)
        length = len(audio) - 2 * WARM_UP
        frames = [score for score in scores if score.start >= WARM_UP and score.end <= WARM_UP + length]
        labels = np.array([_is_speech(score, item.speech) for score in frames], np.bool_)
        speaking = decisions(frames, config.endpoint)
        detected = stretches(frames, speaking)
        starts, ends = lags(item.speech, detected)
        result = Detection(
            audio=item.audio,
            seed=job.under.seed,
            speech=list(item.speech),
            detected=detected,
            speech_frames=int(labels.sum()),
            other_frames=int((~labels).sum()),
            missed_frames=int((labels & ~speaking).sum()),
            false_frames=int((~labels & speaking).sum()),
            start_lags_ms=starts,
            end_lags_ms=ends,
            compute_ms=1000 * effort.compute * length / len(audio),
            cpu_ms=1000 * effort.cpu * length / len(audio),
            seconds=length / RATE,
        )
        return Done(result, count(labels, [score.probability for score in frames]), machine.peak_memory())


def _is_speech(frame: SpeechScore, speech: Sequence[Stretch]) -> bool:
    begin, end = (frame.start - WARM_UP) / RATE, (frame.end - WARM_UP) / RATE
    inside = sum(max(min(end, until) - max(begin, since), 0.0) for since, until in speech)
    return inside >= (end - begin) / 2


def decisions(frames: Sequence[SpeechScore], options: EndpointOptions) -> NDArray[np.bool_]:
    """Whether each frame is speech for the daemon, which holds on to speech by ``release``; by its own state machine,
    that here never comes to the end of an utterance."""
    patient = msgspec.structs.replace(options, silence=_NEVER, no_speech=_NEVER, maximum=_NEVER)
    endpoint, found = Endpoint(patient, 0), []
    for frame in frames:
        endpoint.push(frame)
        found.append(endpoint.speaking)
    return np.array(found, np.bool_)


def stretches(frames: Sequence[SpeechScore], speaking: NDArray[np.bool_]) -> list[Stretch]:
    """Frames of speech in a row, as seconds of the recording."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], speaking, [False]])))
    return [
        ((frames[first].start - WARM_UP) / RATE, (frames[behind - 1].end - WARM_UP) / RATE)
        for first, behind in edges.reshape(-1, 2).tolist()
    ]


def lags(speech: Sequence[Stretch], detected: Sequence[Stretch]) -> tuple[list[float], list[float]]:
    """How much later than it did speech was taken to begin, and to end, in ms.

    A beginning belongs to a label when it lies between the middle of the pause before and the label's end, the first
    such one counts; and an end when it lies between the label's beginning and the middle of the pause behind it, the
    last one counts. A label with none, missed or merged with its neighbour, has no lag there.
    """
    starts, ends = [], []
    for at, (begin, end) in enumerate(speech):
        earliest = (speech[at - 1][1] + begin) / 2 if at else -np.inf
        latest = (end + speech[at + 1][0]) / 2 if at + 1 < len(speech) else np.inf
        starts += [1000 * (since - begin) for since, _ in detected if earliest <= since < end][:1]
        ends += [1000 * (until - end) for _, until in detected if begin < until <= latest][-1:]
    return starts, ends


def count(labels: NDArray[np.bool_], probabilities: Sequence[float]) -> NDArray[np.int64]:
    """Frames by label and probability, see ``Done.counts``."""
    clipped = np.clip(np.asarray(probabilities, np.float64), 1e-12, 1 - 1e-12)
    logits = np.clip(np.log(clipped / (1 - clipped)), -LOGIT, LOGIT)
    bins = np.round((logits + LOGIT) / STEP).astype(np.int64)
    return np.stack([np.bincount(bins[labels == kind], minlength=BINS) for kind in (False, True)]).astype(np.int64)
