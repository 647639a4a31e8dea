"""Builds edgevoice's Whisper model out of published weights: two ONNX graphs, the tokens, and a description."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from edgevoice.engines.asr.whisper_tokens import write
from edgevoice.errors import ModelError, OutputError
from edgevoice.export import vocabulary, weights, whisper_graph

FORMAT = 2
"""Version of the files written here; ``edgevoice.engines.asr.whisper_net`` reads this one."""
EMBEDDING = "embedding.bin"
"""The decoder's largest matrix, for ONNX Runtime and for us; ``whisper_graph`` says how it is laid out."""
_WEIGHTS = ("model.bin", "model.safetensors", "pytorch_model.bin")


def build_whisper(
    source: Path,
    target: Path,
    progress: Callable[[str, float], None] | None = None,
    *,
    tokenizer: Path | None = None,
    precision: whisper_graph.Precision = "int8",
) -> None:
    """Write ``encoder.onnx``, ``decoder.onnx``, ``embedding.bin``, ``tokens.json`` and ``model.json``. Same input, same
    bytes.

    Args:
        source: a CTranslate2 or Hugging Face directory, or a file ``model.bin``, ``*.safetensors``,
            ``pytorch_model.bin`` or an OpenAI ``*.pt``.
        target: a directory; made if it is not there.
        progress: called with what is being done and the part that is done, 0..1.
        tokenizer: the file of tokens (``edgevoice.export.vocabulary.FILES``), when it does not lie beside the weights.
        precision: float32 is for comparing.

    Raises:
        ModelError: the source is missing, damaged or no Whisper model. OutputError: the target cannot be written.
        EngineMissingError: the package onnx is not installed.
    """
    report = progress or (lambda _what, _part: None)
    file = _weights_file(source)
    tokens_file = tokenizer or vocabulary.find(file.parent)
    report("reading the weights", 0.0)
    model = weights.load(file)
    special = vocabulary.special(model.dims.vocabulary)
    texts = vocabulary.read(tokens_file, special.end)
    tokens = {
        "tokens": [write(text) for text in texts],
        "special": {
            "end": special.end,
            "start": special.start,
            "translate": special.translate,
            "transcribe": special.transcribe,
            "previous": special.previous,
            "no_speech": special.no_speech,
            "no_timestamps": special.no_timestamps,
        },
        "languages": special.languages if model.dims.multilingual else {},
        "suppress": vocabulary.not_speech(texts),
        "suppress_first": [texts.index(b" "), special.end],
    }
    description = {
        "format": FORMAT,
        "kind": "whisper",
        "precision": precision,
        "multilingual": model.dims.multilingual,
        "dims": model.dims.table,
        "source": {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        report("writing the encoder", 0.2)
        (target / "encoder.onnx").write_bytes(
            whisper_graph.encoder(model, precision).SerializeToString(deterministic=True)
        )
        report("writing the decoder", 0.4)
        decoder, embedding = whisper_graph.decoder(model, precision, external=EMBEDDING)
        (target / "decoder.onnx").write_bytes(decoder.SerializeToString(deterministic=True))
        (target / EMBEDDING).write_bytes(embedding)
        report("writing the tokens", 0.9)
        (target / "tokens.json").write_bytes(json.dumps(tokens, ensure_ascii=False, separators=(",", ":")).encode())
        (target / "model.json").write_bytes(json.dumps(description, indent=2).encode() + b"\n")
    except OSError as error:
        raise OutputError(f"the model cannot be written: {error.strerror}", place=str(target)) from error
    report("done", 1.0)


def _weights_file(source: Path) -> Path:
    if source.is_file():
        return source
    for name in _WEIGHTS:
        if (source / name).is_file():
            return source / name
    if (source / "model.safetensors.index.json").is_file():
        raise ModelError(
            "its weights are spread over several files, which only the large models' are",
            place=str(source),
            remedy="take a smaller Whisper model; the large ones are too slow for a board",
        )
    raise ModelError(
        f"there are no weights ({', '.join(_WEIGHTS)})" if source.is_dir() else "there is no such file or directory",
        place=str(source),
        remedy="give a CTranslate2 or Hugging Face directory, or a file of weights (.safetensors, .bin, .pt)",
    )
