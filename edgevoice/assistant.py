"""One assistant: its engines loaded and wired, the wake loop, and barge-in."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.audio.source import AudioSink, AudioSource
from edgevoice.config import TASKS, Config
from edgevoice.engines import registry
from edgevoice.engines.protocols import AsrEngine, AsrHint, ModelPaths, WakeEngine, Writer
from edgevoice.errors import ConfigError, DeviceError, EdgeVoiceError, OutputError
from edgevoice.events import Deaf, Event, Fault, Listening, Overrun, TurnEnded, Wake
from edgevoice.flow.hub import Hub, samples
from edgevoice.flow.worker import Worker
from edgevoice.listen.wake import WakeDetector
from edgevoice.think.actions import parse_action
from edgevoice.think.grammar import Grammar
from edgevoice.turn import Engines, Memory, Skills, Turn

log = logging.getLogger(__name__)

PREROLL = 1.5
"""Seconds the hub remembers: the longest a wake may be detected after the command began, and the warm-up of the VAD."""
WAKE_BACKLOG = 2.0
"""Seconds of audio that may wait for wake word detection before the oldest is dropped: more would only make it late."""
WARM_UP_LEVEL = 30.0
"""Standard deviation of the noise that engines are warmed up with, of 32767: a quiet room, and no digital silence."""
_MAX_WARNINGS = 20
"""Words named one by one that a recogniser cannot write."""
PHRASES = 2000
"""Most phrases given to a recogniser as a hint. More cost seconds at every turn and no longer help it."""


@dataclass(frozen=True)
class Parts:
    """The loaded parts of an assistant."""

    wake: tuple[Worker, WakeEngine]
    engines: Engines
    skills: Skills


def load_skills(config: Config, worker: Worker) -> Skills:
    """Compile the intent packs and check their actions.

    Raises:
        GrammarError: a template, list, rule, response or action is wrong; with its place.
    """
    grammar = Grammar.load(config.packs(), by_sound=config.intents.by_sound)
    actions = {
        name: parse_action(spec.action, spec.action_place)
        for name, spec in grammar.intents.items()
        if spec.action is not None
    }
    said: tuple[str, ...] = ()
    if config.asr.engine == "vosk":
        phrases = grammar.phrases(PHRASES)
        # A recogniser hears nothing but its phrases; with some of them missing, those sentences could not be said.
        if phrases.complete:
            said = tuple(phrases)
    return Skills(grammar, actions, said, config.intents.min_confidence, worker)


@asynccontextmanager
async def load_parts(
    config: Config, store: ModelPaths, progress: Callable[[str], None] = lambda name: None
) -> AsyncIterator[Parts]:
    """Load everything, each engine in its own thread; on leaving, close the engines and end the threads.

    Args:
        progress: called with what is loaded next.

    Raises:
        EngineError, ModelError, GrammarError, ConfigError: what could not be loaded, and why.
    """
    async with AsyncExitStack() as stack:

        def worker(name: str) -> Worker:
            made = Worker(name)
            stack.push_async_callback(made.close)
            return made

        async def engine(task: str) -> tuple[Worker, Any]:
            chosen = getattr(config, task)
            progress(f"{task}: {chosen.engine}")
            own = worker(task)
            loaded = await own.call(registry.load, task, chosen.engine, chosen.chosen, store)
            stack.callback(own.post, loaded.close)
            return own, loaded

        progress("intents")
        think = worker("think")
        skills = await think.call(load_skills, config, think)
        loaded = {task: await engine(task) for task in TASKS}
        wake_engine: WakeEngine = loaded["wake"][1]
        _check_thresholds(config, wake_engine)
        asr_worker, asr_engine = loaded["asr"]
        warn_unwritable(asr_engine, skills.grammar)
        await asr_worker.call(_warm_up, asr_engine, skills.hint)
        yield Parts(
            wake=loaded["wake"],
            engines=Engines(vad=loaded["vad"], asr=loaded["asr"], tts=loaded["tts"]),
            skills=skills,
        )


def warn_unwritable(engine: AsrEngine, grammar: Grammar) -> None:
    """Log the words of the intents that the recogniser never writes, with their places."""
    words = engine.unwritable(grammar.automaton.vocabulary()) if isinstance(engine, Writer) else []
    places = grammar.places(set(words))
    for word in sorted(words)[:_MAX_WARNINGS]:
        log.warning(
            "%s: the recogniser cannot write '%s'; what has this word in it cannot be said",
            places.get(word, "the intents"),
            word,
        )
    if len(words) > _MAX_WARNINGS:
        log.warning("and %d words more that the recogniser cannot write", len(words) - _MAX_WARNINGS)


def _warm_up(engine: AsrEngine, hint: AsrHint) -> None:
    """Recognise noise, so that the first command does not wait for what is only set up once."""
    session = engine.open(hint)
    session.feed(Audio(np.random.default_rng(0).normal(0.0, WARM_UP_LEVEL, RATE).astype(np.int16)))
    session.finish()
    session.close()


def _check_thresholds(config: Config, engine: WakeEngine) -> None:
    known = [model.name for model in engine.models]
    for name in config.detection.thresholds:
        if name not in known:
            raise ConfigError(
                "no such wake word is loaded",
                place=f"detection.thresholds.{name}",
                remedy=f"loaded: {', '.join(known)}",
            )


class Assistant:
    """Listens, converses, and can be interrupted.

    Args:
        emit: called with every event, on the loop.
        now: the local time, for actions that tell it.
    """

    def __init__(
        self,
        config: Config,
        parts: Parts,
        source: AudioSource,
        sink: AudioSink,
        emit: Callable[[Event], None],
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._config = config
        self._parts = parts
        self._sink = sink
        self._emit = emit
        self._hub = Hub(source, preroll=samples(PREROLL), on_gap=self._on_gap)
        self._tap = self._hub.tap(capacity=WAKE_BACKLOG, on_drop=self._on_drop, eager=False)
        self._turn = Turn(config, self._hub, sink, parts.engines, parts.skills, Memory(), emit, self._set_volume, now)
        self._group = asyncio.TaskGroup()
        self._conversation: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Listen until the source ends and the last turn has finished.

        Raises:
            AudioError: the source failed. OutputError, BrokenPipeError: the replies' file or the events' reader has.
                Any other exception is a defect; it arrives in an ExceptionGroup.
        """
        try:
            async with self._group as group:
                self._hub.hold()  # until the wake loop first waits for audio
                group.create_task(self._detect(), name="wake")
                group.create_task(self._pump(), name="pump")
        except* (EdgeVoiceError, BrokenPipeError) as errors:
            known = errors
        else:
            return
        first: BaseException = known
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first

    def push_to_talk(self) -> None:
        """Begin a turn as if the wake word had been said. Called on the loop."""
        self._begin(Wake(at=self._hub.position, by="push", model="", phrase="", score=1.0))

    async def _pump(self) -> None:
        try:
            await self._hub.run()
        except DeviceError as error:
            self._emit(Deaf(at=self._hub.position, cause="device", why=str(error)))
            raise

    async def _detect(self) -> None:
        worker, engine = self._parts.wake
        session = await worker.call(engine.open)
        detector = WakeDetector(engine.models, self._config.detection)
        self._emit(Listening(at=self._hub.position))
        try:
            async for audio in self._tap:
                for found in detector.push(await worker.call(session.feed, audio)):
                    model = found.model
                    self._begin(
                        Wake(at=found.at, by="word", model=model.name, phrase=model.phrase, score=round(found.score, 3))
                    )
        finally:
            worker.post(session.close)
            self._hub.release()

    def _begin(self, wake: Wake) -> None:
        """Start a turn; one that is under way is interrupted. The speaker falls silent first: silence never waits."""
        self._sink.flush()
        before = self._conversation
        if before is not None:
            before.cancel()
        self._hub.hold()
        self._conversation = self._group.create_task(self._converse(wake, before), name="turn")

    async def _converse(self, wake: Wake, before: asyncio.Task[None] | None) -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
            self._tap.eager = True  # who speaks into a reply is to be heard at once
            self._emit(wake)
            await self._one_turn(wake)
        finally:
            self._tap.eager = False
            self._hub.release()

    async def _one_turn(self, wake: Wake) -> None:
        try:
            outcome = await self._turn.converse(wake)
        except asyncio.CancelledError:
            self._emit(TurnEnded(at=self._hub.position, outcome="interrupted"))
            raise
        except OutputError:
            raise
        except EdgeVoiceError as error:
            self._emit(Fault(at=self._hub.position, error=type(error).__name__, message=str(error)))
            self._emit(TurnEnded(at=self._hub.position, outcome="failed"))
        else:
            self._emit(TurnEnded(at=self._hub.position, outcome=outcome))
        self._emit(Listening(at=self._hub.position))

    def _set_volume(self, percent: int, *, relative: bool) -> int:
        wanted = self._sink.volume + percent if relative else percent
        self._sink.volume = min(max(wanted, 0), 100)
        return self._sink.volume

    def _on_drop(self, audio: Audio) -> None:
        self._emit(Overrun(at=audio.end, lost=len(audio), where="wake word"))

    def _on_gap(self, lost: int, at: int) -> None:
        self._emit(Overrun(at=at, lost=lost, where="capture"))
