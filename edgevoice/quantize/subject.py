"""The model that is to be changed: its float32 files, which of them can be changed, and by what it is measured."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevoice.engines.wake.embedding import MEL
from edgevoice.errors import ConfigError, ModelError, OutputError
from edgevoice.modelfiles import NOTES
from edgevoice.quantize import samples
from edgevoice.quantize.feeds import CalibrationSet, feeds, tflite_feeds
from edgevoice.quantize.gate import LayerNoise
from edgevoice.quantize.graph import Graph, save
from edgevoice.quantize.metric import Task
from edgevoice.quantize.onnx_recipes import Feed, apply
from edgevoice.quantize.recipe import Recipe
from edgevoice.quantize.sensitivity import sensitivity
from edgevoice.quantize.tflite import TfliteModel

LINES: dict[Task, type[samples.Heard | samples.Written]] = {
    "asr": samples.Spoken,
    "intents": samples.Ordered,
    "wake": samples.Called,
    "vad": samples.Voiced,
    "tts": samples.Written,
}
"""What a line of each task's manifest holds."""
FLOAT = "float"
"""Folder for what was copied or built so that there is a whole model in float32."""
_FEEDS = 64
"""Inputs at most that noise is measured on, and TFLite models are calibrated with: spread over all there are."""


@dataclass(frozen=True)
class Subject:
    folder: Path
    """A whole model in float32."""
    task: Task
    engine: str
    graphs: tuple[str, ...]
    """Files that can be changed, the largest first."""

    @property
    def reference(self) -> Path | None:
        """What the changed model is compared with where the task asks for that."""
        return self.folder if self.task in ("tts", "vad") else None


def subject(source: Path, scratch: Path, task: Task | None, engine: str | None, graphs: Sequence[str] = ()) -> Subject:
    """
    Args:
        source: folder or file of a model; weights of Whisper are built as float32 graphs first.
        scratch: a folder for that.
        graphs: file names, when not all are to be changed.

    Raises:
        ModelError: there is no ONNX or TFLite model in it. ConfigError: the task cannot be told, or there is no such
        graph.
    """
    folder = source
    if source.is_file():
        folder = scratch / FLOAT
        folder.mkdir(parents=True, exist_ok=True)
        for each in (source, source.with_name(source.name + ".json"), source.with_suffix(".json")):
            if each.is_file():
                copy(each, folder / each.name)
    elif (source / "model.bin").is_file() and not (source / "encoder.onnx").is_file():
        from edgevoice.export.whisper import build_whisper

        folder = scratch / FLOAT
        build_whisper(source, folder, precision="float32")
    # openWakeWord's spectrogram is a Fourier transform and no network, so there is nothing in it to make smaller.
    found = [path for path in folder.iterdir() if path.suffix in (".onnx", ".tflite") and path.name != MEL]
    if not found:
        raise ModelError(
            "there is no ONNX or TFLite model in it", place=str(source), remedy="give a folder or file that has one"
        )
    names = [path.name for path in sorted(found, key=lambda path: (-path.stat().st_size, path.name))]
    if strange := sorted(set(graphs) - set(names)):
        raise ConfigError(
            f"there is no {', '.join(strange)} in the model",
            place="option --graph",
            remedy=f"there is: {', '.join(names)}",
        )
    chosen = tuple(name for name in names if not graphs or name in graphs)
    kind, usual = _kind(folder, found)
    if task is None and kind is None:
        raise ConfigError("the task cannot be told from the model", place="option --task", remedy="name the task")
    told = task or kind
    assert told is not None
    return Subject(folder, told, engine or usual, chosen)


def _kind(folder: Path, files: Sequence[Path]) -> tuple[Task | None, str]:
    if (folder / "encoder.onnx").is_file():
        return "asr", "whisper"
    if any(path.suffix == ".tflite" for path in files):
        return "wake", "openwakeword"
    if (folder / f"{files[0].name}.json").is_file():
        return "tts", "piper"
    return ("vad", "silero") if "silero" in files[0].name else (None, "")


class Changer:
    """Changes one file of a model; what it read and computed for that is kept for the next recipe.

    Args:
        given: recordings or texts; without them there is no static recipe and no sensitivity.

    Raises:
        ModelError: the file is none that can be changed.
    """

    def __init__(self, path: Path, given: CalibrationSet | None) -> None:
        self.path = path
        self._tflite = TfliteModel(path) if path.suffix == ".tflite" else None
        self._graph = None if self._tflite else Graph(path)
        self._given = given
        self._feeds: list[Feed] | None = None

    @property
    def is_tflite(self) -> bool:
        return self._tflite is not None

    def feeds(self) -> list[Feed]:
        if self._given is None:
            return []
        if self._feeds is None:
            found = (tflite_feeds if self._tflite else feeds)(self.path, self._given)
            self._feeds = found[:: max(1, -(-len(found) // _FEEDS))] if self._tflite else found
        return self._feeds

    def layers(self, recipe: Recipe) -> list[str]:
        if self._tflite:
            return self._tflite.layers()
        assert self._graph is not None
        return self._graph.layers(recipe.changed)

    def sensitivity(self, recipe: Recipe, scratch: Path) -> list[LayerNoise]:
        if self._tflite:
            return self._tflite.sensitivity(recipe, self.feeds(), scratch)
        assert self._graph is not None
        return sensitivity(recipe, self._graph, self.feeds()[:_FEEDS])

    def apply(self, recipe: Recipe, kept: Sequence[str]) -> bytes:
        given = self.feeds() if recipe.kind == "static" else []
        if self._tflite:
            return self._tflite.apply(recipe, kept, given)
        assert self._graph is not None
        return apply(recipe, self._graph, kept, given)


def assemble(folder: Path, changed: Mapping[str, bytes], target: Path) -> Path:
    """A whole model in ``target``: the float one with some files changed.

    Raises:
        OutputError: it cannot be written.
    """
    shutil.rmtree(target, ignore_errors=True)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.name.startswith(NOTES) and name not in changed:
            copy(path, target / name)
    for name, content in changed.items():
        save(target / name, content)
    return target


def copy(source: Path, target: Path) -> None:
    """
    Raises:
        OutputError: it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise OutputError(f"it cannot be written: {error.strerror}", place=str(target)) from error
