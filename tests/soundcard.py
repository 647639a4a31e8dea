"""The virtual sound card as a fixture.

A test module that wants it says ``pytest_plugins = ("soundcard",)`` and takes ``sound_card``. Processes that the test
starts see the card, too, through the environment. Without PulseAudio the test fails.

PYTEST_DONT_REWRITE: the module is imported before pytest takes it for a plugin.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec

import pytest

from tools.soundcard import MICROPHONE, RATE, SPEAKER, Recording, SoundCard, virtual_sound_card

P = ParamSpec("P")

__all__ = ["MICROPHONE", "RATE", "SPEAKER", "Recording", "SoundCard", "in_three_takes", "sound_card"]


def in_three_takes(test: Callable[P, None]) -> Callable[P, None]:
    """A test that listens in real time may be repeated twice: a machine that is busy with something else loses audio,
    which is no fault of the code. A fault shows in every take."""

    @functools.wraps(test)
    def takes(*args: P.args, **kwargs: P.kwargs) -> None:
        for _ in range(2):
            with contextlib.suppress(AssertionError):
                return test(*args, **kwargs)
        return test(*args, **kwargs)

    return takes


@pytest.fixture
def sound_card(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundCard]:
    """A virtual sound card that this process and its children use; it dies with the test."""
    with virtual_sound_card() as card:
        for name, value in card.environment.items():
            monkeypatch.setenv(name, value)
        yield card
