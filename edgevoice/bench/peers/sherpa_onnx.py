"""sherpa-onnx with a Whisper or a transducer (Zipformer) in the files that its project publishes."""

from pathlib import Path
from typing import Any

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.bench.peers.collected import Collecting
from edgevoice.engines.registry import require
from edgevoice.errors import ModelError

TASK = "asr"
MODEL = None
THREADS = True
STREAMS = False


def package() -> Any:
    return require("sherpa_onnx", distribution="sherpa-onnx")


def load(model: Path, threads: int) -> Collecting:
    """
    Args:
        model: a folder with one encoder, one decoder, for a transducer one joiner, and tokens; of several of a kind the
            int8 one is taken.

    Raises:
        ModelError: it is no such folder.
    """
    sherpa = package()
    encoder, decoder, joiner = (_file(model, part) for part in ("encoder", "decoder", "joiner"))
    tokens = next(iter(sorted(model.glob("*tokens.txt"))), None)
    if encoder is None or decoder is None or tokens is None:
        raise ModelError(
            "it has no encoder, decoder and tokens",
            place=str(model),
            remedy="give the folder of a Whisper or a transducer as sherpa-onnx publishes them",
        )
    files = {"encoder": str(encoder), "decoder": str(decoder), "tokens": str(tokens), "num_threads": threads}
    if joiner is None:
        recogniser = sherpa.OfflineRecognizer.from_whisper(**files)
    else:
        recogniser = sherpa.OfflineRecognizer.from_transducer(joiner=str(joiner), **files)

    def recognise(samples: Float32) -> str:
        stream = recogniser.create_stream()
        stream.accept_waveform(RATE, samples)
        recogniser.decode_stream(stream)
        return str(stream.result.text).strip()

    return Collecting(recognise)


def _file(folder: Path, part: str) -> Path | None:
    found = sorted(folder.glob(f"*{part}*.onnx"), key=lambda path: ("int8" not in path.name, path.name))
    return found[0] if found else None
