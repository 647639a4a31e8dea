"""Whole turns: from the end of speech to the first audio of the reply, with the daemon's own code on recordings.

By default on a simulated clock (``edgevoice.evaluate.clock``): audio comes at the pace of a microphone, every step of
an engine takes what it was measured to take, and nothing is waited for. Actions that reach outside are not carried out;
their intents are answered without them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
import numpy as np

from edgevoice import observe
from edgevoice.assistant import Assistant
from edgevoice.audio.pcm import RATE, Audio, Int16
from edgevoice.bench.process import Outcome
from edgevoice.bench.speech import Recording, noise
from edgevoice.config import Config
from edgevoice.engines import registry
from edgevoice.engines.protocols import AsrEngine, TtsEngine, VadEngine, WakeEngine
from edgevoice.evaluate.clock import MeasuredWorker, SimulatedWorker, Stopwatch, run
from edgevoice.evaluate.recording import Paced, speech_end
from edgevoice.events import Event, Listening, Speaking, SpeechEnded, TurnEnded
from edgevoice.flow.worker import Worker
from edgevoice.modelstore import ModelStore
from edgevoice.parts import Parts, load_skills
from edgevoice.think.actions import Action
from edgevoice.think.actions_builtin import BuiltinAction
from edgevoice.turn import VAD_WARM_UP, Engines, Skills

LEAD = VAD_WARM_UP + 0.5
"""Seconds of quiet before a recording; at ``VAD_WARM_UP`` of them the talk key is pushed."""
TAIL = 5.0
"""Seconds of quiet after it, in which the end of speech is found and the reply is spoken."""
NOW = datetime(2026, 11, 22, 19, 5, tzinfo=UTC)
"""What replies say for the time, so that they are always as long."""
YES, NO = 100.0, 0.0
"""What one turn adds to a share in percent."""


@dataclass(frozen=True)
class Assisting:
    """Makes the subject of whole turns."""

    config: Config
    parts: tuple[Recording, ...]
    realtime: bool = False

    def __call__(self) -> "TurnSubject":
        store = ModelStore()
        engines = {
            task: registry.load(task, chosen.engine, chosen.chosen, store)
            for task in ("wake", "vad", "asr", "tts")
            for chosen in (getattr(self.config, task),)
        }
        skills = load_skills(self.config, Worker("think"))
        loaded = Loaded(engines["wake"], engines["vad"], engines["asr"], engines["tts"], skills)
        return TurnSubject(self.config, loaded, self.parts, realtime=self.realtime)


@dataclass(frozen=True)
class Loaded:
    wake: WakeEngine
    vad: VadEngine
    asr: AsrEngine
    tts: TtsEngine
    skills: Skills


class TurnSubject:
    def __init__(
        self,
        config: Config,
        loaded: Loaded,
        parts: Sequence[Recording],
        *,
        realtime: bool,
        watch: Callable[[], Stopwatch] = Stopwatch,
    ) -> None:
        # Earcons would be the first audio, long before the reply.
        quiet = msgspec.structs.replace(config.assistant, earcons=False)
        self._config = msgspec.structs.replace(config, assistant=quiet)
        self._loaded = loaded
        self._parts = parts
        self._realtime = realtime
        self._watch = watch
        harmless: dict[str, Action] = {
            name: action for name, action in loaded.skills.actions.items() if isinstance(action, BuiltinAction)
        }
        self._skills = replace(loaded.skills, actions=harmless)

    @property
    def inputs(self) -> Sequence[str]:
        return [part.name for part in self._parts]

    def run(self, number: int) -> Outcome:
        """One turn. ``silence_ms``, ``recognition_ms``, ``intent_ms``, ``action_ms``, ``first_audio_ms`` and
        ``answer_ms`` as the daemon reports them; ``response_ms``: from the end of speech, by the recording's own
        energy, to the first audio, unless listening ended before it; ``cut_off_percent``: 100 if it did;
        ``unanswered_percent``: 100 if nothing was understood, or answering failed."""
        part = self._parts[number]
        lead, tail = noise(LEAD, 1), noise(TAIL, 2)
        samples = np.concatenate([lead, part.samples, tail])
        ended = len(lead) + speech_end(Audio(part.samples).float32())
        return run(self._converse(samples, ended), realtime=self._realtime)

    async def _converse(self, samples: Int16, ended: int) -> Outcome:
        loop = asyncio.get_running_loop()
        watch, steps = self._watch(), observe.Stopwatch(loop.time)
        make = MeasuredWorker if self._realtime else SimulatedWorker
        workers = {name: make(name, watch) for name in ("wake", "vad", "asr", "tts", "think")}
        source = Paced(samples, self._config.input.block, lossless=not self._realtime)
        values: dict[str, list[float]] = {}
        outcomes: list[str] = []

        def emit(event: Event) -> None:
            for step in steps.observe(event):
                values.setdefault(f"{step.name.replace(' ', '_')}_ms", [1000 * step.seconds])
            if isinstance(event, Listening) and event.at == 0 and not outcomes:
                loop.call_later(VAD_WARM_UP, assistant.push_to_talk)
            elif isinstance(event, SpeechEnded):
                values["cut_off_percent"] = [YES if event.at < ended else NO]
            elif isinstance(event, Speaking) and values.get("cut_off_percent") == [NO]:
                values.setdefault("response_ms", [1000 * (loop.time() - source.began - ended / RATE)])
            elif isinstance(event, TurnEnded):
                outcomes.append(event.outcome)

        loaded = self._loaded
        parts = Parts(
            wake=(workers["wake"], loaded.wake),
            engines=Engines(
                vad=(workers["vad"], loaded.vad), asr=(workers["asr"], loaded.asr), tts=(workers["tts"], loaded.tts)
            ),
            skills=replace(self._skills, worker=workers["think"]),
        )
        assistant = Assistant(self._config, parts, source, Silent(), emit, lambda: NOW)
        try:
            await assistant.run()
        finally:
            for worker in workers.values():
                await worker.close()
        values["unanswered_percent"] = [NO if {"answered", "silent"} & set(outcomes) else YES]
        return Outcome(values, 0.0)

    def close(self) -> None:
        for engine in (self._loaded.wake, self._loaded.vad, self._loaded.asr, self._loaded.tts):
            engine.close()


class Silent:
    """A speaker that nobody hears."""

    lossless = True

    def __init__(self) -> None:
        self.volume = 100

    async def play(self, audio: Audio) -> None:
        """Taken at once."""

    async def drain(self) -> None:
        """Nothing is queued."""

    def flush(self) -> None:
        """Nothing is queued."""

    async def close(self) -> None:
        """There is nothing to give back."""
