"""One utterance: audio from a tap through VAD and recognition to a transcript.

The VAD runs on in its own thread while the recogniser is busy, so the end of speech is found in time. As soon as the
speaker pauses, the final recognition is begun on the chance that the pause is the end; when they go on, its result is
thrown away.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from edgevoice.audio.pcm import Audio, concatenate
from edgevoice.engines.protocols import AsrEngine, AsrHint, AsrSession, Hypothesis, VadEngine
from edgevoice.events import Event, Partial, SpeechEnded, SpeechStarted, Transcript
from edgevoice.flow.hub import Tap, samples
from edgevoice.flow.worker import Worker
from edgevoice.listen.endpoint import Ended, Endpoint, Options, Paused, Resumed, Started

Emit = Callable[[Event], None]

CUE_AFTER = 0.3
"""Seconds of silence after the wake before the cue: who speaks in one breath needs none, and without echo cancellation
it would sound into their first word. In recordings with the command in one breath it begins within 0.1 s."""

LEAD = 0.5
"""Seconds before the beginning of speech that the recogniser gets: the VAD is sure only some frames into a soft
consonant, and recognisers want to hear the silence before a word. More would only be decoded for nothing."""


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
) -> Transcript:
    """Listen to the tap until the end of speech and give what was said.

    Args:
        begin: capture index at which the utterance's audio begins; what lies before it only warms the VAD up.
        count_from: capture index from which on speech counts as the beginning of the utterance.
        cue: called once when the user seems to wait for a sign that they may speak.
        lossless: wait for the recogniser after every block, so that a recording gives the same partials at any speed.

    Raises:
        EngineError, AudioError: recognition failed or fell behind.
    """
    vad_worker, vad_engine = vad
    endpoint = Endpoint(options, count_from)
    vad_session = await vad_worker.call(vad_engine.open)
    recogniser: Recogniser | None = None
    before: deque[Audio] = deque()  # what was heard before speech began
    ended: SpeechEnded | None = None
    position = begin
    try:
        async for audio in tap:
            position = audio.end
            scores = await vad_worker.call(vad_session.feed, audio)
            if recogniser is None:
                before.append(audio)
                while before[0].end < audio.end - samples(LEAD + options.minimum) - len(audio):
                    before.popleft()
            else:
                recogniser.push(audio)
            for change in [change for score in scores for change in endpoint.push(score)]:
                match change:
                    case Started():
                        emit(SpeechStarted(at=change.at))
                        recogniser = await _recogniser(asr, hint, emit)
                        recogniser.push(concatenate(before).since(max(begin, change.at - samples(LEAD))))
                    case Paused() if recogniser is not None:
                        recogniser.pause()
                    case Resumed() if recogniser is not None:
                        recogniser.resume()
                    case Ended():
                        ended = SpeechEnded(at=change.at, end=change.end, reason=change.reason)
            waiting = recogniser is None and not endpoint.speaking
            if cue is not None and waiting and audio.end - count_from >= samples(CUE_AFTER):
                await cue()
                cue = None
            if lossless and recogniser is not None:
                await recogniser.caught_up()
            if ended is not None:
                break
        if ended is None:
            ended = SpeechEnded(at=position, end=position, reason="end_of_audio")
        emit(ended)
        hypothesis = Hypothesis("") if recogniser is None else await recogniser.finish()
        transcript = Transcript(at=ended.at, text=hypothesis.text.strip(), confidence=hypothesis.confidence)
        emit(transcript)
        return transcript
    finally:
        vad_worker.post(vad_session.close)
        if recogniser is not None:
            recogniser.close()


async def _recogniser(asr: tuple[Worker, AsrEngine], hint: AsrHint | None, emit: Emit) -> "Recogniser":
    worker, engine = asr
    return Recogniser(worker, await worker.call(engine.open, hint), emit)


class Recogniser:
    """Feeds a recognition session in its thread. Only one step is in flight; what arrives meanwhile is fed as one
    piece afterwards, so a slow machine makes fewer partials instead of falling behind."""

    def __init__(self, worker: Worker, session: AsrSession, emit: Emit) -> None:
        self._worker = worker
        self._session = session
        self._emit = emit
        self._pending: list[Audio] = []
        self._paused = False
        self._early: Hypothesis | None = None
        self._partial = ""
        self._task: asyncio.Task[None] | None = None

    def push(self, audio: Audio) -> None:
        if len(audio):
            self._pending.append(audio)
            self._start()

    def pause(self) -> None:
        """Silence has begun: try to finish early, once everything before is fed."""
        self._paused = True
        self._start()

    def resume(self) -> None:
        """Speech again: what was finished early is worthless."""
        self._paused = False
        self._early = None

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
        while self._early is None:
            if self._pending:
                audio, self._pending = concatenate(self._pending), []
                hypothesis = await self._worker.call(self._session.feed, audio)
                if hypothesis is not None and hypothesis.text.strip() != self._partial:
                    self._partial = hypothesis.text.strip()
                    self._emit(Partial(at=audio.end, text=self._partial, stable=hypothesis.stable))
            elif self._paused:
                early = await self._worker.call(self._session.pause)
                if self._paused:  # still: the speaker may have gone on meanwhile
                    self._early = early
                self._paused = False
            else:
                return
