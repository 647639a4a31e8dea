"""When it pays to listen for a wake word at all: while somebody speaks, and a little longer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgevoice.audio.pcm import RATE
from edgevoice.engines.protocols import SpeechScore

OPEN = 0.05
"""Speech probability of a frame that opens the gate: far lower than what an utterance needs, for a wake word in noise
that is taken for none is lost, and opening in vain only costs computing. At 0.3 four of 100 words more were missed in 5
dB of kitchen noise than without a gate, at 0.05 none, and the gate was open a tenth of the time in that noise alone."""
HOLD = int(1.0 * RATE)
"""Samples after the last such frame until it closes: words have pauses, and opening costs hearing LEAD once more."""
LEAD = int(1.5 * RATE)
"""Samples before the speech that are heard as well: words begin softly, and models look back so far."""


@dataclass(frozen=True, slots=True)
class Span:
    """Audio to listen to."""

    start: int
    end: int
    anew: bool
    """The gate was closed before it."""


class Gate:
    """Decides at the ends of the VAD's frames, so that the length of the blocks changes nothing."""

    def __init__(self) -> None:
        self._open_until: int | None = None
        """None: it is closed."""
        self._done = 0
        """Where the last span ended."""

    def push(self, frames: Sequence[SpeechScore]) -> Iterator[Span]:
        """The spans that are to be listened to, in order."""
        start, anew = self._done, False
        for frame in frames:
            if frame.probability >= OPEN:
                if self._open_until is None:
                    start, anew = max(frame.start - LEAD, self._done), True
                self._open_until = frame.end + HOLD
            elif self._open_until is not None and frame.end >= self._open_until:
                self._open_until = None
                self._done = frame.end
                yield Span(start, frame.end, anew)
                start, anew = frame.end, False
        if self._open_until is not None and frames:
            self._done = frames[-1].end
            yield Span(start, self._done, anew)
