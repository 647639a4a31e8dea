"""The runs of ``edgevoice eval intents``: recorded commands under several conditions, and talk that is no command."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import msgspec

from edgevoice.audio.pcm import RATE
from edgevoice.config import Config
from edgevoice.evaluate import listening, machine
from edgevoice.evaluate.clock import Stopwatch
from edgevoice.evaluate.listening import WARM_UP, Ears, Load
from edgevoice.evaluate.manifest import Item
from edgevoice.evaluate.recording import speech_end
from edgevoice.evaluate.scene import Scene, Under
from edgevoice.evaluate.score import Prediction, is_correct
from edgevoice.evaluate.work import Crew
from edgevoice.events import SlotValue
from edgevoice.flow.hub import samples
from edgevoice.think.grammar import Match


@dataclass(frozen=True)
class Settings:
    """What every process needs."""

    config: Config
    load: Load
    noise: Path | None = None
    realtime: bool = False


@dataclass(frozen=True)
class Command:
    """A recorded command, under one condition."""

    item: Item
    condition: int
    snr: float | None = None
    """In dB; None: as it was recorded."""
    seed: int | None = None


@dataclass(frozen=True)
class Talk:
    """A file in which no command is spoken."""

    path: Path
    name: str


Job = Command | Talk


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """Something said that is no command."""

    audio: str
    start: float
    """Second of the file at which it begins."""
    end: float
    intent: str | None
    """What it was taken for; None when it was refused, as it should be."""
    slots: dict[str, SlotValue]
    confidence: float | None
    acceptance: float
    """What ``intents.min_confidence`` is compared with; 0 when no command fits at all."""
    text: str


@dataclass(frozen=True)
class Done:
    """What came of a job."""

    predictions: tuple[Prediction, ...] = ()
    utterances: tuple[Utterance, ...] = ()
    peak_mb: float = 0.0
    """Most memory so far of the process that did it."""


def conditions(items: Sequence[Item], snrs: Sequence[float], seeds: Sequence[int]) -> list[list[Command]]:
    """By condition, the clean one first: its commands."""
    clean = [Command(item, 0) for item in items]
    noisy = [
        [Command(item, number, snr, seed) for seed in seeds for item in items] for number, snr in enumerate(snrs, 1)
    ]
    return [clean, *noisy]


class Bench:
    """Does jobs, in one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scene = Scene(settings.config.input.channel, settings.noise)

    @cached_property
    def ears(self) -> Ears:
        """Loaded for the first job, so that what goes wrong is raised there."""
        return self._settings.load(self._settings.config)

    def do(self, job: Job) -> Done:
        """
        Raises:
            AudioError, EngineError: an audio file or an engine failed; the place names the file.
        """
        match job:
            case Command():
                return Done(predictions=(self._command(job),), peak_mb=machine.peak_memory())
            case Talk():
                return Done(utterances=tuple(self._talk(job)), peak_mb=machine.peak_memory())

    def _command(self, job: Command) -> Prediction:
        item, ears = job.item, self.ears
        speech = self._scene.clean(item)
        tail = samples(ears.config.endpoint.maximum)
        audio = self._scene.heard(item, speech, Under(job.condition, job.snr, job.seed), lead=WARM_UP, tail=tail)
        watch, processor = Stopwatch(), time.process_time()
        heard = listening.command(ears, audio, watch, realtime=self._settings.realtime)
        processor = time.process_time() - processor
        end = WARM_UP + speech_end(speech)
        cut_off = heard.started is not None and heard.ended.at < end
        understood, slots = heard.understood, {}
        intent = None
        confidence = heard.transcript.confidence
        slot_confidence: dict[str, float] = {}
        if isinstance(understood, Match):
            intent, slots = understood.intent.name, dict(understood.intent.slots)
            slot_confidence = dict(understood.slot_confidence)
            if understood.confidence is not None:
                confidence = understood.confidence
        correct = is_correct(item.intent, item.slots, intent, slots)
        return Prediction(
            audio=item.audio,
            seed=job.seed,
            label_intent=item.intent,
            label_slots=dict(item.slots),
            intent=intent,
            slots=slots,
            confidence=confidence,
            slot_confidence=slot_confidence,
            acceptance=heard.acceptance,
            text=heard.transcript.text,
            why=None if isinstance(understood, Match) else understood.why,
            correct=correct,
            strict=correct and slots.keys() == item.slots.keys(),
            end=heard.ended.reason,
            cut_off=cut_off,
            latency_ms=None if cut_off or heard.started is None else 1000 * (heard.decided - end / RATE),
            compute_ms=1000 * sum(watch.seconds.values()),
            engine_ms={name: 1000 * seconds for name, seconds in watch.seconds.items()},
            cpu_ms=1000 * processor,
            seconds=len(speech) / RATE,
        )

    def _talk(self, job: Talk) -> Iterator[Utterance]:
        for heard in listening.talk(self.ears, job.path):
            understood = heard.understood
            known = isinstance(understood, Match)
            assert heard.started is not None
            yield Utterance(
                audio=job.name,
                start=heard.started / RATE,
                end=heard.ended.end / RATE,
                intent=understood.intent.name if isinstance(understood, Match) else None,
                slots=dict(understood.intent.slots) if isinstance(understood, Match) else {},
                confidence=understood.confidence
                if isinstance(understood, Match) and understood.confidence is not None
                else heard.transcript.confidence,
                acceptance=heard.acceptance,
                text=heard.transcript.text if known else understood.text,
            )


def run(settings: Settings, jobs: Sequence[Job], crew: Crew) -> Iterator[tuple[int, Done]]:
    """Do the jobs: see ``Crew.run``."""
    yield from crew.run(partial(Bench, settings), jobs)
