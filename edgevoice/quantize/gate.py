"""The gate: no model is published without its measurement, and none that lost more than is allowed.

``measure`` runs a model's real engine on recordings, in a process of its own; ``judge`` compares two measurements.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgevoice.errors import ConfigError, GateError
from edgevoice.modelfiles import Progress
from edgevoice.quantize.metric import METRICS as METRICS
from edgevoice.quantize.metric import Measurement as Measurement
from edgevoice.quantize.metric import Metric as Metric
from edgevoice.quantize.metric import Task as Task
from edgevoice.quantize.metric import difference

MAX_DROP = 0.01
"""Allowed by default where a metric is a share: one recording (or word, or frame) in a hundred."""
MAX_DISTANCE = 1.0
"""Allowed by default where a metric is a distance in dB. On six sentences, weights rounded to 8 bits by channel gave
0.77 with hibari and 0.78 with Piper's joe, to 6 bits 0.96 and 1.43, to 5 bits 1.36 and 1.99; joe with its noise on was
1.6 from joe without. Much below 0.7 nothing can be told: a frame's shift in time gives that much."""
MAX_ALARMS = 0.5
"""Allowed by default where a metric is a rate: one more false alarm in two hours of talk."""
ALL_SHARES = ""
"""Stands for all metrics that are shares where limits are given by name."""
_NAMED = 5
"""Layers that a report names: enough to see a pattern, few enough to read."""
_TOLERANCE = 1e-9
"""A drop that equals the limit but for the rounding of a difference passes."""


class LayerNoise(msgspec.Struct, frozen=True, kw_only=True):
    """How much noise quantising one layer makes, with all others in float."""

    layer: str
    sqnr_db: float
    """Power of the layer's float output over that of the error, in dB: the lower, the worse."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One metric, before and after."""

    before: Metric
    after: Metric
    drop: float
    """In the metric's unit; positive is worse."""
    low: float | None
    high: float | None
    """95 % interval of the drop, compared recording by recording; null where that cannot be done."""
    allowed: float

    @property
    def passed(self) -> bool:
        return self.drop <= self.allowed + _TOLERANCE

    def __str__(self) -> str:
        unit = f" {self.before.unit}" if self.before.unit != "share" else ""
        text = f"{self.before.name} from {self.before.value:.4g} to {self.after.value:.4g}{unit}, "
        text += f"{abs(self.drop):.4g} {'worse' if self.drop > 0 else 'better'}" if self.drop else "no difference"
        if self.low is not None and self.high is not None:
            text += f" (95 %: {self.low:+.4g} to {self.high:+.4g})"
        return f"{text}; at most {self.allowed:.4g} worse is allowed"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a model may be published, and why not."""

    changes: tuple[Change, ...]
    layers: tuple[LayerNoise, ...]
    """Those that are to blame, the worst first; empty when it passed or no sensitivity is known."""

    @property
    def passed(self) -> bool:
        return bool(self.changes) and all(change.passed for change in self.changes)

    @property
    def unsure(self) -> bool:
        """It passed, but by chance it may not have: the recordings are too few to exclude more than is allowed."""
        return self.passed and any(c.high is not None and c.high > c.allowed + _TOLERANCE for c in self.changes)

    def report(self) -> list[str]:
        """Lines for people: every metric, and the layers that did it."""
        lines = [str(change) for change in self.changes]
        if self.layers:
            named = ", ".join(f"{each.layer} ({each.sqnr_db:.1f} dB)" for each in self.layers[:_NAMED])
            more = len(self.layers) - _NAMED
            lines.append(f"most noise comes from: {named}" + (f", and {more} more" if more > 0 else ""))
        return lines

    def raise_unless_passed(self, place: str) -> None:
        """
        Args:
            place: the model, in words.

        Raises:
            GateError: it did not pass.
        """
        if self.passed:
            return
        worse = "; ".join(str(change) for change in self.changes if not change.passed)
        layers, keep = (f"; {self.report()[-1]}", "keep those layers in float, ") if self.layers else ("", "")
        raise GateError(
            f"it lost too much and was not published: {worse}{layers}",
            place=place,
            remedy=f"{keep}choose another recipe, or allow more with --max-drop",
        )


def measure(
    task: Task,
    model: Path,
    manifest: Path,
    limit: int | None = None,
    *,
    engine: str | None = None,
    options: Mapping[str, Any] | None = None,
    reference: Path | None = None,
    grammars: Sequence[Path] = (),
    alarms_per_hour: float = 0.5,
    progress: Progress | None = None,
) -> Measurement:
    """Run a model's engine on recordings, in a process of its own, and see what it gets right and what it costs.

    Args:
        task: ``asr`` (word error rate), ``intents`` (strict accuracy), ``wake`` (misses at a rate of false alarms),
            ``vad`` (frame error and missed speech), ``tts`` (spectral distance to the reference and word error rate
            of the recognised speech).
        model: folder of the model, or its file.
        manifest: JSON lines; what a line holds depends on the task, see ``edgevoice.quantize.samples``.
        limit: lines at most.
        engine: a name of the registry, or a peer of ``edgevoice.bench``; the registry's first for the task when None.
        options: of the engine, beside the model.
        reference: folder or file of the float model: needed for ``tts``, and for ``vad`` without labels.
        grammars: for ``intents``, what stands in place of the configuration's.
        alarms_per_hour: for ``wake``, the rate of false alarms at which misses are counted.
        progress: is told the recordings that are done.

    Raises:
        ConfigError: something in the manifest is wrong, all of it in one error. ModelError, EngineError: the model
        does not load or run; also when the process died of it. GateError: there is nothing to measure.
    """
    from edgevoice.quantize import probing

    job = probing.Job(
        task=task,
        engine=engine or probing.default_engine(task),
        model=str(model.absolute()),
        manifest=str(manifest.absolute()),
        limit=limit,
        options=dict(options or {}),
        reference=None if reference is None else str(reference.absolute()),
        grammars=tuple(str(path.absolute()) for path in grammars),
        alarms_per_hour=alarms_per_hour,
    )
    return probing.run(job, progress)


def judge(
    before: Measurement,
    after: Measurement,
    max_drop: float | Mapping[str, float] | None = None,
    *,
    sensitivity: Sequence[LayerNoise] = (),
) -> Verdict:
    """Whether the model may take the place of the one before.

    Args:
        max_drop: how much worse a metric may get, in its unit. A number is for all metrics that are shares; by name
            for single ones, with ``ALL_SHARES`` for the number. What is not named: ``MAX_DROP`` for shares,
            ``MAX_DISTANCE`` for distances, ``MAX_ALARMS`` for rates.
        sensitivity: noise by layer, for the report; of layers that stayed in float there is none.

    Raises:
        GateError: a metric is missing, or the two were not measured on the same recordings.
        ConfigError: ``max_drop`` names a metric that there is not, or is negative or no number.
    """
    limits = _limits(before, max_drop)
    if not before.metrics:
        raise GateError("no metric was measured, so nothing can be published", place=f"task {before.task}")
    if (before.task, before.samples) != (after.task, after.samples):
        raise GateError(
            "before and after were not measured on the same recordings",
            place=f"task {before.task}",
            remedy="measure both with the same manifest and limit",
        )
    changes = []
    for old in before.metrics:
        new = after.metric(old.name)
        if new is None:
            raise GateError(f"'{old.name}' was not measured afterwards", place=f"task {before.task}")
        between = _between(before, after, old)
        changes.append(
            Change(
                before=old,
                after=new,
                drop=round(_sign(old) * (new.value - old.value), 6) + 0.0,
                low=between[0] if between else None,
                high=between[1] if between else None,
                allowed=limits[old.name],
            )
        )
    passed = all(change.passed for change in changes)
    blamed = () if passed else tuple(sorted(sensitivity, key=lambda each: each.sqnr_db))
    return Verdict(changes=tuple(changes), layers=blamed)


def parse_max_drop(texts: Sequence[str]) -> dict[str, float]:
    """What was typed for ``--max-drop``, for ``judge``: numbers, and ``metric=number``; the last of a kind counts.

    Raises:
        ConfigError: one is no number.
    """
    found = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        try:
            found[name.strip() if equals else ALL_SHARES] = float(number)
        except ValueError:
            raise ConfigError(
                f"'{text}' is no drop that could be allowed",
                place="option --max-drop",
                remedy="for example: --max-drop 0.01, or --max-drop mel_cepstral_distance=1.5",
            ) from None
    return found


def _sign(metric: Metric) -> float:
    """What makes a drop of a rise."""
    return 1.0 if metric.lower_is_better else -1.0


def _between(before: Measurement, after: Measurement, metric: Metric) -> tuple[float, float] | None:
    if metric.name not in before.parts or metric.name not in after.parts:
        return None
    found = difference(before.parts[metric.name], after.parts[metric.name], metric.unit)
    if found is None:
        return None
    low, high = sorted(_sign(metric) * end for end in found)
    return round(low, 6) + 0.0, round(high, 6) + 0.0


def check_limits(task: Task, known: Sequence[str], max_drop: Mapping[str, float]) -> None:
    """
    Args:
        known: names of the metrics that there are.
        max_drop: as for ``judge``.

    Raises:
        ConfigError: it names a metric that there is not, or is negative or no number.
    """
    for name, limit in max_drop.items():
        if name != ALL_SHARES and name not in known:
            raise ConfigError(
                f"there is no metric '{name}' for {task}",
                place="option --max-drop",
                remedy=f"there are: {', '.join(known)}",
            )
        if not 0.0 <= limit < float("inf"):
            raise ConfigError(f"{limit} is no drop that could be allowed", place="option --max-drop")


def _limits(before: Measurement, max_drop: float | Mapping[str, float] | None) -> dict[str, float]:
    named = dict(max_drop) if isinstance(max_drop, Mapping) else {} if max_drop is None else {ALL_SHARES: max_drop}
    check_limits(before.task, [metric.name for metric in before.metrics], named)
    share = named.pop(ALL_SHARES, MAX_DROP)
    default = {"share": share, "dB": MAX_DISTANCE, "per hour": MAX_ALARMS}
    return {metric.name: named.get(metric.name, default[metric.unit]) for metric in before.metrics}
