"""From speech probabilities to the beginning, the pauses and the end of an utterance; once for all VAD engines.

Hysteresis as in Silero's own post-processing: speech begins at one threshold and ends below a lower one.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from edgevoice.audio.pcm import RATE
from edgevoice.engines.protocols import SpeechScore

EndReason = Literal["silence", "no_speech", "too_long"]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    threshold: Annotated[
        float, msgspec.Meta(gt=0.0, lt=1.0, description="Speech probability from which a frame is speech.")
    ] = 0.5
    release: Annotated[
        float,
        msgspec.Meta(
            gt=0.0, lt=1.0, description="Speech goes on until the probability falls below this; at most 'threshold'."
        ),
    ] = 0.35
    minimum: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=2.0,
            description="Seconds of speech that make an utterance; less is a click or the wake word's tail.",
        ),
    ] = 0.15
    silence: Annotated[
        float, msgspec.Meta(ge=0.1, le=10.0, description="Seconds of silence after speech that end the utterance.")
    ] = 0.6
    pause: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=10.0,
            description="Seconds of silence after which the final recognition is begun on the chance that it stays "
            "silent; at least 'silence' switches that off.",
        ),
    ] = 0.2
    no_speech: Annotated[
        float, msgspec.Meta(ge=0.5, le=60.0, description="Seconds without any speech after which a turn is given up.")
    ] = 5.0
    maximum: Annotated[
        float, msgspec.Meta(ge=1.0, le=300.0, description="Seconds after which an utterance is cut, speech or not.")
    ] = 20.0


@dataclass(frozen=True, slots=True)
class Started:
    at: int
    """Capture index at which speech began."""


@dataclass(frozen=True, slots=True)
class Paused:
    """Silence has lasted ``pause``: the end may be near."""

    end: int
    """Capture index at which the last speech ended."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Speech again after a pause."""


@dataclass(frozen=True, slots=True)
class Ended:
    end: int
    """Capture index at which the last speech ended; where listening began when there was none."""
    at: int
    """Capture index at which it became certain."""
    reason: EndReason


Change = Started | Paused | Resumed | Ended


class Endpoint:
    """The state machine of one utterance.

    Args:
        start: capture index from which on frames count; earlier ones only warm the VAD up.
    """

    def __init__(self, options: Options, start: int) -> None:
        self._options = options
        self._start = start
        self._speaking = False
        self._begin = start  # of the current stretch of speech
        self._voiced = 0  # samples of speech in the current stretches, until the utterance has started
        self._end = start  # of the last speech
        self._started = False
        self._paused = False
        self._ended = False

    @property
    def speaking(self) -> bool:
        """Whether the last frame was speech."""
        return self._speaking

    def push(self, score: SpeechScore) -> list[Change]:
        """Take the next frame, give what it changes. Nothing comes after Ended."""
        if self._ended or score.start < self._start:
            return []
        options = self._options
        changes: list[Change] = []
        limit = min(options.release, options.threshold) if self._speaking else options.threshold
        if score.probability >= limit:
            if not self._speaking:
                self._speaking = True
                if not self._voiced:
                    self._begin = score.start
            self._voiced += score.end - score.start
            self._end = score.end
            if not self._started and self._voiced >= options.minimum * RATE:
                self._started = True
                changes.append(Started(self._begin))
            if self._paused:
                self._paused = False
                changes.append(Resumed())
        else:
            self._speaking = False
            quiet = (score.end - self._end) / RATE
            if not self._started:
                if quiet >= options.pause:  # too short to be an utterance: forget it
                    self._voiced = 0
            else:
                if not self._paused and options.pause <= quiet and options.pause < options.silence:
                    self._paused = True
                    changes.append(Paused(self._end))
                if quiet >= options.silence:
                    return [*changes, self._finish(score.end, "silence")]
        if not self._started and not self._speaking and score.end - self._start >= options.no_speech * RATE:
            self._end = self._start
            return [*changes, self._finish(score.end, "no_speech")]
        if score.end - self._start >= options.maximum * RATE:
            return [*changes, self._finish(score.end, "too_long")]
        return changes

    def _finish(self, at: int, reason: EndReason) -> Ended:
        self._ended = True
        return Ended(self._end, at, reason)
