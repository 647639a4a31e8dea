"""The user's own recordings: what is usable, and what is wrong with the rest."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgevoice.audio.pcm import RATE, Audio, Float32, from_float32
from edgevoice.errors import AudioError, ConfigError, EdgeVoiceError
from edgevoice.evaluate.recording import read
from edgevoice.think.sounds import pronounce
from edgevoice.waketrain.cut import bounds
from edgevoice.waketrain.material import LONGEST
from edgevoice.waketrain.near import edits

ENDINGS = frozenset((".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff"))
SILENT = 0.003
"""Largest sample, -50 dB: nobody has spoken into that microphone."""
CLIPPED = 0.005
"""Share of samples at the highest level that equal the one before: speech has no flat tops, an overdriven input has."""
FULL = 0.99
LONG = 3.0
"""Seconds of sound: the phrase takes at most 2, and the window is as long."""
WRONG = 0.6
"""Edits by sound of the phrase from which what was recognised is something else. The recogniser errs with names, so
this is far from exact."""

Recognise = Callable[[Audio], str]


def files(folder: Path) -> list[Path]:
    """
    Raises:
        ConfigError: there is no such folder, or nothing in it that could be audio.
    """
    if not folder.is_dir():
        raise ConfigError("there is no such folder", place=str(folder), remedy="give a folder with recordings")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not found:
        raise ConfigError(
            "there is no recording in it",
            place=str(folder),
            remedy=f"put files there that end in {', '.join(sorted(ENDINGS))}",
        )
    return found


def positives(folder: Path, words: Sequence[str], recognise: Recognise | None) -> tuple[tuple[Float32, ...], list[str]]:
    """The recordings of the phrase, silence trimmed, and why others are left out.

    Raises:
        ConfigError, AudioError: there is no usable one.
    """
    good: list[Float32] = []
    wrong: list[str] = []
    for path in files(folder):
        try:
            samples = read(path).float32()
        except EdgeVoiceError as error:
            wrong.append(str(error))
            continue
        fault = unusable(samples, words, recognise)
        if fault:
            wrong.append(f"{path}: {fault}")
        else:
            begin, end = bounds(samples)
            good.append(samples[begin:end])
    if not good:
        raise AudioError("none of the recordings can be used: " + "; ".join(wrong), place=str(folder))
    return tuple(good), wrong


def negatives(folder: Path) -> tuple[tuple[Float32, ...], list[str]]:
    """The recordings without the phrase in pieces of ``LONGEST``, and why others are left out.

    Raises:
        ConfigError, AudioError: there is no usable one.
    """
    good: list[Float32] = []
    wrong: list[str] = []
    for path in files(folder):
        try:
            samples = read(path).float32()
        except EdgeVoiceError as error:
            wrong.append(str(error))
            continue
        good += [samples[at : at + LONGEST] for at in range(0, len(samples), LONGEST)]
    if not good:
        raise AudioError("none of the recordings can be used: " + "; ".join(wrong), place=str(folder))
    return tuple(good), wrong


def unusable(samples: Float32, words: Sequence[str], recognise: Recognise | None) -> str | None:
    """Why a recording is none of the phrase; None when it is, as far as that can be told."""
    return _fault(samples) or _another(samples, words, recognise)


def _fault(samples: Float32) -> str | None:
    highest = float(np.abs(samples).max(initial=0.0))
    begin, end = bounds(samples)
    if highest < SILENT:
        return "it is silent"
    top = (np.abs(samples[1:]) >= FULL * highest) & (samples[1:] == samples[:-1])
    if float(top.sum()) > CLIPPED * (end - begin):
        return "it is clipped: record it with less gain, or farther away"
    if end - begin > LONG * RATE:
        return (
            f"it has {(end - begin) / RATE:.1f} s of sound, the phrase alone takes less: cut it out, or record it anew"
        )
    return None


def _another(samples: Float32, words: Sequence[str], recognise: Recognise | None) -> str | None:
    if recognise is None:
        return None
    quiet = np.zeros(RATE // 4, np.float32)
    heard = recognise(from_float32(np.concatenate([quiet, samples, quiet]), RATE))
    kept = ["".join(letter for letter in word.lower() if letter.isalpha()) for word in heard.split()]
    wanted, sounds = ("".join(map(pronounce, each)) for each in (words, [word for word in kept if word]))
    if edits(sounds, wanted) > WRONG * max(len(wanted), 1):
        return f"it sounds like '{heard.strip():.60}', not like '{' '.join(words)}'"
    return None
