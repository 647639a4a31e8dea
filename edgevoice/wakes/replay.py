"""Kept wakes heard again, by the same spotter: what each threshold would have made of them."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import msgspec

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.automaton import Automaton
from edgevoice.engines.protocols import (
    AsrEngine,
    AsrHint,
    AsrSession,
    Prover,
    WakeEngine,
    WakeModel,
    WakeScore,
    WakeSession,
)
from edgevoice.errors import AudioError
from edgevoice.evaluate.recording import read
from edgevoice.flow.worker import Inline, at_once
from edgevoice.listen.spot import Scorer, Spotter
from edgevoice.listen.verify import verifier
from edgevoice.listen.wake import Detection, Options, WakeDetector
from edgevoice.wakes.keeper import DECIDING
from edgevoice.wakes.kept import Found

BLOCK = 4096
"""Samples that are fed at a time; with any number it is the same."""


@dataclass(frozen=True)
class Heard:
    """A kept wake that was listened to again."""

    found: Found
    scorer: Scorer
    """That has heard it."""
    scores: Sequence[WakeScore]
    """Of the word, around the decision; as if it were listened for alone."""


def hear(found: Found, engine: WakeEngine, word: WakeModel, patience: int) -> Heard:
    """Listen to a kept wake.

    Args:
        patience: scores that are averaged.

    Raises:
        AudioError: the recording is broken, or ends too soon.
    """
    audio = read(found.audio)
    kept = found.kept
    if len(audio) < kept.at - kept.start:
        raise AudioError("it ends before the wake", place=str(found.audio), remedy="delete it and its .json")
    scorer = at_once(Scorer.open((Inline(), engine), None))
    scorer.recent.kept = len(audio)
    number = [each.name for each in engine.models].index(word.name)
    scores: list[WakeScore] = []
    for at in range(0, len(audio), BLOCK):
        piece = Audio(audio.samples[at : at + BLOCK], RATE, kept.start + at)
        scores += [score for score in at_once(scorer.feed(piece)) if score.model == number]
    scorer.close()
    alone = [WakeScore(0, score.score, score.end) for score in scores]
    if kept.kind != "missed":  # what was decided before is another wake
        late = next((at for at, score in enumerate(alone) if score.end > kept.at - DECIDING * RATE), len(alone))
        alone = alone[max(late - (patience - 1), 0) :]
    return Heard(found, scorer, alone)


def same(heard: Heard, patience: int) -> bool:
    """Whether the score that decided then is found again, bit for bit."""
    values = [score.score for score in heard.scores if score.end <= heard.found.kept.at]
    means = {sum(values[at : at + patience]) / patience for at in range(len(values) - patience + 1)}
    return heard.found.kept.score in means


@dataclass(frozen=True)
class _One:
    """The engine, as far as one word goes."""

    engine: WakeEngine
    models: Sequence[WakeModel]

    @property
    def heavy(self) -> bool:
        return self.engine.heavy

    @property
    def memory(self) -> float:
        return self.engine.memory

    def open(self) -> WakeSession:
        return self.engine.open()

    def close(self) -> None:
        """It belongs to somebody else."""


class Remembered:
    """A recogniser that is asked once for each moment of a recording: it answers the same at every threshold."""

    def __init__(self, engine: Prover) -> None:
        self._engine = engine
        self._known: dict[int, float] = {}

    def prove(self, audio: Audio, phrase: Automaton) -> float:
        if audio.end not in self._known:
            self._known[audio.end] = self._engine.prove(audio, phrase)
        return self._known[audio.end]

    def open(self, hint: AsrHint | None = None) -> AsrSession:
        raise NotImplementedError("it only proves")

    def close(self) -> None:
        """It belongs to somebody else."""


class Judge:
    """Says for one word what woke, and what would have.

    Args:
        asr: of the second look; None: there is none.
    """

    def __init__(self, engine: WakeEngine, word: WakeModel, options: Options, asr: AsrEngine | None) -> None:
        self._engine = _One(engine, (word,))
        self._word = word
        self._options = options
        here = Inline()
        looks = options.verify.engine == "asr" and asr is not None
        self._prover = asr if looks and asr is not None and verifier((here, asr), [word]) is not None else None

    @property
    def patience(self) -> int:
        return self._options.patience or self._word.patience

    @property
    def looks(self) -> bool:
        """Whether there is a second look at this word."""
        return self._prover is not None

    def loose(self, threshold: float) -> float:
        """Score from which on something is kept at a threshold."""
        options = msgspec.structs.replace(self._options, thresholds={self._word.name: threshold})
        return WakeDetector([self._word], options, [self._word.name] if self.looks else []).loose(self._word)

    def woken(self, heard: Heard, options: Sequence[Options]) -> list[bool]:
        """Whether it would have woken, with each of these.

        Raises:
            EngineError: the recogniser failed.
        """
        asr = (Inline(), Remembered(self._prover)) if isinstance(self._prover, Prover) else None
        return [at_once(_any(Spotter(heard.scorer, self._engine, each, asr).judge(heard.scores))) for each in options]


async def _any(found: AsyncGenerator[Detection, None]) -> bool:
    return bool([each async for each in found])
