"""What was measured of a model: its task's figures with their intervals, and what it costs."""

import math
from typing import Literal

import msgspec
import numpy as np

from edgevoice import bootstrap
from edgevoice.evaluate.score import garwood
from edgevoice.evaluate.score import interval as wilson
from edgevoice.modelcatalog import Sha256

Task = Literal["asr", "intents", "wake", "vad", "tts"]
Unit = Literal["share", "dB", "per hour"]
METRICS: dict[Task, tuple[str, ...]] = {
    "asr": ("wer",),
    "intents": ("strict_accuracy",),
    "wake": ("misses", "misses_at_threshold", "false_alarms"),
    "vad": ("frame_error", "missed_speech"),
    "tts": ("mel_cepstral_distance", "wer"),
}
"""What the probe of each task gives, the one that counts most first."""

_TAIL = 0.025
"""Beyond each end of a 95 % interval."""
_DIGITS = 6
"""Decimals kept of a figure: far below what matters, and above what the order of a sum changes."""


class Metric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One figure of a task, with what it rests on."""

    name: str
    """``wer``, ``strict_accuracy``, ``misses``, ``frame_error``, ``missed_speech``, ``mel_cepstral_distance``, ..."""
    value: float
    unit: Unit
    """``share``: 0..1 (a word error rate may pass 1)."""
    lower_is_better: bool
    n: int
    """Recordings, or texts, that it was measured on."""
    low: float
    high: float
    """95 % interval: Wilson's where every recording is right or wrong, Garwood's of a rate, else by bootstrap over the
    recordings."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric is made of, by recording in the manifest's order: its value is the sum of ``counts`` over the sum
    of ``weights``. With it two models are compared recording by recording."""

    counts: tuple[float, ...]
    weights: tuple[float, ...]


class SampleSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Recordings or texts that something was measured or calibrated with."""

    name: str
    """The manifest's file name."""
    n: int
    sha256: Sha256
    """Over the manifest's lines that were used and the audio they name: see ``edgevoice.quantize.samples``."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model takes on the machine where it was measured."""

    size: int
    """Bytes of the model's files."""
    load_ms: float
    """To load the engine with this model, its packages imported beforehand."""
    rss_mb: float
    """Most memory of the process (resident, MB of 1024 * 1024 bytes), Python and the packages included."""
    latency_of: str
    """What the latency is of, in words: from where to where."""
    latency_p50_ms: float
    latency_p95_ms: float


class Measurement(Cost, frozen=True, kw_only=True):
    """A model on its task, run by its real engine in a process of its own."""

    task: Task
    engine: str
    metrics: tuple[Metric, ...]
    """The one that counts most first."""
    parts: dict[str, Parts]
    """By the metric's name."""
    samples: SampleSet

    def cost(self) -> Cost:
        """That alone."""
        return Cost(**{name: getattr(self, name) for name in Cost.__struct_fields__})

    def metric(self, name: str) -> Metric | None:
        return next((metric for metric in self.metrics if metric.name == name), None)


def metric(name: str, parts: Parts, *, unit: Unit = "share", lower_is_better: bool = True) -> Metric:
    """A figure out of its parts.

    Raises:
        ValueError: there are no parts, or they weigh nothing: then there is no figure.
    """
    counts, weights = np.array(parts.counts, np.float64), np.array(parts.weights, np.float64)
    if not len(counts) or not weights.sum() > 0:
        raise ValueError(f"nothing to measure {name} on")
    value = float(counts.sum() / weights.sum())
    if bool(np.all(weights == 1.0)) and bool(np.all((counts == 0.0) | (counts == 1.0))):
        found = wilson(int(counts.sum()), len(counts))
        low, high = found.low, found.high
    elif unit == "per hour":
        found = garwood(int(counts.sum()), float(weights.sum()))
        low, high = found.low, found.high
    else:
        low, high = bootstrap.share(counts, weights) or (math.nan, math.nan)
    if not all(map(math.isfinite, (value, low, high))):
        raise ValueError(f"{name} is no number")
    return Metric(
        name=name,
        value=round(value, _DIGITS),
        unit=unit,
        lower_is_better=lower_is_better,
        n=len(counts),
        low=round(low, _DIGITS),
        high=round(high, _DIGITS),
    )


def difference(before: Parts, after: Parts, unit: Unit = "share") -> tuple[float, float] | None:
    """The 95 % interval of after - before, recording by recording; None when they are not of the same recordings.

    Where no recording differs, no draw of them would either, however few they are. Then the ends are what one
    recording more might show at worst: of a share, that of recordings that differ, of which none of n is seen by
    chance in 2.5 % of cases (Clopper & Pearson, 1934, Biometrika 26, 404); of a rate, that of no event at all.
    """
    if len(before.counts) != len(after.counts) or not before.counts:
        return None
    if before != after or unit == "dB":
        return bootstrap.change((before.counts, before.weights), (after.counts, after.weights))
    number, weight = sum(each > 0 for each in before.weights), sum(before.weights)
    if not number:
        return None
    value = sum(before.counts) / weight
    if unit == "per hour":
        most = garwood(0, weight).high
        return -min(most, value), most
    most = 1.0 - _TAIL ** (1.0 / number)
    return -min(most, value), min(most, max(1.0 - value, 0.0))
