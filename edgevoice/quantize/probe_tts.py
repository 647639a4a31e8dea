"""A voice: how far its sound is from the float voice's, and whether a recogniser still understands it."""

import time
from pathlib import Path

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio, concatenate
from edgevoice.engines import registry
from edgevoice.engines.protocols import TtsEngine
from edgevoice.engines.registry import require
from edgevoice.errors import ConfigError, GateError
from edgevoice.evaluate.machine import peak_memory
from edgevoice.quantize import findings, samples
from edgevoice.quantize.distance import mel_cepstral_distance
from edgevoice.quantize.findings import Figure, Findings, Tell
from edgevoice.quantize.metric import Parts
from edgevoice.quantize.probe_asr import check_words, transcribe, word_errors
from edgevoice.quantize.probing import Job


def probe(job: Job, tell: Tell) -> Findings:
    """
    Raises:
        EdgeVoiceError: see ``edgevoice.quantize.gate.measure``.
    """
    lines, known = samples.load(samples.Written, Path(job.manifest), job.limit)
    if job.reference is None:
        raise ConfigError("a voice is compared with the float voice, and that is missing", place="reference")
    require("jiwer", extra="quantize")
    texts = [line.text for line in lines]
    check_words(texts, job.manifest)
    voice, load_ms = findings.open_engine("tts", job.engine, job.model, job.options)
    times: list[float] = []
    spoken = []
    for number, text in enumerate(texts, 1):
        spoken.append(_speak(voice, text, times))
        tell(number, 3 * len(texts))
    rss = peak_memory()  # before the reference and the recogniser come into this process
    voice.close()
    reference, _ = findings.open_engine("tts", job.engine, job.reference, job.options)
    distances = []
    for number, (text, audio) in enumerate(zip(texts, spoken, strict=True), len(texts) + 1):
        try:
            distances.append(mel_cepstral_distance(_speak(reference, text, []), audio))
        except ValueError as error:
            raise GateError(f"'{text:.40}' cannot be compared: {error}", place=job.model) from error
        tell(number, 3 * len(texts))
    reference.close()
    options = registry.options_type("asr", registry.names("asr")[0])(partials=False)
    recogniser, _ = findings.load("asr", registry.names("asr")[0], options)
    heard = []
    for number, audio in enumerate(spoken, 2 * len(texts) + 1):
        heard.append(transcribe(recogniser, Audio(resample(audio.samples, audio.rate, RATE)))[0])
        tell(number, 3 * len(texts))
    return Findings(
        figures=[
            Figure(
                "mel_cepstral_distance",
                Parts(
                    counts=tuple(total for total, _ in distances),
                    weights=tuple(float(steps) for _, steps in distances),
                ),
                unit="dB",
            ),
            Figure("wer", word_errors(texts, heard)),
        ],
        samples=known,
        load_ms=load_ms,
        rss_mb=rss,
        latency_of="a text to its first audio",
        latencies_ms=times,
    )


def _speak(voice: TtsEngine, text: str, times: list[float]) -> Audio:
    """The whole text; the milliseconds to its first audio are appended to ``times``."""
    begun = time.perf_counter()
    pieces: list[Audio] = []
    for piece in voice.synthesize(text):
        if not pieces:
            times.append(1000 * (time.perf_counter() - begun))
        pieces.append(piece)
    return concatenate(pieces)
