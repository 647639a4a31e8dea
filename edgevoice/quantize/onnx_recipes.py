"""Recipes for ONNX models, done by onnxruntime.quantization."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevoice.engines.registry import require
from edgevoice.errors import ModelError, OutputError
from edgevoice.quantize.graph import Graph, typed
from edgevoice.quantize.recipe import Recipe

Feed = dict[str, NDArray[Any]]
"""What a graph is run with: an array for every input."""

_ENTROPY_BINS = 512
"""Of a histogram. The tool's own 128 are as many as there are int8 numbers, so that it would never cut anything off."""


def apply(recipe: Recipe, graph: Graph, kept: Sequence[str], feeds: Sequence[Feed]) -> bytes:
    """The changed model. Same input, same bytes.

    Args:
        kept: nodes that stay in float.
        feeds: for ``static``, what ranges are taken from.

    Raises:
        ModelError: nothing in it can be changed like this, or what came of it does not load.
        OutputError: the disk is full. EngineMissingError: a package of the extra ``quantize``.
    """
    layers = [name for name in graph.layers(recipe.changed) if name not in kept]
    if recipe.kind != "fp16" and not layers:
        raise ModelError(
            f"there is no {' or '.join(recipe.changed)} with constant weights that could be changed",
            place=str(graph.path),
            remedy="choose other operators or another recipe",
        )
    require("onnxruntime.quantization", extra="quantize")
    try:
        with _quiet():
            changed = _changed(recipe, graph, layers, kept, feeds)
    except OSError as error:
        place = tempfile.gettempdir()
        raise OutputError(f"what lies between cannot be written: {error.strerror}", place=place) from error
    return graph.encode(changed)


def _changed(recipe: Recipe, graph: Graph, layers: Sequence[str], kept: Sequence[str], feeds: Sequence[Feed]) -> Any:
    match recipe.kind:
        case "dynamic":
            return _dynamic(recipe, graph, layers)
        case "static":
            return _static(recipe, graph, layers, feeds)
        case "fp16":
            return _half(graph, kept)
        case "nbits":
            return _nbits(recipe, graph, layers)
        case "weights":
            raise AssertionError("weights is a recipe for TFLite")


def _dynamic(recipe: Recipe, graph: Graph, layers: Sequence[str]) -> Any:
    quantization = require("onnxruntime.quantization", extra="quantize")
    # Kernels for convolutions with signed weights are missing on some processors; unsigned ones are everywhere.
    kind = quantization.QuantType.QUInt8 if "Conv" in recipe.changed else quantization.QuantType.QInt8
    with tempfile.TemporaryDirectory(prefix="edgevoice-") as folder:
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        graph.onnx.save(typed(graph), str(source))
        quantization.quantize_dynamic(
            source,
            target,
            op_types_to_quantize=list(recipe.changed),
            per_channel=recipe.per_channel,
            weight_type=kind,
            nodes_to_quantize=list(layers),
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": graph.onnx.TensorProto.FLOAT},
        )
        return graph.onnx.load(str(target))


def _static(recipe: Recipe, graph: Graph, layers: Sequence[str], feeds: Sequence[Feed]) -> Any:
    quantization = require("onnxruntime.quantization", extra="quantize")
    calibrate = require("onnxruntime.quantization.calibrate", extra="quantize")
    quantizer = require("onnxruntime.quantization.qdq_quantizer", extra="quantize")
    if not feeds:
        raise ModelError("a static recipe needs calibration audio", place=str(graph.path), remedy="give --calibration")
    method = {
        "minmax": calibrate.CalibrationMethod.MinMax,
        "entropy": calibrate.CalibrationMethod.Entropy,
        "percentile": calibrate.CalibrationMethod.Percentile,
    }[recipe.calibration]
    model = typed(graph)
    with tempfile.TemporaryDirectory(prefix="edgevoice-") as folder:
        source = Path(folder) / "source.onnx"
        graph.onnx.save(model, str(source))
        options = {"num_bins": _ENTROPY_BINS} if recipe.calibration == "entropy" else {}
        try:
            calibrator = calibrate.create_calibrator(
                source,
                list(recipe.changed),
                str(Path(folder) / "augmented.onnx"),
                calibrate_method=method,
                extra_options=options,
            )
            for group in _alike(feeds):
                # A histogram takes only arrays of one shape at a time. Few and large groups: whenever a later one has
                # higher peaks the histogram gets more bins, and the search for the best range takes ever longer.
                calibrator.collect_data(_Reader(group))
            ranges = calibrator.compute_data()
        except ValueError as error:  # A value that is empty in every feed has no range.
            raise ModelError(f"ranges by {recipe.calibration} fail: {error}", place=str(graph.path)) from error
    made = quantizer.QDQQuantizer(
        model,
        recipe.per_channel,
        False,
        quantization.QuantType.QInt8,
        quantization.QuantType.QUInt8,
        ranges,
        list(layers),
        [],
        list(recipe.changed),
        {"MatMulConstBOnly": True, "ActivationSymmetric": False, "WeightSymmetric": True},
    )
    made.quantize_model()
    return made.model.model


def _alike(feeds: Sequence[Feed]) -> list[list[Feed]]:
    """The feeds by their shapes, the longest first."""
    groups: dict[tuple[tuple[int, ...], ...], list[Feed]] = {}
    for feed in feeds:
        groups.setdefault(tuple(each.shape for each in feed.values()), []).append(feed)
    return [groups[key] for key in sorted(groups, reverse=True)]


class _Reader:
    """What a calibrator reads from."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._left, None)

    def __iter__(self) -> Iterator[Feed]:
        return self._left


def _half(graph: Graph, kept: Sequence[str]) -> Any:
    float16 = require("onnxruntime.transformers.float16", extra="quantize")
    blocked = [*float16.DEFAULT_OP_BLOCK_LIST, "If", "Loop", "Scan"]  # A body's types are not followed by the tool.
    return float16.convert_float_to_float16(
        typed(graph),
        keep_io_types=True,
        disable_shape_infer=True,
        op_block_list=blocked,
        node_block_list=[*kept, *graph.beside()],
    )


def _nbits(recipe: Recipe, graph: Graph, layers: Sequence[str]) -> Any:
    nbits = require("onnxruntime.quantization.matmul_nbits_quantizer", extra="quantize")
    model = typed(graph)
    every = [node.name for node in graph.proto.graph.node if node.op_type in recipe.changed]
    made = nbits.MatMulNBitsQuantizer(
        model,
        bits=4,
        block_size=recipe.block,
        is_symmetric=False,
        # Activations to int8 in blocks: without it the product is computed in float32, which is slower than before.
        accuracy_level=4,
        nodes_to_exclude=[name for name in every if name not in layers],
        op_types_to_quantize=tuple(recipe.changed),
    )
    made.process()
    return made.model.model


def run(path: Path | bytes, feeds: Sequence[Feed], outputs: Sequence[str] | None = None) -> list[list[NDArray[Any]]]:
    """What a graph gives, by feed.

    Raises:
        ModelError: it does not load, or refuses what it is fed with.
    """
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        content = path if isinstance(path, bytes) else str(path)
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return [[np.asarray(each) for each in session.run(outputs, feed)] for feed in feeds]
    except Exception as error:
        place = "the changed model" if isinstance(path, bytes) else str(path)
        raise ModelError(f"it does not run: {str(error).splitlines()[0]:.300}", place=place) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the tools' advice to preprocess, and what they print on the way."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(before)
