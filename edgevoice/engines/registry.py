"""The table of engines, and how an engine and its third-party package are imported."""

import importlib
import sys
import traceback
from types import ModuleType
from typing import Any

import msgspec

from edgevoice.engines.protocols import ModelPaths
from edgevoice.errors import ConfigError, EngineBrokenError, EngineMissingError

ENGINES: dict[tuple[str, str], str] = {
    ("wake", "microwakeword"): "edgevoice.engines.wake.microwakeword",
    ("wake", "openwakeword"): "edgevoice.engines.wake.openwakeword",
    ("vad", "silero"): "edgevoice.engines.vad.silero",
    ("asr", "whisper"): "edgevoice.engines.asr.whisper",
    ("asr", "vosk"): "edgevoice.engines.asr.vosk",
    ("tts", "hibari"): "edgevoice.engines.tts.hibari",
    ("tts", "piper"): "edgevoice.engines.tts.piper",
}
"""(task, name) -> module with ``Options`` and ``load``; see ``edgevoice.engines.protocols``."""


def names(task: str) -> list[str]:
    """The engines there are for a task, the default first."""
    return [name for kind, name in ENGINES if kind == task]


def module(task: str, name: str) -> ModuleType:
    """The engine's module. It imports no third-party engine by itself."""
    try:
        path = ENGINES[task, name]
    except KeyError:
        known = ", ".join(names(task))
        raise ConfigError(
            f"unknown engine '{name}'", place=f"{task}.engine", remedy=f"choose one of: {known}"
        ) from None
    return importlib.import_module(path)


def options_type(task: str, name: str) -> type[msgspec.Struct]:
    """The engine's ``Options``."""
    options: type[msgspec.Struct] = module(task, name).Options
    return options


def load(task: str, name: str, options: msgspec.Struct | None, store: ModelPaths) -> Any:
    """Load an engine's weights; ``options`` None means its defaults.

    Raises:
        ConfigError: no such engine. EngineError, ModelError: as the engine says.
    """
    engine = module(task, name)
    return engine.load(engine.Options() if options is None else options, store)


def require(package: str, *, extra: str | None = None, distribution: str | None = None) -> Any:
    """Import an engine's third-party package.

    Args:
        package: what is imported.
        extra: the extra of edgevoice that brings it; None when edgevoice itself depends on it.
        distribution: its name on PyPI, where it differs from ``package``.

    Raises:
        EngineMissingError: it is not installed. EngineBrokenError: it is there and does not import; the cause says why.
    """
    install = f"pip install 'edgevoice[{extra}]'" if extra else f"pip install {distribution or package}"
    place = f"package {distribution or package}"
    try:
        return importlib.import_module(package)
    except Exception as error:
        lacks = error.name if isinstance(error, ModuleNotFoundError) else None
        why = f"{type(error).__name__}: {error}"
        if lacks and f"{package}.".startswith(f"{lacks}."):
            if _file(lacks.rpartition(".")[0]) is None:
                raise EngineMissingError(
                    "it is not installed", place=place, remedy=f"install it with: {install}"
                ) from None
            why = f"there is no {lacks} in it"
        elif lacks:
            why = f"{_importer(error)} needs {lacks}, which is missing"
        hint = " (on a Raspberry Pi: sudo apt install libatomic1)" if "libatomic" in str(error) else ""
        raise EngineBrokenError(
            f"it is installed but does not import: {why}{hint}",
            place=place,
            remedy=f"reinstall it with: {install} --force-reinstall",
        ) from error


def _file(module: str) -> str | None:
    """None when it was not imported, or is a name that several packages share, such as ``google``."""
    return getattr(sys.modules.get(module), "__file__", None)


def _importer(error: Exception) -> str:
    """The module whose import statement failed: the last on the way there that is not the import system itself."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [str(frame.f_globals.get("__name__")) for frame in frames]
    return next(name for name in reversed(names) if name.split(".")[0] != "importlib")
