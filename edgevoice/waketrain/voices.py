"""Who speaks: every voice at hand, each as many speakers as it can be made to be."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.engines.protocols import ModelPaths
from edgevoice.engines.registry import require
from edgevoice.errors import EdgeVoiceError, EngineError, TextError
from edgevoice.waketrain import vocoder
from edgevoice.waketrain.cut import trimmed

ACCENTS = ("en-us", "en-us", "en-gb", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029")
"""Of espeak-ng; the most common one twice."""
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt2", "klatt4")
"""Of espeak-ng; every version since 1.48 has them."""
PIPER = "piper-en_US-joe-medium"

Speak = Callable[[str, np.random.Generator], Float32]


@dataclass(frozen=True)
class Voice:
    """One that speaks a text as somebody drawn by chance, at 16 kHz, silence trimmed."""

    name: str
    share: float
    """Of what is to be spoken, in proportion to those of the other voices."""
    speak: Speak
    begin: Callable[[int], None] = lambda seed: None
    """Begins a piece: from here on all that the voice leaves to chance by itself depends on the seed alone."""


def at_hand(store: ModelPaths) -> list[Voice]:
    """hibari; and Piper's joe and espeak-ng, where they are installed."""
    found = [Voice("hibari", 4.0, _hibari(store))]
    piper = _piper(store)
    if piper is not None:
        found.append(Voice("piper", 1.0, *piper))
    espeak = _espeak()
    if espeak is not None:
        found.append(Voice("espeak-ng", 3.0, espeak))
    return found


def pick(voices: Sequence[Voice], draw: np.random.Generator) -> Voice:
    shares = np.array([voice.share for voice in voices])
    return voices[int(draw.choice(len(voices), p=shares / shares.sum()))]


def _hibari(store: ModelPaths) -> Speak:
    from edgevoice.engines.tts import hibari

    readers = [hibari.load(hibari.Options(british=british), store)._voice for british in (False, True)]
    session = readers[0].sess
    known: dict[tuple[str, bool], list[list[int]]] = {}

    def speak(text: str, draw: np.random.Generator) -> Float32:
        british = bool(draw.random() < 0.35)
        if (text, british) not in known:
            reader = readers[british]
            known[text, british] = [reader.ids(phonemes) for phonemes in reader.phonemize(text)]
        speaker = vocoder.somebody(draw)
        spoken = [vocoder.speak(session, ids, speaker, draw) for ids in known[text, british] if len(ids) > 2]
        return _something(spoken, text, "hibari")

    return speak


def _piper(store: ModelPaths) -> tuple[Speak, Callable[[int], None]] | None:
    """Raw access to the package: the engine neither varies the noise nor the pace from call to call.

    The network draws its noise by itself, from generators that are seeded when it is loaded and at no other time, so it
    is loaded for every piece. Without optimisation that takes 0.2 s, and speaking no longer than with it.
    """
    try:
        package: Any = require("piper", distribution="piper-tts")
        folder = store.path(PIPER)
    except EdgeVoiceError:
        return None  # it is one of several, and the card says who spoke
    soxr = require("soxr")
    onnx = require("onnxruntime")
    file = str(next(folder.glob("*.onnx")))
    options = onnx.SessionOptions()
    options.graph_optimization_level = onnx.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    voice = package.PiperVoice.load(file)
    waiting = [0]
    """The seed of the piece, until something is spoken in it."""

    def begin(seed: int) -> None:
        waiting[:] = [seed]

    rate = voice.config.sample_rate

    def speak(text: str, draw: np.random.Generator) -> Float32:
        faster = float(np.exp(draw.uniform(np.log(0.88), np.log(1.32))))
        config = package.SynthesisConfig(
            length_scale=faster * float(draw.uniform(0.8, 1.3)),
            noise_scale=float(draw.uniform(0.5, 1.1)),
            noise_w_scale=float(draw.uniform(0.6, 1.3)),
        )
        if waiting:
            onnx.set_seed(waiting.pop())
            voice.session = onnx.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        pieces = [each.audio_float_array for each in voice.synthesize(text, config)]
        return _resampled(soxr, _something(pieces, text, "piper"), rate * faster)

    return speak, begin


def _espeak() -> Speak | None:
    try:
        subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    soxr = require("soxr")

    def speak(text: str, draw: np.random.Generator) -> Float32:
        faster = float(np.exp(draw.uniform(np.log(0.92), np.log(1.1))))
        voice = f"{ACCENTS[draw.integers(len(ACCENTS))]}+{VARIANTS[draw.integers(len(VARIANTS))]}"
        pitch, pace = int(draw.integers(20, 80)), int(draw.uniform(120, 200) / faster)
        command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(pace), "--stdout", "--", text]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode or len(done.stdout) <= 44:
            raise EngineError(
                f"it could not speak '{text:.40}': {done.stderr.decode(errors='replace').strip() or 'no sound'}",
                place="espeak-ng",
                remedy="install it anew, or remove it: it is one of several voices",
            )
        rate = int.from_bytes(done.stdout[24:28], "little")
        samples = np.frombuffer(done.stdout[44 : len(done.stdout) // 2 * 2], np.int16).astype(np.float32) / np.float32(
            32768
        )
        return _resampled(soxr, samples, rate * faster)

    return speak


def _resampled(soxr: Any, samples: Float32, rate: float) -> Float32:
    return trimmed(soxr.resample(samples, int(rate), RATE).astype(np.float32))


def _something(pieces: Sequence[Float32], text: str, voice: str) -> Float32:
    """
    Raises:
        TextError: there is nothing to be heard.
    """
    spoken = np.concatenate([np.zeros(0, np.float32), *pieces]).astype(np.float32)
    if not len(spoken):
        raise TextError(f"nothing in '{text:.40}' can be pronounced", place=f"voice {voice}")
    return spoken
