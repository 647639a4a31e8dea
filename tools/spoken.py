"""Commands that a voice speaks, for tools that talk to the daemon from outside."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Int16, concatenate
from edgevoice.config import load
from edgevoice.engines import registry
from edgevoice.modelstore import ModelStore

WAKE: Final = "Hey Jarvis"
NOISE: Final = 40.0
"""Standard deviation of the room's noise, of 32767."""


def speak(texts: Iterable[str]) -> list[Int16]:
    """Each text in the configured voice, at 16 kHz.

    Raises:
        ConfigError, EngineError, ModelError: there is no voice.
    """
    config = load(None)
    voice = registry.load("tts", config.tts.engine, config.tts.chosen, ModelStore())
    try:
        return [resample(concatenate(list(voice.synthesize(text))).samples, voice.rate, RATE) for text in texts]
    finally:
        voice.close()


def in_room(samples: Int16, loudness: float, random: np.random.Generator) -> Int16:
    """What a microphone hears of it: the noise of a quiet room is always there."""
    mixed = samples * loudness + random.normal(0.0, NOISE, len(samples))
    return np.clip(mixed, -32768, 32767).astype(np.int16)
