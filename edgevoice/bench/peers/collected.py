"""A recogniser that takes whole recordings only, as a session that collects them."""

from collections.abc import Callable

from edgevoice.audio.pcm import Audio, Float32, concatenate
from edgevoice.engines.protocols import AsrHint, Hypothesis


class Collecting:
    """
    Args:
        recognise: gives the text of a recording at 16 kHz, in [-1, 1).
    """

    def __init__(self, recognise: Callable[[Float32], str]) -> None:
        self._recognise = recognise

    def open(self, hint: AsrHint | None = None) -> "CollectingSession":
        return CollectingSession(self._recognise)

    def close(self) -> None:
        """The process ends soon."""


class CollectingSession:
    constrained = False

    def __init__(self, recognise: Callable[[Float32], str]) -> None:
        self._recognise = recognise
        self._parts: list[Audio] = []

    def feed(self, audio: Audio) -> None:
        self._parts.append(audio)

    def pause(self, *, glance: bool = False) -> None:
        """Nothing is gained by it."""

    def finish(self) -> Hypothesis:
        return Hypothesis(self._recognise(concatenate(self._parts).float32()))

    def close(self) -> None:
        self._parts = []
