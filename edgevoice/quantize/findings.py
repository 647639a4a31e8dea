"""What the probes have in common: loading the engine under the clock, and what they give back."""

import contextlib
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from edgevoice.audio.pcm import Audio
from edgevoice.bench import peers
from edgevoice.engines import registry
from edgevoice.errors import ConfigError, ModelError
from edgevoice.modelfiles import NOTES
from edgevoice.modelstore import ModelStore
from edgevoice.quantize import wakeparts
from edgevoice.quantize.metric import Parts, SampleSet, Unit

Tell = Callable[[int, int], None]
"""Is told how many recordings are done, and how many there are."""

_PACKAGES = {
    "whisper": ("onnxruntime",),
    "vosk": ("vosk",),
    "silero": ("onnxruntime",),
    "microwakeword": ("ai_edge_litert.interpreter", "pymicro_features"),
    "openwakeword": ("ai_edge_litert.interpreter",),
    "hibari": ("onnxruntime", "hibari", "hibari.voices"),
    "piper": ("onnxruntime", "piper"),
}
"""Imported before the clock of loading starts: they take as long for every model."""
_SUFFIX = {"microwakeword": ".json", "hibari": ".onnx"}
"""Engines that want a file of the folder, of which there is one that ends like this."""
_OPTION = {"microwakeword": "models", "hibari": "voice"}
"""How the model is called in an engine's options; ``model`` elsewhere."""
_FIXED: dict[str, dict[str, Any]] = {
    "whisper": {"partials": False},
    "vosk": {"partials": False},
    "piper": {"noise": 0.0, "rhythm_noise": 0.0},
}
"""Chance is left out, for it would be taken for a loss; and so is what is not in the final text."""


Score = TypeVar("Score", covariant=True)


class Scoring(Protocol[Score]):
    """A session of wake words or of voice activity."""

    def feed(self, audio: Audio) -> Sequence[Score]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Figure:
    name: str
    parts: Parts
    unit: Unit = "share"
    lower: bool = True
    """Lower is better."""


@dataclass(frozen=True)
class Findings:
    """What a probe found; see ``Measurement`` for the fields."""

    figures: list[Figure]
    samples: SampleSet
    load_ms: float
    rss_mb: float
    latency_of: str
    latencies_ms: list[float]


def options(task: str, engine: str, model: str, given: Mapping[str, Any]) -> msgspec.Struct:
    """The engine's options with the model that is measured.

    Raises:
        ModelError: the folder does not hold what the engine wants. ConfigError: an option is wrong.
    """
    kind = registry.options_type(task, engine)
    path = _file(Path(model), engine)
    name = _OPTION.get(engine, "model")
    value: Any = [str(path)] if name == "models" else str(path)
    every = {**_FIXED.get(engine, {}), **given}
    every = wakeparts.options(path, every) if engine == "openwakeword" else {**every, name: value}
    try:
        return msgspec.convert(every, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error), place=f"options of {engine}") from error


def open_engine(task: str, engine: str, model: str, given: Mapping[str, Any]) -> tuple[Any, float]:
    """The engine with the model that is measured, and the milliseconds that loading it took: one of ours, or a peer of
    ``edgevoice.bench``, which has no options.

    Raises:
        EngineError, ModelError: as the engine says. ConfigError: there is no such engine, or an option is wrong.
    """
    peer = None if (task, engine) in registry.ENGINES or engine not in peers.PEERS else peers.module(engine)
    if peer is None or task != peer.TASK:
        return load(task, engine, options(task, engine, model, given))
    if given:
        raise ConfigError("it has no options", place=f"options of {engine}")
    peer.package()
    begun = time.perf_counter()
    loaded = peer.load(Path(model), 1)
    return loaded, 1000 * (time.perf_counter() - begun)


def load(task: str, engine: str, chosen: msgspec.Struct) -> tuple[Any, float]:
    """The engine, and the milliseconds that loading it took.

    Raises:
        EngineError, ModelError: as the engine says.
    """
    for package in _PACKAGES.get(engine, ()):
        with contextlib.suppress(ImportError):  # The engine says it better.
            importlib.import_module(package)
    registry.module(task, engine)
    begun = time.perf_counter()
    loaded = registry.load(task, engine, chosen, ModelStore())
    return loaded, 1000 * (time.perf_counter() - begun)


def scores(session: Scoring[Score], audio: Audio, chunk: int, times: list[float]) -> list[Score]:
    """Of every step of a session, which is closed then. It is fed ``chunk`` samples at a time; how many milliseconds
    each takes is appended to ``times``."""
    found: list[Score] = []
    try:
        for at in range(0, len(audio), chunk):
            begun = time.perf_counter()
            found += session.feed(Audio(audio.samples[at : at + chunk], audio.rate, at))
            times.append(1000 * (time.perf_counter() - begun))
    finally:
        session.close()
    return found


def _file(path: Path, engine: str) -> Path:
    suffix = _SUFFIX.get(engine)
    if suffix is None or not path.is_dir():
        return path
    found = [each for each in sorted(path.glob(f"*{suffix}")) if not each.name.startswith(NOTES)]
    if len(found) != 1:
        raise ModelError(
            f"here are {len(found)} files that end in {suffix}, not one",
            place=str(path),
            remedy="give the path of the file",
        )
    return found[0]
