"""What the Silero session gives its network. How well it hears is in the contract tests, on the real model."""

from typing import Any

import numpy as np

from edgevoice.audio.pcm import Audio
from edgevoice.engines.vad.silero import CONTEXT, FRAME, SileroSession


class Network:
    """Keeps what it is given; its state counts the calls."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    def run(self, _outputs: None, given: dict[str, Any]) -> tuple[Any, Any]:
        self.given.append({name: value.copy() for name, value in given.items()})
        return np.array([[0.5]], np.float32), given["state"] + 1


def test_every_frame_comes_with_the_end_of_the_one_before_and_the_state() -> None:
    network = Network()
    session = SileroSession(network)
    samples = np.arange(3 * FRAME + 100, dtype=np.int16)
    scores = [score for at in (0, 700) for score in session.feed(Audio(samples[at : at + 700], start=at))]
    scores += session.feed(Audio(samples[1400:], start=1400))
    assert [(score.start, score.end) for score in scores] == [(FRAME * n, FRAME * (n + 1)) for n in range(3)]
    padded = np.concatenate([np.zeros(CONTEXT), samples / 32768])
    for number, given in enumerate(network.given):
        assert np.allclose(given["input"][0], padded[number * FRAME : number * FRAME + CONTEXT + FRAME])
        assert (given["state"] == number).all()
        assert given["sr"] == 16_000
