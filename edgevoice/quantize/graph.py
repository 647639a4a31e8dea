"""ONNX files as they are read, checked and written for quantisation."""

from pathlib import Path
from typing import Any

from edgevoice.engines.registry import require
from edgevoice.errors import ModelError, OutputError

_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Operators of these are the runtime's own."""
_QUANTIZED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantize",
    "MatMulInteger",
    "ConvInteger",
    "QLinear",
    "QGemm",
)


class Graph:
    """A model in float32 and what must be known to change it.

    Args:
        path: an ONNX file; weights that lie in files beside it stay there, and what uses them is not changed.

    Raises:
        ModelError: it is missing, damaged, no ONNX model, already quantised, or has operators that the runtime does
        not know. EngineMissingError: the package onnx.
    """

    def __init__(self, path: Path) -> None:
        self.onnx = require("onnx", extra="quantize")
        self.path = path
        self._beside: dict[str, list[tuple[str, str]]] = {}
        self.proto = self._read()
        self._check()
        for number, node in enumerate(self.proto.graph.node):
            node.name = node.name or f"{node.op_type}_{number}"
        self.weights = {each.name: each for each in self.proto.graph.initializer}

    def _read(self) -> Any:
        remedy = "give an ONNX file; it may be damaged: fetch it again"
        if not self.path.is_file():
            raise ModelError("there is no such file", place=str(self.path))
        broken = require("google.protobuf.message", extra="quantize").DecodeError
        try:
            proto = self.onnx.load(str(self.path), load_external_data=False)
            for each in proto.graph.initializer:
                if self.onnx.external_data_helper.uses_external_data(each):
                    self._beside[each.name] = [(entry.key, entry.value) for entry in each.external_data]
            self.onnx.external_data_helper.load_external_data_for_model(proto, str(self.path.parent))
            if not proto.graph.node:
                raise ModelError("there is no operator in it", place=str(self.path), remedy=remedy)
            self.onnx.checker.check_model(proto)
        except (broken, ValueError, OSError, self.onnx.checker.ValidationError) as error:
            cause = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(f"it is no whole ONNX model: {cause:.200}", place=str(self.path), remedy=remedy) from error
        return proto

    def _check(self) -> None:
        nodes = list(_all_nodes(self.proto.graph))
        strange = sorted({f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in _DOMAINS})
        if strange:
            raise ModelError(
                f"it has operators that the runtime does not know: {', '.join(strange)}",
                place=str(self.path),
                remedy="export the model without custom operators",
            )
        done = sorted(
            {node.op_type for node in nodes if node.op_type.startswith(_QUANTIZED) or "NBits" in node.op_type}
        )
        half = any(each.data_type == self.onnx.TensorProto.FLOAT16 for each in self.proto.graph.initializer)
        if done or half:
            raise ModelError(
                f"it is quantized already ({', '.join(done) or 'float16 weights'})",
                place=str(self.path),
                remedy="give the float32 model that it was made of",
            )

    def names(self) -> list[str]:
        """Of all nodes."""
        return [node.name for node in self.proto.graph.node]

    def layers(self, operators: tuple[str, ...]) -> list[str]:
        """Names of the nodes that can be changed: such an operator with float weights that no file beside it holds."""
        return [
            node.name
            for node in self.proto.graph.node
            if node.op_type in operators and self.weight(node) is not None and node.input[1] not in self._beside
        ]

    def weight(self, node: Any) -> Any:
        """The weight of a node, its second input, or None when that is no constant or no matrix of float32."""
        found = self.weights.get(node.input[1]) if len(node.input) > 1 else None
        known = found is not None and found.data_type == self.onnx.TensorProto.FLOAT and len(found.dims) > 1
        return found if known else None

    def beside(self) -> list[str]:
        """Names of the nodes whose weights lie in a file beside the model."""
        return [node.name for node in self.proto.graph.node if any(each in self._beside for each in node.input)]

    def encode(self, changed: Any) -> bytes:
        """The bytes of a changed model; what lay beside the model lies there again."""
        for each in changed.graph.initializer:
            if each.name in self._beside:
                if each.raw_data != self.weights[each.name].raw_data:
                    raise ModelError(f"'{each.name}' lies in a file of its own and was changed", place=str(self.path))
                del each.external_data[:]
                each.external_data.extend(
                    self.onnx.StringStringEntryProto(key=key, value=value) for key, value in self._beside[each.name]
                )
                each.data_location = self.onnx.TensorProto.EXTERNAL
                each.ClearField("raw_data")
        # The quantizers note where in memory or in which order things happened; none of it is needed to run.
        changed.producer_name = "edgevoice"
        changed.producer_version = ""
        del changed.graph.value_info[:]
        _sort(changed.graph)
        encoded: bytes = changed.SerializeToString(deterministic=True)
        return encoded


def typed(graph: Graph) -> Any:
    """A copy of the model in which the type of every value is written down, as the runtime infers it.

    The package onnx does not know the operators of ``com.microsoft``, and what follows them would be left in float.
    """
    helper = graph.onnx.helper
    ort = require("onnxruntime")
    probe = type(graph.proto)()
    probe.CopyFrom(graph.proto)
    known = {each.name for each in probe.graph.output}
    for node in graph.proto.graph.node:
        for name in node.output:
            if name and name not in known:
                probe.graph.output.append(graph.onnx.ValueInfoProto(name=name))
                known.add(name)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result = type(graph.proto)()
    result.CopyFrom(graph.proto)
    del result.graph.value_info[:]
    final = {each.name for each in graph.proto.graph.output}
    for each in session.get_outputs():
        if each.name not in final and each.type in _TYPES:
            kind = getattr(graph.onnx.TensorProto, _TYPES[each.type])
            result.graph.value_info.append(helper.make_tensor_value_info(each.name, kind, None))
    return result


_TYPES = {"tensor(float)": "FLOAT", "tensor(int64)": "INT64", "tensor(int32)": "INT32", "tensor(bool)": "BOOL"}


def save(path: Path, content: bytes) -> None:
    """
    Raises:
        OutputError: it cannot be written; nothing of it is left then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OutputError(f"it cannot be written: {error.strerror}", place=str(path)) from error


def _sort(graph: Any) -> None:
    """Put every node behind those whose outputs it takes, as the format demands and some of the tools do not."""
    missing = {name for node in graph.node for name in node.output if name}
    waiting, done = list(graph.node), []
    while waiting:
        later = []
        for node in waiting:
            if missing.isdisjoint(name for each in (node, *_inner(node)) for name in each.input):
                done.append(node)
                missing.difference_update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):  # a circle: the runtime will say so
            done += later
            break
        waiting = later
    copies = [type(node).FromString(node.SerializeToString(deterministic=True)) for node in done]
    del graph.node[:]
    graph.node.extend(copies)


def _inner(node: Any) -> Any:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield from _all_nodes(attribute.g)


def _all_nodes(graph: Any) -> Any:
    for node in graph.node:
        yield node
        yield from _inner(node)
