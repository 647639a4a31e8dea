"""How a model is made smaller: what is changed, to which numbers, and what is left in float."""

from typing import Annotated, Any, Literal

import msgspec

Kind = Literal["dynamic", "static", "fp16", "nbits", "weights"]
Calibration = Literal["minmax", "entropy", "percentile"]

KINDS: tuple[Kind, ...] = ("dynamic", "static", "fp16", "nbits", "weights")
ONNX_KINDS: tuple[Kind, ...] = ("dynamic", "static", "fp16", "nbits")
TFLITE_KINDS: tuple[Kind, ...] = ("dynamic", "weights", "static")
CALIBRATIONS: tuple[Calibration, ...] = ("minmax", "entropy", "percentile")
OPERATORS: dict[Kind, tuple[str, ...]] = {
    # Convolutions have no fast dynamic kernel for channels of their own scale, so they are left out unless asked for.
    "dynamic": ("MatMul", "Gemm"),
    "static": ("MatMul", "Gemm", "Conv"),
    "fp16": (),
    "nbits": ("MatMul",),
    "weights": (),
}
"""Operators that a kind changes when none are named; ``fp16`` and TFLite's recipes take all that they can."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to change a model."""

    kind: Kind
    """``dynamic``: int8 weights, activations scaled while it runs. ``static``: int8 weights and activations, scaled by
    calibration. ``fp16``: half precision. ``nbits``: 4-bit weights in blocks, float32 activations. ``weights``: int8
    weights that are turned back to float32 while it runs (TFLite)."""
    operators: tuple[str, ...] = ()
    """ONNX operators that are changed; empty: those of the kind."""
    per_channel: bool = True
    """A scale for every output channel instead of one for the matrix."""
    calibration: Calibration = "minmax"
    block: Annotated[int, msgspec.Meta(ge=16, le=256)] = 32
    """Weights that share a scale with ``nbits``."""

    @property
    def changed(self) -> tuple[str, ...]:
        return self.operators or OPERATORS[self.kind]

    @property
    def name(self) -> str:
        """Short, and fit for a version's name."""
        if self.kind == "nbits":
            return f"nbits4-b{self.block}"
        parts: list[str] = [self.kind]
        if self.kind == "static":
            parts.append(self.calibration)
        if self.operators:
            parts += [each.lower() for each in self.operators]
        if not self.per_channel and self.kind in ("dynamic", "static"):
            parts.append("tensor")
        return "-".join(parts)

    def description(self, *, tflite: bool) -> dict[str, Any]:
        """What provenance says of it: only what decides about the bytes."""
        found: dict[str, Any] = {"kind": self.kind}
        if tflite:
            return found
        if self.kind in ("dynamic", "static"):
            found |= {"operators": list(self.changed), "per_channel": self.per_channel}
        if self.kind == "static":
            found["calibration"] = self.calibration
        if self.kind == "nbits":
            found |= {"bits": 4, "block": self.block}
        return found
