"""microWakeWord: streaming int8 TFLite models of some 60 kB a word.

A model is a TFLite file that keeps its own state between steps, and a JSON beside it (microWakeWord's manifest,
version 2) with the phrase, the cutoff and the sliding window its author recommends. Features are 40 log-mel energies
with noise suppression and PCAN gain every 10 ms, from TensorFlow Lite Micro's audio front end; they are computed once
for all words. See https://github.com/kahrendt/microWakeWord.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import Audio, Reblock
from edgevoice.engines import litert
from edgevoice.engines.protocols import ModelPaths, WakeModel, WakeScore
from edgevoice.engines.registry import require
from edgevoice.errors import ModelError

STEP = 160
"""Samples per feature: 10 ms, what the models are trained with (``feature_step_size``)."""
FEATURES = 40


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    models: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            min_length=1,
            description="Wake words to listen for, several at once: names from the catalog (okay_nabu, hey_jarvis, "
            "hey_mycroft, alexa) or paths of a model's JSON file, or of a folder NAME with NAME.json.",
        ),
    ] = ("okay_nabu", "hey_jarvis")


class _Micro(msgspec.Struct):
    probability_cutoff: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
    sliding_window_size: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    feature_step_size: Annotated[int, msgspec.Meta(ge=1)] = 10


class _Manifest(msgspec.Struct):
    """The parts of microWakeWord's JSON that matter here; see https://esphome.io/components/micro_wake_word."""

    wake_word: str
    model: str
    micro: _Micro
    type: str = "micro"


@dataclass(frozen=True)
class _Word:
    info: WakeModel
    file: Path
    content: bytes
    """Of the file, from which every session makes an interpreter of its own: the disk may be damaged by then."""


def load(options: Options, store: ModelPaths) -> "MicroWakeWord":
    """Load the manifests and check that every model runs.

    Raises:
        ModelError: a model is missing, damaged, of another kind, or its JSON lacks a field.
    """
    words = [_read(name, store.path(name)) for name in options.models]
    for word in words:  # so that a damaged model is reported at the start, not at the first turn
        stream = _Stream(word)
        with litert.trial(word.file):
            stream.push(np.zeros((stream.stride, FEATURES), np.float32))
    return MicroWakeWord(words)


def _read(name: str, path: Path) -> _Word:
    if path.is_dir():
        path = path / f"{name.rstrip('/').rpartition('/')[2].partition('@')[0]}.json"  # NAME@VERSION
    remedy = "see https://esphome.io/components/micro_wake_word for the format (version 2)"
    if path.is_file() and path.suffix in (".tflite", ".onnx"):
        raise ModelError(
            "it is a network, a word of this engine is named by its JSON file",
            place=str(path),
            remedy="give that; words of openWakeWord or of 'edgevoice wake train' are for the engine 'openwakeword'",
        )
    described: object = None
    try:
        described = json.loads(path.read_text("utf-8"))
        manifest = msgspec.convert(described, _Manifest)
    except msgspec.ValidationError as error:
        if isinstance(described, dict) and "phrase" in described and "wake_word" not in described:
            raise ModelError(
                "it is the card of a word that 'edgevoice wake train' made",
                place=str(path),
                remedy="give it to the engine 'openwakeword'",
            ) from error
        raise ModelError(str(error), place=str(path), remedy=remedy) from error
    except FileNotFoundError as error:
        raise ModelError(
            "there is no such file",
            place=str(path),
            remedy="give the path of a model's JSON file, or of a folder NAME with NAME.json",
        ) from error
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror or error}", place=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"it is no readable JSON: {error}", place=str(path), remedy=remedy) from error
    if manifest.type != "micro" or manifest.micro.feature_step_size != 10:
        raise ModelError(
            f"it is of type '{manifest.type}' with {manifest.micro.feature_step_size} ms steps, "
            "only 'micro' with 10 ms steps is known",
            place=str(path),
            remedy=remedy,
        )
    file = path.parent / manifest.model
    if not file.is_file():
        raise ModelError(
            f"the model file it names, '{manifest.model}', is not beside it",
            place=str(path),
            remedy="copy it there, or correct the field 'model'",
        )
    info = WakeModel(
        name=path.stem,
        phrase=manifest.wake_word,
        threshold=manifest.micro.probability_cutoff,
        patience=manifest.micro.sliding_window_size,
    )
    return _Word(info, file, litert.content_of(file))


class MicroWakeWord:
    """Several wake words over one front end."""

    heavy = False
    """A word takes less than the voice activity detection that would spare it."""
    memory = 9.0
    """The front end adapts to noise, in integers: after 8 s it was where it is when it had heard more (77 of 77 moments
    of two words in 200 s of speech and noise), after 6 s it was nine times in ten."""

    def __init__(self, words: Sequence[_Word]) -> None:
        self._words = words
        self._frontend = require("pymicro_features", distribution="pymicro-features")

    @property
    def models(self) -> Sequence[WakeModel]:
        return [word.info for word in self._words]

    def open(self) -> "MicroWakeWordSession":
        return MicroWakeWordSession([_Stream(word) for word in self._words], self._frontend.MicroFrontend())

    def close(self) -> None:
        """Nothing to give up: the interpreters belong to the sessions."""


class MicroWakeWordSession:
    def __init__(self, streams: Sequence["_Stream"], frontend: Any) -> None:
        self._streams = streams
        self._frontend = frontend
        self._reblock = Reblock(STEP)

    def feed(self, audio: Audio) -> Sequence[WakeScore]:
        steps = self._reblock.push_whole(audio)
        data = steps.samples.tobytes()
        features, ends = [], []
        for at in range(0, len(steps), STEP):
            vector = self._frontend.process_samples(data[2 * at : 2 * (at + STEP)]).features
            if vector:  # not before the first window of 30 ms is full
                features.append(vector)
                ends.append(steps.start + at + STEP)
        if not features:
            return []
        rows = np.array(features, np.float32)
        scores = [
            WakeScore(index, score, ends[row])
            for index, stream in enumerate(self._streams)
            for row, score in stream.push(rows)
        ]
        return sorted(scores, key=lambda score: score.end)

    def close(self) -> None:
        self._streams = []


class _Stream:
    """One model's interpreter, which holds the streaming state."""

    def __init__(self, word: _Word) -> None:
        self._interpreter = litert.interpreter(word.file, content=word.content)
        given, result = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        shape = tuple(int(size) for size in given["shape"])
        if len(shape) != 3 or shape[0] != 1 or shape[2] != FEATURES or given["dtype"] != np.int8:
            raise ModelError(
                f"its input is {given['dtype'].__name__} {list(shape)}, a microWakeWord model takes int8 [1, n, 40]",
                place=str(word.file),
                remedy="give a streaming int8 microWakeWord model",
            )
        self._input, self._output = given["index"], result["index"]
        self._scale, self._zero = given["quantization"]
        self._out_scale, self._out_zero = result["quantization"]
        self.stride = shape[1]
        """Feature vectors of a step."""
        self._waiting = np.zeros((0, FEATURES), np.int8)

    def push(self, features: NDArray[np.float32]) -> list[tuple[int, float]]:
        """Take feature vectors [n, 40]; a score at every stride-th one: (its row in ``features``, the score)."""
        scaled = np.clip(np.round(features / self._scale + self._zero), -128, 127).astype(np.int8)
        first = -len(self._waiting)  # row of the first vector that is not used yet
        rows = np.concatenate([self._waiting, scaled])
        scores = []
        for at in range(0, len(rows) - self.stride + 1, self.stride):
            self._interpreter.set_tensor(self._input, rows[None, at : at + self.stride])
            self._interpreter.invoke()
            level = int(self._interpreter.get_tensor(self._output)[0, 0])
            scores.append((first + at + self.stride - 1, float((level - self._out_zero) * self._out_scale)))
        self._waiting = rows[len(scores) * self.stride :]
        return scores
