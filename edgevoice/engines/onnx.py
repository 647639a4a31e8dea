"""The only place where an ONNX Runtime session is made."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgevoice.engines.registry import require
from edgevoice.errors import EdgeVoiceError, ModelError

_REMEDY = "it may be damaged or of another kind; fetch it again with: edgevoice models pull"


def session(path: Path, *, threads: int = 1, varying: bool = False) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU.

    Threads do not spin while they wait: on a board that also has other work, a spinning thread pool costs more than
    it saves.

    Args:
        varying: the inputs have another shape at every call, so that memory set aside for one call does not fit the
            next: none is. It spares 150 of 340 MB with a medium Piper voice, 20 of 165 with hibari, 35 of 250 with
            Whisper tiny.

    Raises:
        EngineMissingError, EngineBrokenError: ONNX Runtime. ModelError: the file is not there or is no ONNX model.
    """
    ort = require("onnxruntime")
    if not path.is_file():
        raise ModelError("there is no such file", place=str(path), remedy="fetch it with: edgevoice models pull")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = not varying
    options.enable_mem_pattern = not varying
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(
            f"it cannot be loaded as an ONNX model: {str(error).splitlines()[0]}",
            place=str(path),
            remedy=_REMEDY,
        ) from error


@contextmanager
def trial(path: Path) -> Iterator[None]:
    """The first run of a network: some damage shows only then, and lies in the file.

    Raises:
        ModelError: it failed.
    """
    try:
        yield
    except EdgeVoiceError:
        raise
    except Exception as error:
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ModelError(f"it cannot be run: {cause:.300}", place=str(path), remedy=_REMEDY) from error
