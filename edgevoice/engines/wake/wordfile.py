"""The file of one wake word for the engine ``openwakeword``: a network over 16 of the shared vectors.

``NAME.tflite`` or ``NAME.onnx`` takes float32 [1, 16, 96] and gives float32 [1, 1], the score. Beside it may stand
``NAME.json``, the word's card, as ``edgevoice wake train`` writes it; openWakeWord's own models have none.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from edgevoice.audio.pcm import Float32
from edgevoice.engines import litert, onnx
from edgevoice.engines.protocols import WakeModel
from edgevoice.engines.wake.embedding import EMBEDDING, MEL, SIZE, VECTORS
from edgevoice.errors import ModelError

KINDS = (".tflite", ".onnx")
SHAPE = (1, VECTORS, SIZE)

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What the JSON beside a word's file says; it may say more."""

    phrase: str = ""
    """What is said; empty: the file's name, with spaces."""
    threshold: Share = 0.5
    """Smallest score that wakes; openWakeWord recommends 0.5 for all of its own."""
    patience: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    """Scores that are averaged."""
    thresholds: dict[str, Share] = {}
    """Scores by false alarms per hour: that of "100", else "10", is worth a second look, that of "0.1" needs none."""


@dataclass(frozen=True)
class Word:
    """A wake word and its network."""

    info: WakeModel
    score: Callable[[Float32], float]
    """Of vectors [16, 96], 0..1."""


def find(name: str, path: Path) -> Path:
    """The word's file.

    Args:
        name: as it was configured.
        path: where that lies: the file itself, its card, or a folder with one word in it.

    Raises:
        ModelError: there is no such file, or there are several.
    """
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.suffix in KINDS and each.name not in (MEL, EMBEDDING))
    elif path.suffix == ".json":
        found = [each for each in map(path.with_suffix, KINDS) if each.is_file()]
    elif path.suffix in KINDS:
        found = [path]
    else:
        raise ModelError(
            f"a wake word's file ends in {' or '.join(KINDS)}",
            place=str(path),
            remedy="give such a file, or a folder with one",
        )
    if len(found) != 1:
        raise ModelError(
            f"'{name}' has {len(found)} files that end in {' or '.join(KINDS)}, not one",
            place=str(path),
            remedy="give the path of the file",
        )
    return found[0]


def read(file: Path) -> Word:
    """Load a word and its card.

    Raises:
        ModelError: the file is missing, damaged or of another kind, or its card is. EngineMissingError,
            EngineBrokenError: the runtime.
    """
    score = _tflite(file) if file.suffix == ".tflite" else _onnx(file)
    card = _card(file.with_suffix(".json"))
    phrase = card.phrase or file.stem.replace("_", " ")
    loose, sure = card.thresholds.get("100", card.thresholds.get("10")), card.thresholds.get("0.1")
    return Word(WakeModel(file.stem, phrase, card.threshold, card.patience, loose, sure), score)


def _card(path: Path) -> Card:
    if not path.is_file():
        return Card()
    remedy = "correct or remove it; docs/wake-words.md says what may stand there"
    try:
        return msgspec.convert(json.loads(path.read_text("utf-8")), Card)
    except msgspec.ValidationError as error:
        raise ModelError(str(error), place=str(path), remedy=remedy) from error
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror or error}", place=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"it is no readable JSON: {error}", place=str(path), remedy=remedy) from error


def _check(file: Path, given: tuple[object, ...], kind: str) -> None:
    """That a network takes the vectors; an open number of them at a time is taken for one."""
    wanted = (SHAPE, (None, *SHAPE[1:]))
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in given)
    if shape not in wanted or kind not in ("float32", "tensor(float)"):
        sizes = ", ".join("?" if size is None else str(size) for size in shape)
        raise ModelError(
            f"its input is {kind} [{sizes}], a word of this engine takes float32 [1, {VECTORS}, {SIZE}]",
            place=str(file),
            remedy="give a model of openWakeWord or of 'edgevoice wake train'; microWakeWord's are for the engine "
            "'microwakeword'",
        )


def _tflite(file: Path) -> Callable[[Float32], float]:
    interpreter = litert.interpreter(file)
    given, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    _check(file, tuple(map(int, given["shape"])), np.dtype(given["dtype"]).name)

    def score(vectors: Float32) -> float:
        interpreter.set_tensor(given["index"], vectors[None])
        interpreter.invoke()
        return _share(interpreter.get_tensor(result["index"]))

    return score


def _onnx(file: Path) -> Callable[[Float32], float]:
    session = onnx.session(file)
    given = session.get_inputs()[0]
    _check(file, tuple(given.shape), given.type)
    name = given.name

    def score(vectors: Float32) -> float:
        return _share(session.run(None, {name: vectors[None]})[0])

    return score


def _share(values: Float32) -> float:
    return min(max(float(values.reshape(-1)[0]), 0.0), 1.0)
