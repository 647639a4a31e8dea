"""Frames that a voice activity detector gets wrong, by labels or by the float model."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE
from edgevoice.engines.protocols import SpeechScore
from edgevoice.errors import ConfigError, EngineError
from edgevoice.evaluate.machine import peak_memory
from edgevoice.listen.endpoint import Options as EndpointOptions
from edgevoice.quantize import findings, samples
from edgevoice.quantize.findings import Figure, Findings, Tell
from edgevoice.quantize.metric import Parts
from edgevoice.quantize.probing import Job

CHUNK = 512
"""Samples that are fed at a time: 32 ms, a frame of Silero."""
THRESHOLD = EndpointOptions().threshold


def probe(job: Job, tell: Tell) -> Findings:
    """
    Raises:
        EdgeVoiceError: see ``edgevoice.quantize.gate.measure``.
    """
    manifest = Path(job.manifest)
    lines, known = samples.load(samples.Voiced, manifest, job.limit)
    unlabelled = sum(line.speech is None for line in lines)
    if unlabelled and job.reference is None:
        raise ConfigError(
            f"{unlabelled} of {len(lines)} lines have no 'speech'",
            place=job.manifest,
            remedy="label them, or give the float model as reference",
        )
    engine, load_ms = findings.open_engine("vad", job.engine, job.model, job.options)
    heard, times = [], list[float]()
    for number, line in enumerate(lines, 1):
        heard.append(findings.scores(engine.open(), samples.audio(line, manifest), CHUNK, times))
        tell(number, len(lines))
    rss = peak_memory()  # before the reference comes into this process
    truths = []
    reference = None
    if unlabelled and job.reference is not None:
        reference, _ = findings.open_engine("vad", job.engine, job.reference, job.options)
    for line, found in zip(lines, heard, strict=True):
        if line.speech is not None:
            truths.append(_labelled(line.speech, found))
        else:
            assert reference is not None
            truths.append(_speech(findings.scores(reference.open(), samples.audio(line, manifest), CHUNK, [])))
    wrong, frames, missed, spoken = [], [], [], []
    for truth, found in zip(truths, heard, strict=True):
        said = _speech(found)
        if len(said) != len(truth):
            raise EngineError("it gives another number of frames than the reference", place=job.model)
        wrong.append(float((said != truth).sum()))
        frames.append(float(len(truth)))
        missed.append(float((truth & ~said).sum()))
        spoken.append(float(truth.sum()))
    return Findings(
        figures=[
            Figure("frame_error", Parts(counts=tuple(wrong), weights=tuple(frames))),
            Figure("missed_speech", Parts(counts=tuple(missed), weights=tuple(spoken))),
        ],
        samples=known,
        load_ms=load_ms,
        rss_mb=rss,
        latency_of=f"{1000 * CHUNK // RATE} ms of audio",
        latencies_ms=times,
    )


def _speech(found: list[SpeechScore]) -> NDArray[np.bool_]:
    return np.array([score.probability >= THRESHOLD for score in found], np.bool_)


def _labelled(speech: tuple[tuple[float, float], ...], found: list[SpeechScore]) -> NDArray[np.bool_]:
    """A frame holds speech when its middle does."""
    middles = np.array([(score.start + score.end) / 2 / RATE for score in found])
    truth = np.zeros(len(middles), np.bool_)
    for begin, end in speech:
        truth |= (begin <= middles) & (middles < end)
    return truth
