"""Noise mixed into speech the way the barista benchmark of Picovoice does it.

Over frames of 2048 samples, the SNR is the ratio of the loudest speech frame's energy to the loudest noise frame's
energy in the piece of noise used; after adding, the mix is scaled to a peak of 0.5
(github.com/Picovoice/speech-to-intent-benchmark).
"""

import math
import zlib

import numpy as np

from edgevoice.audio.pcm import Float32
from edgevoice.errors import AudioError

FRAME = 2048
PEAK = 0.5


def loudest(samples: Float32) -> float:
    """Energy of the loudest whole frame (of all samples, where there is no whole one): the sum of their squares."""
    if len(samples) < FRAME:
        return float(np.sum(np.square(samples, dtype=np.float64)))
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return float(np.square(frames, dtype=np.float64).sum(axis=1).max())


def piece(noise: Float32, length: int, *, lead: int, tail: int, seed: int, name: str) -> Float32:
    """The noise that goes with one recording: ``lead`` samples before it, ``length`` under it, ``tail`` after it.

    Which part of the noise lies under the recording follows from the seed and the recording's name alone: not from the
    SNR, so that the conditions of one recording differ in nothing else, nor from what else is measured. Before and
    behind its ends the noise goes on from its other end, and one that is shorter than the recording is repeated.
    """
    draw = np.random.default_rng([seed, zlib.crc32(name.encode())])
    begin = int(draw.integers(max(len(noise) - length, 0) + 1))
    result: Float32 = noise.take(np.arange(begin - lead, begin + length + tail), mode="wrap")
    return result


def mix(speech: Float32, noise: Float32, lead: int, snr: float) -> Float32:
    """Speech in noise, as long as the noise.

    Args:
        speech: shape [n], in [-1, 1).
        noise: shape [lead + n + tail], see ``piece``. The ratio of energies and the peak are those of the n samples
            under the speech; lead and tail get the same gain, and are clipped should they be twice as loud.
        snr: in dB.

    Raises:
        AudioError: the speech, or the noise under it, is digital silence.
    """
    under = slice(lead, lead + len(speech))
    loud_speech, loud_noise = loudest(speech), loudest(noise[under])
    if not loud_speech or not loud_noise:
        raise AudioError(
            f"the {'noise' if loud_speech else 'recording'} is silent, so no noise can be mixed in at an SNR"
        )
    gain = math.sqrt(loud_speech / loud_noise / 10 ** (snr / 10))
    mixed = noise * np.float32(gain)
    mixed[under] += speech
    result: Float32 = mixed * np.float32(PEAK / np.abs(mixed[under]).max())
    return result
