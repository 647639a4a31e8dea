"""Silero VAD (version 5 and later, 16 kHz) in ONNX Runtime.

A frame is 512 samples with the 64 samples before it as context; the recurrent state is [2, 1, 128].
See https://github.com/snakers4/silero-vad.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from edgevoice.audio.pcm import RATE, Audio, Reblock
from edgevoice.engines import onnx
from edgevoice.engines.protocols import ModelPaths, SpeechScore
from edgevoice.errors import ModelError

FRAME = 512
CONTEXT = 64


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[
        str, msgspec.Meta(min_length=1, description="Name in the catalog, or path of a Silero VAD ONNX file.")
    ] = "silero-vad"


def load(options: Options, store: ModelPaths) -> "Silero":
    """Load the model.

    Raises:
        ModelError: it is missing, damaged or of another kind.
    """
    path = store.path(options.model)
    if path.is_dir():
        found = sorted(path.glob("*.onnx"))
        if len(found) != 1:
            raise ModelError(
                f"here are {len(found)} ONNX files, not one", place=str(path), remedy="give the path of the file"
            )
        path = found[0]
    return Silero(path)


class Silero:
    def __init__(self, path: Path) -> None:
        self._session = onnx.session(path)
        names = {given.name for given in self._session.get_inputs()}
        if names != {"input", "state", "sr"}:
            raise ModelError(
                f"its inputs are {sorted(names)}, those of Silero VAD are ['input', 'sr', 'state']",
                place=str(path),
                remedy="give the ONNX file of Silero VAD 5 or later",
            )
        with onnx.trial(path):
            (score,) = self.open().feed(Audio(np.zeros(FRAME, np.int16)))
            if math.isnan(score.probability):
                raise ValueError("what it computes is no number")

    def open(self) -> "SileroSession":
        return SileroSession(self._session)

    def close(self) -> None:
        self._session = None


class SileroSession:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._reblock = Reblock(FRAME)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._frame = np.zeros((1, CONTEXT + FRAME), np.float32)
        self._rate = np.array(RATE, np.int64)

    def feed(self, audio: Audio) -> Sequence[SpeechScore]:
        scores = []
        for frame in self._reblock.push(audio):
            self._frame[0, :CONTEXT] = self._frame[0, -CONTEXT:]
            self._frame[0, CONTEXT:] = frame.float32()
            probability, self._state = self._session.run(
                None, {"input": self._frame, "state": self._state, "sr": self._rate}
            )
            scores.append(SpeechScore(float(probability[0, 0]), frame.start, frame.end))
        return scores

    def close(self) -> None:
        self._session = None
