"""The loaded parts of an assistant, and who loads them: all at the start, what has changed at a reload."""

import asyncio
import ctypes
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.config import TASKS, Config, models, models_of
from edgevoice.engines import registry
from edgevoice.engines.protocols import AsrEngine, AsrHint, Engine, Hypothesis, ModelPaths, WakeEngine, Writer
from edgevoice.errors import ConfigError
from edgevoice.flow.worker import Worker
from edgevoice.modelfiles import marks
from edgevoice.think.actions import parse_action
from edgevoice.think.grammar import Grammar
from edgevoice.think.match import NoMatch
from edgevoice.think.pack import files
from edgevoice.turn import Engines, Skills

log = logging.getLogger(__name__)

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
    made_of: Mapping[str, object] = field(default_factory=dict)
    """Task, or ``intents`` -> what it was loaded from; equal things need not be loaded again."""

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The threads of all of them."""
        engines = self.engines
        return (self.wake[0], engines.vad[0], engines.asr[0], engines.tts[0], self.skills.worker)

    def engine(self, task: str) -> tuple[Worker, Any]:
        """The engine of a task, and its thread."""
        found: tuple[Worker, Any] = self.wake if task == "wake" else getattr(self.engines, task)
        return found


class Loader:
    """Loads parts, each engine in a thread of its own, and closes what is no longer used. To be used as an
    asynchronous context manager, which closes everything in the end.

    Args:
        progress: called with what is loaded next.
    """

    def __init__(self, store: ModelPaths, progress: Callable[[str], None] = lambda name: None) -> None:
        self._store = store
        self._progress = progress
        self._made: dict[Worker, Engine | None] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keep(None)

    async def load(self, config: Config, before: Parts | None = None) -> Parts:
        """Everything that a configuration asks for. What ``before`` has of it is taken from there and goes on working
        meanwhile; of an engine that changes there are two until ``keep``.

        Raises:
            EngineError, ModelError, GrammarError, ConfigError: what could not be loaded, and why. Nothing of it is
                left, and ``before`` is as it was.
        """
        try:
            return await self._load(config, before)
        except BaseException:
            if before is not None:
                await self.keep(before)
            raise

    async def keep(self, parts: Parts | None) -> None:
        """Close everything else that was loaded, and end its threads."""
        used = () if parts is None else parts.workers
        others = [worker for worker in self._made if worker not in used]
        for worker in others:
            worker.post(self._close, worker)
        for worker in others:
            await worker.close()
        if parts is not None and others:
            await asyncio.to_thread(_give_memory_back)

    def _close(self, worker: Worker) -> None:
        if (engine := self._made.pop(worker, None)) is not None:
            engine.close()

    def _worker(self, name: str) -> Worker:
        made = Worker(name)
        self._made[made] = None
        return made

    async def _load(self, config: Config, before: Parts | None) -> Parts:
        known = {} if before is None else before.made_of
        look = self._worker("look")
        made_of = await look.call(origins, config, self._store)
        changed = {name for name in made_of if made_of[name] != known.get(name, _NOTHING)}
        if before is None or "intents" in changed:
            self._progress("intents")
            think = self._worker("think")
            skills = await think.call(load_skills, config, think)
        else:
            skills = replace(before.skills, refuse_below=config.intents.min_confidence)
        loaded: dict[str, tuple[Worker, Any]] = {}
        for task in TASKS:
            if before is None or task in changed:
                self._progress(f"{task}: {getattr(config, task).engine}")
                worker = self._worker(task)
                loaded[task] = worker, await worker.call(self._engine, worker, task, config)
            else:
                loaded[task] = before.engine(task)
            if task == "wake":
                check_words(config, loaded["wake"][1])
        await skills.worker.call(check_commands, config, skills)
        asr_worker, asr_engine = loaded["asr"]
        if changed & {"asr", "intents"}:
            await asr_worker.call(warn_unwritable, asr_engine, skills.grammar)
        if "asr" in changed:
            await asr_worker.call(_warm_up, asr_engine, skills.hint)
        parts = Parts(
            wake=loaded["wake"],
            engines=Engines(vad=loaded["vad"], asr=loaded["asr"], tts=loaded["tts"]),
            skills=skills,
            made_of=made_of,
        )
        del self._made[look]
        await look.close()
        return parts

    def _engine(self, worker: Worker, task: str, config: Config) -> Engine:
        """Load in the engine's thread. It is noted there, so that it is closed also when nobody waits for it now."""
        chosen = getattr(config, task)
        engine: Engine = registry.load(task, chosen.engine, chosen.chosen, self._store)
        self._made[worker] = engine
        return engine


def _give_memory_back() -> None:
    """Hand what the closed engines have freed back to the system. The C library keeps it for the thread that had it,
    which has ended: after six changes of the recogniser it held 150 MB in this way."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
    if trim is not None:
        trim(0)


_NOTHING = object()


def origins(config: Config, store: ModelPaths) -> dict[str, object]:
    """What each part would be loaded from now: the options, where the models lie, what the packs say.

    Raises:
        ModelError: a model is not there or damaged. GrammarError: a pack is not there.
    """
    paths = {name: store.path(name) for name in models(config)}  # also of the one that may be needed later
    found: dict[str, object] = {}
    for task in TASKS:
        chosen = getattr(config, task)
        lie = tuple((str(paths[name]), marks(paths[name])) for name in models_of(chosen))
        found[task] = chosen.engine, chosen.chosen, lie
    packs = tuple((str(file), _digest(file)) for pack in config.packs() for file in files(pack))
    found["intents"] = packs, config.intents.by_sound, _hinted(config)
    return found


def _digest(file: Path) -> bytes | None:
    """Of what the file says; None when it cannot be read, which the compiler will complain of."""
    try:
        return hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return None


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
    if _hinted(config):
        phrases = grammar.phrases(PHRASES)
        # A recogniser hears nothing but its phrases; with some of them missing, those sentences could not be said.
        if phrases.complete:
            said = tuple(phrases)
    return Skills(grammar, actions, said, config.intents.min_confidence, worker)


def _hinted(config: Config) -> bool:
    """Whether the recogniser is told the sentences one by one."""
    return config.asr.engine == "vosk"


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


def check_words(config: Config, engine: WakeEngine) -> None:
    """That every wake word with a threshold or a command is there.

    Raises:
        ConfigError: one is not.
    """
    known = [model.name for model in engine.models]
    detection = config.detection
    for key, names in (("thresholds", detection.thresholds), ("commands", detection.commands)):
        for name in names:
            if name not in known:
                raise ConfigError(
                    "no such wake word is loaded",
                    place=f"detection.{key}.{name}",
                    remedy=f"loaded: {', '.join(known)}",
                )


def check_commands(config: Config, skills: Skills) -> None:
    """That every command of a wake word is one.

    Raises:
        ConfigError: it is none.
    """
    for name, sentence in config.detection.commands.items():
        found = skills.understand(Hypothesis(sentence))
        if isinstance(found, NoMatch):
            raise ConfigError(
                f"'{sentence}' is no command: {found.why}",
                place=f"detection.commands.{name}",
                remedy=f"the nearest one is '{found.closest}'"
                if found.closest
                else f"try it with: edgevoice intent '{sentence}'",
            )
