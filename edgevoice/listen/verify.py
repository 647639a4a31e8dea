"""The second stage of wake word detection: the recogniser looks again at what may have been the wake word.

Held to the phrase, the recogniser says how far it is to be believed that this was said and nothing else. That takes it
some 60 ms, and is far more certain than a network of 60 kB can be; docs/wake-words.md has the measurements.
"""

import asyncio
import logging
from collections.abc import Sequence

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.automaton import ROOT, Accept, Automaton, Jump, Kind, Net
from edgevoice.engines.protocols import AsrEngine, Prover, WakeModel, Writer
from edgevoice.flow.worker import Caller
from edgevoice.words import normalise

log = logging.getLogger(__name__)

HEARD = 1.5
"""Seconds up to the moment of doubt that are looked at: the longest phrases take one, and what else was said before
makes it another sentence."""


def automaton(phrase: str) -> Automaton | None:
    """Of one sentence; None when it has no word."""
    words = normalise(phrase)
    if not words:
        return None
    root, skip = Net("sentences", Kind.ROOT), Net("skip words", Kind.SKIP)
    state = start = root.add_state()
    root.add_arc(Net.START, Jump(start))
    for word in words:
        root.add_word(state, word, after := root.add_state())
        state = after
    root.add_arc(state, Accept(ROOT))
    return Automaton((root, skip), (start,))


class Verifier:
    """Asks a recogniser for the phrases of wake words.

    Args:
        asr: the recogniser and who runs it.
        patience: seconds it is waited for; None: as long as it takes, so that a recording gives the same at any speed.
    """

    def __init__(self, asr: tuple[Caller, Prover], phrases: Sequence[WakeModel], patience: float | None) -> None:
        self._worker, self._engine = asr
        self._patience = patience
        self._automata = {word.name: made for word in phrases if (made := automaton(word.phrase)) is not None}

    def knows(self, word: WakeModel) -> bool:
        return word.name in self._automata

    async def sure(self, heard: Audio, word: WakeModel) -> float | None:
        """Probability that the word was said, 0..1; None when the recogniser has not told in time."""
        asked = self._worker.call(
            self._engine.prove, heard.since(heard.end - int(HEARD * RATE)), self._automata[word.name]
        )
        if self._patience is None:
            return await asked
        try:
            return await asyncio.wait_for(asked, self._patience)
        except TimeoutError:
            log.warning("the recogniser was too busy to check a doubtful '%s'", word.phrase)
            return None


def verifier(
    asr: tuple[Caller, AsrEngine], words: Sequence[WakeModel], patience: float | None = None
) -> Verifier | None:
    """What checks doubtful wakes; None, with a note in the log, where the recogniser cannot."""
    worker, engine = asr
    if not isinstance(engine, Prover):
        log.info("wake words are not checked by the recogniser: this one cannot; see detection.verify")
        return None
    known = []
    for word in words:
        strange = engine.unwritable(normalise(word.phrase)) if isinstance(engine, Writer) else []
        if strange or not normalise(word.phrase):
            why = f"it cannot write '{strange[0]}'" if strange else "it has no words"
            log.warning("the wake word '%s' is not checked by the recogniser: %s", word.phrase, why)
        else:
            known.append(word)
    return Verifier((worker, engine), known, patience) if known else None
