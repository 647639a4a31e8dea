"""From scores to a wake: threshold, patience, refractory time and doubt, once for all wake word engines."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from edgevoice.audio.pcm import RATE
from edgevoice.engines.protocols import WakeModel, WakeScore
from edgevoice.wakes.options import Options as KeepOptions

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

LISTEN_ON = int(0.1 * RATE)
"""Samples after a doubtful score until it is looked at: the word may not have ended, and it may yet become sure."""
AGAIN = int(0.2 * RATE)
"""Samples until a word that was refused is looked at once more: the first look may have come before its end."""
SURELY = 2
"""Looks at a word in doubt, whatever it scores meanwhile, until one of them believes in it ..."""
LOOKS = 3
"""... and at most: a fan that sounds like the word must not keep the recogniser busy."""


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    engine: Annotated[
        Literal["asr", "none"],
        msgspec.Meta(
            description="asr: the recogniser looks again at what scores between 'loose' and 'sure', held to the "
            "phrase; Whisper can, others do as with 'none'. none: the score alone decides."
        ),
    ] = "asr"
    threshold: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=1.0,
            description="Smallest confidence of the recogniser that wakes; "
            "more for a word that scores less than 0.8 of its threshold.",
        ),
    ] = 0.05
    loose: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=1.0,
            description="Share of a word's threshold from which on its score is doubtful; "
            "not for words whose card says from where.",
        ),
    ] = 0.1
    sure: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=1.0,
            description="Score from which on a word wakes without being looked at; more where its card says so.",
        ),
    ] = 0.995


class Playback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cancel: Annotated[
        bool,
        msgspec.Meta(
            description="Take what the loudspeaker says out of what the microphone hears, so that you are heard over "
            "it. Takes some of the processor while it speaks; of no use where the sound card does that already."
        ),
    ] = True
    own_voice: Annotated[
        bool,
        msgspec.Meta(description="Take no wake word that the assistant says itself for one. See docs/wake-words.md."),
    ] = True


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    thresholds: Annotated[
        dict[str, Share],
        msgspec.Meta(
            description="Smallest smoothed score that wakes, by wake word; for words not named here what the model's "
            "author recommends. Lower wakes more easily, also by mistake."
        ),
    ] = msgspec.field(default_factory=dict)
    commands: Annotated[
        dict[str, str],
        msgspec.Meta(
            description="Sentences, by wake word: such a word is a command by itself, done at once as if the sentence "
            "had been said, and nothing more is listened for."
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
    gate: Annotated[
        bool | None,
        msgspec.Meta(
            description="Listen for wake words only while somebody speaks; null: when the engine takes more of the "
            "processor than finding that out does (openwakeword)."
        ),
    ] = None
    verify: Annotated[Verify, msgspec.Meta(description="A second look at doubtful wakes.")] = Verify()
    playback: Annotated[Playback, msgspec.Meta(description="While the assistant speaks, at a microphone.")] = Playback()
    keep: Annotated[KeepOptions, msgspec.Meta(description="Wakes that are kept to be labelled and learned from.")] = (
        KeepOptions()
    )


@dataclass(frozen=True, slots=True)
class Detection:
    model: WakeModel
    score: float
    """The smoothed score, 0..1; of a doubtful one the highest since the doubt began."""
    at: int
    """Capture index of the sample after the last one that decided it."""
    doubtful: bool = False
    """It is a wake only if the recogniser says so."""
    confidence: float | None = None
    """Of the recogniser, 0..1; None when it was not asked or did not tell in time."""


@dataclass
class _Word:
    """The state of one wake word."""

    model: WakeModel
    threshold: float
    loose: float
    sure: float
    scores: deque[float]
    armed: bool = True
    look_at: int | None = None
    """When a word in doubt is looked at."""
    looks: int = 0
    best: float = field(default=0.0)
    """Highest score since the doubt began."""

    def settle(self) -> None:
        """There is no doubt any more."""
        self.look_at, self.looks, self.best = None, 0, 0.0


class WakeDetector:
    """The state machine over one session's scores.

    A word wakes when the mean of its last ``patience`` scores passes its threshold. Afterwards, for the refractory
    time, nothing does, and the same word only after its mean has fallen below the threshold again: one long utterance
    is one wake.

    Args:
        checked: names of the words that can be looked at again. Such a word is in doubt from a part of its threshold
            on, and wakes when its doubt is resolved, or when it becomes sure.
    """

    def __init__(self, models: Sequence[WakeModel], options: Options, checked: Sequence[str] = ()) -> None:
        self._words = [_word(model, options, doubt=model.name in checked) for model in models]
        self._refractory = int(options.refractory * RATE)
        self._quiet_until = 0

    def push(self, scores: Sequence[WakeScore]) -> list[Detection]:
        """Take scores in order of time, give the wakes they make. For detectors that check nothing."""
        return list(self.look(scores))

    def look(self, scores: Sequence[WakeScore]) -> Iterator[Detection]:
        """The wakes, and what may be one. What is doubtful counts if ``accept`` is called for it before the next is
        asked for."""
        for score in scores:
            word = self._words[score.model]
            word.scores.append(score.score)
            if len(word.scores) < (word.scores.maxlen or 1):
                continue
            mean = sum(word.scores) / len(word.scores)
            if mean < word.loose:
                word.armed = True
            if not word.armed or score.end < self._quiet_until:
                word.settle()
            elif mean >= word.sure:
                found = Detection(word.model, mean, score.end)
                self.accept(found)
                yield found
            else:
                yield from self._doubt(word, mean, score.end)

    def accept(self, found: Detection) -> None:
        """It was a wake."""
        self._quiet_until = found.at + self._refractory
        for word in self._words:
            word.settle()
            if word.model is found.model:
                word.armed = False

    def threshold(self, model: WakeModel) -> float:
        """The score that decides where nothing else does."""
        return next(word.threshold for word in self._words if word.model is model)

    def loose(self, model: WakeModel) -> float:
        """The score from which on it is looked at, or wakes."""
        return next(word.loose for word in self._words if word.model is model)

    def _doubt(self, word: _Word, mean: float, at: int) -> Iterator[Detection]:
        going_on = mean >= word.loose
        if word.look_at is None and word.looks == 0 and going_on:
            word.look_at = at + LISTEN_ON
        word.best = max(word.best, mean)
        if word.look_at is not None and at >= word.look_at:
            word.looks += 1
            more = word.looks < SURELY or (word.looks < LOOKS and going_on)
            word.look_at = at + AGAIN if more else None
            yield Detection(word.model, word.best, at, doubtful=True)
        if not going_on and (word.look_at is None or word.looks >= SURELY):
            word.settle()


def _word(model: WakeModel, options: Options, *, doubt: bool) -> _Word:
    threshold = options.thresholds.get(model.name, model.threshold)
    scores = deque[float](maxlen=options.patience or model.patience)
    if not doubt:
        return _Word(model, threshold, threshold, threshold, scores)
    verify = options.verify
    loose = threshold * verify.loose if model.loose is None else min(model.loose, threshold)
    return _Word(model, threshold, loose, max(threshold, verify.sure, model.sure or 0.0), scores)
