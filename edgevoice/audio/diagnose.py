"""What a test recording tells about a microphone, and whether it heard the speaker."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.convert import measure
from edgevoice.audio.pcm import RATE, Audio, Int16

State = Literal["ok", "warning", "fail"]

TOO_QUIET_DBFS = -70.0
"""Less than any room gives through a microphone that is turned up: 40 dB below speech at arm's length."""

CLIPPED_SHARE = 0.001
"""One sample in a thousand: short of that a knock on the table is enough."""

LARGEST_OFFSET = 0.02
"""A DC offset of 2 % of full scale: cheap sound cards have 0.5 %, and more takes room from the sound."""

RATE_TOLERANCE = 0.1
"""How far the pace of the samples may be from the clock's in two seconds, with blocks of up to 64 ms."""

HEARD = 9.0
"""How far the best match must stand above the others' root mean square. Two
seconds of noise reach 5.7 in a hundred tries; the chirp 5 dB below the noise, or in an echoing room, passes 10."""

CHIRP_SECONDS = 0.7


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a diagnosis."""

    subject: str
    state: State
    text: str
    remedy: str = ""


def chirp(rate: int = RATE) -> Audio:
    """A tone that rises from 400 to 4000 Hz: loudspeakers of any size play it, and its correlation with itself has one
    sharp peak. A quarter of full scale, faded in and out."""
    at = np.arange(round(CHIRP_SECONDS * rate)) / rate
    phase = 2 * np.pi * (400 * at + 1800 * at**2 / CHIRP_SECONDS)
    fade = np.minimum(1.0, np.minimum(at, CHIRP_SECONDS - at) / 0.02)
    return Audio(np.round(np.sin(phase) * fade * 8_000).astype(np.int16), rate)


def judge_recording(audio: Audio, *, elapsed: float, overruns: int, name: str) -> list[Finding]:
    """What is wrong with a recording of a microphone; at least one finding.

    Args:
        audio: at least a second.
        elapsed: seconds by the clock between the recording's first and last sample.
        overruns: how often audio was lost.
    """
    subject = f"microphone '{name}'"
    level = measure(audio.samples)
    mixer = "alsamixer (F4, F6 chooses the card), or: pactl set-source-mute @DEFAULT_SOURCE@ 0"
    if level.silent:
        text = "it gives digital silence: it is muted, switched off, or not the one you mean"
        return [Finding(subject, "fail", text, f"unmute it in {mixer}; 'edgevoice devices' lists the others")]
    findings = []
    if level.rms < TOO_QUIET_DBFS:
        text = f"it is very quiet: {level.rms:.0f} dBFS; it may be muted or turned down"
        findings.append(Finding(subject, "warning", text, f"turn it up in {mixer}"))
    share = level.clipped / max(len(audio), 1)
    if share > CLIPPED_SHARE:
        text = f"{share:.1%} of the samples are clipped: it is turned up too far"
        findings.append(Finding(subject, "warning", text, "turn the capture volume down in alsamixer (F4)"))
    if abs(level.offset) > LARGEST_OFFSET:
        text = f"it has a DC offset of {level.offset:+.1%} of full scale"
        findings.append(Finding(subject, "warning", text, "try another port, cable or sound card"))
    pace = audio.seconds / elapsed if elapsed > 0 else 1.0
    if abs(pace - 1) > RATE_TOLERANCE:
        text = f"it gives {pace:.2f} seconds of sound per second: its rate is not what it says"
        findings.append(Finding(subject, "fail", text, "set input.rate to what it really has: 48000, 44100 or 16000"))
    if overruns:
        text = f"sound was lost {overruns} times in {audio.seconds:.1f} s"
        findings.append(
            Finding(subject, "warning", text, "close what keeps the processor busy, or set input.block 1024")
        )
    return findings or [Finding(subject, "ok", f"it hears: {level.rms:.0f} dBFS, peak {level.peak:.0f}")]


def judge_loopback(heard: Audio, played: Audio, name: str) -> Finding:
    """Whether a recording (16 kHz) has the ``played`` chirp (16 kHz) in it, by a matched filter."""
    subject = f"speaker '{name}'"
    if _best_match(heard.samples, played.samples) >= HEARD:
        return Finding(subject, "ok", "the microphone hears it")
    return Finding(
        subject,
        "warning",
        "it plays, and the microphone does not hear it",
        "turn it up and see that it is not muted (alsamixer) and is the right one; with headphones all is well",
    )


def _best_match(long: Int16, short: Int16) -> float:
    """The cross-correlation's largest value over its root mean square; 0 for silence."""
    size = len(long) + len(short)
    # Only the phases count, so that a hum cannot drown the chirp (generalized cross-correlation, PHAT).
    spectrum: NDArray[Any] = np.fft.rfft(long.astype(np.float64) - long.mean(), size)
    kernel = np.conj(np.fft.rfft(short.astype(np.float64), size))
    band = np.abs(kernel) > np.abs(kernel).max() / 10
    spectrum = np.where(band, spectrum / np.maximum(np.abs(spectrum), 1e-9), 0)
    kernel = np.where(band, kernel / np.maximum(np.abs(kernel), 1e-9), 0)
    match = np.abs(np.fft.irfft(spectrum * kernel, size))
    mean = float(np.sqrt(np.mean(match**2)))
    return float(match.max()) / mean if mean > 0 else 0.0
