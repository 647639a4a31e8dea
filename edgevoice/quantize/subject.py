"""The model that is to be changed: its float32 files, which of them can be changed, and by what it is measured."""

import difflib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevoice.engines.wake.embedding import MEL
from edgevoice.errors import ConfigError, ModelError, OutputError
from edgevoice.modelfiles import NOTES
from edgevoice.quantize import samples
from edgevoice.quantize.feeds import Material, feeds, tflite_feeds
from edgevoice.quantize.gate import LayerNoise
from edgevoice.quantize.graph import Graph, save
from edgevoice.quantize.metric import Task
from edgevoice.quantize.onnx_recipes import Feed, apply
from edgevoice.quantize.recipe import ONNX_KINDS, TFLITE_KINDS, Recipe
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
        given: recordings or texts to calibrate with; without them there is no static recipe.
        heard: what the model is measured on: without ``given``, noise by layer is of these.

    Raises:
        ModelError: the file is none that can be changed.
    """

    def __init__(self, path: Path, given: Material | None, heard: Material | None = None) -> None:
        self.path = path
        self._tflite = TfliteModel(path) if path.suffix == ".tflite" else None
        self._graph = None if self._tflite else Graph(path)
        self._given = given
        self._heard = heard
        self._feeds: list[Feed] | None = None

    @property
    def is_tflite(self) -> bool:
        return self._tflite is not None

    def feeds(self) -> list[Feed]:
        if self._given is None:
            return []
        if self._feeds is None:
            self._feeds = self._made_of(self._given)
        return self._feeds

    def _made_of(self, given: Material) -> list[Feed]:
        found = (tflite_feeds if self._tflite else feeds)(self.path, given)
        return found[:: max(1, -(-len(found) // _FEEDS))] if self._tflite else found

    def _noise_feeds(self) -> list[Feed]:
        if self._given is not None or self._heard is None:
            return self.feeds()
        if self._feeds is None:
            try:
                self._feeds = self._made_of(self._heard)
            except ModelError:  # Nothing here makes inputs for it, and all else works without.
                self._feeds = []
        return self._feeds

    def layers(self, recipe: Recipe) -> list[str]:
        """Names of what the recipe changes.

        Raises:
            ModelError: it changes nothing here. ConfigError: it has options that TFLite does not have.
        """
        kinds = TFLITE_KINDS if self._tflite else ONNX_KINDS
        if recipe.kind not in kinds:
            raise ModelError(
                f"there is no recipe '{recipe.kind}' for {'TFLite' if self._tflite else 'ONNX'}",
                place=str(self.path),
                remedy=f"there are: {', '.join(kinds)}",
            )
        if self._tflite:
            if recipe != Recipe(kind=recipe.kind):
                raise ConfigError(
                    "only ONNX has a choice of operators, scales and ranges",
                    place=str(self.path),
                    remedy="leave out --operators, --per-tensor and --ranges",
                )
            found = self._tflite.layers()
        else:
            assert self._graph is not None
            found = self._graph.names() if recipe.kind == "fp16" else self._graph.layers(recipe.changed)
        if not found:
            what = " or ".join(recipe.changed) or "layer"
            raise ModelError(
                f"there is no {what} with constant weights that could be changed",
                place=str(self.path),
                remedy="choose other operators or another recipe",
            )
        return found

    def sensitivity(self, recipe: Recipe, scratch: Path) -> list[LayerNoise]:
        if self._tflite:
            return self._tflite.sensitivity(recipe, self._noise_feeds(), scratch)
        assert self._graph is not None
        return sensitivity(recipe, self._graph, self._noise_feeds()[:_FEEDS])

    def apply(self, recipe: Recipe, kept: Sequence[str]) -> bytes:
        given = self.feeds() if recipe.kind == "static" else []
        if self._tflite:
            return self._tflite.apply(recipe, kept, given)
        assert self._graph is not None
        return apply(recipe, self._graph, kept, given)


def check(changers: Mapping[str, Changer], recipe: Recipe, kept: Sequence[str]) -> None:
    """That every file has what the recipe changes, and what is to be kept.

    Raises:
        ModelError: it changes nothing in one. ConfigError: there is no such layer.
    """
    layers = [name for changer in changers.values() for name in changer.layers(recipe)]
    if strange := [name for name in kept if name not in layers]:
        near = [found for name in strange for found in difflib.get_close_matches(name, layers, 1, 0.3)]
        raise ConfigError(
            f"there is no layer {', '.join(strange)} that this recipe changes",
            place="option --keep-float",
            remedy=f"there is, for example: {', '.join(near or layers[:3])}",
        )


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
