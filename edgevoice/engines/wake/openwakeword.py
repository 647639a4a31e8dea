"""openWakeWord: any number of small words over one set of features (``edgevoice.engines.wake.embedding``).

The features cost most and are computed once, whatever the number of words. A word is a file as
``edgevoice.engines.wake.wordfile`` has it: openWakeWord's own, anybody's, or one of ``edgevoice wake train``.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines import litert, onnx
from edgevoice.engines.protocols import ModelPaths, WakeModel, WakeScore
from edgevoice.engines.wake.embedding import MEL_FRAMES, OVERLAP, STEP, VECTORS, WINDOW, Front
from edgevoice.engines.wake.wordfile import Word, find, read
from edgevoice.errors import ModelError


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description="The features that all words share: a name in the catalog, or the path of a folder with "
            "melspectrogram.tflite and embedding_model.tflite.",
        ),
    ] = "openwakeword-features"
    models: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            min_length=1,
            description="Wake words to listen for, several at once: names from the catalog (oww-okay_nabu, "
            "oww-hey_jarvis, oww-hey_mycroft, oww-hey_rhasspy, oww-alexa) or paths of a .tflite or .onnx file, or of "
            "a folder with one. Each is called as its file, without the ending.",
        ),
    ] = ("oww-okay_nabu", "oww-hey_jarvis")


def load(options: Options, store: ModelPaths) -> "OpenWakeWord":
    """Load the features and the words.

    Raises:
        ModelError: a model is missing, damaged or of another kind, or two words are called the same.
        EngineMissingError, EngineBrokenError: the runtime.
    """
    front = Front(store.path(options.model))
    words: dict[str, Word] = {}
    for name in options.models:
        file = find(name, store.path(name))
        word = read(file)
        if word.info.name in words:
            raise ModelError(
                f"there is another word called '{word.info.name}'",
                place=str(file),
                remedy="rename the file, and its .json",
            )
        trial = litert.trial if file.suffix == ".tflite" else onnx.trial
        with trial(file):  # so that a network that cannot be run is reported at the start
            if math.isnan(word.score(front.before)):
                raise ValueError("what it computes is no number")
        words[word.info.name] = word
    return OpenWakeWord(front, list(words.values()))


class OpenWakeWord:
    """The models keep no state, so the sessions, all of one thread, share them."""

    heavy = True
    """The features take some twenty times what voice activity detection takes."""
    memory = ((VECTORS - 1 + -(-WINDOW // MEL_FRAMES)) * STEP + OVERLAP) / RATE
    """What the mel frames of all vectors of a word are made of."""

    def __init__(self, front: Front, words: Sequence[Word]) -> None:
        self._front: Front | None = front
        self._words = words
        self._infos = [word.info for word in words]

    @property
    def models(self) -> Sequence[WakeModel]:
        return self._infos

    def open(self) -> "OpenWakeWordSession":
        if self._front is None:
            raise RuntimeError("the engine is closed")
        return OpenWakeWordSession(self._front, self._words)

    def close(self) -> None:
        self._front, self._words = None, []


class OpenWakeWordSession:
    """Gives a score of every word every 80 ms."""

    def __init__(self, front: Front, words: Sequence[Word]) -> None:
        self._stream = front.open()
        self._words = words
        self._vectors = front.before

    def feed(self, audio: Audio) -> Sequence[WakeScore]:
        scores = []
        for vector, end in self._stream.push(audio):
            self._vectors = np.concatenate([self._vectors[1:], vector[None]])
            scores += [WakeScore(index, word.score(self._vectors), end) for index, word in enumerate(self._words)]
        return scores

    def close(self) -> None:
        self._words = []
