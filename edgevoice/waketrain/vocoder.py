"""Other speakers out of one voice.

A voice of hibari gives, for every 12.5 ms, the spectra of a source and filter model (harmonics, noise, the rest) and
the pitch, and only then a waveform. Between the two, the spectra can be stretched as another vocal tract would do it,
and pitch, melody and rhythm set apart from that: one voice becomes men, women and children.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.engines.registry import require
from edgevoice.waketrain.cut import trimmed

VOICED = 40.0
"""Hz below which the voice gives no pitch but "unvoiced"."""
PITCH = (55.0, 520.0)
"""Hz between which people's voices are."""


@dataclass(frozen=True)
class Speaker:
    tract: float
    """Length of the vocal tract, as a multiple of the voice's."""
    pitch: float
    """As a multiple of the voice's."""
    melody: float
    """Range of the pitch, in octaves, as a multiple of the voice's; 0 is monotonous."""
    speed: float
    tilt: float
    """How much brighter, in units that each are about 1.4 dB an octave."""
    breath: float
    """Natural logarithm by which the noise is stronger."""


def somebody(draw: np.random.Generator) -> Speaker:
    """A speaker by chance: a longer tract mostly goes with a lower voice."""
    tract = float(np.exp(draw.uniform(np.log(0.84), np.log(1.22))))
    pitch = np.exp(-2.6 * np.log(tract) + draw.normal(0, 0.16))
    return Speaker(
        tract=tract,
        pitch=float(np.clip(pitch, 0.42, 1.7)),
        melody=float(draw.uniform(0.4, 1.7)),
        speed=float(draw.uniform(0.72, 1.4)),
        tilt=float(draw.normal(0, 1.0)),
        breath=float(draw.normal(0, 0.5)),
    )


def speak(session: Any, ids: list[int], speaker: Speaker, draw: np.random.Generator) -> Float32:
    """Phonemes of hibari, spoken by somebody else; at 16 kHz, silence trimmed."""
    dsp = require("hibari.dsp", distribution="hibari-tts")
    soxr = require("soxr")
    given = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speaker.speed], np.float32)}
    harmonics, turn, noise, rest, phase, pitch = (each[0] for each in session.run(None, given))
    bins, frames = harmonics.shape
    when = _rhythm(frames, draw)
    where = np.clip(np.arange(bins) * speaker.tract, 0, bins - 1)
    below = np.floor(where).astype(np.int64)
    above, share = np.minimum(below + 1, bins - 1), (where - below)[:, None].astype(np.float32)
    nearest = np.round(where).astype(np.int64)
    slope = (speaker.tilt * np.log2(np.maximum(np.arange(bins), 5) / 50) / 6)[:, None].astype(np.float32)

    def stretched(values: Float32) -> Float32:
        result: Float32 = (values[below] * (1 - share) + values[above] * share)[:, when]
        return result

    sound = dsp.synth(
        stretched(harmonics) + slope,
        turn[nearest][:, when],
        stretched(noise) + slope + np.float32(speaker.breath),
        stretched(rest) + slope,
        phase[nearest][:, when],
        _melody(pitch[when], speaker, draw),
        draw,
    )
    return trimmed(soxr.resample(sound, dsp.SR, RATE).astype(np.float32))


def _rhythm(frames: int, draw: np.random.Generator) -> Any:
    """Which frame is spoken when: some sounds a little longer, others shorter."""
    knots = max(2, frames // 12)
    steps = np.interp(np.linspace(0, 1, frames), np.linspace(0, 1, knots), np.exp(draw.normal(0, 0.18, knots)))
    place = np.cumsum(steps) - steps[0]
    return np.round(place / max(place[-1], 1e-9) * (frames - 1)).astype(np.int64)


def _melody(pitch: Float32, speaker: Speaker, draw: np.random.Generator) -> Float32:
    result = pitch.astype(np.float64)
    voiced = result > VOICED
    if voiced.any():
        frames = len(result)
        knots = max(2, frames // 20)
        drift = np.interp(np.linspace(0, 1, frames), np.linspace(0, 1, knots), draw.normal(0, 0.07, knots))
        middle = np.exp(np.log(result[voiced]).mean())
        moved = middle * speaker.pitch * (result[voiced] / middle) ** speaker.melody * np.exp(drift[voiced])
        result[voiced] = np.clip(moved, *PITCH)
    return result.astype(np.float32)
