"""Short sounds that say what words would say too slowly."""

from typing import Literal

import numpy as np

from edgevoice.audio.pcm import Audio, from_float32

RATE = 24_000
Earcon = Literal["wake", "failed"]

NOTES: dict[Earcon, tuple[float, ...]] = {"wake": (659.3, 880.0), "failed": (440.0, 329.6)}
"""Hz: a rising fourth for "I listen", a falling one for "that did not work", as in most assistants."""
NOTE_SECONDS = 0.07
LEVEL = 0.2
"""Of full scale: well below speech, so that the microphone hears the user over it."""


def earcon(name: Earcon) -> Audio:
    """The sound, 24 kHz, 0.14 s, its ends faded so that it does not click."""
    time = np.arange(int(NOTE_SECONDS * RATE)) / RATE
    fade = np.sin(np.pi * time / NOTE_SECONDS) ** 0.5
    notes = [np.sin(2 * np.pi * frequency * time) * fade * LEVEL for frequency in NOTES[name]]
    return from_float32(np.concatenate(notes).astype(np.float32), RATE)
