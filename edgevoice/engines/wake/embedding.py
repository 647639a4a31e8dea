"""The features that all words of the engine ``openwakeword`` share.

Every 80 ms: log-mel energies of 32 bands (one TFLite model), of which the last 76 frames, 0.775 s, become one vector
of 96 numbers (another: Google's speech embedding, Lin et al., 2020, https://arxiv.org/abs/2002.01322). A word looks at
the last 16 vectors, 2 s. See https://github.com/dscripka/openWakeWord.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgevoice.audio.pcm import Audio, Float32, Int16, Reblock
from edgevoice.engines import litert
from edgevoice.errors import ModelError

STEP = 1_280
"""Samples between two vectors: 80 ms."""
OVERLAP = 480
"""Samples before a step that the first of its 8 mel frames reach back to, at 25 ms a frame and 10 ms from one to the
next."""
MEL_FRAMES = 8
"""Of a step."""
BANDS = 32
WINDOW = 76
"""Mel frames of a vector."""
SIZE = 96
"""Numbers of a vector."""
VECTORS = 16
"""That a word looks at."""
MEL, EMBEDDING = "melspectrogram.tflite", "embedding_model.tflite"
_QUIET = 1_000
"""Largest sample of the noise that is taken to have been heard before a stream begins, as openWakeWord has it."""


class Front:
    """The two models. They keep no state, so all streams of one thread share them.

    Args:
        folder: with ``melspectrogram.tflite`` and ``embedding_model.tflite``.

    Raises:
        ModelError: one of them is not there, damaged or another model. EngineMissingError, EngineBrokenError: LiteRT.
    """

    def __init__(self, folder: Path) -> None:
        self._mel = _Net(folder / MEL, (1, OVERLAP + STEP), (1, 1, MEL_FRAMES, BANDS))
        self._embedding = _Net(folder / EMBEDDING, (1, WINDOW, BANDS, 1), (1, 1, 1, SIZE))
        before = np.random.default_rng(0).integers(-_QUIET, _QUIET, (_HISTORY + 1) * STEP, np.int16)
        stream = FeatureStream(self, np.zeros(OVERLAP, np.int16), np.zeros((WINDOW, BANDS), np.float32))
        vectors = [vector for vector, _ in stream.push(Audio(before))]
        self._begin = stream.tail, stream.mels
        self.before: Float32 = np.repeat(vectors[-1][None], VECTORS, axis=0)
        """The vectors that a word looks at before it has heard any, shape [16, 96]."""

    def mel(self, samples: Int16) -> Float32:
        """480 samples that were heard before and 1280 new ones -> 8 frames [8, 32]."""
        found: Float32 = self._mel(samples[None].astype(np.float32))[0, 0] / 10.0 + 2.0
        return found

    def embed(self, mels: Float32) -> Float32:
        """76 frames [76, 32] -> a vector [96]."""
        found: Float32 = self._embedding(mels[None, :, :, None])[0, 0, 0]
        return found

    def open(self) -> "FeatureStream":
        """The features of a stream, before which a quiet room was heard."""
        return FeatureStream(self, *self._begin)


_HISTORY = -(-WINDOW // MEL_FRAMES)
"""Steps until all mel frames of a vector are new."""


class FeatureStream:
    """
    Args:
        tail: the last 480 samples heard before.
        mels: the last 76 mel frames heard before.
    """

    def __init__(self, front: Front, tail: Int16, mels: Float32) -> None:
        self._front = front
        self.tail = tail
        self.mels = mels
        self._reblock = Reblock(STEP)

    def push(self, audio: Audio) -> Iterator[tuple[Float32, int]]:
        """For every step that is now complete its vector [96] and its end as a capture index."""
        for step in self._reblock.push(audio):
            samples = np.concatenate([self.tail, step.samples])
            self.tail = samples[-OVERLAP:]
            self.mels = np.concatenate([self.mels[MEL_FRAMES:], self._front.mel(samples)])
            yield self._front.embed(self.mels), step.end


class _Net:
    """A TFLite model with one float input and one output.

    Args:
        given: shape of its input; a model whose input may have any length is set to it.
        result: shape of its output.
    """

    def __init__(self, path: Path, given: tuple[int, ...], result: tuple[int, ...]) -> None:
        self._interpreter = litert.interpreter(path, shape=given)
        (inputs, *more), outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        shapes = tuple(map(int, inputs["shape"])), tuple(map(int, outputs[0]["shape"]))
        if more or shapes != (given, result) or inputs["dtype"] != np.float32:
            raise ModelError(
                f"it takes {inputs['dtype'].__name__} {list(shapes[0])} and gives {list(shapes[1])}, not float32 "
                f"{list(given)} and {list(result)}",
                place=str(path),
                remedy="fetch openWakeWord's own with: edgevoice models pull openwakeword-features",
            )
        self._input, self._output = inputs["index"], outputs[0]["index"]
        with litert.trial(path):
            self(np.zeros(given, np.float32))

    def __call__(self, values: Float32) -> Any:
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)
