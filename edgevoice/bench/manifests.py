"""Manifests of a benchmark: what a line says tells what a manifest is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgevoice.bench import speech
from edgevoice.bench.speech import Recording
from edgevoice.config import Config
from edgevoice.errors import ConfigError
from edgevoice.evaluate import manifest, vad, wake
from edgevoice.evaluate.vad import Item as SpeechItem
from edgevoice.evaluate.wake import Item as WakeItem
from edgevoice.think.grammar import Grammar

Kind = Literal["commands", "wake", "speech", "texts"]
KEYS: dict[str, Kind] = {"intent": "commands", "phrase": "wake", "speech": "speech"}
"""Keys that stand in no other kind of manifest; without any of them it is one of texts."""


@dataclass(frozen=True)
class Given:
    """What the manifests hold; empty where there is none."""

    texts: tuple[Recording, ...] = ()
    commands: tuple[manifest.Item, ...] = ()
    wake: tuple[WakeItem, ...] = ()
    speech: tuple[SpeechItem, ...] = ()
    recordings: tuple[tuple[Kind, tuple[Recording, ...]], ...] = ()
    """By kind the audio."""

    def of(self, *kinds: Kind) -> tuple[Recording, ...]:
        """The recordings of the first of these kinds that there is."""
        known = dict(self.recordings)
        return next((known[kind] for kind in kinds if kind in known), ())


def kind(path: Path) -> Kind:
    """What a manifest is for. What is wrong with it is said by who reads it."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return "texts"
    for line in lines:
        try:
            keys = msgspec.json.decode(line, type=dict[str, Any]).keys()
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        for key, found in KEYS.items():
            if key in keys:
                return found
    return "texts"


def load(paths: Sequence[Path], config: Config, limit: int) -> Given:
    """
    Args:
        limit: lines at most, of each.

    Raises:
        ConfigError: with every mistake of a manifest, and for two of one kind.
    """
    found: dict[Kind, Path] = {}
    for path in paths:
        if (what := kind(path)) in found:
            raise ConfigError(
                f"it is for {what}, and so is {found[what]}", place=f"option --manifest {path}", remedy="join them"
            )
        found[what] = path
    commands = manifest.load(found["commands"], limit) if "commands" in found else []
    if commands:
        manifest.check(commands, Grammar.load(config.packs()), found["commands"])
    words = wake.load(found["wake"], limit) if "wake" in found else []
    spoken = vad.load(found["speech"], limit) if "speech" in found else []
    recordings = {what: tuple(speech.recordings(path, limit)) for what, path in found.items()}
    return Given(
        texts=recordings.get("texts", ()),
        commands=tuple(commands),
        wake=tuple(words),
        speech=tuple(spoken),
        recordings=tuple(recordings.items()),
    )
