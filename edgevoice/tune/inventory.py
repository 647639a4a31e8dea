"""What is installed on this machine that could be tried."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgevoice.engines.asr import vosk
from edgevoice.errors import ConfigError, EdgeVoiceError, ModelError
from edgevoice.modelstore import ModelStore


def recognisers(store: ModelStore, extra: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Engine and model of every recogniser that is installed; all versions of each.

    Args:
        extra: paths of further models.

    Raises:
        ConfigError: one of the paths is no model of a recogniser.
    """
    found = [(engine, name) for name, folder in _installed(store, "asr") if (engine := _recogniser(folder))]
    for path in extra:
        engine = _recogniser(Path(path).expanduser())
        if engine is None:
            raise ConfigError(
                "it is no model of a recogniser", place=path, remedy="give the folder of a Whisper or Vosk model"
            )
        found.append((engine, path if "/" in path else f"./{path}"))
    return found


def voices(store: ModelStore) -> list[tuple[str, str]]:
    """Engine and voice of every voice that is installed."""
    found = [("piper", name) for name, folder in _installed(store, "tts") if any(folder.glob("*.onnx.json"))]
    return [("hibari", "heart"), *found]  # which comes with its package


def usable(store: ModelStore, found: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[ModelError]]:
    """Those of the engines' models that are here and whole, and what is wrong with the others."""
    good, bad = [], []
    for engine, model in dict.fromkeys(found):
        try:
            if engine != "hibari":  # whose voices are no models of the store
                store.path(model)
        except ModelError as error:
            bad.append(error)
        else:
            good.append((engine, model))
    return good, bad


def _installed(store: ModelStore, task: str) -> Iterator[tuple[str, Path]]:
    """Name and folder; the version in use goes by the model's name alone."""
    for model in [*(model.name for model in store.catalog), *store.own()]:
        for version in store.versions(model):
            if version.task == task:
                yield model if version.active else str(version), version.path


def _recogniser(folder: Path) -> str | None:
    """The engine that a model is for; None when there is none for it."""
    try:
        if json.loads((folder / "model.json").read_bytes())["kind"] == "whisper":
            return "whisper"
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        vosk.check(folder)
    except EdgeVoiceError:
        return None
    return "vosk"
