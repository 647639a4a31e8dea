"""The parts of an assistant as what is measured. Everything here runs in the process that is measured."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgevoice.audio.convert import to_int16
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.bench.process import Outcome
from edgevoice.bench.procfs import resident
from edgevoice.bench.speech import noise
from edgevoice.bench.subjects import VoiceSubject
from edgevoice.config import Config
from edgevoice.engines import registry
from edgevoice.engines.protocols import WakeEngine
from edgevoice.evaluate import errors, listening
from edgevoice.evaluate.clock import Stopwatch
from edgevoice.evaluate.listening import WARM_UP, Ears
from edgevoice.evaluate.normalise import normalise
from edgevoice.evaluate.recording import read, speech_end
from edgevoice.evaluate.score import is_correct
from edgevoice.flow.hub import samples
from edgevoice.modelstore import ModelStore
from edgevoice.think.grammar import Match
from edgevoice.tune.corpus import Sample
from edgevoice.tune.trial import Part

BARE = -1
"""Number of the input that gives ``bare_mb``."""
HEARD = 2.0
"""Seconds that the wake words hear: longer than any looks back."""


@dataclass(frozen=True)
class Parts:
    """Makes the subject of one or all parts."""

    part: Part
    config: Config
    samples: tuple[Sample, ...]
    sentences: tuple[str, ...]
    free_text: bool
    """Recordings with a text are also written down without the grammar, to count wrong words."""

    def __call__(self) -> "PartsSubject":
        # What all parts share is there before memory is looked at, or it would count once for each of them: the
        # runtime, with what it sets up for its first model.
        store = ModelStore()
        registry.require("onnxruntime")
        self._load("vad", store).close()
        bare = resident(os.getpid()) or 0.0
        runs: list[Callable[[], Outcome]] = []
        closes: list[Callable[[], None]] = []
        if self.part in ("hear", "whole"):
            hearing = Hearing(listening.load(self._quiet()), free_text=self.free_text)
            runs += [lambda sample=sample: hearing.run(sample) for sample in self.samples]  # type: ignore[misc]
            closes.append(hearing.close)
        if self.part in ("speak", "whole"):
            voice = VoiceSubject(self._load("tts", store), self.sentences)
            runs += [lambda number=number: _spoken(voice, number) for number in range(len(self.sentences))]  # type: ignore[misc]
            closes.append(voice.close)
        if self.part in ("idle", "whole"):
            wake = self._load("wake", store)
            runs.append(lambda: _woken(wake))
            closes.append(wake.close)
        return PartsSubject(bare, runs, closes)

    def _load(self, task: str, store: ModelStore) -> Any:
        chosen = getattr(self.config, task)
        return registry.load(task, chosen.engine, chosen.chosen, store)

    def _quiet(self) -> Config:
        """Without partial texts, which change nothing of the final one and are not what is measured."""
        asr = self.config.asr
        if not hasattr(asr.chosen, "partials"):
            return self.config
        options = {**asr.options, asr.engine: msgspec.structs.replace(asr.chosen, partials=False)}
        return msgspec.structs.replace(self.config, asr=msgspec.structs.replace(asr, options=options))


class PartsSubject:
    """See ``edgevoice.bench.process.Subject``."""

    def __init__(
        self, bare_mb: float, runs: Sequence[Callable[[], Outcome]], closes: Sequence[Callable[[], None]]
    ) -> None:
        self._bare = bare_mb
        self._runs = runs
        self._closes = closes

    @property
    def inputs(self) -> Sequence[str]:
        return [str(number) for number in range(len(self._runs))]

    def run(self, number: int) -> Outcome:
        """``latency_ms``; ``right`` (1 or 0), ``words`` and ``errors``; nothing of the wake words."""
        return Outcome({"bare_mb": [self._bare]}, 0.0) if number == BARE else self._runs[number]()

    def close(self) -> None:
        for close in self._closes:
            close()


class Hearing:
    """Understands recordings as the daemon does."""

    def __init__(self, ears: Ears, *, free_text: bool) -> None:
        self._ears = ears
        self._free_text = free_text
        # The first recognition sets up what all others find there, and belongs to none of them.
        session = ears.asr.open(ears.skills.hint)
        session.feed(Audio(noise(1.0)))
        session.finish()
        session.close()

    def run(self, sample: Sample) -> Outcome:
        audio = read(Path(sample.path), self._ears.config.input.channel)
        values: dict[str, list[float]] = {}
        if sample.intent is not None:
            values |= self._understand(sample, audio)
        if self._free_text and sample.text is not None:
            values |= {**self._write(sample.text, audio), **values}
        return Outcome(values, audio.seconds)

    def _understand(self, sample: Sample, audio: Audio) -> dict[str, list[float]]:
        speech = audio.float32()
        tail = samples(self._ears.config.endpoint.maximum)
        heard = listening.command(self._ears, to_int16(np.pad(speech, (WARM_UP, tail))), Stopwatch(), realtime=False)
        end = WARM_UP + (speech_end(speech) if sample.end is None else samples(sample.end))
        understood = heard.understood
        right = False
        if isinstance(understood, Match):
            slots = dict(understood.intent.slots)
            assert sample.intent is not None
            right = is_correct(sample.intent, sample.slots, understood.intent.name, slots)
            right = right and slots.keys() == sample.slots.keys()
        values = {"right": [float(right)]}
        if heard.started is not None and heard.ended.at >= end:
            values["latency_ms"] = [1000 * (heard.decided - end / RATE)]
        return values

    def _write(self, text: str, audio: Audio) -> dict[str, list[float]]:
        """Without the grammar. The latency is that of the last step, after the silence that ends an utterance."""
        session = self._ears.asr.open(None)
        try:
            session.feed(audio)
            began = time.perf_counter()
            heard = session.finish().text
            taken = time.perf_counter() - began
        finally:
            session.close()
        found = errors.words(normalise(text), normalise(heard))
        return {
            "words": [float(found.said)],
            "errors": [float(found.wrong)],
            "latency_ms": [1000 * (self._ears.config.endpoint.silence + taken)],
        }

    def close(self) -> None:
        self._ears.asr.close()
        self._ears.vad.close()


def _spoken(voice: VoiceSubject, number: int) -> Outcome:
    outcome = voice.run(number)
    return Outcome({"latency_ms": outcome.values["first_ms"]}, outcome.audio_s)


def _woken(wake: WakeEngine) -> Outcome:
    """Hear what a quiet room is like, for the memory that this takes."""
    session = wake.open()
    session.feed(Audio(noise(HEARD)))
    session.close()
    return Outcome({}, HEARD)
