"""openWakeWord with TFLite models, on whichever TFLite runtime is installed."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgevoice.audio.pcm import Audio, Reblock
from edgevoice.engines.protocols import WakeModel, WakeScore
from edgevoice.engines.registry import require
from edgevoice.errors import ModelError

TASK = "wake"
MODEL = None
THREADS = False
OWN_THREADS = 1
STREAMS = True

STEP = 1_280
"""Samples that it scores at a time: 80 ms."""
FRONT = ("melspectrogram.tflite", "embedding_model.tflite")


def package() -> Any:
    if importlib.util.find_spec("tflite_runtime") is None and "tflite_runtime" not in sys.modules:
        # It asks for tflite-runtime by that name, of which there is none for Python 3.12; LiteRT is what it became.
        runtime = require("ai_edge_litert", distribution="ai-edge-litert")
        sys.modules["tflite_runtime"] = runtime
        sys.modules["tflite_runtime.interpreter"] = require("ai_edge_litert.interpreter", distribution="ai-edge-litert")
    return require("openwakeword.model", distribution="openwakeword")


def load(model: Path, threads: int) -> "OpenWakeWord":
    """
    Args:
        model: a folder with the two models of its front end and one or more wake words.

    Raises:
        ModelError: it is no such folder.
    """
    made = package()
    words = sorted(path for path in model.glob("*.tflite") if path.name not in FRONT)
    missing = [name for name in FRONT if not (model / name).is_file()]
    if missing or not words:
        lacks = ", ".join(missing) or "any wake word"
        raise ModelError(f"it does not have {lacks}", place=str(model), remedy="put its .tflite files there")
    return OpenWakeWord(made, words, [str(model / name) for name in FRONT])


class OpenWakeWord:
    heavy = True
    memory = 2.1

    def __init__(self, package: Any, words: Sequence[Path], front: Sequence[str]) -> None:
        self._package = package
        self._words = words
        self._front = front
        self._model = self._made()

    @property
    def models(self) -> Sequence[WakeModel]:
        return [WakeModel(path.stem, path.stem, threshold=0.5, patience=1) for path in self._words]

    def open(self) -> "OpenWakeWordSession":
        self._model.reset()
        return OpenWakeWordSession(self._model, [path.stem for path in self._words])

    def close(self) -> None:
        self._model = None

    def _made(self) -> Any:
        return self._package.Model(
            wakeword_models=[str(path) for path in self._words],
            inference_framework="tflite",
            melspec_model_path=self._front[0],
            embedding_model_path=self._front[1],
        )


class OpenWakeWordSession:
    def __init__(self, model: Any, names: Sequence[str]) -> None:
        self._model = model
        self._names = names
        self._reblock = Reblock(STEP)

    def feed(self, audio: Audio) -> Sequence[WakeScore]:
        scores = []
        for step in self._reblock.push(audio):
            found = self._model.predict(step.samples)
            scores += [WakeScore(at, float(found[name]), step.end) for at, name in enumerate(self._names)]
        return scores

    def close(self) -> None:
        self._model = None
