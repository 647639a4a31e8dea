"""Vosk by itself, with its whole vocabulary: without what our engine of the same name adds."""

import json
from pathlib import Path
from typing import Any

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines.protocols import AsrHint, Hypothesis
from edgevoice.engines.registry import require

TASK = "asr"
MODEL = "vosk-small-en-us"
THREADS = False
OWN_THREADS = 1
STREAMS = True


def package() -> Any:
    return require("vosk", extra="vosk")


def load(model: Path, threads: int) -> "Vosk":
    vosk = package()
    vosk.SetLogLevel(-1)
    return Vosk(vosk, vosk.Model(str(model)))


class Vosk:
    def __init__(self, vosk: Any, model: Any) -> None:
        self._vosk = vosk
        self._model = model

    def open(self, hint: AsrHint | None = None) -> "VoskSession":
        return VoskSession(self._vosk.KaldiRecognizer(self._model, RATE))

    def close(self) -> None:
        self._model = None


class VoskSession:
    constrained = False

    def __init__(self, recogniser: Any) -> None:
        self._recogniser = recogniser
        self._done: list[str] = []

    def feed(self, audio: Audio) -> Hypothesis:
        if self._recogniser.AcceptWaveform(audio.samples.tobytes()):
            self._done.append(json.loads(self._recogniser.Result())["text"])
        return self._hypothesis(json.loads(self._recogniser.PartialResult())["partial"])

    def pause(self, *, glance: bool = False) -> None:
        """Nothing is gained by it."""

    def finish(self) -> Hypothesis:
        return self._hypothesis(json.loads(self._recogniser.FinalResult())["text"])

    def close(self) -> None:
        self._recogniser = None

    def _hypothesis(self, last: str) -> Hypothesis:
        return Hypothesis(" ".join(text for text in [*self._done, last] if text))
