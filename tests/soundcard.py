"""The virtual sound card as a fixture.

A test module that wants it says ``pytest_plugins = ("soundcard",)`` and takes ``sound_card``. Processes that the test
starts see the card, too, through the environment. Without PulseAudio the test fails.

PYTEST_DONT_REWRITE: the module is imported before pytest takes it for a plugin.
"""

from collections.abc import Iterator

import pytest

from tools.soundcard import MICROPHONE, RATE, SPEAKER, Recording, SoundCard, virtual_sound_card

__all__ = ["MICROPHONE", "RATE", "SPEAKER", "Recording", "SoundCard", "sound_card"]


@pytest.fixture
def sound_card(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundCard]:
    """A virtual sound card that this process and its children use; it dies with the test."""
    with virtual_sound_card() as card:
        for name, value in card.environment.items():
            monkeypatch.setenv(name, value)
        yield card
