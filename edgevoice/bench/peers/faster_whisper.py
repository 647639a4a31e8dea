"""faster-whisper (CTranslate2) with int8 weights, greedy: the same Whisper as our default."""

from pathlib import Path
from typing import Any

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.bench.peers.collected import Collecting
from edgevoice.engines.registry import require

TASK = "asr"
MODEL = "whisper-tiny.en-ct2"
THREADS = True
STREAMS = False

_SHORT = 30 * RATE


def package() -> Any:
    return require("faster_whisper", distribution="faster-whisper", extra="bench")


def load(model: Path, threads: int) -> Collecting:
    loaded = package().WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=threads)

    def recognise(samples: Float32) -> str:
        segments, _ = loaded.transcribe(
            samples,
            language="en",
            beam_size=1,
            temperature=0.0,
            # Without timestamps it writes fewer tokens, but cuts long audio in the middle of words.
            without_timestamps=len(samples) <= _SHORT,
        )
        return "".join(segment.text for segment in segments).strip()

    return Collecting(recognise)
