"""What an engine is. An engine holds weights and is shared; a session holds state and never is.

An engine returns numbers and words. Thresholds, patience, hysteresis and the end of speech are decided in
``edgevoice.listen``, once for all engines.

An engine is one module with

* ``Options``: a frozen ``msgspec.Struct`` (``kw_only=True, forbid_unknown_fields=True``) whose fields are
  ``Annotated[type, msgspec.Meta(description=..., ge=..., le=...)]`` and all have defaults. It becomes the engine's
  configuration section and its documentation.
* ``load(options, store)``: imports its third-party package (inside the function, through
  ``edgevoice.engines.registry.require``), loads the weights and returns the engine.

and one line in ``edgevoice.engines.registry``. All methods are blocking and are called from the one thread of the
engine's worker. Audio arrives as 16 kHz mono int16.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from edgevoice.audio.pcm import Audio
from edgevoice.automaton import Automaton


class ModelPaths(Protocol):
    """Where an engine gets its weights from; ``edgevoice.modelstore`` in the daemon, a fake in tests."""

    def path(self, name: str) -> Path:
        """The verified directory of the model ``name`` of the catalog, or the file or directory that ``name`` is a
        path of (when it contains a ``/``).

        Raises:
            ModelError: it is not installed, is damaged, or there is no such model or path.
        """


class Engine(Protocol):
    def close(self) -> None:
        """Give up the weights. No session may be used afterwards. May be called twice."""


# Wake word -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WakeModel:
    """One wake word that an engine listens for, with what its author recommends."""

    name: str
    """How the configuration and events call it, for example ``okay_nabu``."""
    phrase: str
    """What is said, for example ``Okay Nabu``."""
    threshold: float
    """Recommended smallest score, 0..1."""
    patience: int
    """Recommended number of scores that are averaged before they are compared with the threshold."""
    loose: float | None = None
    """Recommended smallest score that is worth a second look by something stronger; None: not known."""
    sure: float | None = None
    """Recommended smallest score that needs none; None: not known."""


@dataclass(frozen=True, slots=True)
class WakeScore:
    """The score of one wake word for one step of audio."""

    model: int
    """Index into ``WakeEngine.models``."""
    score: float
    """0..1, for this step alone; not smoothed."""
    end: int
    """Capture index of the sample after the last one the score is about."""


class WakeEngine(Engine, Protocol):
    @property
    def models(self) -> Sequence[WakeModel]: ...
    @property
    def heavy(self) -> bool:
        """Whether it takes so much of the processor that it pays to listen with it only while somebody speaks."""

    @property
    def memory(self) -> float:
        """Seconds of audio before a score that it depends on: a session that begins earlier, a whole number of steps,
        gives the same score, bit for bit."""

    def open(self) -> "WakeSession": ...


class WakeSession(Protocol):
    def feed(self, audio: Audio) -> Sequence[WakeScore]:
        """Scores of every step that ``audio`` (any length) completes, in order of time."""

    def close(self) -> None: ...


# Voice activity ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechScore:
    probability: float
    """That the frame holds speech, 0..1."""
    start: int
    """Capture index of the frame's first sample."""
    end: int
    """Capture index of the sample after the frame's last one."""


class VadEngine(Engine, Protocol):
    def open(self) -> "VadSession": ...


class VadSession(Protocol):
    def feed(self, audio: Audio) -> Sequence[SpeechScore]:
        """A score for every frame that ``audio`` (any length) completes, in order of time."""

    def close(self) -> None: ...


# Speech recognition --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """One sentence that the hint's automaton accepts, as a reading of the audio."""

    text: str
    """The words on the automaton's arcs."""
    probability: float
    """Of this sentence among all readings that were compared, 0..1; they sum up to at most 1."""


BELIEVED = 0.4
"""Confidence of a hypothesis from which it is taken for what was said, unless the configuration asks for more. At 0.5
more commands in noise would be lost than other talk is refused (docs/speech-to-intent.md)."""

Ending = Literal["closed", "open", "unfinished"]
"""Whether the likeliest sentence is complete: so that nothing could follow, complete though something could follow, or
not complete."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What was understood so far."""

    text: str
    """As the engine writes it, may be empty. Never None."""
    stable: int = 0
    """So many leading characters are kept by later partial texts; the final text may still correct them."""
    confidence: float | None = None
    """0..1, or None when the engine has no such figure. With readings: the probability that any of them was said."""
    readings: Sequence[Reading] | None = None
    """Sentences of the hint's automaton that may have been said, the likeliest first; empty when none can. None: the
    engine writes freely."""
    ending: Ending | None = None
    """Of the likeliest reading so far; None when the engine cannot tell."""


@dataclass(frozen=True, slots=True)
class AsrHint:
    """What is likely to be said; an engine may use it or not."""

    phrases: Sequence[str] = ()
    """Complete phrases in lower case, numbers as words. Empty: anything may be said."""
    automaton: Automaton | None = None
    """Of all sentences that may be said. An engine that can follow it gives ``Hypothesis.readings``."""
    haste: bool = False
    """The machine cannot keep up: save work, even if that costs a little accuracy."""


class AsrEngine(Engine, Protocol):
    def open(self, hint: AsrHint | None = None) -> "AsrSession": ...


@runtime_checkable
class Writer(Protocol):
    """An engine that cannot write every word."""

    def unwritable(self, words: Iterable[str]) -> list[str]:
        """Those of the words that it never writes, so that no sentence with them is recognised."""


@runtime_checkable
class Prover(Protocol):
    """An engine that can tell whether a phrase was said, instead of what was."""

    def prove(self, audio: Audio, phrase: Automaton) -> float:
        """Probability, 0..1, that the audio holds the only sentence of ``phrase`` and nothing else."""


class AsrSession(Protocol):
    """One utterance."""

    @property
    def constrained(self) -> bool:
        """Whether it hears nothing but sentences of the hint's automaton, and gives ``Hypothesis.ending``."""

    def feed(self, audio: Audio) -> Hypothesis | None:
        """Take the next piece of the utterance. Gives a partial hypothesis when there is a new one."""

    def pause(self, *, glance: bool = False) -> Hypothesis | None:
        """The speaker has fallen silent, perhaps for good: a chance to do the final work before the end of speech is
        certain. Gives what ``finish`` would give if nothing but silence followed, or None when the engine gains
        nothing from it. More audio may follow.

        Args:
            glance: only to know how the sentence stands, in a pause that is likely to be one of many; when it is none
                of the hint's automaton, None is enough. Not asked of a session that is not constrained.
        """

    def finish(self) -> Hypothesis:
        """The final hypothesis for all audio fed. Nothing is fed afterwards."""

    def close(self) -> None: ...


# Speech synthesis ----------------------------------------------------------------------------------------------


class TtsEngine(Engine, Protocol):
    @property
    def rate(self) -> int:
        """Samples per second of what ``synthesize`` gives."""

    @property
    def language(self) -> str:
        """What it speaks, as ISO 639 has it: ``en``, ``de``."""

    def synthesize(self, text: str) -> Iterator[Audio]:
        """Speak one clause; pieces as soon as they are ready, all of ``rate``.

        Raises:
            TextError: nothing in the text can be pronounced by this voice.
        """
