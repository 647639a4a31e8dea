"""Whisper's encoder and decoder as ONNX graphs, written node by node.

Encoder: ``mel`` [1, mels, T] (10 ms frames, T even, at most twice the audio positions) -> per decoder layer K
``cross_key_K`` [heads, 64, T/2] and ``cross_value_K`` [heads, T/2, 64]: what the decoder would otherwise compute
again for every token.

Decoder: ``tokens`` [B, T], ``parents`` [B] (which of the past's beams each beam goes on from), ``places`` [K] (behind
which of the T tokens logits are wanted), ``shortlist`` [N, width] (rows of the embedding, see below), and per layer

* ``cross_key_K``, ``cross_value_K`` as above, shared by all beams;
* ``prefix_key_K`` [heads, 64, S], ``prefix_value_K`` [heads, S, 64]: a prompt that all beams share, S may be 0;
* ``past_key_K`` [B', heads, 64, P], ``past_value_K`` [B', heads, P, 64]: the beams' own past, P may be 0

-> ``logits`` [B, K, vocabulary], ``shortlist_logits`` [B, N] of the last token, and ``key_K`` [B, heads, 64, P + T],
``value_K`` [B, heads, P + T, 64], which are the next step's past. A decoder run with B = 1 and S = 0 gives a past that
can serve as a prefix.

Of a small model the embedding is most of the decoder, and the product with it most of a step: for few tokens their rows
do instead, given as ``shortlist`` with K = 0. For that the embedding lies in a file of its own (ONNX's external data):
[width, vocabulary] in the graph's precision, and behind it, when that is int8, the tokens' scales, float32.

The beams are folded into the query axis wherever they share keys, so that sharing costs one matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgevoice.engines.registry import require
from edgevoice.export.weights import HEAD_WIDTH, Weights

Precision = Literal["int8", "float32"]

_OPSET = 17
"""LayerNormalization came with 17; nothing newer is needed, so old runtimes can load the graphs."""
_IR_VERSION = 8
"""The file format that goes with opset 17."""
_NORM_EPSILON = 1e-5


@dataclass
class _Graph:
    """Collects nodes and constants; names count up, so the same calls give the same bytes."""

    precision: Precision
    onnx: Any
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self.constants:
            self.constants[name] = self.onnx.numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def integers(self, *values: int) -> str:
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def node(self, kind: str, *inputs: str, domain: str = "", output: str = "", **attributes: Any) -> str:
        return self.nodes_of(kind, inputs, [output or f"{kind}_{len(self.nodes)}"], domain=domain, **attributes)[0]

    def nodes_of(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "", **attributes: Any
    ) -> Sequence[str]:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes))
        return outputs

    def linear(self, name: str, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32] | None) -> str:
        """``x @ weight.T + bias``; the weight is [outputs, inputs]."""
        biases = [] if bias is None else [self.constant(f"{name}.bias", bias)]
        if self.precision == "float32":
            product = self.node("MatMul", x, self.constant(f"{name}.weight", weight.T))
            return self.node("Add", product, *biases) if biases else product
        numbers, scales = quantise(weight)
        inputs = [x, self.constant(f"{name}.weight", numbers.T), self.constant(f"{name}.scale", scales), "", *biases]
        # The fused form of DynamicQuantizeLinear, MatMulInteger, Mul and Add: one pass over the output.
        return self.node("DynamicQuantizeMatMul", *(inputs if biases else inputs[:3]), domain="com.microsoft")

    def norm(self, weights: Weights, name: str, x: str) -> str:
        return self.node(
            "LayerNormalization",
            x,
            self.constant(f"{name}.weight", weights[f"{name}.weight"]),
            self.constant(f"{name}.bias", weights[f"{name}.bias"]),
            axis=-1,
            epsilon=_NORM_EPSILON,
        )

    def gelu(self, x: str) -> str:
        """Exact, by the error function."""
        return self.node("Gelu", x, domain="com.microsoft")

    def mlp(self, weights: Weights, block: str, x: str) -> str:
        hidden = self.norm(weights, f"{block}.mlp_ln", x)
        hidden = self.linear(f"{block}.mlp.0", hidden, weights[f"{block}.mlp.0.weight"], weights[f"{block}.mlp.0.bias"])
        hidden = self.gelu(hidden)
        hidden = self.linear(f"{block}.mlp.2", hidden, weights[f"{block}.mlp.2.weight"], weights[f"{block}.mlp.2.bias"])
        return self.node("Add", x, hidden)

    def move_out(self, file: str, names: Sequence[str]) -> bytes:
        """What the file beside the graph has to hold, now that these constants, as far as there are such, lie there."""
        content = b""
        for constant in (self.constants[name] for name in names if name in self.constants):
            place = {"location": file, "offset": len(content), "length": len(constant.raw_data)}
            self.onnx.external_data_helper.set_external_data(constant, **place)
            content += constant.raw_data
            constant.ClearField("raw_data")
        return content

    def model(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        helper = self.onnx.helper
        graph = helper.make_graph(self.nodes, name, inputs, outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="edgevoice")


def quantise(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 numbers with one scale for each row (each output channel)."""
    scales = np.maximum(np.abs(weight).max(axis=1), np.float32(1e-12)) / np.float32(127.0)
    return np.clip(np.rint(weight / scales[:, None]), -127, 127).astype(np.int8), scales.astype(np.float32)


def encoder(weights: Weights, precision: Precision) -> Any:
    """The encoder as an ``onnx.ModelProto``."""
    onnx = require("onnx", extra="export")
    graph = _Graph(precision, onnx)
    dims = weights.dims
    x = "mel"
    for conv, stride in (("encoder.conv1", 1), ("encoder.conv2", 2)):
        kernel = graph.constant(f"{conv}.weight", weights[f"{conv}.weight"])
        bias = graph.constant(f"{conv}.bias", weights[f"{conv}.bias"])
        x = graph.node("Conv", x, kernel, bias, kernel_shape=[3], pads=[1, 1], strides=[stride])
        x = graph.gelu(x)
    x = graph.node("Transpose", x, perm=[0, 2, 1])
    length = graph.node("Slice", graph.node("Shape", x), graph.integers(1), graph.integers(2))
    positions = graph.constant("positions", weights["encoder.positional_embedding"])
    x = graph.node("Add", x, graph.node("Slice", positions, graph.integers(0), length, graph.integers(0)))
    for layer in range(dims.encoder_layers):
        block = f"encoder.blocks.{layer}"
        hidden = graph.norm(weights, f"{block}.attn_ln", x)
        query, key, value = _fused_projection(graph, weights, f"{block}.attn", hidden)
        # Whole, the scores of 30 s would be 54 MB. This node works through them block by block; the query is scaled.
        merged = graph.node(
            "MultiHeadAttention", query, key, value, domain="com.microsoft", num_heads=dims.heads, scale=1.0
        )
        out = graph.linear(
            f"{block}.attn.out", merged, weights[f"{block}.attn.out.weight"], weights[f"{block}.attn.out.bias"]
        )
        x = graph.mlp(weights, block, graph.node("Add", x, out))
    x = graph.norm(weights, "encoder.ln_post", x)
    outputs = []
    for layer in range(dims.decoder_layers):
        attention = f"decoder.blocks.{layer}.cross_attn"
        key = graph.linear(f"{attention}.key", x, weights[f"{attention}.key.weight"], None)
        value = graph.linear(
            f"{attention}.value", x, weights[f"{attention}.value.weight"], weights[f"{attention}.value.bias"]
        )
        # [1, A, width] -> [A, heads, 64] -> [heads, 64, A] and [heads, A, 64]
        shape = graph.integers(-1, dims.heads, HEAD_WIDTH)
        key = graph.node("Reshape", key, shape)
        value = graph.node("Reshape", value, shape)
        graph.node("Transpose", key, output=f"cross_key_{layer}", perm=[1, 2, 0])
        graph.node("Transpose", value, output=f"cross_value_{layer}", perm=[1, 0, 2])
        outputs += _shared_inputs(onnx, "cross", layer, dims.heads, "A")
    mel = onnx.helper.make_tensor_value_info("mel", onnx.TensorProto.FLOAT, [1, dims.mels, "T"])
    return graph.model("whisper-encoder", [mel], outputs)


def decoder(weights: Weights, precision: Precision, external: str) -> tuple[Any, bytes]:
    """The decoder as an ``onnx.ModelProto``, and what lies in the file beside it that is called ``external``."""
    onnx = require("onnx", extra="export")
    graph = _Graph(precision, onnx)
    dims = weights.dims
    heads, width = dims.heads, dims.width
    inputs = [
        onnx.helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, ["B", "T"]),
        onnx.helper.make_tensor_value_info("parents", onnx.TensorProto.INT64, ["B"]),
        onnx.helper.make_tensor_value_info("places", onnx.TensorProto.INT64, ["K"]),
        onnx.helper.make_tensor_value_info("shortlist", onnx.TensorProto.FLOAT, ["N", width]),
    ]
    outputs = [
        onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["B", "K", dims.vocabulary]),
        onnx.helper.make_tensor_value_info("shortlist_logits", onnx.TensorProto.FLOAT, ["B", "N"]),
    ]

    embedding = weights["decoder.token_embedding.weight"]
    batch, count = (
        graph.node("Slice", graph.node("Shape", "tokens"), graph.integers(at), graph.integers(at + 1)) for at in (0, 1)
    )
    prefix = graph.node("Slice", graph.node("Shape", "prefix_key_0"), graph.integers(2), graph.integers(3))
    past = graph.node("Slice", graph.node("Shape", "past_key_0"), graph.integers(3), graph.integers(4))
    start = graph.node("Add", prefix, past)
    positions = graph.constant("positions", weights["decoder.positional_embedding"])
    positions = graph.node("Slice", positions, start, graph.node("Add", start, count), graph.integers(0))
    x = graph.node("Add", _lookup(graph, embedding), positions)

    # Folding beams into queries and back: [B, T, heads, 64] <-> [heads, B * T, 64]
    split = graph.integers(0, 0, heads, HEAD_WIDTH)
    folded = graph.integers(heads, -1, HEAD_WIDTH)
    unfolded = graph.node("Concat", graph.integers(heads), batch, count, graph.integers(-1), axis=0)
    unfolded_scores = graph.node("Concat", graph.integers(heads), batch, count, prefix, axis=0)
    folded_share = graph.node("Concat", graph.integers(heads), graph.node("Mul", batch, count), prefix, axis=0)
    own_and_prefix = graph.node("Concat", prefix, graph.node("Add", past, count), axis=0)
    mask = _causal_mask(graph, past, count)
    for layer in range(dims.decoder_layers):
        block = f"decoder.blocks.{layer}"
        for kind in ("cross", "prefix"):
            inputs += _shared_inputs(onnx, kind, layer, heads, "A" if kind == "cross" else "S")
        inputs += _own_values(onnx, f"past_key_{layer}", f"past_value_{layer}", heads, "B_past", "P")
        outputs += _own_values(onnx, f"key_{layer}", f"value_{layer}", heads, "B", "P_next")

        hidden = graph.norm(weights, f"{block}.attn_ln", x)
        query, key, value = _fused_projection(graph, weights, f"{block}.attn", hidden)
        query = graph.node("Reshape", query, split)
        key = _heads(graph, key, heads, [0, 2, 3, 1])
        value = _heads(graph, value, heads, [0, 2, 1, 3])
        past_key = graph.node("Gather", f"past_key_{layer}", "parents", axis=0)
        past_value = graph.node("Gather", f"past_value_{layer}", "parents", axis=0)
        key = graph.node("Concat", past_key, key, output=f"key_{layer}", axis=3)
        value = graph.node("Concat", past_value, value, output=f"value_{layer}", axis=2)
        own_query = graph.node("Transpose", query, perm=[0, 2, 1, 3])
        own_scores = graph.node("Add", graph.node("MatMul", own_query, key), mask)
        prefix_query = graph.node("Reshape", graph.node("Transpose", query, perm=[2, 0, 1, 3]), folded)
        prefix_scores = graph.node("MatMul", prefix_query, f"prefix_key_{layer}")
        prefix_scores = graph.node("Reshape", prefix_scores, unfolded_scores, allowzero=1)
        prefix_scores = graph.node("Transpose", prefix_scores, perm=[1, 0, 2, 3])
        attention = graph.node("Softmax", graph.node("Concat", prefix_scores, own_scores, axis=3), axis=-1)
        prefix_share, own_share = graph.nodes_of(
            "Split",
            [attention, own_and_prefix],
            [f"prefix_share_{layer}", f"own_share_{layer}"],
            axis=3,
        )
        own = graph.node("Transpose", graph.node("MatMul", own_share, value), perm=[0, 2, 1, 3])
        prefix_share = graph.node("Transpose", prefix_share, perm=[1, 0, 2, 3])
        prefix_share = graph.node("Reshape", prefix_share, folded_share, allowzero=1)
        shared = _unfold(graph, graph.node("MatMul", prefix_share, f"prefix_value_{layer}"), unfolded)
        merged = graph.node("Reshape", graph.node("Add", own, shared), graph.integers(0, 0, width))
        out = graph.linear(
            f"{block}.attn.out", merged, weights[f"{block}.attn.out.weight"], weights[f"{block}.attn.out.bias"]
        )
        x = graph.node("Add", x, out)

        hidden = graph.norm(weights, f"{block}.cross_attn_ln", x)
        query = graph.linear(f"{block}.cross_attn.query", hidden, *_scaled_query(weights, f"{block}.cross_attn"))
        query = graph.node("Transpose", graph.node("Reshape", query, split), perm=[2, 0, 1, 3])
        query = graph.node("Reshape", query, folded)
        attention = graph.node("Softmax", graph.node("MatMul", query, f"cross_key_{layer}"), axis=-1)
        merged = _unfold(graph, graph.node("MatMul", attention, f"cross_value_{layer}"), unfolded)
        merged = graph.node("Reshape", merged, graph.integers(0, 0, width))
        out = graph.linear(
            f"{block}.cross_attn.out",
            merged,
            weights[f"{block}.cross_attn.out.weight"],
            weights[f"{block}.cross_attn.out.bias"],
        )
        x = graph.mlp(weights, block, graph.node("Add", x, out))
    x = graph.norm(weights, "decoder.ln", x)
    _project(graph, graph.node("Gather", x, "places", axis=1))
    last = graph.node("Gather", x, graph.constant("minus_one", np.array(-1, np.int64)), axis=1)
    # This way round it is twice as fast: the small matrix is the one that is laid out anew for the product.
    columns = graph.node("MatMul", "shortlist", graph.node("Transpose", last, perm=[1, 0]))
    graph.node("Transpose", columns, output="shortlist_logits", perm=[1, 0])
    beside = graph.move_out(external, ["embedding", "embedding.scale"])
    return graph.model("whisper-decoder", inputs, outputs), beside


def _lookup(graph: _Graph, embedding: NDArray[np.float32]) -> str:
    """The tokens' embeddings. One matrix, laid as the output projection needs it, [width, vocabulary], serves both."""
    if graph.precision == "float32":
        table = graph.constant("embedding", embedding.T)
        return graph.node("Transpose", graph.node("Gather", table, "tokens", axis=1), perm=[1, 2, 0])
    numbers, scales = quantise(embedding)
    table = graph.constant("embedding", numbers.T)
    columns = graph.node("Transpose", graph.node("Gather", table, "tokens", axis=1), perm=[1, 2, 0])
    columns = graph.node("Cast", columns, to=graph.onnx.TensorProto.FLOAT)
    scale = graph.node("Gather", graph.constant("embedding.scale", scales), "tokens", axis=0)
    return graph.node("Mul", columns, graph.node("Unsqueeze", scale, graph.integers(-1)))


def _project(graph: _Graph, x: str) -> None:
    if graph.precision == "float32":
        graph.node("MatMul", x, "embedding", output="logits")
        return
    graph.node("DynamicQuantizeMatMul", x, "embedding", "embedding.scale", domain="com.microsoft", output="logits")


def _scaled_query(weights: Weights, attention: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of the query with attention's 1 / sqrt(64) folded in: a power of two, so nothing is rounded."""
    scale = np.float32(HEAD_WIDTH**-0.5)
    return weights[f"{attention}.query.weight"] * scale, weights[f"{attention}.query.bias"] * scale


def _fused_projection(graph: _Graph, weights: Weights, attention: str, x: str) -> Sequence[str]:
    """Query (scaled), key and value, each [B, T, width], from one matrix product."""
    query, query_bias = _scaled_query(weights, attention)
    bias = weights[f"{attention}.value.bias"]
    weight = np.concatenate([query, weights[f"{attention}.key.weight"], weights[f"{attention}.value.weight"]])
    fused = graph.linear(f"{attention}.qkv", x, weight, np.concatenate([query_bias, np.zeros_like(bias), bias]))
    width = weights.dims.width
    outputs = [f"{attention}.{part}" for part in ("query", "key", "value")]
    return graph.nodes_of("Split", [fused, graph.integers(width, width, width)], outputs, axis=2)


def _heads(graph: _Graph, x: str, heads: int, order: Sequence[int]) -> str:
    """[B, T, width] as [B, T, heads, 64], its axes in another order."""
    return graph.node("Transpose", graph.node("Reshape", x, graph.integers(0, 0, heads, HEAD_WIDTH)), perm=order)


def _unfold(graph: _Graph, x: str, shape: str) -> str:
    """[heads, B * T, 64] as [B, T, heads, 64]."""
    return graph.node("Transpose", graph.node("Reshape", x, shape), perm=[1, 2, 0, 3])


def _causal_mask(graph: _Graph, past: str, count: str) -> str:
    """[T, P + T]: 0 where a token may look, and a large negative number at the tokens after it."""
    zero, one = graph.constant("zero", np.array(0, np.int64)), graph.constant("one", np.array(1, np.int64))
    scalar_past = graph.node("Squeeze", past)
    scalar_count = graph.node("Squeeze", count)
    total = graph.node("Add", scalar_past, scalar_count)
    rows = graph.node("Unsqueeze", graph.node("Range", scalar_past, total, one), graph.integers(1))
    columns = graph.node("Unsqueeze", graph.node("Range", zero, total, one), graph.integers(0))
    later = graph.node("Cast", graph.node("Greater", columns, rows), to=graph.onnx.TensorProto.FLOAT)
    return graph.node("Mul", later, graph.constant("hidden", np.array(-1e9, np.float32)))


def _shared_inputs(onnx: Any, kind: str, layer: int, heads: int, length: str) -> list[Any]:
    make, kind_of = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    return [
        make(f"{kind}_key_{layer}", kind_of, [heads, HEAD_WIDTH, length]),
        make(f"{kind}_value_{layer}", kind_of, [heads, length, HEAD_WIDTH]),
    ]


def _own_values(onnx: Any, key: str, value: str, heads: int, batch: str, length: str) -> list[Any]:
    make, kind_of = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    return [
        make(key, kind_of, [batch, heads, HEAD_WIDTH, length]),
        make(value, kind_of, [batch, heads, length, HEAD_WIDTH]),
    ]
