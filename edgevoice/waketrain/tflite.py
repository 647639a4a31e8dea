"""Writes a small fully connected network as a TFLite file, with the schema that LiteRT itself carries."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgevoice.audio.pcm import Float32
from edgevoice.engines.registry import require
from edgevoice.engines.wake.wordfile import SHAPE

SCHEMA = 3
"""Version of the format; its file identifier is TFL3."""


def dense(weights: Sequence[Float32], biases: Sequence[Float32]) -> bytes:
    """A network that takes a wake word's window, float32 [1, 16, 96], and gives its score, float32 [1, 1].

    Between the layers it is rectified, behind the last there is a logistic function.

    Args:
        weights: by layer, shape [inputs, outputs]; the first has 1536 inputs, the last one output.
        biases: by layer, shape [outputs].

    Raises:
        EngineMissingError, EngineBrokenError: LiteRT.
    """
    schema = require("ai_edge_litert.schema_py_generated", distribution="ai-edge-litert")
    flatbuffers = require("flatbuffers", distribution="flatbuffers")
    writer = _Writer(schema)
    data = writer.tensor("window", SHAPE)
    given = data
    size = weights[0].shape[0]
    flat = writer.tensor("flat", (1, size))
    shape = writer.constant("shape", np.array([1, size], np.int32))
    reshape = schema.ReshapeOptionsT()
    reshape.newShape = [1, size]
    writer.operator("RESHAPE", [data, shape], flat, "ReshapeOptions", reshape)
    data = flat
    for number, (matrix, bias) in enumerate(zip(weights, biases, strict=True)):
        options = schema.FullyConnectedOptionsT()
        last = number == len(weights) - 1
        kinds = schema.ActivationFunctionType
        options.fusedActivationFunction = kinds.NONE if last else kinds.RELU
        result = writer.tensor(f"layer{number}", (1, matrix.shape[1]))
        rows = writer.constant(f"weights{number}", np.ascontiguousarray(matrix.T, np.float32))
        added = writer.constant(f"bias{number}", bias.astype(np.float32))
        writer.operator("FULLY_CONNECTED", [data, rows, added], result, "FullyConnectedOptions", options)
        data = result
    score = writer.tensor("score", (1, 1))
    writer.operator("LOGISTIC", [data], score, "NONE", None)
    builder = flatbuffers.Builder(1024)
    builder.Finish(writer.model(given, score).Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _Writer:
    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._buffers = [schema.BufferT()]  # the first stands for "no data"
        self._codes: list[str] = []

    def tensor(self, name: str, shape: tuple[int, ...], kind: str = "FLOAT32", buffer: int = 0) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape = name.encode(), list(shape)
        tensor.type, tensor.buffer = getattr(self._schema.TensorType, kind), buffer
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, name: str, values: Any) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._buffers.append(buffer)
        return self.tensor(name, values.shape, values.dtype.name.upper(), len(self._buffers) - 1)

    def operator(self, code: str, inputs: list[int], output: int, kind: str, options: Any) -> None:
        if code not in self._codes:
            self._codes.append(code)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._codes.index(code)
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, kind)
        operator.builtinOptions = options
        self._graph.operators.append(operator)

    def model(self, given: int, score: int) -> Any:
        self._graph.inputs, self._graph.outputs = [given], [score]
        model = self._schema.ModelT()
        model.version, model.description = SCHEMA, b"a wake word"
        model.subgraphs, model.buffers = [self._graph], self._buffers
        signature, first, last = self._schema.SignatureDefT(), self._schema.TensorMapT(), self._schema.TensorMapT()
        first.name, first.tensorIndex, last.name, last.tensorIndex = b"window", given, b"score", score
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs, signature.outputs = [first], [last]
        model.signatureDefs = [signature]
        model.operatorCodes = []
        for name in self._codes:
            code = self._schema.OperatorCodeT()
            number = getattr(self._schema.BuiltinOperator, name)
            code.builtinCode, code.deprecatedBuiltinCode, code.version = number, number, 1
            model.operatorCodes.append(code)
        return model
