"""The only place where a TFLite interpreter is made: LiteRT, or tflite-runtime where only that exists."""

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgevoice.engines.registry import require
from edgevoice.errors import ModelError
from edgevoice.noise import without_noise

_NOISE = re.compile(rb"INFO: ")
"""LiteRT tells every time that it made a delegate."""
_REMEDY = "it may be damaged or of another kind; fetch it again with: edgevoice models pull"


def content_of(path: Path) -> bytes:
    """A model's file.

    Raises:
        ModelError: it is not there, or cannot be read.
    """
    if not path.is_file():
        raise ModelError("there is no such file", place=str(path), remedy="fetch it with: edgevoice models pull")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror or error}", place=str(path)) from error


def interpreter(path: Path, *, content: bytes | None = None, shape: tuple[int, ...] | None = None) -> Any:
    """An allocated ``Interpreter`` with one thread.

    It uses the XNNPACK delegate: without it the streaming models here take ten times as long.

    Args:
        content: of the file, where it was read before; else it is read.
        shape: of the first input, where the model leaves that open.

    Raises:
        EngineMissingError, EngineBrokenError: the runtime. ModelError: the file is not there or is no TFLite model.
    """
    legacy = importlib.util.find_spec("ai_edge_litert") is None and importlib.util.find_spec("tflite_runtime")
    runtime = require(
        "tflite_runtime.interpreter" if legacy else "ai_edge_litert.interpreter",
        distribution="tflite-runtime" if legacy else "ai-edge-litert",
    )
    content = content_of(path) if content is None else content
    try:
        with without_noise(_NOISE):
            # Of a path it would map the file: damage to that, or another one copied over it, would end the process.
            made = runtime.Interpreter(model_content=content, num_threads=1)
            if shape is not None:
                made.resize_tensor_input(made.get_input_details()[0]["index"], list(shape))
            made.allocate_tensors()
    except (ValueError, RuntimeError) as error:  # what LiteRT raises for a file it cannot use
        raise ModelError(
            f"it cannot be loaded as a TFLite model: {str(error).splitlines()[0]}",
            place=str(path),
            remedy=_REMEDY,
        ) from error
    return made


@contextmanager
def trial(path: Path) -> Iterator[None]:
    """The first run of a network: some damage shows only then, and lies in the file.

    Raises:
        ModelError: it failed.
    """
    try:
        yield
    except (ValueError, RuntimeError, IndexError) as error:  # of LiteRT, and of an output with another shape
        cause = " ".join(str(error).split())
        raise ModelError(f"it cannot be run: {cause:.300}", place=str(path), remedy=_REMEDY) from error
