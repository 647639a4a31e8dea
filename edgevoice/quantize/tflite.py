"""Recipes for TFLite models, done by ai-edge-quantizer."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgevoice.engines import litert
from edgevoice.engines.registry import require
from edgevoice.errors import ModelError
from edgevoice.quantize.gate import LayerNoise
from edgevoice.quantize.graph import save
from edgevoice.quantize.onnx_recipes import Feed
from edgevoice.quantize.recipe import Recipe

_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL")
"""Operators with weights, and so with noise of their own."""
_MOST_DB = 200.0


class TfliteModel:
    """A TFLite model in float32.

    Raises:
        ModelError: it is missing, damaged, already quantised or has custom operators. EngineMissingError: a package
        of the extra ``quantize``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._package = require("ai_edge_quantizer", extra="quantize", distribution="ai-edge-quantizer")
        model = litert.interpreter(path)
        tensors = {each["index"]: each for each in model.get_tensor_details()}
        done = [each for each in tensors.values() if each["dtype"] in (np.int8, np.uint8, np.int16, np.float16)]
        if done:
            raise ModelError(
                f"it is quantized already ({np.dtype(done[0]['dtype']).name} in '{done[0]['name']:.60}')",
                place=str(path),
                remedy="give the float32 model that it was made of",
            )
        # The runtime has no public list of operators.
        operators = model._get_ops_details()
        custom = sorted({each["op_name"] for each in operators if each["op_name"].startswith(("CUSTOM", "Flex"))})
        if custom:
            raise ModelError(f"it has custom operators: {', '.join(custom)}", place=str(path))
        self._outputs = {tensors[each["outputs"][0]]["name"]: each for each in operators if each["op_name"] in _LAYERS}

    def layers(self) -> list[str]:
        """Names of what the layers with weights give out; a delegate may have renamed none of them."""
        return list(self._outputs)

    def apply(self, recipe: Recipe, kept: Sequence[str], feeds: Sequence[Feed]) -> bytes:
        """The changed model. Same input, same bytes.

        Args:
            kept: layers that stay in float.

        Raises:
            ModelError: it cannot be changed like this.
        """
        recipes = self._package.recipe
        made = self._package.Quantizer(str(self.path))
        match recipe.kind:
            case "dynamic":
                plan = recipes.dynamic_wi8_afp32()
            case "weights":
                plan = recipes.weight_only_wi8_afp32()
            case "static":
                plan = recipes.static_wi8_ai8()
            case _:
                raise AssertionError(f"{recipe.kind} is a recipe for ONNX")
        operations = self._package.qtyping.TFLOperationName
        try:
            made.load_quantization_recipe(plan)
            for layer in kept:
                made.update_quantization_recipe(
                    regex=re.escape(layer),
                    operation_name=operations.ALL_SUPPORTED,
                    algorithm_key=recipes.AlgorithmName.NO_QUANTIZE,
                )
            ranges = None
            if recipe.kind == "static":
                if not feeds:
                    raise ModelError("a static recipe needs calibration audio", place=str(self.path))
                for end in (operations.INPUT, operations.OUTPUT):  # Who runs the model gives and takes float32.
                    made.update_quantization_recipe(
                        regex=".*", operation_name=end, algorithm_key=recipes.AlgorithmName.NO_QUANTIZE
                    )
                with _quiet():
                    (signature,) = litert.interpreter(self.path).get_signature_list()
                    ranges = made.calibrate({signature: feeds}, num_threads=1)
            with _quiet():
                result = made.quantize(ranges, enable_progress_report=False)
        except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
            raise ModelError(
                f"it cannot be quantized like this: {(str(error).splitlines() or [''])[0]:.200}", place=str(self.path)
            ) from error
        return bytes(result.quantized_model)

    def sensitivity(self, recipe: Recipe, feeds: Sequence[Feed], scratch: Path) -> list[LayerNoise]:
        """Signal to noise of the model's output with one layer changed and all others in float, the worst first."""
        if not feeds:
            return []
        layers = self.layers()
        truth = run(self.path, feeds)
        found = []
        for layer in layers:
            changed = scratch / "one.tflite"
            save(changed, self.apply(recipe, [each for each in layers if each != layer], feeds))
            error = float(((run(changed, feeds) - truth) ** 2).sum())
            power = float((truth**2).sum())
            sqnr = 10.0 * float(np.log10(power / error)) if error > 0.0 else _MOST_DB
            found.append(LayerNoise(layer=layer, sqnr_db=round(sqnr, 2)))
        return sorted(found, key=lambda each: (each.sqnr_db, each.layer))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without bars for each tensor, and the advice not to keep all tensors, which calibration needs."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def run(path: Path, feeds: Sequence[Feed]) -> Any:
    """What a model gives for each feed, in float64, stacked."""
    model = litert.interpreter(path)
    (at,) = [each["index"] for each in model.get_input_details()]
    out = model.get_output_details()[0]["index"]
    results = []
    for feed in feeds:
        (value,) = feed.values()
        model.set_tensor(at, value)
        model.invoke()
        results.append(model.get_tensor(out).astype(np.float64))
    return np.stack(results)
