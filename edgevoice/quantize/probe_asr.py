"""Word error rate of a recogniser that writes freely."""

import time
from pathlib import Path

from edgevoice.audio.pcm import Audio
from edgevoice.engines.protocols import AsrEngine
from edgevoice.engines.registry import require
from edgevoice.errors import GateError
from edgevoice.evaluate import errors
from edgevoice.evaluate.machine import peak_memory
from edgevoice.evaluate.normalise import normalise
from edgevoice.quantize import findings, samples
from edgevoice.quantize.findings import Figure, Findings, Tell
from edgevoice.quantize.metric import Parts
from edgevoice.quantize.probing import Job


def probe(job: Job, tell: Tell) -> Findings:
    """
    Raises:
        EdgeVoiceError: see ``edgevoice.quantize.gate.measure``.
    """
    manifest = Path(job.manifest)
    lines, known = samples.load(samples.Spoken, manifest, job.limit)
    require("jiwer", extra="quantize")
    check_words([line.text for line in lines], job.manifest)
    engine, load_ms = findings.open_engine("asr", job.engine, job.model, job.options)
    said, texts, times = [], [], []
    for number, line in enumerate(lines, 1):
        text, milliseconds = transcribe(engine, samples.audio(line, manifest))
        said.append(line.text)
        texts.append(text)
        times.append(milliseconds)
        tell(number, len(lines))
    return Findings(
        figures=[Figure("wer", word_errors(said, texts))],
        samples=known,
        load_ms=load_ms,
        rss_mb=peak_memory(),
        latency_of="a whole recording to its text",
        latencies_ms=times,
    )


def transcribe(engine: AsrEngine, audio: Audio) -> tuple[str, float]:
    """The text of a recording, and the milliseconds that it took."""
    begun = time.perf_counter()
    session = engine.open()
    try:
        session.feed(audio)
        text = session.finish().text
    finally:
        session.close()
    return text, 1000 * (time.perf_counter() - begun)


def check_words(said: list[str], place: str) -> None:
    """
    Raises:
        GateError: a text has no word in it, so that no error of it can be divided by its words.
    """
    for text in said:
        if not errors.words(normalise(text), "").said:
            raise GateError(f"there is no word in '{text:.40}'", place=place, remedy="leave that line out")


def word_errors(said: list[str], texts: list[str]) -> Parts:
    """Errors and words of each text, after ``edgevoice.evaluate.normalise``."""
    counts, weights = [], []
    for reference, text in zip(said, texts, strict=True):
        found = errors.words(normalise(reference), normalise(text))
        counts.append(float(found.wrong))
        weights.append(float(found.said))
    return Parts(counts=tuple(counts), weights=tuple(weights))
