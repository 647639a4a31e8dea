"""A room around a recording: what was said before and after, echo, noise, the colour of a microphone, its level."""

from collections.abc import Sequence

import numpy as np

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.evaluate.mix import loudest

LEAD = 2.1
"""Seconds before the phrase: as far as a window looks back."""
TAIL = 0.7
TRACK = 10 * RATE
"""Samples of a piece of noise."""


def tracks(count: int, talk: Sequence[Float32], draw: np.random.Generator) -> list[Float32]:
    """Pieces of noise as in a kitchen: talk of several people in a room, coloured noise, clatter and hum."""
    return [_track(talk, draw) for _ in range(count)]


def _track(talk: Sequence[Float32], draw: np.random.Generator) -> Float32:
    people = np.zeros(TRACK, np.float32)
    for _ in range(int(draw.integers(1, 7))):
        said = np.concatenate([talk[int(draw.integers(len(talk)))], np.zeros(int(draw.integers(1, RATE)), np.float32)])
        people += np.roll(np.resize(said, TRACK), int(draw.integers(TRACK))) * np.float32(draw.uniform(0.3, 1))
    people = convolved(people, room(draw))
    times = np.arange(TRACK) / RATE
    base = draw.uniform(48, 130)
    hum = sum(np.sin(2 * np.pi * base * number * times) * draw.uniform() for number in range(1, 6))
    parts = (_coloured(draw), 6 * _clatter(draw), people / (people.std() + 1e-6), hum / (np.std(hum) + 1e-6))
    sound = sum(share * part for share, part in zip(draw.dirichlet((0.8, 0.8, 0.8, 0.6)), parts, strict=True))
    slow = np.exp(np.interp(np.linspace(0, 1, TRACK), np.linspace(0, 1, 12), draw.normal(0, 0.4, 12)))
    result: Float32 = (sound * slow / np.abs(sound * slow).max() * 0.5).astype(np.float32)
    return result


def _coloured(draw: np.random.Generator) -> Float32:
    """Noise between white and brown."""
    tones = np.fft.rfftfreq(TRACK, 1 / RATE)
    tones[0] = tones[1]
    spectrum = draw.normal(size=len(tones)) + 1j * draw.normal(size=len(tones))
    sound = np.fft.irfft(spectrum * tones ** (-draw.uniform(0, 2) / 2) * (tones > 30), TRACK)
    result: Float32 = (sound / sound.std()).astype(np.float32)
    return result


def _clatter(draw: np.random.Generator) -> Float32:
    """Plates and pans: clicks that ring on."""
    sound = np.zeros(TRACK, np.float32)
    for _ in range(int(draw.poisson(2.5 * TRACK / RATE)) + 1):
        at = int(draw.integers(TRACK))
        times = np.arange(min(int(draw.uniform(0.03, 0.4) * RATE), TRACK - at)) / RATE
        ring = 2 * draw.normal(size=len(times)) * np.exp(-times / draw.uniform(0.002, 0.02))
        for _ in range(int(draw.integers(2, 7))):
            tone = np.sin(2 * np.pi * draw.uniform(400, 6500) * times + draw.uniform(0, 6))
            ring += draw.uniform(0.2, 1) * tone * np.exp(-times / draw.uniform(0.01, 0.12))
        sound[at : at + len(times)] += (ring * np.exp(draw.normal(0, 0.8))).astype(np.float32)
    result: Float32 = (sound / (np.abs(sound).max() + np.float32(1e-6))).astype(np.float32)
    return result


def room(draw: np.random.Generator) -> Float32:
    """An impulse response: the direct sound, a few reflections, and noise that dies away."""
    length = float(np.exp(draw.uniform(np.log(0.08), np.log(0.8))))
    size = int(length * RATE)
    late = draw.normal(size=size) * np.exp(-6.9 * np.arange(size) / size)
    tones = np.fft.rfftfreq(size, 1 / RATE)
    late = np.fft.irfft(np.fft.rfft(late) / (1 + (tones / draw.uniform(1500, 8000)) ** 2), size)
    for _ in range(int(draw.integers(2, 7))):
        late[min(int(draw.uniform(0.001, 0.02) * RATE), size - 1)] += 3 * draw.normal()
    late *= 10 ** (-draw.uniform(0, 14) / 20) / np.sqrt(np.square(late).sum())
    late[0] += 1
    return late.astype(np.float32)


def convolved(sound: Float32, response: Float32) -> Float32:
    """As long as the sound."""
    size = 1 << (len(sound) + len(response) - 1).bit_length()
    result: Float32 = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)].astype(
        np.float32
    )
    return result


def coloured(sound: Float32, draw: np.random.Generator) -> Float32:
    """As through another microphone."""
    tones = np.fft.rfftfreq(len(sound), 1 / RATE)
    octave = np.log2(np.maximum(tones, 60) / 60)
    gain = 10 ** (np.interp(octave, np.linspace(0, 7.1, 6), draw.normal(0, 3, 6)) / 20)
    if draw.random() < 0.3:
        gain = gain / (1 + (draw.uniform(60, 250) / np.maximum(tones, 1)) ** 4)
    if draw.random() < 0.3:
        gain = gain / (1 + (tones / draw.uniform(3300, 7500)) ** 6)
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)).astype(np.float32)


def scene(
    said: Float32,
    draw: np.random.Generator,
    noise: Sequence[Float32],
    talk: Sequence[Float32],
    *,
    lead: float = LEAD,
    tail: float = TAIL,
) -> tuple[Float32, int]:
    """A recording in a room.

    Returns:
        The sound in [-1, 1], and the index behind the recording in it.
    """
    if draw.random() < 0.7:
        said = coloured(said, draw)
    # The features are made in steps of 80 ms: where in a step the phrase ends is by chance.
    before, after = int(lead * RATE) + int(draw.integers(1280)), int(tail * RATE)
    sound = np.zeros(before + len(said) + after, np.float32)
    end = before + len(said)
    sound[before:end] = said
    other = talk[int(draw.integers(len(talk)))] * np.float32(10 ** (draw.normal(0, 4) / 20))
    if draw.random() < 0.25:
        until = before - int(draw.uniform(0.05, 0.8) * RATE)
        if until > 0:
            heard = other[-until:]
            sound[until - len(heard) : until] += heard
    if draw.random() < 0.3:
        since = end + int(draw.uniform(0.05, 0.5) * RATE)
        heard = other[: max(len(sound) - since, 0)]
        sound[since : since + len(heard)] += heard
    if draw.random() < 0.75:
        sound = convolved(sound, room(draw))
    if draw.random() < 0.85:
        track = noise[int(draw.integers(len(noise)))]
        since = int(draw.integers(len(track)))
        behind = track.take(np.arange(since, since + len(sound)), mode="wrap")
        ratio = loudest(sound[before:end]) / (loudest(behind[before:end]) + 1e-9)
        sound = sound + behind * np.float32(np.sqrt(ratio / 10 ** (draw.uniform(2, 25) / 10)))
    else:
        sound = sound + draw.normal(0, 10 ** draw.uniform(-5, -3), len(sound)).astype(np.float32)
    level = 10 ** (-draw.uniform(2, 32) / 20)
    result: Float32 = (sound * np.float32(level / max(np.abs(sound).max(), 1e-9))).astype(np.float32)
    return result, end
