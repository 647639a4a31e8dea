"""Takes what the loudspeaker says out of what the microphone hears.

The echo's path is estimated as partitions of a filter in the frequency domain, each bin of each with a Kalman filter of
its own: F. Kuech, E. Mabande, G. Enzner, "State-space architecture of the partitioned-block-based acoustic echo
controller", ICASSP 2014. It weighs what it learns by how much of what is heard it cannot explain, so that a person who
speaks into a reply does not spoil it.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE, Audio, Float32, Reblock, concatenate, from_float32
from edgevoice.audio.played import Reference

BLOCK = 128
"""Samples of a step, 8 ms. With 256 the echo was 3 dB louder in the first two seconds, for half the effort."""
LENGTH = int(0.4 * RATE)
"""Samples between the moment when the device takes a sample and the end of its echo: up to 0.1 s each in the buffers of
loudspeaker and microphone, and 0.2 s of room."""
FORGET = 0.998
"""Share of the path that is believed to be the same one step later. Two clocks drift apart, and people move."""
UNSURE = 0.1
"""Variance of the path before anything is known: with ten times as much the echo is hardly less in the first second."""
EARLY = int(0.1 * RATE)
"""Samples of the path after which it becomes less likely the longer it is, by ..."""
DECAY = 100.0
"""... so many dB in a second, as in a room in which sound dies away in 0.6 s. Without that it takes half a second more
until the echo is 6 dB softer."""
SHIFTED = 2.0
"""Variance of a path that was known but for some milliseconds, as a share of its power."""
SURELY = 0.1
"""Share of the variance before anything is known that there is at least then: it may not have been known for long."""
SMOOTH = 0.9
"""Share of the last estimate in that of the power that is not explained."""
LEAK = 0.1
"""Power of an echo that no filter of this kind takes out, as a share of what it does: small loudspeakers distort."""
WAIT = int(0.1 * RATE)
"""Samples of what is heard that wait at most until it is known what was played meanwhile: the threads of a busy machine
are late by some hundredths of a second."""
LOUDER = 12
"""So many steps in a row, a tenth of a second, may be louder without what is taken for the echo than with it: then the
device has stumbled, and the path is not the one that was learned."""
REMEMBERED = 2 * RATE
"""Samples for which it is known how much of what was heard is explained."""

Complex = NDArray[np.complex64]


class Canceller:
    """An echo's path, which is learned.

    Args:
        length: samples of the path.
    """

    def __init__(self, length: int = LENGTH) -> None:
        parts, bins = -(-length // BLOCK), BLOCK + 1
        self._played = np.zeros(2 * BLOCK, np.float32)
        self._spectra: Complex = np.zeros((parts, bins), np.complex64)
        self._path: Complex = np.zeros((parts, bins), np.complex64)
        late = np.maximum(np.arange(parts) * BLOCK - EARLY, 0) / RATE
        prior = UNSURE * 10 ** (-DECAY / 10 * late)
        self._prior = prior.astype(np.float32)
        self._variance = np.repeat(self._prior[:, None], bins, axis=1)
        self._rest = np.zeros(bins, np.float32)

    def push(self, heard: Float32, played: Float32) -> tuple[Float32, float]:
        """
        Args:
            heard: the next ``BLOCK`` samples of the microphone.
            played: those of the loudspeaker.

        Returns:
            What is left of ``heard`` without the echo, and how much energy of that may be echo.
        """
        self._played[:BLOCK] = self._played[BLOCK:]
        self._played[BLOCK:] = played
        self._spectra[1:] = self._spectra[:-1]
        self._spectra[0] = np.fft.rfft(self._played)
        spectra, path, variance = self._spectra, self._path, self._variance
        echo = np.fft.irfft((spectra * path).sum(axis=0))[BLOCK:].astype(np.float32)
        left = heard - echo
        error = np.fft.rfft(np.concatenate([np.zeros(BLOCK, np.float32), left])).astype(np.complex64)
        power = spectra.real**2 + spectra.imag**2
        uncertain = 0.5 * (power * variance).sum(axis=0)
        self._rest = SMOOTH * self._rest + (1 - SMOOTH) * (error.real**2 + error.imag**2)
        share = variance / (uncertain + self._rest + np.float32(1e-6))
        step = np.fft.irfft(share * spectra.conj() * error, axis=1)
        step[:, BLOCK:] = 0.0
        path += np.fft.rfft(step, axis=1)
        path *= FORGET
        variance *= FORGET**2 * (1 - 0.5 * share * power)
        variance += (1 - FORGET**2) * (path.real**2 + path.imag**2)
        return left, float(uncertain.sum()) / BLOCK + LEAK * float(echo @ echo)

    def shift(self) -> None:
        """What was played may stand some milliseconds elsewhere against what is heard than before. So the path is not
        known any more, but how much of it there is when."""
        if not self._path.any():
            return
        power = (self._path.real**2 + self._path.imag**2).mean(axis=1)
        near = np.pad(power, 1)
        near = SHIFTED * np.maximum(power, np.maximum(near[:-2], near[2:]))
        self._variance[:] = np.maximum(near, SURELY * self._prior)[:, None]
        self._path[:] = 0.0

    def silence(self) -> None:
        """Nothing has been played for the length of the path."""
        self._played[:] = 0.0
        self._spectra[:] = 0.0


class Echoless:
    """What the microphone hears, without the echo of what is played. Between replies it passes through untouched.

    Args:
        cancel: take the echo out; or else only what is played is known.
    """

    def __init__(self, reference: Reference, *, cancel: bool = True) -> None:
        self.cancel = cancel
        """May be changed."""
        self._reference = reference
        self._canceller: Canceller | None = None
        """Made when it is first needed."""
        self._louder = 0
        """Steps in a row that it made louder."""
        self._since = 0
        """Capture index at which the reply began that is heard, or was heard last."""
        self._begun = 0
        self._blocks = Reblock(BLOCK)
        self._rest: Audio | None = None
        """What waits to fill a step."""
        self._speaking = False
        self._energies: deque[tuple[int, float, float]] = deque()
        """Of the last steps: where they end, the energy that was left, and how much of that may be echo."""

    def clean(self, audio: Audio) -> Audio:
        """What is left of the next piece. It may begin before it and end before it, by ``WAIT`` at most."""
        reference = self._reference
        reference.heard(audio)
        speaking, before = audio.start < reference.sounding + LENGTH, self._speaking
        self._speaking = speaking
        if speaking and not before:
            self._since = audio.start
        rest, self._rest = self._rest, None
        waiting = rest is not None and rest.end == audio.start
        if not (speaking and self.cancel):
            return concatenate([rest, audio]) if waiting and rest is not None else audio
        canceller = self._canceller = self._canceller or Canceller()
        if not waiting:
            canceller.silence()
            self._energies.clear()
        if reference.begun != self._begun:
            self._begun = reference.begun
            canceller.shift()
        if waiting and rest is not None:
            audio = concatenate([rest, audio])
        known = min(max(reference.end, audio.end - WAIT), audio.end)
        whole = max(known - audio.start, 0) // BLOCK * BLOCK
        heard = audio.float32()
        played = reference.span(audio.start, audio.end)
        left = np.empty(whole, np.float32)
        for at in range(0, whole, BLOCK):
            step = slice(at, at + BLOCK)
            left[step] = self._step(canceller, heard[step], played[step], audio.start + at + BLOCK)
        self._rest = audio.since(audio.start + whole)
        return from_float32(left, RATE, audio.start)

    def over_reply(self, position: int) -> bool:
        """Whether something was played at a capture index, or so shortly before that its echo may be heard there."""
        return self._since <= position < self._reference.sounding + LENGTH

    def unexplained(self, start: int, end: int) -> float:
        """How many times the energy that was heard between two capture indices is that of the echo which may be left;
        0 when that is not known."""
        pairs = [(left, echo) for at, left, echo in self._energies if start < at <= end]
        left, echo = (sum(column) for column in zip(*pairs, strict=True)) if pairs else (0.0, 0.0)
        return left / echo if echo else 0.0

    def played(self, start: int, end: int) -> Audio:
        """What was played between two capture indices."""
        return from_float32(self._reference.span(start, end), RATE, start)

    def _step(self, canceller: Canceller, heard: Float32, played: Float32, end: int) -> Float32:
        left, echo = canceller.push(heard, played)
        energy = float(left @ left)
        self._energies.append((end, energy, echo))
        while self._energies[0][0] <= end - REMEMBERED:
            self._energies.popleft()
        if energy <= float(heard @ heard):
            self._louder = 0
            return left
        self._louder += 1
        if self._louder >= LOUDER:
            self._louder = 0
            canceller.shift()
        return heard  # what is not known well must not make it louder
