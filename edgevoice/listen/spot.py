"""What listens for wake words, from audio to wakes: the gate, the engine, the thresholds and the second look.

The daemon and ``edgevoice eval wake`` run the same; only who runs what blocks is another.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from edgevoice.audio.pcm import RATE, Audio, concatenate
from edgevoice.engines.protocols import (
    AsrEngine,
    SpeechScore,
    VadEngine,
    VadSession,
    WakeEngine,
    WakeScore,
    WakeSession,
)
from edgevoice.flow.worker import Caller
from edgevoice.listen.gate import LEAD, Gate
from edgevoice.listen.own import OwnVoice
from edgevoice.listen.verify import HEARD, Verifier, verifier
from edgevoice.listen.wake import Detection, Options, WakeDetector

KEPT = max(int(HEARD * RATE), LEAD) + RATE // 2
"""Samples before the newest piece that are remembered: what the second look needs, and what the gate hears of the time
before it opens, with a VAD's frame to spare."""

POOR = 0.8
"""Share of a word's threshold below which the recogniser must be the surer the less the word scores. With 0.5 a word of
one's own woke twice as often at other speech; of 2,200 wakes of ten words and of "Alexa" this costs two."""

RATED = 0.2
"""Share of the confidence that is enough from a word's threshold on, where its card tells how rare such scores are. Of
3 h of other talk with five words, nothing that scored so much was believed in by 0.01; of the words were some."""


class Recent:
    """The last audio that was heard."""

    def __init__(self) -> None:
        self._pieces: deque[Audio] = deque()
        self.kept = KEPT
        """Samples before the newest piece that are remembered; may be raised."""
        self.since = 0
        """Capture index from which on there has been no gap."""

    def push(self, audio: Audio) -> None:
        if not self._pieces:
            self.since = audio.start
        elif self._pieces[-1].end != audio.start:  # across a gap nothing is one sound
            self._pieces.clear()
            self.since = audio.start
        self._pieces.append(audio)
        while audio.start - self._pieces[0].end >= self.kept:
            self._pieces.popleft()

    @property
    def end(self) -> int:
        """Capture index of the sample after the last one; 0 before any."""
        return self._pieces[-1].end if self._pieces else 0

    def span(self, start: int, end: int) -> Audio:
        """What is left of it between two capture indices."""
        parts = (piece.since(start).until(end) for piece in self._pieces)
        return concatenate(part for part in parts if len(part))


class Scorer:
    """Audio to scores, behind the gate where there is one. Made by ``Scorer.open``."""

    def __init__(
        self,
        wake: tuple[Caller, WakeEngine],
        session: WakeSession,
        vad: tuple[Caller, VadSession] | None,
    ) -> None:
        self._worker, self._engine = wake
        self._session = session
        self._vad = vad
        self._gate = Gate()
        self._opened = 0
        self.recent = Recent()

    @classmethod
    async def open(cls, wake: tuple[Caller, WakeEngine], vad: tuple[Caller, VadEngine] | None) -> "Scorer":
        """
        Args:
            vad: of the gate; None: there is none.
        """
        worker, engine = wake
        session = await worker.call(engine.open)
        if vad is None:
            return cls(wake, session, None)
        return cls(wake, session, (vad[0], await vad[0].call(vad[1].open)))

    @property
    def begun(self) -> int:
        """Capture index from which on the engine has heard everything; its steps count from there."""
        return max(self._opened, self.recent.since)

    async def feed(self, audio: Audio) -> Sequence[WakeScore]:
        """The scores of what is to be listened to, in order of time."""
        self.recent.push(audio)
        if self._vad is None:
            return await self._worker.call(self._session.feed, audio)
        worker, session = self._vad
        frames: Sequence[SpeechScore] = await worker.call(session.feed, audio)
        scores: list[WakeScore] = []
        for span in self._gate.push(frames):
            if span.anew:
                self._opened = span.start
                self._worker.post(self._session.close)
                self._session = await self._worker.call(self._engine.open)
            scores += await self._worker.call(self._session.feed, self.recent.span(span.start, span.end))
        return scores

    def close(self) -> None:
        self._worker.post(self._session.close)
        if self._vad is not None:
            worker, session = self._vad
            worker.post(session.close)


class Spotter:
    """Audio to wakes.

    Args:
        scorer: may have listened before.
        asr: the recogniser of the second look.
        patience: see ``Verifier``.
        refused: called with what was doubtful and is no wake.
        own: knows what the assistant says itself; None: nothing of it is heard.
    """

    def __init__(
        self,
        scorer: Scorer,
        engine: WakeEngine,
        options: Options,
        asr: tuple[Caller, AsrEngine] | None,
        patience: float | None = None,
        refused: Callable[[Detection], None] = lambda found: None,
        own: OwnVoice | None = None,
    ) -> None:
        self.scorer = scorer
        self._own = own
        self._refused = refused
        self._options = options
        self._verifier: Verifier | None = None
        if asr is not None and options.verify.engine == "asr":
            self._verifier = verifier(asr, engine.models, patience)
        checked = [word.name for word in engine.models if self._verifier is not None and self._verifier.knows(word)]
        self.detector = WakeDetector(engine.models, options, checked)

    def close(self, *, scorer: bool = True) -> None:
        """Stop listening.

        Args:
            scorer: it is not needed any more either.
        """
        if scorer:
            self.scorer.close()
        if self._own is not None:
            self._own.close()

    async def hear(self, audio: Audio) -> AsyncGenerator[Detection, None]:
        """The wakes in the next piece of audio."""
        async with aclosing(self.judge(await self.scorer.feed(audio))) as wakes:
            async for wake in wakes:
                yield wake

    async def judge(self, scores: Sequence[WakeScore]) -> AsyncGenerator[Detection, None]:
        """The wakes that the next scores make."""
        if self._own is not None:
            scores = await self._own.others(scores)
        for found in self.detector.look(scores):
            if not found.doubtful:
                yield found
                continue
            if self.over_reply(found.at) and found.score >= self.detector.threshold(found.model):
                # In what is left of a reply the recogniser hears other words, too, and refuses what is no sentence of
                # its own.
                self.detector.accept(found)
                yield replace(found, doubtful=False)
                continue
            confidence = await self._ask(found)
            seen = replace(found, confidence=confidence)
            if self._believed(seen):
                self.detector.accept(seen)
                yield seen
            else:
                self._refused(seen)

    def over_reply(self, position: int) -> bool:
        """Whether something was played at a capture index: see ``Echoless.over_reply``. Other rules decide then."""
        return self._own is not None and self._own.over_reply(position)

    async def _ask(self, found: Detection) -> float | None:
        assert self._verifier is not None
        return await self._verifier.sure(self.scorer.recent.span(0, found.at), found.model)

    def _believed(self, found: Detection) -> bool:
        threshold = self.detector.threshold(found.model)
        if found.confidence is None:
            return found.score >= threshold
        needed = self._options.verify.threshold
        if found.score >= threshold and found.model.loose is not None:
            return found.confidence >= needed * RATED
        return found.confidence >= needed * max(POOR * threshold / max(found.score, 1e-6), 1.0)


def gated(engine: WakeEngine, options: Options) -> bool:
    """Whether it is listened only while somebody speaks."""
    return engine.heavy if options.gate is None else options.gate
