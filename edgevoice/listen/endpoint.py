"""From speech probabilities to the beginning, the pauses and the end of an utterance; once for all VAD engines.

Hysteresis as in Silero's own post-processing: speech begins at one threshold and ends below a lower one. How much
silence ends the utterance may be said anew in each pause (``Endpoint.expect``), when it is known what was said.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines.protocols import SpeechScore

STEP = 128
"""Samples, 8 ms: so exactly the end of the last sound is found."""
DEPTH = 20.0
"""A VAD holds on to a frame or two after the last sound: Silero for 0.09 s, and for 0.2 s after one command in twenty.
Therefore silence is counted from where the sound has become so many dB quieter than the utterance is on average, if the
VAD lets go after that. From 18 to 24 dB hardly matters. In noise that is less far below, the VAD alone decides."""

HOLD = 0.1
"""Seconds without a sound after which it is looked whether the command is complete even if the VAD holds on: where it
does so for 0.2 s, the answer would come late. Within a word it is rarely silent for so long."""
SOFT = 0.25
"""Seconds without a sound in which the VAD still hears speech: then it is soft speech, and no holding on."""

NOISY = 32.0
"""Where a pause is not so many dB quieter than the speech, the VAD may have missed a short one before: one of 0.19 s
that it hears in silence it does not hear in noise 31 dB below the speech. Of 206 clean recordings none has so much."""

EndReason = Literal["complete", "silence", "no_speech", "too_long"]


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
        float,
        msgspec.Meta(
            ge=0.1,
            le=10.0,
            description="Seconds of silence after speech that end the utterance where the grammar does not tell: the "
            "recogniser writes freely, or what was said is no command.",
        ),
    ] = 0.7
    silence_closed: Annotated[
        float,
        msgspec.Meta(
            ge=0.0, le=10.0, description="Seconds of silence after a complete command to which nothing can be added."
        ),
    ] = 0.15
    silence_open: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=10.0,
            description="Seconds of silence after a complete command to which something may be added, when the grammar "
            "has as many commands that end there as go on. It grows with those that go on, and after an earlier pause, "
            "up to 'silence'.",
        ),
    ] = 0.25
    silence_unfinished: Annotated[
        float,
        msgspec.Meta(
            ge=0.1, le=10.0, description="Seconds of silence after the beginning of a command, 'turn on the ...'."
        ),
    ] = 1.0
    glance: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=10.0,
            description="Seconds of silence after which it is looked whether the command is complete; at least "
            "'silence' switches that off.",
        ),
    ] = 0.06
    pause: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=10.0,
            description="Seconds of silence after which the final recognition is begun on the chance that it stays "
            "silent, unless the command was complete before; at least 'silence' switches that off.",
        ),
    ] = 0.25
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
class Glanced:
    """Silence has lasted ``glance``: a pause has begun."""


@dataclass(frozen=True, slots=True)
class Paused:
    """Silence has lasted ``pause``: the end may be near."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Speech again after ``Glanced`` or ``Paused``."""


@dataclass(frozen=True, slots=True)
class Ended:
    end: int
    """Capture index at which the last speech ended; where listening began when there was none."""
    at: int
    """Capture index at which it became certain."""
    reason: EndReason


Change = Started | Glanced | Paused | Resumed | Ended


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
        self._heard = start  # end of the last frame
        self._power = 0.0  # sum over the steps of all speech
        self._steps = 0
        self._started = False
        self._glanced = False
        self._paused = False
        self._ended = False
        self._silence = options.silence  # that ends the utterance
        self._gone_on = False  # after a pause
        self._floor = 0.0  # power of the quietest frame of this pause
        self._reason: EndReason = "silence"

    @property
    def speaking(self) -> bool:
        """Whether the last frame was speech."""
        return self._speaking

    @property
    def hesitant(self) -> bool:
        """In a pause: whether the speaker has gone on after one before, or has made none that could be heard."""
        return self._gone_on or self._floor > self._power / max(self._steps, 1) * 10 ** (-NOISY / 10)

    def push(self, score: SpeechScore, audio: Audio | None = None) -> list[Change]:
        """Take the next frame, give what it changes. Nothing comes after Ended.

        Args:
            audio: of the frame, and maybe before it. Without it, speech ends with a frame.
        """
        if self._ended or score.start < self._start:
            return []
        options = self._options
        changes: list[Change] = []
        self._heard = score.end
        limit = min(options.release, options.threshold) if self._speaking else options.threshold
        if score.probability >= limit:
            paused = not self._speaking
            if paused:
                self._speaking = True
                if not self._voiced:
                    self._begin = score.start
            self._voiced += score.end - score.start
            before, self._end = self._end, score.end if audio is None else self._last_sound(audio.since(score.start))
            if not self._started and self._voiced >= options.minimum * RATE:
                self._started = True
                changes.append(Started(self._begin))
            sounds = paused or self._end > before or self._quiet >= SOFT
            if sounds:
                if self._glanced or self._paused:
                    self._glanced = self._paused = False
                    self._gone_on |= paused
                    self._silence, self._reason = options.silence, "silence"
                    changes.append(Resumed())
            elif audio is not None and self._started and not self._glanced and self._due(max(options.glance, HOLD)):
                self._floor = _power(audio.since(score.start))
                self._glanced = True
                changes.append(Glanced())
        else:
            if audio is not None:
                power = _power(audio.since(score.start))
                self._floor = power if self._speaking else min(power, self._floor)
            self._speaking = False
            if not self._started:
                if self._quiet >= options.pause:  # too short to be an utterance: forget it
                    self._voiced = 0
            else:
                if not self._glanced and self._due(options.glance):
                    self._glanced = True
                    changes.append(Glanced())
                if not self._paused and self._due(options.pause):
                    self._paused = True
                    changes.append(Paused())
                if self._quiet >= self._silence:
                    return [*changes, self._finish(self._reason)]
        if not self._started and not self._speaking and score.end - self._start >= options.no_speech * RATE:
            self._end = self._start
            return [*changes, self._finish("no_speech")]
        if score.end - self._start >= options.maximum * RATE:
            return [*changes, self._finish("too_long")]
        return changes

    def expect(self, silence: float, *, complete: bool) -> Ended | None:
        """In a pause: so many seconds of silence in all end the utterance. Gives the end when they have passed already,
        and the VAD does not hold on.

        Args:
            complete: whether what was said is a complete command.
        """
        if self._ended or not (self._glanced or self._paused):
            return None
        self._silence, self._reason = silence, "complete" if complete else "silence"
        return self._finish(self._reason) if self._quiet >= silence and not self._speaking else None

    def _last_sound(self, frame: Audio) -> int:
        """Where the last sound of the utterance ended, up to this frame of speech."""
        whole = len(frame) - len(frame) % STEP
        power = np.square(frame.samples[:whole].reshape(-1, STEP), dtype=np.float64).mean(axis=1)
        self._power += float(power.sum())
        self._steps += len(power)
        loud = np.flatnonzero(power >= self._power / max(self._steps, 1) * 10 ** (-DEPTH / 10))
        return frame.start + int(loud[-1] + 1) * STEP if len(loud) else self._end

    @property
    def _quiet(self) -> float:
        """Seconds of silence since the last speech."""
        return (self._heard - self._end) / RATE

    def _due(self, silence: float) -> bool:
        return silence <= self._quiet and silence < self._options.silence

    def _finish(self, reason: EndReason) -> Ended:
        self._ended = True
        return Ended(self._end, self._heard, reason)


def _power(frame: Audio) -> float:
    return float(np.square(frame.samples, dtype=np.float64).mean())
