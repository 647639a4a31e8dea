"""Wake words: what is missed at a rate of false alarms, and both at the threshold of the model's author."""

from pathlib import Path

import numpy as np

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines.protocols import WakeModel, WakeScore
from edgevoice.errors import ConfigError, ModelError
from edgevoice.evaluate.machine import peak_memory
from edgevoice.evaluate.wake import BEFORE, holds
from edgevoice.listen.wake import Options as WakeOptions
from edgevoice.listen.wake import WakeDetector
from edgevoice.quantize import findings, samples
from edgevoice.quantize.findings import Figure, Findings, Tell
from edgevoice.quantize.metric import Parts
from edgevoice.quantize.probing import Job

CHUNK = 1280
"""Samples that are fed at a time: 80 ms, as the daemon's blocks are."""
AFTER = 1.0
"""Seconds of silence behind a clip: longer than the scores that are averaged, so that a word at its end counts."""
_STEPS = 12
"""Halvings in the search for a threshold: finer than the 256 levels of an int8 score, averaged over a few."""


def probe(job: Job, tell: Tell) -> Findings:
    """
    Raises:
        EdgeVoiceError: see ``edgevoice.quantize.gate.measure``.
    """
    manifest = Path(job.manifest)
    lines, known = samples.load(samples.Called, manifest, job.limit)
    engine, load_ms = findings.open_engine("wake", job.engine, job.model, job.options)
    if len(engine.models) != 1:
        names = ", ".join(each.name for each in engine.models)
        raise ModelError(f"it has several wake words, not one: {names}", place=job.model, remedy="name one with --word")
    (model,) = engine.models
    with_word = [holds(line.phrase, model) for line in lines]
    if not any(with_word) or all(with_word):
        kind = "without" if all(with_word) else "with"
        raise ConfigError(
            f"there is no recording {kind} '{model.phrase}' in it",
            place=job.manifest,
            remedy=f'a line with it has "phrase": "{model.phrase}", a line without has another phrase or none',
        )
    heard, hours, times = [], [], list[float]()
    for number, line in enumerate(lines, 1):
        audio = samples.audio(line, manifest)
        heard.append(findings.scores(engine.open(), _in_silence(audio), CHUNK, times))
        hours.append(audio.seconds / 3600)
        tell(number, len(lines))
    calls = [found for found, word in zip(heard, with_word, strict=True) if word]
    talk = [found for found, word in zip(heard, with_word, strict=True) if not word]
    talk_hours = [length for length, word in zip(hours, with_word, strict=True) if not word]
    threshold = threshold_for(model, talk, int(job.alarms_per_hour * sum(talk_hours)))
    return Findings(
        figures=[
            Figure("misses", _misses(model, calls, threshold)),
            Figure("misses_at_threshold", _misses(model, calls, model.threshold)),
            Figure(
                "false_alarms",
                Parts(
                    counts=tuple(float(wakes(model, found, model.threshold)) for found in talk),
                    weights=tuple(talk_hours),
                ),
                unit="per hour",
            ),
        ],
        samples=known,
        load_ms=load_ms,
        rss_mb=peak_memory(),
        latency_of=f"{1000 * CHUNK // RATE} ms of audio",
        latencies_ms=times,
    )


def wakes(model: WakeModel, found: list[WakeScore], threshold: float) -> int:
    """How often it would have woken."""
    return len(WakeDetector([model], WakeOptions(thresholds={model.name: threshold})).push(found))


def threshold_for(model: WakeModel, talk: list[list[WakeScore]], allowed: int) -> float:
    """About the lowest threshold at which the talk wakes no more often than that."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if sum(wakes(model, found, middle) for found in talk) > allowed:
            low = middle
        else:
            high = middle
    return high


def _misses(model: WakeModel, calls: list[list[WakeScore]], threshold: float) -> Parts:
    counts = tuple(float(wakes(model, found, threshold) == 0) for found in calls)
    return Parts(counts=counts, weights=(1.0,) * len(counts))


def _in_silence(audio: Audio) -> Audio:
    """The clip with what the daemon would have heard before and after it."""
    return Audio(np.pad(audio.samples, (int(BEFORE * RATE), int(AFTER * RATE))), audio.rate)
