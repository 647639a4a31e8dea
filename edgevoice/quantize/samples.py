"""What models are measured and calibrated with: a manifest of JSON lines, read and checked as a whole.

    asr      audio, text                    what is said
    intents  audio, intent, slots           a spoken command; see ``edgevoice.evaluate.manifest``
    wake     audio, phrase                  the wake word that is said in it, once; null or absent: none
    vad      audio, speech                  stretches of speech, [[begin, end], ...] in seconds; absent: not labelled
    tts      text                           what is to be spoken

Audio is a path relative to the manifest; other keys are let be.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from edgevoice.audio.pcm import Audio
from edgevoice.evaluate import lines
from edgevoice.evaluate.recording import read
from edgevoice.modelfiles import sha256_of
from edgevoice.quantize.metric import SampleSet

Seconds = Annotated[float, msgspec.Meta(ge=0.0)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Heard(msgspec.Struct, frozen=True):
    """A line of which only the audio matters: for calibration, and the first part of most others."""

    audio: Text


class Spoken(Heard, frozen=True):
    """A line for ``asr``."""

    text: Text


class Called(Heard, frozen=True):
    """A line for ``wake``."""

    phrase: Text | None = None


class Voiced(Heard, frozen=True):
    """A line for ``vad``."""

    speech: tuple[tuple[Seconds, Seconds], ...] | None = None


class Ordered(Heard, frozen=True):
    """A line for ``intents``; what it means is read by ``edgevoice.evaluate.manifest``."""

    intent: str
    slots: dict[str, str | int | float | bool] = {}


class Written(msgspec.Struct, frozen=True):
    """A line for ``tts``."""

    text: Text


L = TypeVar("L", bound=Heard | Written)


def load(
    kind: type[L],
    manifest: Path,
    limit: int | None = None,
    check: Callable[[Path], Iterable[str]] = lambda path: (),
) -> tuple[list[L], SampleSet]:
    """The lines of a manifest, and what a provenance says of them.

    Args:
        kind: what a line holds.
        limit: lines at most.
        check: what else is wrong with a recording that can be read.

    Raises:
        ConfigError: with every mistake, each with file and line: no JSON, a key that is missing or wrong, audio that
            is missing, is none or is empty, audio that is named twice; or there is no line at all.
    """
    found: list[L] = []
    if issubclass(kind, Heard):
        found = [line for _, _, line in lines.read_audio(manifest, kind, limit, lambda _, path: check(path))]
    else:
        found = [line for _, line in lines.read(manifest, kind, limit, lambda number, line: ())]
    digest = hashlib.sha256()
    for line in found:
        if isinstance(line, Heard):
            # The audio counts, not where it lies.
            digest.update(sha256_of(manifest.parent / line.audio).encode())
            digest.update(msgspec.json.encode(msgspec.structs.replace(line, audio="-"), order="deterministic"))
        else:
            digest.update(msgspec.json.encode(line, order="deterministic"))
        digest.update(b"\n")
    return found, SampleSet(name=manifest.name, n=len(found), sha256=digest.hexdigest())


def audio(line: Heard, manifest: Path) -> Audio:
    """The whole recording of a line, at 16 kHz.

    Raises:
        AudioError: there is no such file, or it is no audio.
    """
    return read(manifest.parent / line.audio)
