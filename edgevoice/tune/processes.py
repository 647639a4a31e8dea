"""Measures for real: a process of its own for every trial."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from edgevoice.bench.process import Process
from edgevoice.config import Chosen, Config
from edgevoice.errors import EdgeVoiceError
from edgevoice.tune.corpus import Corpus
from edgevoice.tune.subjects import BARE, Parts
from edgevoice.tune.trial import Failed, Loaded, Outcome, Piece, Trial, Value


@dataclass(frozen=True)
class ProcessMeasurer:
    """See ``edgevoice.tune.trial.Measurer``.

    Args:
        config: what holds for all trials.
        free_text: see ``Parts``.
    """

    config: Config
    corpus: Corpus
    free_text: bool

    def measure(self, trial: Trial, inputs: Sequence[int]) -> Generator[Piece, None, None]:
        load = Parts(
            part=trial.part,
            config=configured(self.config, trial.settings),
            samples=self.corpus.samples,
            sentences=self.corpus.sentences,
            free_text=self.free_text,
        )
        process = Process(load, trial.label)
        try:
            loaded = process.load()
            bare = process.run(BARE).outcome.values["bare_mb"][0]
            usage = process.usage()
            yield Loaded(seconds=loaded.load_s, bare_mb=bare, loaded_mb=usage.loaded_mb, peak_mb=usage.peak_mb)
            for number in inputs:
                values = process.run(number).outcome.values
                yield _outcome(number, values, process.usage().peak_mb)
        except EdgeVoiceError as error:
            yield Failed(str(error))
        finally:
            process.close()


def _outcome(number: int, values: dict[str, list[float]], peak_mb: float) -> Outcome:
    def one(name: str) -> float | None:
        return values[name][0] if name in values else None

    right = one("right")
    return Outcome(
        input=number,
        peak_mb=peak_mb,
        latency_ms=one("latency_ms"),
        right=None if right is None else bool(right),
        words=int(one("words") or 0),
        errors=int(one("errors") or 0),
        cpu_percent=one("cpu_percent"),
    )


def configured(config: Config, settings: Sequence[tuple[str, Value]]) -> Config:
    """The configuration with these keys: ``section.option``, ``task.engine`` or ``task.engine.option``."""
    for key, value in settings:
        section, *rest = key.split(".")
        found: Any = getattr(config, section)
        if isinstance(found, Chosen) and len(rest) == 2:
            engine, option = rest
            options = msgspec.structs.replace(found.options[engine], **{option: value})
            found = msgspec.structs.replace(found, options={**found.options, engine: options})
        else:
            found = msgspec.structs.replace(found, **{rest[0]: value})
        config = msgspec.structs.replace(config, **{section: found})
    return config
