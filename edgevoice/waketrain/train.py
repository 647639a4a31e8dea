"""Trains a wake word: makes the material, learns, measures on what was held back, writes the file and its card."""

import hashlib
import importlib.metadata
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from edgevoice import __version__, wholefile
from edgevoice.audio.pcm import Float32
from edgevoice.engines.wake.embedding import Front
from edgevoice.errors import OutputError
from edgevoice.waketrain import network, tflite
from edgevoice.waketrain.curve import Point, curve, peaks, shortcomings
from edgevoice.waketrain.features import Int64, gather
from edgevoice.waketrain.material import ANY, KINDS, OWN, ROOMS, SIZE, Amounts, Task, Workshop
from edgevoice.waketrain.voices import Voice
from edgevoice.waketrain.work import Work, tidy

REVISION = 6
"""Of the recipe: grows when the same seed gives another word."""
MATERIAL = 2
"""Of the pieces alone: grows when the same seed gives others."""
FOLDS = 3
"""Networks that each learn from all but a third, on which they are measured. Their mean is the word's: a fourth that
learns from everything adds nothing to it but 0.7 MB of memory."""
EPOCHS = 8
BALANCE = 0.3
"""Weight of all windows with the phrase, as a multiple of that of all others."""
SCORED = 4096
"""Windows scored at a time, to spare memory."""
PATIENCE = 2
"""Scores that are averaged: single ones are often too high in noise."""


class Progress(Protocol):
    def step(self, text: str) -> None: ...
    def advance(self, done: int, total: int, text: str = "") -> None: ...


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The word's card, which lies beside its file."""

    phrase: str
    threshold: float
    patience: int
    thresholds: dict[str, float]
    """Recommended, by false alarms per hour."""
    missed: dict[str, float]
    """Share of the phrase's recordings that stay below these."""
    warnings: list[str]
    """What is wrong with the word, and what helps."""
    measured: dict[str, Any]
    """What the curve is about."""
    det: list[Point]
    recipe: dict[str, Any]
    seed: int
    versions: dict[str, str]


def recipe(task: Task, voices: Sequence[Voice]) -> dict[str, Any]:
    """All that the result depends on."""
    own, against = (_digest(each) for each in (task.own, task.against))
    return {
        "revision": REVISION,
        "phrase": " ".join(task.words),
        "seed": task.seed,
        "amounts": asdict(task.amounts),
        "voices": [voice.name for voice in voices],
        "own": own,
        "against": against,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    found = {"edgevoice": __version__, "numpy": np.__version__}
    for name in ("hibari-tts", "piper-tts", "ai-edge-litert"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _digest(sounds: Sequence[Float32]) -> str | None:
    if not sounds:
        return None
    digest = hashlib.sha256()
    for sound in sounds:
        digest.update(len(sound).to_bytes(8, "little") + sound.tobytes())
    return digest.hexdigest()


def _works(task: Task, described: dict[str, Any], cache: Path, closing: ExitStack) -> dict[str, Work]:
    """Where the pieces are kept, by their kind: each with those that depend on the same."""
    amounts = described["amounts"]
    whoever = {key: described[key] for key in ("seed", "voices", "versions")}
    whoever |= {"material": MATERIAL, "amounts": {kind: amounts[kind] for kind in ("talk", "noise", "words")}}
    phrase = whoever | {"phrase": described["phrase"], "amounts": amounts}
    own = phrase | {"own": described["own"], "against": described["against"]}
    by_any, by_phrase = (closing.enter_context(Work(cache, each)) for each in (whoever, phrase))
    works = {kind: by_any if kind in ANY else by_phrase for kind in KINDS}
    if task.own or task.against:
        works |= dict.fromkeys(OWN, closing.enter_context(Work(cache, own)))
    return works


def train(task: Task, voices: Sequence[Voice], front: Front, output: Path, progress: Progress, *, cache: Path) -> Made:
    """Train and write ``output`` and its card.

    Args:
        cache: a folder in which finished pieces are kept, for the next time and, but for what is made of the user's
            recordings, for other words.

    Raises:
        OutputError: something cannot be written. TextError, EngineError: a voice failed.
    """
    described = recipe(task, voices)
    with ExitStack() as closing:
        works = _works(task, described, cache, closing)
        made = _train(task, voices, front, output, progress, described, works)
        if task.own or task.against:
            works["own"].remove()
    tidy(cache)
    return made


def _train(
    task: Task,
    voices: Sequence[Voice],
    front: Front,
    output: Path,
    progress: Progress,
    described: dict[str, Any],
    works: dict[str, Work],
) -> Made:
    material = _gather(Workshop(task, voices, front, works), progress)
    progress.step("learning, and measuring on what was held back")
    learnt, (points, thresholds, missed), measured = _learn(material, task.seed, progress)
    made = Made(
        phrase=" ".join(task.words),
        threshold=thresholds["0.5"],
        patience=PATIENCE,
        thresholds=thresholds,
        missed=missed,
        warnings=shortcomings(missed, measured["recordings"]),
        measured=measured,
        det=points,
        recipe={key: value for key, value in described.items() if key not in ("phrase", "seed", "versions")},
        seed=task.seed,
        versions=described["versions"],
    )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"it cannot be made: {error.strerror or error}", place=str(output.parent)) from error
    card = msgspec.json.format(msgspec.json.encode(made), indent=2)
    wholefile.write(output.with_suffix(".json"), card + b"\n")
    wholefile.write(output, tflite.dense(learnt.weights, learnt.biases))
    return made


class _Material(msgspec.Struct):
    rows: Any
    last: Int64
    wanted: Any
    kind: list[str]
    """Of each recording."""
    item: Int64
    """By window: the recording."""
    fold: Int64
    """By window. All rooms of one utterance are in one."""


def _gather(shop: Workshop, progress: Progress) -> _Material:
    plan = shop.plan()
    progress.step("speaking, making rooms and noise, listening")
    rows, last, wanted, items, folds = [], [], [], [], []
    kinds: list[str] = []
    length = 0
    for done, (kind, number) in enumerate(plan):
        progress.advance(done, len(plan), f"{done} of {len(plan)}: {kind}")
        piece = shop.do(kind, number)
        if "rows" not in piece:
            continue
        count = int(piece["item"].max(initial=-1)) + 1
        rows.append(piece["rows"])
        last.append(piece["last"] + length)
        wanted.append(piece["wanted"])
        items.append(piece["item"] + len(kinds))
        folds.append((number * SIZE + piece["item"] // ROOMS.get(kind, 1)) % FOLDS)
        kinds += [kind] * count
        length += len(piece["rows"])
    progress.advance(len(plan), len(plan), "done")
    return _Material(
        np.concatenate(rows),
        np.concatenate(last),
        np.concatenate(wanted),
        kinds,
        np.concatenate(items),
        np.concatenate(folds),
    )


def _fit(material: _Material, chosen: Any, seed: int, progress: Progress, before: int) -> network.Network:
    wanted = material.wanted[chosen].astype(np.float32)
    others = len(wanted) - wanted.sum()
    importance = np.where(wanted > 0, BALANCE * others / max(wanted.sum(), 1), 1).astype(np.float32)

    def advance(done: int, total: int) -> None:
        progress.advance(before * total + done, FOLDS * total, f"{100 * (before * total + done) // (FOLDS * total)} %")

    return network.fit(
        material.rows, material.last[chosen], wanted, importance, epochs=EPOCHS, seed=seed, progress=advance
    )


def _learn(
    material: _Material, seed: int, progress: Progress
) -> tuple[network.Network, tuple[list[Point], dict[str, float], dict[str, float]], dict[str, Any]]:
    """The word's network, the mean of those of the folds; and what each of those reaches."""
    logits = np.zeros(len(material.last), np.float32)
    networks = []
    for fold in range(FOLDS):
        inside = material.fold == fold
        learnt = _fit(material, ~inside, seed + fold, progress, fold)
        networks.append(learnt)
        places = np.flatnonzero(inside)
        for at in range(0, len(places), SCORED):
            some = places[at : at + SCORED]
            logits[some] = learnt(gather(material.rows, material.last[some]))
    right, wrong, rows = [], [], 0
    edges = np.flatnonzero(np.diff(material.item)) + 1
    for places in np.split(np.arange(len(logits)), edges):
        hits = material.wanted[places]
        if hits.any():
            right.append(float(_smooth(logits[places][hits]).max()))
        elif material.kind[int(material.item[places[0]])] in ("speech", "words", "hum", "against"):
            wrong += peaks(_smooth(logits[places]))
            rows += len(places)
    measured = {
        "how": f"{FOLDS} networks, each on the third that it did not learn from; synthetic voices, rooms and noise",
        "recordings": len(right),
        "hours": round(rows * 0.08 / 3600, 3),
        "windows": len(logits),
    }
    return network.mean(networks), curve(right, wrong, rows), measured


def _smooth(logits: Float32) -> Float32:
    """The mean of ``PATIENCE`` scores, as a logit."""
    if len(logits) < PATIENCE:
        return logits
    scores = 1 / (1 + np.exp(-np.clip(logits, -30, 30).astype(np.float64)))
    mean = np.clip(np.convolve(scores, np.ones(PATIENCE) / PATIENCE, "valid"), 1e-13, 1 - 1e-13)
    result: Float32 = np.log(mean / (1 - mean)).astype(np.float32)
    return result


def amounts(minutes: float) -> Amounts:
    """What takes about so long on two laptop cores; never fewer than a word can be learnt from at all."""
    return Amounts().scaled(minutes / MINUTES)


MINUTES = 4.0
"""That the default amounts take, on one core of a server of 2021."""
