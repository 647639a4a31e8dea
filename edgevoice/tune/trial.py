"""What is measured, and what a measurer gives. The search knows nothing else of the world."""

from collections.abc import Generator, Sequence
from typing import Literal, Protocol

import msgspec

Value = bool | int | float | str | None
Part = Literal["idle", "speak", "hear", "whole"]
"""Waiting for the wake word; from a reply to its first audio; from speech to its meaning; all of it in one process."""


class Trial(msgspec.Struct, frozen=True):
    """A part of an assistant with options to be tried. Everything else is as the configuration says."""

    part: Part
    settings: tuple[tuple[str, Value], ...]
    """Keys of the configuration with their values: ``("asr.whisper.beams", 4)``."""

    @property
    def label(self) -> str:
        """For people: the options in short, ``whisper, whisper-tiny.en-int8, threads 2``."""
        return ", ".join(_short(key, value) for key, value in self.settings)


def _short(key: str, value: Value) -> str:
    name = key.rpartition(".")[2]
    if name in ("engine", "model", "voice"):
        return str(value)
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The process has loaded what it needs."""

    seconds: float
    bare_mb: float
    """Resident memory before loading; what all processes have."""
    loaded_mb: float
    """Resident memory after loading."""
    peak_mb: float
    """Most while it loaded: what is read may lie there twice for a moment."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one input."""

    input: int
    peak_mb: float
    """Most resident memory of the process so far."""
    latency_ms: float | None = None
    """From the end of speech to the intent, or from a reply to its first audio; None when nothing was heard, or
    listening ended before the speech did."""
    right: bool | None = None
    """Whether intent and slots are; None when the input has none."""
    words: int = 0
    """Of the input's text; 0 when it has none."""
    errors: int = 0
    """Words that are wrong, missing or too many."""
    cpu_percent: float | None = None
    """Of one core; of the part ``idle`` alone."""


class Failed(msgspec.Struct, frozen=True):
    """It does not work on this machine."""

    why: str


Piece = Loaded | Outcome | Failed


class Measurer(Protocol):
    def measure(self, trial: Trial, inputs: Sequence[int]) -> Generator[Piece, None, None]:
        """Load in a process of its own, then give an outcome for each input, in their order.

        First comes ``Loaded``; ``Failed`` may come instead of anything and is the last. To stop early, close the
        generator: the process is ended. The inputs of ``idle`` are ``(0,)``; those of ``whole`` are the recordings,
        then the sentences, then 0 for idling, numbered through.

        Raises:
            EdgeVoiceError: something is wrong that is no fault of the trial.
        """
