"""What is recognised and spoken while measuring: recordings of a manifest, or sentences that a voice speaks."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Int16
from edgevoice.bench.process import uninterrupted
from edgevoice.errors import EngineError
from edgevoice.evaluate import lines
from edgevoice.evaluate.recording import read

SENTENCES = (
    "Turn on the kitchen light.",
    "What time is it?",
    "Set the brightness in the living room to forty percent.",
    "Turn off the fan in the bedroom, and then all the lights downstairs.",
    "Remind me to water the plants when I come home from work tomorrow evening.",
    "Could you please tell me what the weather will be like at the lake on the weekend?",
)
"""For recognition; from one second to five."""

COMMANDS = (
    "Turn on the kitchen light.",
    "What time is it?",
    "Set the bedroom light to forty percent.",
    "Is the kitchen light on?",
    "Please turn off the living room lights.",
)
"""For whole turns; the default pack understands them."""

REPLIES = (
    "OK.",
    "The kitchen light is on.",
    "It is 7:05 pm.",
    "Today is Sunday, November 22nd, 2026.",
    "It is 21.5 °C in the living room, and the heating is set to 23 °C.",
    "I turned off the lights in the kitchen, the hall and the bathroom. The one in the bedroom did not answer.",
)
"""For voices: replies as an assistant gives them."""

NOISE = 30.0
"""Standard deviation of the background, of 32767: -61 dBFS, a quiet room. No engine hears digital silence in use."""
QUIET = 0.5
"""Seconds before and after a sentence."""
LONGEST = 30.0
"""Seconds of recordings that wake words and voice activity are measured with; more tells nothing new."""


@dataclass(frozen=True, slots=True)
class Recording:
    name: str
    samples: Int16
    """16 kHz."""
    text: str
    """What is said; empty where nobody tells."""


def noise(seconds: float, seed: int = 0) -> Int16:
    """A quiet room."""
    return np.random.default_rng(seed).normal(0.0, NOISE, round(seconds * RATE)).astype(np.int16)


def spoken(texts: Sequence[str], voice: str = "hibari") -> list[Recording]:
    """The texts spoken by a voice, in a process of its own, so that its memory is gone afterwards.

    Raises:
        EngineError, ModelError: the voice cannot be loaded.
    """
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            with uninterrupted():
                speaking = pool.submit(_speak, tuple(texts), voice)
            return speaking.result()
    except BrokenProcessPool as error:
        raise EngineError(
            "it was killed while it spoke what is to be recognised", place=f"voice {voice}", remedy="give a --manifest"
        ) from error


def _speak(texts: Sequence[str], name: str) -> list[Recording]:
    from edgevoice.engines import registry
    from edgevoice.modelstore import ModelStore

    voice = registry.load("tts", name, None, ModelStore())
    found = []
    for number, text in enumerate(texts):
        speech = resample(np.concatenate([audio.samples for audio in voice.synthesize(text)]), voice.rate, RATE)
        quiet = np.zeros(round(QUIET * RATE), np.int16)
        samples = np.concatenate([quiet, speech, quiet]).astype(np.int32)
        samples += noise(len(samples) / RATE, number)[: len(samples)]
        found.append(Recording(text, np.clip(samples, -32767, 32767).astype(np.int16), text))
    return found


class _Line(msgspec.Struct, frozen=True):
    audio: str
    text: str = ""


def recordings(manifest: Path, limit: int | None = None) -> list[Recording]:
    """Those of a manifest: a JSON object a line with ``audio`` (a path, relative to the manifest's folder) and maybe
    ``text``; other keys are let be.

    Raises:
        ConfigError: with every mistake, each with its line.
    """
    found = lines.read_audio(manifest, _Line, limit)
    return [Recording(line.audio, read(path).samples, line.text) for _, path, line in found]


def stream(parts: Sequence[Recording]) -> Recording:
    """One after the other, up to ``LONGEST`` seconds: what a microphone hears in a room where people talk."""
    samples = np.concatenate([part.samples for part in parts])[: round(LONGEST * RATE)]
    return Recording("speech", samples, "")


def lasting(parts: Sequence[Recording], seconds: float) -> Recording:
    """The same again and again, for so long."""
    return Recording("speech", np.resize(stream(parts).samples, round(seconds * RATE)), "")
