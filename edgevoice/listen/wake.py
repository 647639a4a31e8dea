"""From scores to a wake: threshold, patience and refractory time, once for all wake word engines."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from edgevoice.audio.pcm import RATE
from edgevoice.engines.protocols import WakeModel, WakeScore


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    thresholds: Annotated[
        dict[str, Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]],
        msgspec.Meta(
            description="Smallest smoothed score that wakes, by wake word; for words not named here what the model's "
            "author recommends. Lower wakes more easily, also by mistake."
        ),
    ] = msgspec.field(default_factory=dict)
    patience: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=1000)] | None,
        msgspec.Meta(description="So many consecutive scores are averaged; null: what the model's author recommends."),
    ] = None
    refractory: Annotated[
        float,
        msgspec.Meta(ge=0.0, le=30.0, description="Seconds after a wake in which no further one is reported."),
    ] = 1.0


@dataclass(frozen=True, slots=True)
class Detection:
    model: WakeModel
    score: float
    """The smoothed score, 0..1."""
    at: int
    """Capture index of the sample after the last one that decided it."""


class WakeDetector:
    """The state machine over one session's scores.

    A word wakes when the mean of its last ``patience`` scores passes its threshold. Afterwards, for the refractory
    time, nothing does, and the same word only after its mean has fallen below the threshold again: one long utterance
    is one wake.
    """

    def __init__(self, models: Sequence[WakeModel], options: Options) -> None:
        self._models = models
        self._thresholds = [options.thresholds.get(model.name, model.threshold) for model in models]
        self._scores = [deque[float](maxlen=options.patience or model.patience) for model in models]
        self._armed = [True] * len(models)
        self._refractory = int(options.refractory * RATE)
        self._quiet_until = 0

    def push(self, scores: Sequence[WakeScore]) -> list[Detection]:
        """Take scores in order of time, give the wakes they make."""
        found = []
        for score in scores:
            window = self._scores[score.model]
            window.append(score.score)
            mean = sum(window) / len(window)
            if len(window) < (window.maxlen or 1) or mean < self._thresholds[score.model]:
                self._armed[score.model] = True
            elif self._armed[score.model] and score.end >= self._quiet_until:
                self._armed[score.model] = False
                self._quiet_until = score.end + self._refractory
                found.append(Detection(self._models[score.model], mean, score.end))
        return found
