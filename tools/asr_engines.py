"""The recognisers that are compared: ours, and faster-whisper on the same weights."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE, Audio

Recogniser = Callable[[NDArray[np.int16]], str]

GRAMMAR = "whisper-grammar"
BEAMS = (8, 4, 2)
ENGINES = (
    "whisper",
    "whisper-stream",
    *(f"{GRAMMAR}-{beams}" for beams in BEAMS),
    "vosk",
    "faster-whisper",
    "faster-whisper-5",
)
"""whisper: the whole file at once. whisper-stream: in blocks of 32 ms, with all partial texts, as in a conversation.
whisper-grammar-N: held to a grammar, with N beams. faster-whisper: int8, greedy; faster-whisper-5: with five beams, its
default."""
BLOCK = 512
_SHORT = 30 * RATE


@dataclass(frozen=True, slots=True)
class Recording:
    name: str
    samples: NDArray[np.int16]
    text: str
    """What is said; empty where the manifest does not tell."""


def recordings(manifest: Path) -> list[Recording]:
    """Of a file with a JSON object per line: ``audio``, a path relative to the file's folder, and maybe ``text``."""
    import soundfile

    result = []
    for line in manifest.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        samples, rate = soundfile.read(manifest.parent / entry["audio"], dtype="int16")
        if rate != RATE or samples.ndim != 1:
            raise SystemExit(f"{entry['audio']}: 16 kHz mono is needed")
        result.append(Recording(entry["audio"], samples, entry.get("text", "")))
    return result


def recogniser(engine: str, threads: int, model: str | None, grammar: Path | None = None) -> Recogniser:
    """Load an engine. ``model``: another one than the engine's own, by name or path."""
    from edgevoice.engines import registry
    from edgevoice.engines.protocols import AsrHint
    from edgevoice.modelstore import ModelStore
    from edgevoice.think.grammar import Grammar

    store = ModelStore()
    if engine.startswith("faster-whisper"):
        return _faster_whisper(
            store.path(model or "whisper-tiny.en-ct2"), threads, beams=5 if engine.endswith("5") else 1
        )
    kind = "whisper" if engine.startswith("whisper") else engine
    chosen: dict[str, object] = {"model": model} if model else {}
    if kind == "whisper":
        chosen |= {"threads": threads, "partials": engine == "whisper-stream"}
    hint = None
    if engine.startswith(GRAMMAR):
        if grammar is None:
            raise SystemExit(f"{engine} needs --grammar")
        chosen["beams"] = int(engine.removeprefix(f"{GRAMMAR}-"))
        hint = AsrHint(automaton=Grammar.load([grammar]).automaton)
    loaded = registry.load("asr", kind, registry.options_type("asr", kind)(**chosen), store)
    block = BLOCK if engine in ("whisper-stream", "vosk") else None

    def recognise(samples: NDArray[np.int16]) -> str:
        session = loaded.open(hint)
        step = block or len(samples)
        for at in range(0, len(samples), step):
            session.feed(Audio(samples[at : at + step], start=at))
        text: str = session.finish().text
        session.close()
        return text

    return recognise


def _faster_whisper(folder: Path, threads: int, *, beams: int) -> Recogniser:
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)

    def recognise(samples: NDArray[np.int16]) -> str:
        segments, _ = model.transcribe(
            samples.astype(np.float32) / np.float32(32768.0),
            language="en",
            beam_size=beams,
            temperature=0.0,
            # Without timestamps it writes fewer tokens, but cuts long audio in the middle of words.
            without_timestamps=len(samples) <= _SHORT,
        )
        return "".join(segment.text for segment in segments).strip()

    return recognise
