"""One turn of the conversation, top to bottom. Barge-in is its cancellation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from edgevoice.audio.pcm import RATE
from edgevoice.audio.source import AudioSink
from edgevoice.config import Config
from edgevoice.engines.protocols import AsrEngine, AsrHint, Hypothesis, TtsEngine, VadEngine
from edgevoice.errors import ActionError, EdgeVoiceError, EngineError, OutputError, TextError
from edgevoice.events import (
    ActionDone,
    Event,
    Fault,
    IntentMatched,
    NotUnderstood,
    Reply,
    Speaking,
    Wake,
)
from edgevoice.flow.hub import Hub, samples
from edgevoice.flow.worker import Worker
from edgevoice.listen.transcribe import hear
from edgevoice.listen.wakephrase import strip_phrase
from edgevoice.speak.earcon import earcon
from edgevoice.speak.say import say
from edgevoice.think.actions import Action, ActionContext, ActionResult, HomeState, SetVolume, WrongWake, perform
from edgevoice.think.grammar import Grammar
from edgevoice.think.match import Match, NoMatch
from edgevoice.think.responses import respond

VAD_WARM_UP = 0.5
"""Seconds of audio before the wake that the voice activity detector gets to settle in; Silero's state needs some ten
frames of 32 ms."""

Outcome = Literal["answered", "silent", "not_understood", "no_speech", "failed"]


@dataclass(frozen=True)
class Engines:
    """The loaded engines of a turn, each with the thread it runs in."""

    vad: tuple[Worker, VadEngine]
    asr: tuple[Worker, AsrEngine]
    tts: tuple[Worker, TtsEngine]


@dataclass(frozen=True)
class Skills:
    """What can be understood and done."""

    grammar: Grammar
    actions: dict[str, Action]
    """By intent; an intent without an action only answers."""
    phrases: Sequence[str]
    """All that can be said, for a recogniser that wants it so; empty when that is too much."""
    refuse_below: float
    """Confidence below which nothing was understood."""
    worker: Worker

    @property
    def hint(self) -> AsrHint:
        """What can be said now; lists may have been replaced since the last turn."""
        return AsrHint(self.phrases, self.grammar.automaton)

    def understand(self, hypothesis: Hypothesis) -> Match | NoMatch:
        return self.grammar.understand(hypothesis, self.refuse_below)


@dataclass
class Memory:
    """What outlives a turn. It does not grow."""

    last_reply: str = ""
    state: HomeState = field(default_factory=HomeState)


@dataclass(frozen=True)
class Turn:
    """What a turn works with."""

    config: Config
    hub: Hub
    sink: AudioSink
    engines: Engines
    skills: Skills
    memory: Memory
    emit: Callable[[Event], None]
    set_volume: SetVolume
    now: Callable[[], datetime]
    haste: bool = False
    """The machine cannot keep up."""
    wrong_wake: WrongWake | None = None
    """Marks a wake as a false alarm."""

    async def converse(self, wake: Wake) -> Outcome:
        """Listen, understand, act, answer.

        Raises:
            EdgeVoiceError: the turn failed, and saying so failed as well.
            OutputError: what is said cannot be written any more. That is not the turn's fault, and no apology would
                get through.
        """
        try:
            command = self.config.detection.commands.get(wake.model)
            hypothesis = await self._listen(wake) if command is None else Hypothesis(command)
            if not hypothesis.text:
                return "no_speech"
            match = await self.skills.worker.call(self.skills.understand, hypothesis)
            if isinstance(match, NoMatch):
                return await self._decline(match)
            return await self._answer(match)
        except OutputError:
            raise
        except ActionError as error:
            return await self._apologise(error, error.spoken)
        except EdgeVoiceError as error:
            return await self._apologise(error, self.config.assistant.apology)

    async def _listen(self, wake: Wake) -> Hypothesis:
        """What the user said, without the wake phrase; empty when nothing came in the time the configuration allows."""
        options = self.config.endpoint
        begin, count_from = wake.at - samples(self.config.assistant.overlap), wake.at
        cue = self._cue if self.config.assistant.earcons else None
        while True:
            with self.hub.tap(start=count_from - samples(VAD_WARM_UP)) as tap:
                heard = await hear(
                    tap,
                    begin=begin,
                    count_from=count_from,
                    vad=self.engines.vad,
                    asr=self.engines.asr,
                    hint=replace(self.skills.hint, haste=self.haste),
                    options=options,
                    emit=self.emit,
                    cue=cue,
                    lossless=self.hub.lossless,
                )
            at = heard.transcript.at
            text = strip_phrase(heard.transcript.text, wake.phrase)
            waited = at - wake.at >= options.no_speech * RATE
            if (text and not heard.noise) or waited or self.hub.ended:
                return replace(heard.hypothesis, text=text)
            cue = None
            begin = count_from = at  # a cough, a chair, or the wake word's tail: go on listening

    async def _cue(self) -> None:
        await self.sink.play(earcon("wake"))

    async def _answer(self, match: Match) -> Outcome:
        intent = match.intent
        self.emit(IntentMatched(at=self.hub.position, intent=intent.name, slots=dict(intent.slots), text=match.text))
        result = ActionResult()
        if (action := self.skills.actions.get(intent.name)) is not None:
            result = await self._act(action, match)
        reply = result.reply or respond(match.spec, intent.slots, result.values)
        if result.end_turn or not reply.strip():
            return "silent"
        return "answered" if await self._say(reply) else "failed"

    async def _act(self, action: Action, match: Match) -> ActionResult:
        context = ActionContext(
            intent=match.intent.name,
            slots=match.intent.slots,
            text=match.text,
            last_reply=self.memory.last_reply,
            state=self.memory.state,
            now=self.now,
            set_volume=self.set_volume,
            wrong_wake=self.wrong_wake,
        )
        try:
            result = await perform(action, context)
        except ActionError as error:
            self.emit(ActionDone(at=self.hub.position, action=action.label, ok=False, detail=error.cause))
            raise
        detail = _well_formed(", ".join(f"{name} {value}" for name, value in result.values.items()))
        self.emit(ActionDone(at=self.hub.position, action=action.label, ok=True, detail=detail))
        return result

    async def _decline(self, match: NoMatch) -> Outcome:
        self.emit(NotUnderstood(at=self.hub.position, text=match.text, why=match.why, closest=match.closest))
        if self.config.assistant.earcons:
            await self.sink.play(earcon("failed"))
        return "not_understood" if await self._say(self.config.assistant.not_understood) else "failed"

    async def _apologise(self, error: EdgeVoiceError, spoken: str) -> Outcome:
        self._fault(error)
        await self._say(spoken)
        return "failed"

    async def _say(self, reply: str) -> bool:
        """Speak a reply, and whether that was possible.

        One that cannot be spoken is reported and apologised for; where the apology cannot be spoken either, because
        the voice is broken, the sound of a failure takes its place.
        """
        text = _well_formed(reply)
        self.emit(Reply(at=self.hub.position, text=text))
        apology = self.config.assistant.apology
        for sentence in (text, apology) if text != apology else (apology,):
            try:
                await self._speak(sentence)
            except (TextError, EngineError) as error:
                self._fault(error)
            else:
                if sentence == text:
                    self.memory.last_reply = text
                return sentence == text
        await self.sink.play(earcon("failed"))
        return False

    def _fault(self, error: EdgeVoiceError) -> None:
        self.emit(Fault(at=self.hub.position, error=type(error).__name__, message=str(error)))

    async def _speak(self, text: str) -> None:
        await say(
            text,
            tts=self.engines.tts,
            sink=self.sink,
            elapse=self._elapse,
            on_first_audio=lambda: self.emit(Speaking(at=self.hub.position)),
        )

    async def _elapse(self, seconds: float) -> None:
        """On a recording, playing takes as much of its time as it would take at a speaker."""
        if self.hub.lossless:
            await self.hub.wait_until(self.hub.position + samples(seconds))


def _well_formed(text: str) -> str:
    """Without the half surrogate pairs that JSON can bring and that no UTF-8 output takes."""
    return text.encode(errors="replace").decode()
