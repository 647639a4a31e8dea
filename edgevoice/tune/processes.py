"""Measures for real: a process of its own for every trial."""

import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edgevoice.audio.devices import has_sound_card
from edgevoice.bench.idle import Daemon, Idle, RealDaemon
from edgevoice.bench.process import Process
from edgevoice.bench.schema import Series
from edgevoice.config import Chosen, Config
from edgevoice.errors import EdgeVoiceError, EngineError
from edgevoice.tune import write
from edgevoice.tune.corpus import Corpus
from edgevoice.tune.subjects import BARE, Parts
from edgevoice.tune.trial import Failed, Loaded, Outcome, Piece, Trial, Value

LISTENED = 10.0
"""Seconds for which the daemon waits for the wake word: at 1 % of a core 100 ms, a tenth of which can be told."""


@dataclass(frozen=True)
class ProcessMeasurer:
    """See ``edgevoice.tune.trial.Measurer``.

    Args:
        config: what holds for all trials.
        free_text: see ``Parts``.
        daemon: starts ``edgevoice run``; exchanged in tests.
    """

    config: Config
    corpus: Corpus
    free_text: bool
    daemon: Callable[..., Daemon] = RealDaemon

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
            last = len(loaded.inputs) - 1 if trial.part in ("idle", "whole") else None
            for number in inputs:
                values = process.run(number).outcome.values
                found = _outcome(number, values, process.usage().peak_mb)
                yield self._with_idle(trial, found) if number == last else found
        except EdgeVoiceError as error:
            yield Failed(str(error))
        finally:
            process.close()

    def _with_idle(self, trial: Trial, found: Outcome) -> Outcome:
        """With the load of the daemon itself; and with its memory, if it has all of the assistant that is measured."""
        series = self._waiting(trial)
        if series.state != "measured" or series.usage is None:
            raise EngineError(series.why, place="edgevoice run")
        peak = max(found.peak_mb, series.usage.peak_mb) if trial.part == "whole" else found.peak_mb
        share = series.metrics["cpu_percent"].summary.median
        return msgspec.structs.replace(found, peak_mb=peak, cpu_percent=share)

    def _waiting(self, trial: Trial) -> Series:
        """At the microphone, or through a pipe where none can be opened."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trial.yaml"
            write.save(write.document(configured(self.config, trial.settings), (), ()), path)
            # Typed as well, because what the environment says counts more than the file.
            keys = [f"--set={key}={msgspec.json.encode(value).decode()}" for key, value in trial.settings]
            for live in (True, False) if has_sound_card(input=True) else (False,):
                daemon = partial(self.daemon, [f"--config={path}", *keys], live=live)
                idle = Idle(0, daemon, LISTENED, engine="", model="")
                try:
                    idle.run(lambda what, part: None)
                    (series,) = idle.series()
                finally:
                    idle.close()
                if series.state == "measured":
                    break
        return series


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
