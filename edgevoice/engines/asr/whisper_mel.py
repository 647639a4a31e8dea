"""Whisper's log-mel spectrogram (Radford et al., 2022, section 2.2) in numpy.

25 ms windows (Hann, 400 samples) every 10 ms, power spectrum, Slaney's mel filters (as in his Auditory Toolbox,
1998: linear below 1 kHz, logarithmic above, each filter of equal area), log10, the range cut to 8 below the maximum,
then mapped to about -1..1.
"""

from functools import cache

import numpy as np

from edgevoice.audio.pcm import RATE, Float32

WINDOW = 400
HOP = 160
"""Samples per frame: 10 ms."""
_FLOOR = np.float32(1e-10)
_RANGE = np.float32(8.0)
_LINEAR_STEP = 200.0 / 3.0
"""Hz per mel in the linear part."""
_LOG_START = 1000.0
_LOG_STEP = np.log(6.4) / 27.0
"""Growth of the logarithm per mel above 1 kHz."""


def _to_mel(hertz: float) -> float:
    if hertz < _LOG_START:
        return hertz / _LINEAR_STEP
    return float(_LOG_START / _LINEAR_STEP + np.log(hertz / _LOG_START) / _LOG_STEP)


@cache
def filters(mels: int) -> Float32:
    """The mel filters, shape [201, mels]."""
    at = np.linspace(0.0, _to_mel(RATE / 2), mels + 2)
    hertz = np.where(
        at < _LOG_START / _LINEAR_STEP,
        at * _LINEAR_STEP,
        _LOG_START * np.exp((at - _LOG_START / _LINEAR_STEP) * _LOG_STEP),
    )
    bins = np.linspace(0.0, RATE / 2, WINDOW // 2 + 1)[:, None]
    rising = (bins - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    falling = (hertz[2:] - bins) / (hertz[2:] - hertz[1:-1])
    area = 2.0 / (hertz[2:] - hertz[:-2])
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)) * area, dtype=np.float32)


@cache
def _window() -> Float32:
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW), dtype=np.float32)


def log_mel(samples: Float32, mels: int) -> Float32:
    """The spectrogram of 16 kHz samples in [-1, 1].

    Returns:
        Shape [mels, n // 160] for n samples; at least one frame's worth of samples is needed.
    """
    frames = len(samples) // HOP
    padded = np.pad(samples, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: frames * HOP : HOP]
    spectrum = np.fft.rfft(windows * _window(), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    mel = np.log10(np.maximum(power.astype(np.float32) @ filters(mels), _FLOOR))
    mel = np.maximum(mel, mel.max() - _RANGE)
    return np.ascontiguousarray(((mel + np.float32(4.0)) / np.float32(4.0)).T, dtype=np.float32)
