"""What was measured of a model: its task's figures with their intervals, and what it costs."""

import math
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgevoice.evaluate.score import interval as wilson
from edgevoice.modelcatalog import Sha256

Task = Literal["asr", "intents", "wake", "vad", "tts"]
Unit = Literal["share", "dB", "per hour"]

DRAWS = 2_000
"""Bootstrap samples: the ends of a 95 % interval then rest on 50 samples each, and it takes milliseconds."""
_SEED = 0
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
    """95 % interval: Wilson's where every recording is right or wrong, else by bootstrap over the recordings."""


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


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """A model on its task, run by its real engine in a process of its own."""

    task: Task
    engine: str
    metrics: tuple[Metric, ...]
    """The one that counts most first."""
    parts: dict[str, Parts]
    """By the metric's name."""
    samples: SampleSet
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
    else:
        low, high = bootstrap(counts, weights)
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


def difference(before: Parts, after: Parts) -> tuple[float, float] | None:
    """The 95 % interval of after - before, recording by recording; None when they are not of the same recordings."""
    if len(before.counts) != len(after.counts) or not before.counts:
        return None
    draws = _draws(len(before.counts))
    values = _ratios(draws, after.counts, after.weights) - _ratios(draws, before.counts, before.weights)
    return _middle(values)


def bootstrap(counts: ArrayLike, weights: ArrayLike) -> tuple[float, float]:
    """The 95 % percentile interval (Efron, 1979, Ann. Statist. 7, 1) of sum(counts) / sum(weights)."""
    return _middle(_ratios(_draws(np.size(counts)), counts, weights))


def _draws(n: int) -> NDArray[np.int64]:
    return np.random.default_rng(_SEED).integers(0, n, (DRAWS, n))


def _ratios(draws: NDArray[np.int64], counts: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    above, below = np.asarray(counts, np.float64)[draws].sum(axis=1), np.asarray(weights, np.float64)[draws].sum(axis=1)
    # A draw of nothing but recordings that weigh nothing has no ratio: it counts as one without errors.
    ratios: NDArray[np.float64] = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return ratios


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
