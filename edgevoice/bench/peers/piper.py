"""Piper by itself: its own ONNX session and its own division into sentences, without what our engine changes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgevoice.audio.pcm import Audio
from edgevoice.engines.registry import require
from edgevoice.errors import ModelError

TASK = "tts"
MODEL = "piper-en_US-joe-medium"
THREADS = False
OWN_THREADS = len(os.sched_getaffinity(0))
"""ONNX Runtime takes all there are."""
STREAMS = False


def package() -> Any:
    return require("piper", extra="piper", distribution="piper-tts")


def load(model: Path, threads: int) -> "Piper":
    """
    Raises:
        ModelError: there is not exactly one voice.
    """
    piper = package()
    found = sorted(model.glob("*.onnx")) if model.is_dir() else [model]
    if len(found) != 1:
        raise ModelError(f"here are {len(found)} ONNX files, not one", place=str(model), remedy="name the file")
    return Piper(piper.PiperVoice.load(str(found[0])))


class Piper:
    def __init__(self, voice: Any) -> None:
        self._voice = voice

    @property
    def rate(self) -> int:
        return int(self._voice.config.sample_rate)

    @property
    def language(self) -> str:
        return str(self._voice.config.espeak_voice).partition("-")[0]

    def synthesize(self, text: str) -> Iterator[Audio]:
        for chunk in self._voice.synthesize(text):
            yield Audio(chunk.audio_int16_array, chunk.sample_rate)

    def close(self) -> None:
        self._voice = None
