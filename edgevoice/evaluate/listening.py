"""Recordings through the same path as in the daemon: VAD, end of speech, recognition, intent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from edgevoice.assistant import PREROLL
from edgevoice.audio.pcm import RATE, Int16
from edgevoice.audio.source import AudioSource
from edgevoice.audio.wavefile import open_file
from edgevoice.config import Config
from edgevoice.engines import registry
from edgevoice.engines.protocols import AsrEngine, VadEngine
from edgevoice.evaluate.clock import MeasuredWorker, SimulatedWorker, Stopwatch, run
from edgevoice.evaluate.recording import Paced
from edgevoice.events import Event, SpeechEnded, SpeechStarted, Transcript
from edgevoice.flow.hub import Hub, samples
from edgevoice.flow.worker import Worker
from edgevoice.listen.transcribe import hear
from edgevoice.modelstore import ModelStore
from edgevoice.parts import load_skills
from edgevoice.think.grammar import Match, NoMatch
from edgevoice.turn import VAD_WARM_UP, Skills

WARM_UP = samples(VAD_WARM_UP)
"""Samples before a recording, as the daemon has them before the end of the wake word."""


@dataclass(frozen=True)
class Ears:
    """What listens and understands, loaded once in a process."""

    config: Config
    vad: VadEngine
    asr: AsrEngine
    skills: Skills


Load = Callable[[Config], Ears]
"""Loads the engines and the grammar that a configuration names. Other processes must be able to import it by name."""


def with_grammars(config: Config, grammars: Sequence[Path]) -> Config:
    """The configuration with these intents in place of its own, where there are any."""
    if not grammars:
        return config
    packs = tuple(map(str, grammars))
    return msgspec.structs.replace(
        config, intents=msgspec.structs.replace(config.intents, packs=packs, default_pack=False)
    )


def load(config: Config) -> Ears:
    """Load the configured engines.

    Raises:
        EngineError, ModelError, GrammarError, ConfigError: what could not be loaded, and why.
    """
    store = ModelStore()
    vad = registry.load("vad", config.vad.engine, config.vad.chosen, store)
    asr = registry.load("asr", config.asr.engine, config.asr.chosen, store)
    return Ears(config, vad, asr, load_skills(config, Worker("think")))


@dataclass(frozen=True)
class Heard:
    """One utterance and what was made of it."""

    started: int | None
    """Capture index of the beginning of speech; None when there was none."""
    ended: SpeechEnded
    transcript: Transcript
    understood: Match | NoMatch
    acceptance: float
    """What ``intents.min_confidence`` is compared with, also where it was refused by that; 0 when no command fits."""
    decided: float
    """Seconds from the first sample of the audio to the moment when it was understood."""


def command(ears: Ears, audio: Int16, watch: Stopwatch, *, realtime: bool) -> Heard:
    """The command in a recording, as if a wake word had just ended where it begins.

    Args:
        audio: ``WARM_UP`` samples, the recording, and as much after it as the end of speech may need.
        realtime: at the pace of a microphone, on the machine's clock; otherwise on a simulated one.
    """

    # Whoever records themselves may take their time before they begin; the assistant would have given up.
    patient = msgspec.structs.replace(ears.config.endpoint, no_speech=len(audio) / RATE)
    ears = replace(ears, config=msgspec.structs.replace(ears.config, endpoint=patient))

    async def listen() -> Heard:
        source = Paced(audio, ears.config.input.block, lossless=not realtime)
        async with _listener(ears, source, watch, realtime=realtime) as listener:
            heard = await listener.turn(WARM_UP - samples(ears.config.assistant.overlap), WARM_UP)
            return replace(heard, decided=heard.decided - source.began)

    return run(listen(), realtime=realtime)


def talk(ears: Ears, path: Path) -> list[Heard]:
    """Every utterance in a file, each as if a wake word had been detected where the one before it ended. Those that the
    daemon takes for noise are among them: it refuses them, without a word.

    Raises:
        AudioFormatError: it is no audio.
    """

    async def listen() -> list[Heard]:
        source = open_file(path, ears.config.input.channel)
        found = []
        async with _listener(ears, source, Stopwatch(), realtime=False) as listener:
            at = 0
            while not listener.ended:
                heard, _ = await listener.utterance(at, at)
                if heard.started is not None:
                    found.append(heard)
                at = heard.ended.at
        return found

    return run(listen(), realtime=False)


@asynccontextmanager
async def _listener(ears: Ears, source: AudioSource, watch: Stopwatch, *, realtime: bool) -> AsyncIterator["_Listener"]:
    hub = Hub(source, preroll=samples(PREROLL), on_gap=lambda lost, at: None)
    make = MeasuredWorker if realtime else SimulatedWorker
    workers: list[Worker] = [make(name, watch) for name in ("vad", "asr", "think")]
    hub.hold()  # until the first utterance is waited for
    pump = asyncio.create_task(hub.run(), name="pump")
    try:
        yield _Listener(ears, hub, pump, *workers)
    finally:
        pump.cancel()
        await asyncio.wait([pump])
        for worker in workers:
            await worker.close()
        await source.close()


class _Listener:
    def __init__(
        self, ears: Ears, hub: Hub, pump: "asyncio.Task[None]", vad: Worker, asr: Worker, think: Worker
    ) -> None:
        self._ears = ears
        self._hub = hub
        self._pump = pump
        self._vad = vad
        self._asr = asr
        self._think = think

    @property
    def ended(self) -> bool:
        return self._hub.ended

    async def turn(self, begin: int, count_from: int) -> Heard:
        """The next utterance in which something was said; as a turn of the daemon goes on listening after a cough."""
        options, asked = self._ears.config.endpoint, count_from
        while True:
            heard, noise = await self.utterance(begin, count_from)
            waited = heard.transcript.at - asked >= options.no_speech * RATE
            if (heard.transcript.text and not noise) or waited or self._hub.ended:
                return heard
            begin = count_from = heard.transcript.at

    async def utterance(self, begin: int, count_from: int) -> tuple[Heard, bool]:
        """The next one, and whether it is to be taken for noise."""
        events: list[Event] = []
        ears = self._ears
        with self._hub.tap(start=max(count_from - WARM_UP, 0)) as tap:
            heard = await hear(
                tap,
                begin=begin,
                count_from=count_from,
                vad=(self._vad, ears.vad),
                asr=(self._asr, ears.asr),
                hint=ears.skills.hint,
                options=ears.config.endpoint,
                emit=events.append,
                cue=None,
                lossless=self._hub.lossless,
            )
        if self._pump.done():
            self._pump.result()  # raises what went wrong with the audio
        understood = await self._think.call(ears.skills.understand, heard.hypothesis)
        hypothesis = heard.hypothesis
        if hypothesis.readings is None:
            sure = understood.confidence if isinstance(understood, Match) else 0.0
        else:
            sure = hypothesis.confidence if isinstance(understood, Match) or understood.intent is not None else 0.0
        acceptance = 1.0 if sure is None else sure
        started = next((event.at for event in events if isinstance(event, SpeechStarted)), None)
        ended = next(event for event in events if isinstance(event, SpeechEnded))
        decided = asyncio.get_running_loop().time()
        return Heard(started, ended, heard.transcript, understood, acceptance, decided), heard.noise
