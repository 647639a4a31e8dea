"""Runs the graphs that ``edgevoice.export.whisper`` writes. Keys and values stay in ONNX Runtime's own memory."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import Float32
from edgevoice.engines import onnx
from edgevoice.engines.asr.whisper_shortlist import Shortlist
from edgevoice.engines.registry import require
from edgevoice.errors import EngineError, ModelError

FORMAT = 2
"""Version of the model's files that this module reads; see ``edgevoice.export.whisper``."""


class WhisperNet:
    """The weights: encoder and decoder.

    Args:
        folder: what ``build_whisper`` wrote.
        threads: for each of the two.

    Raises:
        ModelError: a file is missing, damaged or of another version.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder = folder
        dims = _dims(folder / "model.json")
        try:
            self.mels = int(dims["mels"])
            self.audio_positions = int(dims["audio_positions"])
            self.text_positions = int(dims["text_positions"])
            self.layers = int(dims["decoder_layers"])
            heads, width, vocabulary = int(dims["heads"]), int(dims["width"]), int(dims["vocabulary"])
            head = width // heads
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise _damaged(folder / "model.json", f"{type(error).__name__}: {error}") from error
        self._width, self.vocabulary = width, vocabulary
        self._embedding = folder / "embedding.bin"
        self._number, self._scales = _embedding(self._embedding, width, vocabulary)
        self._encoder = onnx.session(folder / "encoder.onnx", threads=threads, varying=True)
        self._decoder = onnx.session(folder / "decoder.onnx", threads=threads, varying=True)
        self._value = require("onnxruntime").OrtValue.ortvalue_from_numpy
        self._cross_names = [output.name for output in self._encoder.get_outputs()]
        self._decoder_outputs = [output.name for output in self._decoder.get_outputs()]
        self._past_names = [f"past_{name}" for name in self._decoder_outputs if name.startswith(("key", "value"))]
        _check_inputs(folder / "encoder.onnx", self._encoder, {"mel": [1, self.mels]})
        if 2 * self.layers != len(self._cross_names):  # before the number is believed: it may be anything
            raise _damaged(
                folder / "model.json",
                f"it says {self.layers} layers, and encoder.onnx is for {len(self._cross_names) // 2}",
            )
        layers = range(self.layers)
        keys = {f"{part}_key_{layer}": [heads, head] for part in ("cross", "prefix") for layer in layers}
        _check_inputs(folder / "decoder.onnx", self._decoder, {"tokens": [], "parents": [], "places": [], **keys})
        self._nothing = np.zeros((0, width), np.float32)
        self._empty_past: dict[str, Any] = {"parents": self._value(np.zeros(1, np.int64))}
        for layer in range(self.layers):
            self._empty_past[f"past_key_{layer}"] = self._zeros(1, heads, head, 0)
            self._empty_past[f"past_value_{layer}"] = self._zeros(1, heads, 0, head)
        self._empty = dict(self._empty_past)
        for layer in range(self.layers):
            self._empty[f"prefix_key_{layer}"] = self._zeros(heads, head, 0)
            self._empty[f"prefix_value_{layer}"] = self._zeros(heads, 0, head)

    def _zeros(self, *shape: int) -> Any:
        return self._value(np.zeros(shape, np.float32))

    def encode(self, mel: Float32) -> dict[str, Any]:
        """What a decoder needs to know of the audio.

        Args:
            mel: shape [mels, T], T even and at most twice ``audio_positions``.
        """
        values = self._encoder.run_with_ort_values(None, {"mel": self._value(mel[None])})
        return dict(zip(self._cross_names, values, strict=True))

    def open(self, cross: dict[str, Any]) -> "Decoding":
        """Begin to write a text about the audio that was encoded."""
        return Decoding(self, {**self._empty, **cross})

    def _run(self, feed: dict[str, Any], tokens: NDArray[np.int64]) -> tuple[Float32, Float32]:
        feed["tokens"] = self._value(tokens)
        logits, short, *own = self._decoder.run_with_ort_values(self._decoder_outputs, feed)
        feed.update(zip(self._past_names, own, strict=True))
        result = logits.numpy(), short.numpy()
        if not all(np.isfinite(part).all() for part in result):  # 15 us a token; one NaN spoils all that follows
            raise EngineError(
                "what it computes are no numbers",
                place=str(self._folder),
                remedy="it may be damaged; fetch it again with: edgevoice models pull",
            )
        return result

    def rows(self, tokens: NDArray[np.int64]) -> Float32:
        """The tokens' rows of the embedding, which is also the output matrix: shape [tokens, width].

        Raises:
            EngineError: its file has gone meanwhile, or has become shorter.
        """
        result = np.empty((len(tokens), self._width), np.float32)
        try:
            with self._embedding.open("rb") as file:  # not mapped: the graph has it in memory already
                for at in range(self._width):
                    result[:, at] = np.fromfile(file, self._number, self.vocabulary)[tokens]
        except (OSError, IndexError) as error:  # gone, or shorter than it was
            raise EngineError(
                f"it cannot be read any more: {error}",
                place=str(self._embedding),
                remedy="fetch it again with: edgevoice models pull",
            ) from error
        return result if self._scales is None else result * self._scales[tokens, None]


class Decoding:
    """One text that is being written, token by token; or several beams of it."""

    def __init__(self, net: WhisperNet, feed: dict[str, Any]) -> None:
        self._net = net
        self._feed = feed
        self._weights = np.zeros((0, 0), np.float32)

    def step(self, tokens: Sequence[int]) -> Float32:
        """Append tokens to the one text; the logits of the one after them, shape [vocabulary]."""
        result: Float32 = self.begin(tokens, [-1])[0]
        return result

    def begin(self, tokens: Sequence[int], places: Sequence[int]) -> Float32:
        """Append tokens to the one text.

        Args:
            places: which of them the logits follow that are wanted.

        Returns:
            Logits, shape [places, vocabulary].
        """
        logits, _ = self._logits([tokens], places, None)
        result: Float32 = logits[0]
        return result

    def again(self, tokens: Sequence[int]) -> Float32:
        """Forget the beams and append tokens to the prefix that they shared; the logits of the ones after each, shape
        [tokens, vocabulary]."""
        self._feed.update(self._net._empty_past)
        return self.begin(tokens, range(len(tokens)))

    def share(self) -> None:
        """Make all that was written so far the prefix of all beams, which is kept only once."""
        feed = self._feed
        for layer in range(self._net.layers):
            for part in ("key", "value"):
                own = feed[f"past_{part}_{layer}"].numpy()
                feed[f"prefix_{part}_{layer}"] = self._net._value(own[0])
        feed.update(self._net._empty_past)

    def step_beams(self, tokens: Sequence[int], parents: Sequence[int], shortlist: Shortlist | None = None) -> Float32:
        """Append a token to each beam; the logits of the ones after them, shape [beams, vocabulary] or, if there is a
        shortlist, [beams, its tokens].

        Args:
            parents: by beam, the one of the step before that it goes on from; 0 after ``share``.
        """
        self._feed["parents"] = self._net._value(np.array(parents, np.int64))
        each = [[token] for token in tokens]
        return self._logits(each, [-1], None)[0][:, 0] if shortlist is None else self._logits(each, [], shortlist)[1]

    def _logits(
        self, tokens: Sequence[Sequence[int]], places: Sequence[int], shortlist: Shortlist | None
    ) -> tuple[Float32, Float32]:
        weights = self._net._nothing if shortlist is None else shortlist.weights
        if weights is not self._weights:
            self._weights, self._feed["shortlist"] = weights, self._net._value(weights)
        self._feed["places"] = self._net._value(np.array(places, np.int64))
        return self._net._run(self._feed, np.array(tokens, np.int64))


def _dims(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        dims: dict[str, Any] = content["dims"]
        if content["kind"] != "whisper" or content["format"] != FORMAT:
            raise ModelError(
                f"it is of kind '{content['kind']}', format {content['format']}; needed is 'whisper', format {FORMAT}",
                place=str(path),
                remedy="build or fetch the model again with: edgevoice models pull",
            )
    except FileNotFoundError as error:
        raise ModelError(
            "there is no such file",
            place=str(path),
            remedy="a Whisper model for edgevoice is a directory made by: edgevoice models pull",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    return dims


def _embedding(path: Path, width: int, vocabulary: int) -> tuple[type[np.generic], Float32 | None]:
    """What the numbers of the matrix [width, vocabulary] are, and its columns' scales when they are int8."""
    try:
        size = path.stat().st_size
        if size == 4 * width * vocabulary:
            return np.float32, None
        if size == (width + 4) * vocabulary:
            return np.int8, np.fromfile(path, np.float32, offset=width * vocabulary)
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    raise _damaged(path, f"it has {size} bytes, and model.json is for {width} by {vocabulary} numbers")


def _check_inputs(path: Path, session: Any, wanted: dict[str, list[int]]) -> None:
    """That a graph has these inputs, and that their shapes begin like this."""
    found = {given.name: given.shape for given in session.get_inputs()}
    for name, shape in wanted.items():
        if name not in found or found[name][: len(shape)] != shape:
            there = f"is {found[name]}" if name in found else "is missing"
            raise ModelError(
                f"it is not this part of a Whisper model as model.json describes it: the input '{name}' {there}",
                place=str(path),
                remedy="build or fetch the model again with: edgevoice models pull",
            )


def _damaged(path: Path, cause: str) -> ModelError:
    return ModelError(f"it is damaged: {cause}", place=str(path), remedy="fetch it again with: edgevoice models pull")
