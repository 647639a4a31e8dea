"""What the samples themselves tell of a microphone that hears nothing: state machines over capture time, no clock.

Each detector takes the blocks in order and says after each what is wrong now, or None. A finding stays until sound of
another kind comes; a gap in the stream counts as more of the same.
"""

from dataclasses import dataclass

import numpy as np

from edgevoice.audio.convert import CLIPPED
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.events import DeafCause

FOUND_SECONDS = 4.5
"""How long a thing lasts before it is a finding. The user is to be told within five seconds, and a device may gather a
quarter of one before it hands anything over."""

STILL = 1
"""Steps between the largest and the smallest sample of what counts as one value: a resampler may round both ways."""

CENTRED = 2
"""Steps from zero within which one value is digital silence and no offset."""

WINDOW_SECONDS = 0.5
"""The clipped share is taken of so much, a syllable or two: a shout has more of it in a syllable, and pauses."""

CLIPPED_SHARE = 0.25
"""A sine that is driven 3 dB over full scale is at full scale half of the time, speech driven 12 dB over it about a
third; what is clipped less than this can still be understood."""

PROBE = 64
"""Samples that are looked for in what was heard before, 4 ms: the noise of any microphone does not repeat that many."""

MEMORY_SECONDS = 1.0
"""How far back it is looked: the ring buffers of sound cards, which a stuck one repeats, are shorter."""

FRESH_SECONDS = 1.5
"""So long nothing may repeat before sound counts as new again: longer than it takes to find a repetition."""

MIXER = "alsamixer (F4, F6 chooses the card), or: pactl set-source-mute @DEFAULT_SOURCE@ 0"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why nothing can be heard."""

    cause: DeafCause
    why: str
    """Cause and remedy, in words."""


class Constant:
    """Digital silence, and an offset without sound: all samples are the same.

    Args:
        gated: silence is how this device says that nobody speaks.
    """

    def __init__(self, *, gated: bool = False) -> None:
        self._gated = gated
        self._low = self._high = 0
        self._since: int | None = None
        """Where the run of one value began."""

    def push(self, audio: Audio) -> Finding | None:
        low, high = int(audio.samples.min()), int(audio.samples.max())
        if high - low > STILL:
            self._since = None
            return None
        together = min(low, self._low), max(high, self._high)
        if self._since is None or together[1] - together[0] > STILL:
            self._since, self._low, self._high = audio.start, low, high
        else:
            self._low, self._high = together
        if audio.end - self._since < FOUND_SECONDS * RATE:
            return None
        if max(abs(self._low), abs(self._high)) > CENTRED:
            why = f"every sample is {self._high}: an offset and no sound; try another port, cable or sound card"
            return Finding("stuck", why)
        if self._gated:
            return None
        why = f"it gives digital silence: it is muted, switched off, or not the one you mean; unmute it in {MIXER}"
        return Finding("silence", why)


class Clipped:
    """A large share of the samples is at full scale, window after window."""

    def __init__(self) -> None:
        self._begin: int | None = None
        """Where the window began."""
        self._clipped = self._samples = 0
        self._since: int | None = None
        """Where the first of the clipped windows began."""
        self._finding: Finding | None = None

    def push(self, audio: Audio) -> Finding | None:
        if self._begin is None:
            self._begin = audio.start
        if audio.samples.min() != audio.samples.max():  # else it is an offset
            self._clipped += int(np.count_nonzero((audio.samples >= CLIPPED) | (audio.samples <= -CLIPPED)))
        self._samples += len(audio)
        if audio.end - self._begin < WINDOW_SECONDS * RATE:
            return self._finding
        share = self._clipped / self._samples
        if share < CLIPPED_SHARE:
            self._since = self._finding = None
        else:
            if self._since is None:
                self._since = self._begin
            # A window earlier, for the fault may have begun in one that was clipped too little.
            if audio.end - self._since >= (FOUND_SECONDS - WINDOW_SECONDS) * RATE:
                why = f"{share:.0%} of the samples are clipped: turn the capture volume down in alsamixer (F4)"
                self._finding = self._finding or Finding("clipped", why)
        self._begin, self._clipped, self._samples = None, 0, 0
        return self._finding


class Repeated:
    """The same sound over and over, as a sound card gives it whose driver hangs: sample for sample what was heard some
    fixed time before. Repetition of a length that is no whole number of samples at 16 kHz is not seen."""

    def __init__(self) -> None:
        self._past = b""
        self._past_end: int | None = None
        self._lag = 0
        """Bytes after which it repeats; 0 when it does not."""
        self._since = 0
        self._fresh: int | None = None
        """Where sound that does not repeat began."""
        self._finding: Finding | None = None

    def push(self, audio: Audio) -> Finding | None:
        data = audio.samples.tobytes()
        if self._past_end != audio.start:
            self._past, self._lag = b"", 0
        if audio.samples.min() == audio.samples.max():
            self._lag = 0  # that is for another detector
        elif not (self._lag and self._goes_on(data)):
            self._lag = self._find(data)
            self._since = audio.start
        self._past = (self._past + data)[-2 * round(MEMORY_SECONDS * RATE) :]
        self._past_end = audio.end
        if self._lag:
            self._fresh = None
            if audio.end - self._since >= FOUND_SECONDS * RATE and self._finding is None:
                length = self._lag / 2 / RATE * 1000
                why = f"it repeats the same {length:.0f} ms of sound: its driver hangs; plug it in again"
                self._finding = Finding("stuck", why)
        elif self._fresh is None:
            self._fresh = audio.start
        if self._fresh is not None and audio.end - self._fresh >= FRESH_SECONDS * RATE:
            self._finding = None
        return self._finding

    def _goes_on(self, data: bytes) -> bool:
        before = (self._past + data)[-self._lag - len(data) :]
        return before[: len(data)] == data

    def _find(self, data: bytes) -> int:
        """After how many bytes the end of the past repeats in the block; 0 when it does not."""
        probe = data[-2 * PROBE :]
        whole = self._past + data
        at = whole.rfind(probe, 0, len(whole) - 2)
        while at >= 0 and at % 2:  # in the middle of a sample
            at = whole.rfind(probe, 0, at + len(probe) - 1)
        return len(whole) - len(probe) - at if at >= 0 else 0


class Detectors:
    """All of them at once."""

    def __init__(self, *, gated: bool = False) -> None:
        self._all = (Constant(gated=gated), Clipped(), Repeated())

    def push(self, audio: Audio) -> Finding | None:
        """What is wrong now; when several things are, the simplest."""
        findings = [detector.push(audio) for detector in self._all]
        return next((finding for finding in findings if finding is not None), None)
