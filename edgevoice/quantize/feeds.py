"""What graphs are fed with while they are calibrated: made of real recordings, or of texts for a voice.

Which kind a graph is, its inputs tell. Whoever adds a kind adds a function here.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE
from edgevoice.engines import litert, onnx
from edgevoice.engines.asr.whisper_mel import HOP, log_mel
from edgevoice.engines.registry import require
from edgevoice.engines.vad.silero import CONTEXT, FRAME
from edgevoice.engines.wake.embedding import EMBEDDING, MEL
from edgevoice.errors import ConfigError, ModelError
from edgevoice.evaluate import lines
from edgevoice.evaluate.recording import read
from edgevoice.modelfiles import sha256_of
from edgevoice.quantize import samples, wakeparts
from edgevoice.quantize.metric import SampleSet
from edgevoice.quantize.onnx_recipes import Feed

SECONDS = 15.0
"""Of a recording at most: more of the same voice tells little, and a histogram over it takes long."""
_PADDING = 1.0
"""Seconds of zeros behind a recording for Whisper's encoder, as its engine has them."""
_TOKENS = 24
"""Tokens that the decoder writes for each recording: some two sentences."""
_PREFIX = 2
"""Tokens at the beginning of a text (that it begins, and without times), given as the prefix that beams share."""
_STEPS = 40
"""Frames of a recording for networks that hear frames: spread over it, and few enough for histograms."""
_AUDIO = (".wav", ".flac", ".ogg")
_MEL_WINDOW, _MEL_STEP, _MELS = 76, 8, 32
"""Of openWakeWord's embedding: 76 frames of 32 mels, of which 8 are new each time (80 ms)."""

Samples = NDArray[np.float32]


@dataclass
class Material:
    """What inputs are made of."""

    texts: list[str]
    audio: list[Samples]
    """At 16 kHz."""

    @classmethod
    def of(cls, lines: Sequence[samples.Heard | samples.Written], manifest: Path, limit: int) -> "Material":
        """The first of what a model is measured on, as far as one could calibrate with it.

        Args:
            lines: of the manifest, read and found to be right.
        """
        texts = [line.text for line in lines if isinstance(line, samples.Written)]
        heard = (manifest.parent / line.audio for line in lines if isinstance(line, samples.Heard))
        fit = (path for path in heard if not list(_unfit(path)))
        return cls(texts[:limit], [_beginning(path) for path in itertools.islice(fit, limit)])


class CalibrationSet(Material):
    """Recordings, or texts, to calibrate with.

    Args:
        place: a manifest of JSON lines (``audio``, or ``text`` for a voice), or a folder of recordings.
        limit: lines or files at most.

    Raises:
        ConfigError: with every mistake: a file that is missing, empty, no audio, or not at 16 kHz; a set without one.
    """

    def __init__(self, place: Path, limit: int | None = None, *, texts: bool = False) -> None:
        self.place = place
        self.paths: list[Path] = []
        if texts:
            written, self.known = samples.load(samples.Written, place, limit)
            super().__init__([line.text for line in written], [])
            return
        self.paths, self.known = _recordings(place, limit)
        super().__init__([], [_beginning(path) for path in self.paths])

    def apart_from(self, measured: Sequence[samples.Heard | samples.Written], manifest: Path) -> None:
        """Look for what the model is also measured on: there it is better than elsewhere.

        Args:
            measured: the lines of the manifest that are used.

        Raises:
            ConfigError: with every recording (by its bytes, whatever it is called) and text that is in both.
        """
        texts = {line.text for line in measured if isinstance(line, samples.Written)}
        shared = [f"{self.place}: '{text}' stands in {manifest}, too" for text in self.texts if text in texts]
        heard = [manifest.parent / line.audio for line in measured if isinstance(line, samples.Heard)]
        known = {sha256_of(path): path for path in heard} if self.paths else {}
        shared += [
            f"{path}: the same recording is {known[digest]} in {manifest}"
            for path in self.paths
            if (digest := sha256_of(path)) in known
        ]
        if shared:
            lines.complain(shared, "recordings or texts to calibrate with that are measured on, too; give others")


def _recordings(place: Path, limit: int | None) -> tuple[list[Path], SampleSet]:
    if not place.is_dir():
        found, known = samples.load(samples.Heard, place, limit, _unfit)
        return [place.parent / line.audio for line in found], known
    paths = sorted(path for path in place.iterdir() if path.suffix.lower() in _AUDIO)[:limit]
    if not paths:
        raise ConfigError(
            f"there is no recording ({', '.join(_AUDIO)}) in it", place=str(place), remedy="give recordings at 16 kHz"
        )
    mistakes = []
    for path in paths:
        why = lines.unreadable(path)  # names the path itself
        mistakes += [why] if why is not None else [f"{path}: {each}" for each in _unfit(path)]
    if mistakes:
        lines.complain(mistakes, "recordings that cannot be calibrated with")
    digest = hashlib.sha256("".join(sha256_of(path) for path in paths).encode()).hexdigest()
    return paths, SampleSet(name=place.name, n=len(paths), sha256=digest)


def _beginning(path: Path) -> Samples:
    return read(path).float32()[: int(SECONDS * RATE)]


def _unfit(path: Path) -> Iterator[str]:
    """Why a recording that can be read cannot be calibrated with."""
    with path.open("rb") as file:  # not by its name, from which soundfile would guess what it is
        about = require("soundfile").info(file)
    if about.samplerate != RATE:
        yield f"it has {about.samplerate} samples per second, and {RATE} are needed; convert it"
    elif about.frames < RATE // 2:
        yield "it is shorter than half a second"  # the least of which a wake word's window can be made


def feeds(path: Path, given: Material) -> list[Feed]:
    """Inputs of an ONNX graph.

    Raises:
        ModelError: nothing here makes inputs for such a graph.
    """
    session = onnx.session(path)
    inputs = {each.name: each for each in session.get_inputs()}
    del session
    makers: list[tuple[set[str], Callable[[Path, Material], list[Feed]]]] = [
        ({"mel"}, _whisper_encoder),
        ({"tokens", "parents", "places"}, _whisper_decoder),
        ({"input", "state", "sr"}, _silero),
        ({"input", "input_lengths", "scales"}, _piper),
    ]
    for names, make in makers:
        if names <= inputs.keys():
            return make(path, given)
    if len(inputs) == 1:
        (only,) = inputs.values()
        if only.type == "tensor(float)" and len(only.shape) == 2:
            return _frames(only.name, only.shape[1], given)
    raise ModelError(
        f"nothing is known that makes its inputs ({', '.join(sorted(inputs))}) out of recordings",
        place=str(path),
        remedy="use a recipe that needs no calibration: --recipe dynamic, fp16 or nbits",
    )


def _frames(name: str, size: object, given: Material) -> list[Feed]:
    """For a network that hears frames of samples."""
    length = size if isinstance(size, int) and size > 0 else FRAME
    return [
        {name: audio[at : at + length][None]}
        for audio in given.audio
        for at in _spread(len(audio) - length, _STEPS // 4)
    ]


def _spread(last: int, count: int) -> list[int]:
    return sorted({int(at) for at in np.linspace(0, max(last, 0), count)})


def _mel(audio: Samples, mels: int) -> Samples:
    padded = np.pad(audio, (0, int(_PADDING * RATE)))
    return log_mel(padded[: len(padded) // (2 * HOP) * 2 * HOP], mels)[None]


def _whisper_encoder(path: Path, given: Material) -> list[Feed]:
    mels = int(onnx.session(path).get_inputs()[0].shape[1])
    return [{"mel": _mel(audio, mels)} for audio in given.audio]


def _whisper_decoder(path: Path, given: Material) -> list[Feed]:
    """The float decoder writes freely, and what it is given at every third token is kept.

    What was written first is given as the prefix that beams share and what followed as their own, so that every input
    has numbers in it: of what is empty each time there are no ranges.
    """
    import json

    encoder, decoder = onnx.session(path.with_name("encoder.onnx")), onnx.session(path)
    special = json.loads(path.with_name("tokens.json").read_bytes())["special"]
    names = [each.name for each in encoder.get_outputs()]
    outputs = [each.name for each in decoder.get_outputs()]
    shapes = {each.name: each.shape for each in decoder.get_inputs()}
    found: list[Feed] = []
    for audio in given.audio:
        spectrogram = _mel(audio, int(encoder.get_inputs()[0].shape[1]))
        feed: Feed = dict(zip(names, encoder.run(names, {"mel": spectrogram}), strict=True))
        feed |= {"parents": np.zeros(1, np.int64), "places": np.array([-1], np.int64)}
        feed["shortlist"] = np.zeros((1, int(shapes["shortlist"][1])), np.float32)
        for name, shape in shapes.items():
            if name.startswith(("prefix_", "past_")):
                lengths = {"B_past": 1, "P": 0, "S": 0}
                feed[name] = np.zeros([lengths.get(size, size) for size in shape], np.float32)
        tokens = [int(special["start"]), int(special["no_timestamps"])]
        for step in range(_TOKENS):
            feed["tokens"] = np.array([tokens], np.int64)
            if step % 3 == 2:
                found.append(_shared(feed))
            results = dict(zip(outputs, decoder.run(outputs, feed), strict=True))
            best = int(results["logits"][0, -1, : int(special["end"]) + 1].argmax())
            if best == int(special["end"]):
                break
            tokens = [best]
            feed |= {f"past_{name}": each for name, each in results.items() if name.startswith(("key_", "value_"))}
    return found


def _shared(feed: Feed) -> Feed:
    """The same, with the first tokens as the prefix."""
    result = dict(feed)
    for name in feed:
        if name.startswith("past_key_"):
            result[name], before = feed[name][..., _PREFIX:], feed[name][0, ..., :_PREFIX]
        elif name.startswith("past_value_"):
            result[name], before = feed[name][:, :, _PREFIX:], feed[name][0, :, :_PREFIX]
        else:
            continue
        result[name.replace("past_", "prefix_")] = before
    return result


def _silero(path: Path, given: Material) -> list[Feed]:
    """Frames with the state that the network has by then; every so many are kept."""
    session = onnx.session(path)
    found: list[Feed] = []
    for audio in given.audio:
        state = np.zeros((2, 1, 128), np.float32)
        padded = np.pad(audio, (CONTEXT, 0))
        starts = range(0, len(audio) - FRAME + 1, FRAME)
        kept = set(_spread(len(starts) - 1, _STEPS))
        for number, at in enumerate(starts):
            feed: Feed = {
                "input": padded[at : at + CONTEXT + FRAME][None],
                "state": state,
                "sr": np.array(RATE, np.int64),
            }
            if number in kept:
                found.append(feed)
            state = session.run(None, feed)[1]
    return found


def _piper(path: Path, given: Material) -> list[Feed]:
    """Texts as the voice's phonemes, without noise, so that the same text gives the same sound."""
    package = require("piper", extra="piper", distribution="piper-tts")
    voice: Any = package.PiperVoice.load(str(path))
    found: list[Feed] = []
    for text in given.texts:
        for sentence in voice.phonemize(text):
            numbers = np.array([voice.phonemes_to_ids(sentence)], np.int64)
            scales = np.array([0.0, voice.config.length_scale, 0.0], np.float32)
            found.append({"input": numbers, "input_lengths": np.array([numbers.shape[1]], np.int64), "scales": scales})
    return found


def tflite_feeds(path: Path, given: Material) -> list[Feed]:
    """Inputs of a wake word's TFLite model.

    Raises:
        ModelError: nothing here makes inputs for such a model, or the features that a word takes are not there.
    """
    model = litert.interpreter(path)
    inputs = model.get_input_details()
    shape = tuple(int(size) for size in inputs[0]["shape"])
    (names,) = [each["inputs"] for each in model.get_signature_list().values()][:1] or [[inputs[0]["name"]]]
    name = names[0]
    if len(inputs) == 1 and shape == (1, _MEL_WINDOW, _MELS, 1):
        return [{name: window} for window in _mel_windows(path, given)]
    if len(inputs) == 1 and len(shape) == 3 and shape[2] == 96:
        embed = litert.interpreter(wakeparts.features(path.parent) / EMBEDDING)
        at, out = embed.get_input_details()[0]["index"], embed.get_output_details()[0]["index"]
        rows = []
        for window in _mel_windows(path, given):
            embed.set_tensor(at, window)
            embed.invoke()
            rows.append(embed.get_tensor(out).reshape(96).copy())
        return [{name: np.stack(rows[i : i + shape[1]])[None]} for i in range(0, len(rows) - shape[1] + 1, 4)]
    raise ModelError(
        f"nothing is known that makes its input of shape {list(shape)} out of recordings",
        place=str(path),
        remedy="use a recipe that needs no calibration: --recipe dynamic or weights",
    )


def _mel_windows(path: Path, given: Material) -> list[NDArray[np.float32]]:
    place = wakeparts.features(path.parent) / MEL
    # Not by ``litert``, which sets its memory up for the one sample that the file says, and fails.
    front = require("ai_edge_litert.interpreter").Interpreter(model_path=str(place), num_threads=1)
    at, out = front.get_input_details()[0]["index"], front.get_output_details()[0]["index"]
    windows: list[NDArray[np.float32]] = []
    for audio in given.audio:
        front.resize_tensor_input(at, [1, len(audio)])
        front.allocate_tensors()
        front.set_tensor(at, (audio * np.float32(32768.0))[None])
        front.invoke()
        # openWakeWord scales its spectrogram like this before the embedding sees it.
        mel = front.get_tensor(out).reshape(-1, _MELS) / np.float32(10.0) + np.float32(2.0)
        starts: Sequence[int] = range(0, len(mel) - _MEL_WINDOW + 1, _MEL_STEP)
        windows += [np.ascontiguousarray(mel[i : i + _MEL_WINDOW])[None, :, :, None] for i in starts]
    return windows
