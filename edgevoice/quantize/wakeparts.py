"""A model of openWakeWord is a word, the features that words share, or both: what it lacks comes from elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgevoice.engines.wake.embedding import EMBEDDING, MEL
from edgevoice.engines.wake.openwakeword import Options
from edgevoice.engines.wake.wordfile import KINDS
from edgevoice.errors import ModelError
from edgevoice.modelstore import ModelStore


def has_features(model: Path) -> bool:
    return all((model / name).is_file() for name in (MEL, EMBEDDING))


def features(model: Path) -> Path:
    """The folder with the features for a model: its own, or where it has none, that of the store.

    Raises:
        ModelError: they are not in the store either.
    """
    return model if has_features(model) else ModelStore().path(Options().model)


def options(model: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's options with what is in the model.

    Args:
        given: other options; ``models`` names a word for features that have none.

    Raises:
        ModelError: there is no word.
    """
    files = sorted(model.iterdir()) if model.is_dir() else [model]
    words = [str(file) for file in files if file.suffix in KINDS and file.name not in (MEL, EMBEDDING)]
    if not has_features(model):
        return {**given, "models": words}
    if not words and "models" not in given:
        raise ModelError(
            "these are features of wake words, and no word is in it", place=str(model), remedy="name one with --word"
        )
    return {"models": words, **given, "model": str(model)}
