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
from edgevoice.listen.shifted import Search

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
LEARNED = 2
"""So many times it is learned from a step. The echo is 2 dB softer in the first second than with once, for two thirds
more effort; three times gain 0.5 dB."""
KNOWN = 0.1
"""Variance of a path that was found again, as a share of its power, at least."""
LEAK = 0.1
"""Power of an echo that no filter of this kind takes out, as a share of what it does: small loudspeakers distort."""
WAIT = int(0.1 * RATE)
"""Samples of what is heard that wait at most until it is known what was played meanwhile: the threads of a busy machine
are late by some hundredths of a second."""
BEHIND = 0.5
"""Seconds that listening may be behind; then the echo stays in, as hearing the next sound at all comes first ..."""
CAUGHT_UP = 0.1
"""... until it is only so far behind. Otherwise it would be half a second late as long as a reply lasts."""
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
        self._search: Search | None = None
        """For the path before the last shift ..."""
        self._before = self._variance
        """... and its variance."""

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
        power = self._spectra.real**2 + self._spectra.imag**2
        uncertain = 0.5 * (power * self._variance).sum(axis=0)
        echo, left, error = self._compare(heard)
        self._rest = SMOOTH * self._rest + (1 - SMOOTH) * (error.real**2 + error.imag**2)
        possible = float(uncertain.sum()) / BLOCK + LEAK * float(echo @ echo)
        self._learn(error, power, uncertain)
        for _ in range(1, LEARNED):
            self._learn(self._compare(heard)[2], power, 0.5 * (power * self._variance).sum(axis=0))
        self._path *= FORGET
        self._variance *= FORGET**2
        self._variance += (1 - FORGET**2) * (self._path.real**2 + self._path.imag**2)
        if self._search is not None:
            self._look(self._search, heard, left)
        return left, possible

    def _compare(self, heard: Float32) -> tuple[Float32, Float32, Complex]:
        """The echo as it is known now, what is left of what is heard, and the spectrum of that."""
        echo: Float32 = np.fft.irfft((self._spectra * self._path).sum(axis=0))[BLOCK:].astype(np.float32)
        left = heard - echo
        error = np.fft.rfft(np.concatenate([np.zeros(BLOCK, np.float32), left]))
        return echo, left, error.astype(np.complex64)

    def _learn(self, error: Complex, power: Float32, uncertain: Float32) -> None:
        share = self._variance / (uncertain + self._rest + np.float32(1e-6))
        step = np.fft.irfft(share * self._spectra.conj() * error, axis=1)
        step[:, BLOCK:] = 0.0
        self._path += np.fft.rfft(step, axis=1)
        self._variance *= 1 - 0.5 * share * power

    def _look(self, search: Search, heard: Float32, left: Float32) -> None:
        found = search.push(self._spectra, heard, left)
        if found is not None:
            self._path[:] = found
            self._variance[:] = np.maximum(self._before, KNOWN * self._near())
        if found is not None or search.over:
            self._search = None

    def shift(self) -> None:
        """What was played may stand some milliseconds elsewhere against what is heard than before. So the path is not
        known any more, but how much of it there is when; and it is looked for."""
        if not self._path.any():
            return
        if self._search is None:
            self._search, self._before = Search(self._path.copy(), BLOCK), self._variance.copy()
        self._variance[:] = np.maximum(SHIFTED * self._near(), SURELY * self._prior[:, None])
        self._path[:] = 0.0

    def _near(self) -> Float32:
        """The power of each partition or, where that is more, of one beside it: ``[partitions, 1]``."""
        power = (self._path.real**2 + self._path.imag**2).mean(axis=1)
        beside = np.pad(power, 1)
        result: Float32 = np.maximum(power, np.maximum(beside[:-2], beside[2:]))[:, None]
        return result

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
        self._behind = False
        self._energies: deque[tuple[int, float, float, float]] = deque()
        """Of the last steps: where they end, the energy that was left, how much of that may be echo, and how much of
        what was taken for the echo was not in what was heard; less than 0 where more of it was."""

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
        self._behind = reference.late >= (CAUGHT_UP if self._behind else BEHIND)
        if self._behind or not (speaking and self.cancel):
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
        steps = [step[1:] for step in self._energies if start < step[0] <= end]
        left, echo, wrong = (sum(column) for column in zip(*steps, strict=True)) if steps else (0.0, 0.0, 0.0)
        # What was taken for the echo, by mistake, is left as well as the echo; and where too little was taken, what is
        # left goes along with what was taken, as no person's voice does.
        echo += 2 * abs(wrong)
        return left / echo if echo else 0.0

    def played(self, start: int, end: int) -> Audio:
        """What was played between two capture indices."""
        return from_float32(self._reference.span(start, end), RATE, start)

    def _step(self, canceller: Canceller, heard: Float32, played: Float32, end: int) -> Float32:
        left, echo = canceller.push(heard, played)
        energy = float(left @ left)
        taken = heard - left
        self._energies.append((end, energy, echo, float(taken @ taken) - float(heard @ taken)))
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
