"""Recordings under conditions: as they are, or with noise, and with what a microphone hears before and after them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from edgevoice.audio.convert import Channel, to_int16
from edgevoice.audio.pcm import Float32, Int16
from edgevoice.errors import AudioError
from edgevoice.evaluate.mix import mix, piece
from edgevoice.evaluate.recording import read

I = TypeVar("I")  # noqa: E741 - of an item


class Recorded(Protocol):
    """A line of a manifest."""

    @property
    def audio(self) -> str:
        """As the manifest names it."""

    @property
    def path(self) -> Path: ...


@dataclass(frozen=True)
class Under:
    """A condition, and the draw of a recording's noise in it."""

    condition: int = 0
    """Number of the condition; 0 is the clean one."""
    snr: float | None = None
    """In dB; None: as it was recorded."""
    seed: int | None = None


CLEAN = Under()


@dataclass(frozen=True)
class Take(Generic[I]):
    """An item under a condition: a job."""

    item: I
    under: Under = CLEAN


def takes(items: Sequence[I], snrs: Sequence[float], seeds: Sequence[int]) -> list[list[Take[I]]]:
    """By condition, the clean one first: its jobs."""
    clean = [Take(item) for item in items]
    return [clean, *([Take(item, under) for under in draws for item in items] for draws in noisy(snrs, seeds))]


def noisy(snrs: Sequence[float], seeds: Sequence[int]) -> list[list[Under]]:
    """By SNR: its draws."""
    return [[Under(number, snr, seed) for seed in seeds] for number, snr in enumerate(snrs, 1)]


class Scene:
    """Gives recordings as they are heard.

    Args:
        noise: what is mixed in where a condition asks for it.
    """

    def __init__(self, channel: Channel, noise: Path | None) -> None:
        self._channel = channel
        self._path = noise

    @cached_property
    def _noise(self) -> Float32:
        assert self._path is not None
        return read(self._path, self._channel).float32()

    def clean(self, item: Recorded) -> Float32:
        """
        Raises:
            AudioFormatError: the file is gone, or damaged.
        """
        return read(item.path, self._channel).float32()

    def heard(self, item: Recorded, clean: Float32, under: Under, *, lead: int = 0, tail: int = 0) -> Int16:
        """The recording with ``lead`` samples before and ``tail`` behind it, of silence or of the noise.

        Raises:
            AudioError: the recording or its noise is silent, so that there is no ratio.
        """
        if under.snr is None or under.seed is None:
            return to_int16(np.pad(clean, (lead, tail)))
        noise = piece(self._noise, len(clean), lead=lead, tail=tail, seed=under.seed, name=item.audio)
        try:
            return to_int16(mix(clean, noise, lead, under.snr))
        except AudioError as error:
            raise AudioError(error.cause, place=str(item.path), remedy=error.remedy) from error
