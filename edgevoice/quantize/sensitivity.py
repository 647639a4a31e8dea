"""How much noise each layer of an ONNX model makes when it alone is quantised."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgevoice.quantize.gate import LayerNoise
from edgevoice.quantize.graph import Graph
from edgevoice.quantize.onnx_recipes import Feed, run
from edgevoice.quantize.recipe import Recipe

_MOST_DB = 200.0
"""Stands for no noise at all: far beyond what float32 can tell."""


def sensitivity(recipe: Recipe, graph: Graph, feeds: Sequence[Feed]) -> list[LayerNoise]:
    """Signal to quantisation noise of every layer that the recipe would change, the worst first.

    Each layer gets a twin that has the same float input, rounded as the recipe rounds, and the recipe's weights; the
    noise is the difference of their outputs. So all layers are seen in one pass over the audio, which takes twice the
    time of the float model. Ranges of activations are those of the recording, for ``static`` as well; ``fp16`` has no
    noise that would tell layers apart, so there the list is empty.

    Raises:
        ModelError: the model does not run on these feeds.
    """
    names = graph.layers(recipe.changed)
    if not names or not feeds or recipe.kind == "fp16":
        return []
    helper, onnx = graph.onnx.helper, graph.onnx
    probe = type(graph.proto)()
    probe.CopyFrom(graph.proto)
    del probe.graph.output[:]
    wanted = []
    for node in graph.proto.graph.node:
        if node.name not in names:
            continue
        weight = onnx.numpy_helper.to_array(graph.weight(node))
        tag = f"edgevoice/{node.name}"
        axis = 0 if node.op_type == "Conv" or _transposed(node) else weight.ndim - 1
        rounded = rounded_weight(weight, recipe, axis)
        probe.graph.initializer.append(onnx.numpy_helper.from_array(rounded, f"{tag}/weight"))
        given = node.input[0]
        added = []
        if recipe.kind in ("dynamic", "static"):
            added += [
                helper.make_node("DynamicQuantizeLinear", [given], [f"{tag}/q", f"{tag}/s", f"{tag}/z"]),
                helper.make_node("DequantizeLinear", [f"{tag}/q", f"{tag}/s", f"{tag}/z"], [f"{tag}/in"]),
            ]
            given = f"{tag}/in"
        twin = type(node)()
        twin.CopyFrom(node)
        twin.name, twin.input[0], twin.input[1], twin.output[0] = tag, given, f"{tag}/weight", f"{tag}/out"
        added += [
            twin,
            helper.make_node("Sub", [node.output[0], f"{tag}/out"], [f"{tag}/error"]),
            helper.make_node("ReduceSumSquare", [f"{tag}/error"], [f"{tag}/noise"], keepdims=0),
            helper.make_node("ReduceSumSquare", [node.output[0]], [f"{tag}/signal"], keepdims=0),
        ]
        probe.graph.node.extend(added)
        for part in ("signal", "noise"):
            probe.graph.output.append(helper.make_tensor_value_info(f"{tag}/{part}", onnx.TensorProto.FLOAT, []))
        wanted.append(node.name)
    powers = np.array(run(probe.SerializeToString(), feeds), np.float64).sum(axis=0).reshape(-1, 2)
    found = [LayerNoise(layer=name, sqnr_db=_decibel(*power)) for name, power in zip(wanted, powers, strict=True)]
    return sorted(found, key=lambda each: (each.sqnr_db, each.layer))


def rounded_weight(weight: NDArray[np.float32], recipe: Recipe, axis: int) -> NDArray[np.float32]:
    """A weight as float numbers that the recipe can express; ``axis`` is that of the output channels."""
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    if recipe.kind == "nbits":
        pad = -rows.shape[1] % recipe.block
        blocks = np.pad(rows, ((0, 0), (0, pad))).reshape(rows.shape[0], -1, recipe.block)
        low, high = np.minimum(blocks.min(-1, keepdims=True), 0), np.maximum(blocks.max(-1, keepdims=True), 0)
        step = np.maximum((high - low) / np.float32(15.0), np.float32(1e-12))
        zero = np.rint(-low / step)
        result = (np.clip(np.rint(blocks / step) + zero, 0, 15) - zero) * step
        result = result.reshape(rows.shape[0], -1)[:, : rows.shape[1]]
    else:
        peak = np.abs(rows).max(axis=1, keepdims=True) if recipe.per_channel else np.abs(rows).max(keepdims=True)
        step = np.maximum(peak / np.float32(127.0), np.float32(1e-12))
        result = np.clip(np.rint(rows / step), -127, 127) * step
    moved = result.reshape(np.moveaxis(weight, axis, 0).shape)
    return np.ascontiguousarray(np.moveaxis(moved, 0, axis), np.float32)


def _transposed(node: object) -> bool:
    attributes = getattr(node, "attribute", ())
    return any(each.name == "transB" and each.i for each in attributes)


def _decibel(signal: float, noise: float) -> float:
    if noise <= 0.0:
        return _MOST_DB
    return round(min(10.0 * float(np.log10(max(signal, 1e-30) / noise)), _MOST_DB), 2)
