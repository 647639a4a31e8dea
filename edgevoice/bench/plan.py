"""What is to be measured: the engines of the configuration and of others, over threads and variants."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from edgevoice.bench import peers, speech
from edgevoice.bench.measure import Spec
from edgevoice.bench.peers import Theirs
from edgevoice.bench.process import Load
from edgevoice.bench.schema import Task
from edgevoice.bench.speech import Recording
from edgevoice.bench.subjects import Detector, Ours, Recogniser, Variant, Voice
from edgevoice.config import Config
from edgevoice.engines import registry

ENGINE_TASKS: tuple[Task, ...] = ("wake", "vad", "asr", "tts")


@dataclass(frozen=True)
class Wanted:
    """What somebody asked for."""

    config: Config
    recordings: tuple[Recording, ...]
    threads: tuple[int, ...]
    variants: tuple[Variant, ...] = ("plain", "stream")
    engines: frozenset[str] | None = None
    """Only these, ours and others; None: all there are."""
    peer_models: dict[str, str] = field(default_factory=dict)
    """Models that others' engines are measured with, instead of the usual ones."""


def specs(task: Task, wanted: Wanted) -> list[Spec]:
    """Everything to be measured for a task, the configured engine first: ratios are taken to it."""
    chosen = getattr(wanted.config, task).engine
    ours = sorted(registry.names(task), key=lambda name: name != chosen)
    found = [spec for name in ours if _asked(name, wanted) for spec in _ours(task, name, wanted)]
    others = [name for name in peers.PEERS if task == peers.module(name).TASK and _asked(name, wanted)]
    return found + [spec for name in others for spec in _theirs(task, name, wanted)]


def known_engines() -> list[str]:
    """All names that ``Wanted.engines`` may have."""
    return list(dict.fromkeys([*(name for _, name in registry.ENGINES), *peers.PEERS]))


def model_name(options: msgspec.Struct) -> str:
    """What an engine's options say about its model."""
    for key in ("model", "models", "voice"):
        value: Any = getattr(options, key, None)
        if value:
            return value if isinstance(value, str) else "+".join(value)
    return ""


def _asked(name: str, wanted: Wanted) -> bool:
    return wanted.engines is None or name in wanted.engines


def _ours(task: Task, name: str, wanted: Wanted) -> Iterator[Spec]:
    options = getattr(wanted.config, task).options[name]
    several = hasattr(options, "threads")
    for threads in wanted.threads if several else (1,):
        for variant in wanted.variants if task == "asr" else ("",):
            changes: dict[str, Any] = {"threads": threads} if several else {}
            if hasattr(options, "partials"):
                changes["partials"] = variant == "stream"
            load = Ours(task, name, msgspec.structs.replace(options, **changes))
            yield Spec(
                kind="engine",
                task=task,
                engine=name,
                model=model_name(options),
                threads=threads,
                variant=variant,
                load=_subject(task, load, wanted, variant),
            )


def _theirs(task: Task, name: str, wanted: Wanted) -> Iterator[Spec]:
    peer = peers.module(name)
    model = wanted.peer_models.get(name, peer.MODEL)
    for threads in wanted.threads if peer.THREADS else (peer.OWN_THREADS,):
        for variant in wanted.variants if task == "asr" else ("",):
            if variant == "grammar" or (variant == "stream" and not peer.STREAMS):
                continue
            yield Spec(
                kind="engine",
                task=task,
                engine=name,
                peer=True,
                model=Path(model).name if model else "",
                threads=threads,
                variant=variant,
                load=_subject(task, Theirs(name, model, threads), wanted, variant),
            )


def _subject(task: Task, load: Ours | Theirs, wanted: Wanted, variant: str) -> Load:
    block, parts = wanted.config.input.block, wanted.recordings
    if task == "asr":
        made: Variant = "stream" if variant == "stream" else "grammar" if variant == "grammar" else "plain"
        return Recogniser(load, parts, block, made, tuple(wanted.config.packs()))
    if task == "tts":
        return Voice(load, speech.REPLIES)
    return Detector(load, (speech.stream(parts),), block)
