"""One utterance: audio from a tap through VAD and recognition to a transcript.

The VAD runs on in its own thread while the recogniser is busy, so the end of speech is found in time. As soon as the
speaker falls silent, the final recognition is begun on the chance that they have finished; when they go on, its result
is thrown away. Where the recogniser follows the grammar, that result also says how much silence is needed
(``edgevoice.listen.ending``).

All of this happens at the ends of the VAD's frames, however long the blocks are that the audio comes in. With a
recording every result is waited for before the next frame, as if it took no time; at a microphone a result that comes
late ends the utterance late, and changes nothing else.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from edgevoice.audio.pcm import Audio, concatenate
from edgevoice.engines.protocols import BELIEVED, AsrEngine, AsrHint, AsrSession, Hypothesis, SpeechScore, VadEngine
from edgevoice.events import Event, Partial, SpeechEnded, SpeechStarted, Transcript
from edgevoice.flow.hub import Tap, samples
from edgevoice.flow.worker import Worker
from edgevoice.listen.ending import patience
from edgevoice.listen.endpoint import Ended, Endpoint, Glanced, Options, Paused, Resumed, Started

Emit = Callable[[Event], None]

CUE_AFTER = 0.3
"""Seconds of silence after the wake before the cue: who speaks in one breath needs none, and without echo cancellation
it would sound into their first word. In recordings with the command in one breath it begins within 0.1 s."""

LEAD = 1.0
"""Seconds before the beginning of speech that the recogniser gets: the VAD is sure only some frames into a soft
consonant, misses a soft first word or two in noise, and recognisers want to hear the silence before a word. With 0.5 s
the first word of 3 of 618 orders was lost."""

BLIP = 1.0
"""Seconds of sound that are noise, something that fell or a chair, when the recogniser is sure that it is no command.
Longer ones are talk, and want an answer."""
NOISE = 0.1
"""Confidence below which the recogniser is sure. A short command that is understood badly is above."""
SOUND = 0.4
"""Seconds of sound that are noise, a click or "uh", when the recogniser does not believe them to be a command, sure or
not. Few words are as short: of 60 times "Alexa" two."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance."""

    transcript: Transcript
    hypothesis: Hypothesis
    """What the transcript was made of."""
    length: int
    """Samples from the beginning to the end of speech."""

    @property
    def noise(self) -> bool:
        """Whether it was no speech at all, by the recogniser: go on listening."""
        confidence = self.hypothesis.confidence
        if self.hypothesis.readings is None or confidence is None or confidence >= BELIEVED:
            return False
        return self.length <= samples(BLIP if confidence < NOISE else SOUND)


async def hear(
    tap: Tap,
    *,
    begin: int,
    count_from: int,
    vad: tuple[Worker, VadEngine],
    asr: tuple[Worker, AsrEngine],
    hint: AsrHint | None,
    options: Options,
    emit: Emit,
    cue: Callable[[], Awaitable[None]] | None,
    lossless: bool,
) -> Heard:
    """Listen to the tap until the end of speech and give what was said.

    Args:
        begin: capture index at which the utterance's audio begins; what lies before it only warms the VAD up.
        count_from: capture index from which on speech counts as the beginning of the utterance.
        cue: called once when the user seems to wait for a sign that they may speak.
        lossless: wait for the recogniser after every frame, so that a recording gives the same events at any speed.

    Raises:
        EngineError, AudioError: recognition failed or fell behind.
    """
    vad_worker, vad_engine = vad
    endpoint = Endpoint(options, count_from)
    haste = hint is not None and hint.haste
    vad_session = await vad_worker.call(vad_engine.open)
    frames = _Frames()
    recogniser: Recogniser | None = None
    before: deque[Audio] = deque()  # what was heard before speech began
    ended: SpeechEnded | None = None
    position = began = begin

    def end(change: Ended) -> None:
        nonlocal ended
        ended = SpeechEnded(at=change.at, end=change.end, reason=change.reason)

    def judge(hypothesis: Hypothesis) -> float | None:
        return patience(hypothesis, None if hint is None else hint.automaton, options, hesitant=endpoint.hesitant)

    def expect(hypothesis: Hypothesis, silence: float) -> None:
        change = endpoint.expect(silence, complete=hypothesis.ending != "unfinished")
        if change is not None and ended is None:
            end(change)
            tap.close()  # the loop below may be waiting for audio that is needed no more

    try:
        async for audio in tap:
            position = audio.end
            scores = await vad_worker.call(vad_session.feed, audio)
            for piece, score in frames.push(audio, scores):
                if ended is not None:
                    break
                if recogniser is None:
                    before.append(piece)
                    while before[0].end < piece.end - samples(LEAD + options.minimum) - len(piece):
                        before.popleft()
                else:
                    recogniser.push(piece)
                for change in endpoint.push(score, piece):
                    match change:
                        case Started():
                            began = change.at
                            emit(SpeechStarted(at=began))
                            worker, engine = asr
                            recogniser = Recogniser(worker, await worker.call(engine.open, hint), emit, judge, expect)
                            recogniser.push(concatenate(before).since(max(begin, change.at - samples(LEAD))))
                        case Glanced() if recogniser is not None and recogniser.constrained and not haste:
                            recogniser.look(glance=True)
                        case Paused() if recogniser is not None:
                            recogniser.look()
                        case Resumed() if recogniser is not None:
                            recogniser.resume()
                        case Ended():
                            end(change)
                if lossless and recogniser is not None:
                    await recogniser.caught_up()
            if ended is not None:
                break
            waiting = recogniser is None and not endpoint.speaking
            if cue is not None and waiting and audio.end - count_from >= samples(CUE_AFTER):
                await cue()
                cue = None
        if ended is None:
            if recogniser is not None:
                recogniser.push(frames.rest)
            ended = SpeechEnded(at=position, end=position, reason="end_of_audio")
        emit(ended)
        hypothesis = Hypothesis("") if recogniser is None else await recogniser.finish()
        transcript = Transcript(at=ended.at, text=hypothesis.text.strip(), confidence=hypothesis.confidence)
        emit(transcript)
        return Heard(transcript, hypothesis, ended.end - began)
    finally:
        vad_worker.post(vad_session.close)
        if recogniser is not None:
            recogniser.close()


class _Frames:
    """Cuts audio where the VAD's frames end."""

    def __init__(self) -> None:
        self.rest = concatenate([])
        """Audio behind the last frame."""

    def push(self, audio: Audio, scores: Sequence[SpeechScore]) -> Iterator[tuple[Audio, SpeechScore]]:
        """Each frame's score with the audio since the last one."""
        pieces = [self.rest, audio] if len(self.rest) else [audio]
        for score in scores:
            parts = [piece.until(score.end) for piece in pieces]
            pieces = [piece.since(score.end) for piece in pieces]
            yield concatenate(part for part in parts if len(part)), score
        self.rest = concatenate(piece for piece in pieces if len(piece))


class Recogniser:
    """Feeds a recognition session in its thread. Only one step is in flight; what arrives meanwhile is fed as one
    piece afterwards, so a slow machine makes fewer partials instead of falling behind.

    Args:
        judge: how much silence a hypothesis needs, or None when it does not tell; called in the session's thread.
        expect: called with each hypothesis made early and what ``judge`` said of it, while the pause still lasts.
    """

    def __init__(
        self,
        worker: Worker,
        session: AsrSession,
        emit: Emit,
        judge: Callable[[Hypothesis], float | None],
        expect: Callable[[Hypothesis, float], None],
    ) -> None:
        self.constrained = session.constrained
        self._worker = worker
        self._session = session
        self._emit = emit
        self._judge = judge
        self._expect = expect
        self._pending: list[Audio] = []
        self._wanted = False
        """An early hypothesis."""
        self._glance = False
        """One of a command alone."""
        self._pauses = 0
        """That have ended."""
        self._early: Hypothesis | None = None
        self._complete = False
        """The early hypothesis is a complete command."""
        self._partial = ""
        self._task: asyncio.Task[None] | None = None

    def push(self, audio: Audio) -> None:
        if len(audio):
            self._pending.append(audio)
            self._start()

    def look(self, *, glance: bool = False) -> None:
        """It is silent: try to finish early, once everything before is fed. What has given a complete command in this
        pause is only judged anew, as more is known of the pause.

        Args:
            glance: what is no command, or not yet one, need not be understood.
        """
        self._wanted, self._glance = True, glance
        self._start()

    def resume(self) -> None:
        """Speech again: what was finished early is worthless, or will be."""
        self._wanted = False
        self._pauses += 1
        self._early, self._complete = None, False
        self._start()

    async def caught_up(self) -> None:
        """Until everything pushed has been taken in; raises what went wrong there."""
        if self._task is not None:
            await self._task

    async def finish(self) -> Hypothesis:
        """The final hypothesis: the one made early, or one made now."""
        await self.caught_up()
        if self._early is not None:
            return self._early
        return await self._worker.call(self._session.finish)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._worker.post(self._session.close)

    def _start(self) -> None:
        if self._task is None or (self._task.done() and self._task.exception() is None):
            self._task = asyncio.get_running_loop().create_task(self._run(), name="recogniser")

    async def _run(self) -> None:
        while self._early is None or self._wanted:
            if self._pending:
                audio, self._pending = concatenate(self._pending), []
                hypothesis = await self._worker.call(self._session.feed, audio)
                if hypothesis is not None and hypothesis.text.strip() != self._partial:
                    self._partial = hypothesis.text.strip()
                    self._emit(Partial(at=audio.end, text=self._partial, stable=hypothesis.stable))
            elif self._wanted:
                self._wanted = False
                await self._finish_early(self._pauses)
            else:
                return

    async def _finish_early(self, pause: int) -> None:
        early, silence = await self._worker.call(self._finish_and_judge, self._early if self._complete else None)
        if pause == self._pauses:  # the speaker has not gone on meanwhile
            self._early = early
            if early is not None and silence is not None:
                self._complete = early.ending != "unfinished"
                self._expect(early, silence)

    def _finish_and_judge(self, early: Hypothesis | None) -> tuple[Hypothesis | None, float | None]:
        early = early or self._session.pause(glance=self._glance)
        return early, None if early is None else self._judge(early)
