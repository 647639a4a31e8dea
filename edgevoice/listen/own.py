"""The assistant's own voice: a wake word that it says itself is none.

The engine listens to what is played as well. Where that scores, a score at the microphone is its echo, unless more was
heard than the echo can explain: then somebody says the word at the same time.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines.protocols import WakeEngine, WakeScore, WakeSession
from edgevoice.flow.worker import Caller
from edgevoice.listen.echo import Echoless

LATER = int(0.6 * RATE)
"""Samples by which a score at the microphone may come later than the one of what is played: 0.4 s of buffers and room,
and how much longer an echo scores."""
SCORES = 0.05
"""Score of what is played from which on it may be a wake word: far less than wakes, as the room changes the score."""
SAID = int(0.7 * RATE)
"""Samples in which a wake word is said, in which what was heard is compared with the echo."""
EXPLAINED = 3.0
"""So many times the echo that may be left is still taken for nothing but the echo. On a virtual sound card, where the
assistant said the word, it was 0.6 times at most in replies alone, 1.9 where the machine was busy, and 4.2 times or
more in each of 33 with a person at the same time."""
WARM_UP = RATE
"""Samples of silence that the engine hears first, as its features adapt to what they hear."""


class OwnVoice:
    """Knows which scores at the microphone are those of what the assistant says.

    Args:
        wake: the engine that listens at the microphone.
    """

    def __init__(self, wake: tuple[Caller, WakeEngine], echoless: Echoless) -> None:
        self._worker, self._engine = wake
        self._echoless = echoless
        self._session: WakeSession | None = None
        self._fed = 0
        self._scores: deque[WakeScore] = deque()

    def over_reply(self, position: int) -> bool:
        """See ``Echoless.over_reply``."""
        return self._echoless.over_reply(position)

    async def others(self, scores: Sequence[WakeScore]) -> Sequence[WakeScore]:
        """The next scores at the microphone, without those that are the assistant's own voice: they are 0."""
        if not scores:
            return scores
        if self._echoless.over_reply(scores[-1].end):
            await self._listen(scores[0].end, scores[-1].end)
        elif self._session is not None and scores[0].end > self._fed + LATER:
            self.close()
        return [replace(score, score=0.0) if self._ours(score) else score for score in scores]

    def close(self) -> None:
        session, self._session = self._session, None
        self._scores.clear()
        if session is not None:
            self._worker.post(session.close)

    async def _listen(self, start: int, end: int) -> None:
        if self._session is None:
            self._session = await self._worker.call(self._engine.open)
            self._fed = start - RATE // 2
            silence = Audio(np.zeros(WARM_UP, np.int16), start=self._fed - WARM_UP)
            await self._worker.call(self._session.feed, silence)
        if end > self._fed:
            played = self._echoless.played(self._fed, end)
            self._fed = end
            scores = await self._worker.call(self._session.feed, played)
            self._scores += [score for score in scores if score.score >= SCORES]

    def _ours(self, score: WakeScore) -> bool:
        while self._scores and self._scores[0].end < score.end - LATER:
            self._scores.popleft()
        if not any(played.model == score.model for played in self._scores):
            return False
        return self._echoless.unexplained(score.end - SAID, score.end) < EXPLAINED
