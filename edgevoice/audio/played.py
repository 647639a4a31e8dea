"""What the loudspeaker is given, on the microphone's clock: where in what is heard to look for its echo."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgevoice.audio.convert import FULL_SCALE, Converter
from edgevoice.audio.pcm import RATE, Audio, Float32

KEPT = 3 * RATE
"""Samples that are remembered: what is looked for in the past of the microphone, with time to be late."""
PIECES = 1_000
"""That may wait, 10 s in the blocks of a speaker: more than any pause of the loop that is no defect."""
LATE = int(0.05 * RATE)
"""Samples by which a device takes a piece so late that it had nothing to play before: what comes now is heard later.
The threads of a busy machine may be late by some hundredths of a second."""
SOONER = 0.03
"""Seconds by which an echo may seem to come before the sound, as neither clock is read exactly when it should be: a
virtual sound card whose microphone is its loudspeaker showed 0.004."""
SLIP = 0.001
"""Seconds a second by which the clocks may drift apart; crystals do by a tenth of that."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a device took at once."""

    data: bytes
    """Interleaved int16; may be shorter than ``frames``: the rest is silence."""
    frames: int
    channels: int
    rate: int
    at: float
    """When it took it, in seconds of the monotonic clock."""
    first: bool
    """The device has just begun: what came before was not right before it."""


class Played:
    """Hands what is played from the sound card's thread to the loop.

    Args:
        clock: seconds of a clock that never jumps.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._pieces: deque[Piece] = deque(maxlen=PIECES)
        self._lock = threading.Lock()

    def add(self, data: bytes, frames: int, channels: int, rate: int, *, first: bool) -> None:
        """In the sound card's thread: this is what the device was given just now."""
        with self._lock:
            self._pieces.append(Piece(data, frames, channels, rate, self.clock(), first))

    def take(self) -> list[Piece]:
        """All of it since this was last asked."""
        with self._lock:
            pieces = list(self._pieces)
            self._pieces.clear()
        return pieces


class Reference:
    """What was played, mono at 16 kHz, by capture index.

    A sample stands ``SOONER`` before where the microphone was when the device took it: the echo comes later by what the
    device and the microphone hold back and by the way through the room, and never earlier. Between two starts of the
    device that does not change, but for the drift of the clocks.
    """

    def __init__(self, played: Played) -> None:
        self._played = played
        self._origin: float | None = None
        """When sample 0 was captured, by the pieces that came soonest: none comes before it was captured."""
        self.late = 0.0
        """Seconds by which the last piece of what is heard came later than the soonest: how far listening is behind."""
        self._heard = 0
        self._converter: Converter | None = None
        self._samples: Float32 = np.zeros(0, np.float32)
        self.end = 0
        """Capture index up to which it is known what is played."""
        self._given = 0.0
        """Capture index at which the device would take the next piece if it had taken nothing ahead of time."""
        self.begun = 0
        """How often the device has begun: a new start shifts what is here against what is heard."""
        self.sounding = -KEPT
        """Capture index of the last sample that was not silence; far in the past when there is none."""

    def heard(self, audio: Audio) -> None:
        """The next piece of what is heard has just come; takes over what was played until now."""
        origin = self._played.clock() - audio.end / RATE
        if self._origin is None or audio.start != self._heard:
            self._origin = origin
            self.begun += 1
            self._converter = None
        else:
            self._origin = min(self._origin + SLIP * len(audio) / RATE, origin)
        self.late = origin - self._origin
        self._heard = audio.end
        for piece in self._played.take():
            self._add(piece, self._origin)

    def span(self, start: int, end: int) -> Float32:
        """What was played between two capture indices; silence where nothing is known."""
        result = np.zeros(end - start, np.float32)
        begin = self.end - len(self._samples)
        since, until = max(start, begin), min(end, self.end)
        if since < until:
            result[since - start : until - start] = self._samples[since - begin : until - begin]
        return result

    def _add(self, piece: Piece, origin: float) -> None:
        taken = round((piece.at - origin - SOONER) * RATE)
        if piece.first or self._converter is None or self._converter.rate != piece.rate:
            self._converter = Converter(piece.rate, piece.channels, 0)
            self._begin(taken - self.end)
            self._given = float(taken)
        elif taken > self._given + LATE:
            self._begin(round(taken - self._given))
            self._given = float(taken)
        self._given += piece.frames * RATE / piece.rate
        frames = np.zeros(piece.frames * piece.channels, np.int16)
        given = np.frombuffer(piece.data, np.int16)
        frames[: len(given)] = given
        new: Float32 = self._converter.push(frames).astype(np.float32)
        new /= FULL_SCALE
        self._put(new)
        if given.any():
            self.sounding = self.end

    def _begin(self, after: int) -> None:
        """What comes next comes so many samples later than it seemed."""
        if after < 0 or after > KEPT:
            self._samples = np.zeros(0, np.float32)
            self.end += after
        else:
            self._put(np.zeros(after, np.float32))
        self.begun += 1

    def _put(self, new: Float32) -> None:
        self._samples = np.concatenate([self._samples, new])[-KEPT:]
        self.end += len(new)
