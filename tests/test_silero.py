"""What the Silero session gives its network. How well it hears is in the contract tests, on the real model."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgevoice.audio.pcm import Audio
from edgevoice.engines.vad import silero
from edgevoice.engines.vad.silero import CONTEXT, FRAME, SileroSession
from edgevoice.errors import ModelError
from edgevoice.modelstore import ModelStore


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


@pytest.mark.parametrize("damage", ["it cannot be run", "no number"])
def test_damage_that_only_shows_when_it_runs_is_found_at_the_start(
    damage: str, store: ModelStore, tmp_path: Path
) -> None:
    """A network that is whole, but reaches behind its input, or computes 0 / 0."""
    nodes = [helper.make_node("Identity", ["state"], ["after"])]
    if damage == "no number":
        nodes.append(helper.make_node("Sub", ["input", "input"], ["nothing"]))
        nodes.append(helper.make_node("Div", ["nothing", "nothing"], ["score"]))
        nodes.append(helper.make_node("Identity", ["sr"], ["rate"]))
    else:
        nodes.append(helper.make_node("Gather", ["input", "sr"], ["score"], axis=1))
    graph = helper.make_graph(
        nodes,
        "vad",
        [
            helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, None]),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [2, 1, 128]),
            helper.make_tensor_value_info("sr", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [2, 1, 128]),
        ],
    )
    path = tmp_path / "vad.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    with pytest.raises(ModelError, match=damage) as caught:
        silero.load(silero.Options(model=str(path)), store)
    assert str(path) in str(caught.value)
