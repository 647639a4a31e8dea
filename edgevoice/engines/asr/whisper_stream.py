"""When to decode while somebody speaks, and which part of a partial text will stay.

Positions count samples, so the same audio gives the same texts at any speed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from edgevoice.audio.pcm import RATE, Float32

_GROWTH = 0.25
"""The next partial text comes after so much more audio, as a part of what there is. Each decoding costs as much as the
audio is long, so all of them together cost 1 / 0.25 + 1 = 5 times the last one at most, however long the utterance."""
_LOUDNESS_STEP = RATE // 50
"""20 ms."""
_LOUDNESS_SPAN = 10
"""Steps, 200 ms: a pause between words, rather than a plosive's silence inside of one."""
_UNSETTLED_WORDS = 2
"""The last words of a partial text may be cut off in the audio, and change with what follows."""


class Schedule:
    """The lengths of audio at which a partial text is due."""

    def __init__(self, interval: float) -> None:
        self._interval = int(interval * RATE)
        self.next = self._interval
        """Length in samples at which the next one is due."""

    def advance(self, length: int) -> None:
        """Put the next one off until there is enough new audio after ``length``."""
        self.next = length + max(self._interval, int(length * _GROWTH))


class Agreement:
    """LocalAgreement-2 (Liu et al., 2020, "Low-latency sequence-to-sequence speech recognition"): what two partial
    texts in a row have in common is committed, here without their last words."""

    def __init__(self, begins_word: Callable[[int], bool]) -> None:
        self._begins_word = begins_word
        self._last: Sequence[int] = ()
        self.committed: list[int] = []

    def push(self, tokens: Sequence[int]) -> None:
        """Take the next partial text, which begins with what is committed."""
        common = 0
        for old, new in zip(self._last, tokens, strict=False):
            if old != new:
                break
            common += 1
        self._last = tokens
        words = [at for at in range(len(tokens)) if self._begins_word(tokens[at])]
        settled = words[-_UNSETTLED_WORDS] if len(words) >= _UNSETTLED_WORDS else 0
        # Only up to a word's beginning: a word that has begun alike may still end otherwise.
        ends = [at for at in (*words, len(tokens)) if at <= min(common, settled)]
        if ends and ends[-1] > len(self.committed):
            self.committed = list(tokens[: ends[-1]])


def quietest(samples: Float32, start: int, end: int) -> int:
    """The middle of the quietest 200 ms between two positions: where long audio is best cut."""
    count = (end - start) // _LOUDNESS_STEP
    if count <= _LOUDNESS_SPAN:
        return end
    steps = samples[start : start + count * _LOUDNESS_STEP].reshape(count, _LOUDNESS_STEP)
    energy = np.square(steps).sum(axis=1)
    spans = np.convolve(energy, np.ones(_LOUDNESS_SPAN), mode="valid")
    return start + (int(spans.argmin()) + _LOUDNESS_SPAN // 2) * _LOUDNESS_STEP
