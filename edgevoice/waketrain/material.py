"""What a word is learnt from, made in pieces that each depend on the seed and their own number alone."""

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.engines.registry import require
from edgevoice.engines.wake.embedding import Front
from edgevoice.think.sounds import pronounce
from edgevoice.waketrain import near, scene
from edgevoice.waketrain.features import WARM, ending_at, padded, vectors
from edgevoice.waketrain.phrase import COMMON
from edgevoice.waketrain.voices import Voice, pick
from edgevoice.waketrain.work import Work

KINDS = ("talk", "noise", "words", "speech", "hum", "phrase", "near", "own", "against")
"""In the order in which they are made. Sound: ``talk``, ``noise``. Features: single words, talk and noise; the phrase,
and near phrases; the user's recordings of the phrase and against it."""
ANY = ("talk", "noise", "words", "speech", "hum")
"""The same for all phrases."""
OWN = ("own", "against")
SIZE = 25
"""Recordings of a piece: a few seconds of work are lost when it is stopped."""
LATE = range(4)
"""Rows behind the end of the phrase that shall be recognised: 0 to 0.3 s."""
EARLY = (0, 2, 6)
"""Rows before the middle of the phrase that shall not: half of it was said."""
ENDINGS = (".", "!", "?", "", ",")
"""Behind a phrase; the voices make different melodies of them."""
ROOMS = {"phrase": 2, "own": 40}
"""For each time that the phrase is spoken, and for each of the user's own recordings."""
LONGEST = 30 * RATE
"""Samples of a user's recording against the phrase that are taken at a time."""


@dataclass(frozen=True)
class Amounts:
    """How many of each: recordings, and for ``noise`` pieces of 10 s."""

    phrase: int = 450
    talk: int = 500
    near: int = 200
    words: int = 475
    noise: int = 12

    def scaled(self, factor: float) -> "Amounts":
        counts = (self.phrase, self.talk, self.near, self.words, self.noise)
        return Amounts(*(max(round(count * factor), 4) for count in counts))


@dataclass(frozen=True)
class Task:
    """What is to be learnt, and from what."""

    words: tuple[str, ...]
    seed: int
    amounts: Amounts
    own: tuple[Float32, ...] = ()
    """The user's recordings of the phrase, at 16 kHz, silence trimmed."""
    against: tuple[Float32, ...] = ()
    """The user's recordings without the phrase, each of ``LONGEST`` at most."""


class Workshop:
    """Makes the pieces, or takes them from where they are kept.

    Args:
        works: by kind of piece.
    """

    def __init__(self, task: Task, voices: Sequence[Voice], front: Front, works: Mapping[str, Work]) -> None:
        self._task = task
        self._voices = voices
        self._front = front
        self._works = works
        self._talk: list[Float32] = []
        self._held: list[bool] = []
        """Of the talk: whether the phrase is said in it."""
        self._noise: list[Float32] = []

    def plan(self) -> list[tuple[str, int]]:
        """All pieces: kind and number."""
        amounts = self._task.amounts
        counts = {
            "talk": amounts.talk,
            "noise": amounts.noise,
            "phrase": amounts.phrase,
            "near": amounts.near,
            "words": amounts.words,
            "speech": amounts.talk,
            "hum": amounts.noise,
            "own": len(self._task.own),
            "against": len(self._task.against),
        }
        return [(kind, number) for kind in KINDS for number in range(-(-counts[kind] // SIZE))]

    def do(self, kind: str, number: int) -> dict[str, Any]:
        """A piece. The sounds are needed before the features: in the order of the plan.

        For features, ``rows`` float16 [m, 96], ``last`` [n], ``wanted`` [n], ``item`` [n]: windows, whether each holds
        the phrase, and of which recording of the piece it is.
        """
        made = self._works[kind].piece(f"{kind}-{number:04}", lambda: self._make(kind, number))
        if kind in ("talk", "noise"):
            sounds = np.split(made["sound"].astype(np.float32) / 32767, np.cumsum(made["lengths"])[:-1])
            (self._talk if kind == "talk" else self._noise).extend(sounds)
        if kind == "talk":
            self._held += [self._holds(text) for text in made["texts"]]
        elif kind in ("words", "speech"):
            held = (
                [self._holds(text) for text in made["texts"]] if kind == "words" else self._held[number * SIZE :][:SIZE]
            )
            other = ~np.array(held, np.bool_)[made["item"]]
            made = {**made, **{key: made[key][other] for key in ("last", "wanted", "item")}}
        return made

    def _make(self, kind: str, number: int) -> dict[str, Any]:
        identity = [self._task.seed, KINDS.index(kind), number]
        draw = np.random.default_rng(identity)
        for voice in self._voices:
            voice.begin(int(np.random.default_rng([*identity, 1]).integers(1 << 31)))
        amounts, first = self._task.amounts, number * SIZE
        if kind == "talk":
            texts = [self._sentence(draw) for _ in range(min(SIZE, amounts.talk - first))]
            return {**_kept([self._say(text, draw) for text in texts]), "texts": np.array(texts)}
        if kind == "noise":
            return _kept(scene.tracks(min(SIZE, amounts.noise - first), self._talk, draw))
        rows, texts = _Rows(), []
        match kind:
            case "phrase":
                phrase = " ".join(self._task.words)
                for _ in range(min(SIZE, amounts.phrase - first)):
                    said = self._say(phrase + ENDINGS[draw.integers(len(ENDINGS))], draw)
                    for _ in range(ROOMS["phrase"]):
                        self._phrase(rows, said, draw)
            case "own":
                for said in self._task.own[first : first + SIZE]:
                    for _ in range(ROOMS["own"]):
                        self._phrase(rows, _varied(said, draw), draw)
            case "near" | "words":
                maker = self._near if kind == "near" else self._single
                for _ in range(min(SIZE, getattr(amounts, kind) - first)):
                    texts.append(maker(draw))
                    self._other(rows, self._say(texts[-1], draw), draw, lead=2.0, tail=0.5)
            case "speech":
                for said in self._talk[first : first + SIZE]:
                    self._other(rows, said, draw, lead=0.3, tail=0.3)
            case "hum":
                for track in self._noise[first : first + SIZE]:
                    self._plain(rows, track * np.float32(10 ** (-draw.uniform(0, 30) / 20)))
            case "against":
                for heard in self._task.against[first : first + SIZE]:
                    self._plain(rows, heard)
        return {**rows.arrays(), "texts": np.array(texts)}

    def _say(self, text: str, draw: np.random.Generator) -> Float32:
        said = pick(self._voices, draw).speak(text, draw)
        return said * np.float32(0.5 / max(float(np.abs(said).max(initial=0.0)), 1e-6))

    def _phrase(self, rows: "_Rows", said: Float32, draw: np.random.Generator) -> None:
        sound, end = scene.scene(said, draw, self._noise, self._talk)
        found, _ = vectors(self._front, sound)
        good = [ending_at(end) + late for late in LATE]
        middle = ending_at(end - len(said) // 2) - 1
        rows.add(found, good, [middle - early for early in EARLY])

    def _other(self, rows: "_Rows", said: Float32, draw: np.random.Generator, *, lead: float, tail: float) -> None:
        sound, _ = scene.scene(said, draw, self._noise, self._talk, lead=lead, tail=tail)
        self._plain(rows, sound)

    def _plain(self, rows: "_Rows", sound: Float32) -> None:
        found, _ = vectors(self._front, sound)
        rows.add(found, [], range(WARM, len(found)))

    # Texts -----------------------------------------------------------------------------------------------------

    @cached_property
    def _lexicon(self) -> dict[str, str]:
        return lexicon()

    @cached_property
    def _all(self) -> list[str]:
        return list(self._lexicon)

    @cached_property
    def _sounds(self) -> Mapping[str, str]:
        """The lexicon; none where it lacks a word of the phrase, for then all are pronounced by rule."""
        return self._lexicon if all(word in self._lexicon for word in self._task.words) else {}

    def _holds(self, text: str) -> bool:
        """Whether somebody who says this says the phrase: "computers", "the view glasses"."""
        words = _LETTERS.findall(text.lower())
        heard, wanted = (
            "".join(self._sounds.get(word) or pronounce(word) for word in each) for each in (words, self._task.words)
        )
        return wanted in heard

    @cached_property
    def _alike(self) -> list[list[str]]:
        found = [near.near(word, self._lexicon) for word in self._task.words]
        return [words or self._all for words in found]

    def _near(self, draw: np.random.Generator) -> str:
        while self._holds(made := near.confusable(self._task.words, self._alike, draw)):
            pass
        return made + ENDINGS[draw.integers(len(ENDINGS))]

    def _single(self, draw: np.random.Generator) -> str:
        """One or two words: what stands alone is not the phrase for that."""
        words = " ".join(self._word(draw) for _ in range(int(draw.integers(1, 3))))
        return words + ENDINGS[draw.integers(len(ENDINGS))]

    def _sentence(self, draw: np.random.Generator) -> str:
        words = [
            self._word(draw) if draw.random() < 0.55 else _COMMON[int(draw.integers(len(_COMMON)))]
            for _ in range(int(draw.integers(4, 11)))
        ]
        return " ".join(words) + ENDINGS[int(draw.integers(3))]

    def _word(self, draw: np.random.Generator) -> str:
        return self._all[int(draw.integers(len(self._all)))]


_COMMON = sorted(COMMON)
_LETTERS = re.compile("[a-z]+")


def lexicon() -> dict[str, str]:
    """English words of 3 to 12 letters, in order, and their sounds without stress: those of the voice hibari."""
    package = require("hibari", distribution="hibari-tts")
    packed = (Path(package.tts.ASSETS) / "lexicon_us_gold.json.gz").read_bytes()
    found = {}
    for word, sounds in sorted(json.loads(gzip.decompress(packed)).items()):
        spoken = sounds if isinstance(sounds, str) else sounds.get("DEFAULT")
        if spoken and 2 < len(word) < 13 and word.isalpha() and not word.isupper():  # names, but no abbreviations
            found[word.lower()] = spoken.translate(_STRESS)
    return found


_STRESS = str.maketrans("", "", "ˈˌ")


def _varied(said: Float32, draw: np.random.Generator) -> Float32:
    """The same a little faster and higher, or slower and lower."""
    faster = float(np.exp(draw.uniform(np.log(0.9), np.log(1.1))))
    result: Float32 = require("soxr").resample(said, RATE * faster, RATE).astype(np.float32)
    return result


def _kept(sounds: Sequence[Float32]) -> dict[str, Any]:
    whole = np.concatenate([np.zeros(0, np.float32), *sounds])
    return {
        "sound": np.round(np.clip(whole, -1, 1) * 32767).astype(np.int16),
        "lengths": np.array([len(sound) for sound in sounds], np.int64),
    }


class _Rows:
    """Collects the features of a piece."""

    def __init__(self) -> None:
        self._rows: list[Any] = []
        self._last: list[int] = []
        self._wanted: list[bool] = []
        self._item: list[int] = []
        self._length = 0

    def add(self, found: Float32, good: Sequence[int], bad: Sequence[int]) -> None:
        if not len(found):
            return
        rows = padded(found)
        ahead = self._length + len(rows) - len(found)
        for places, wanted in ((good, True), (bad, False)):
            inside = [place for place in places if 0 <= place < len(found)]
            self._last += [ahead + place for place in inside]
            self._wanted += [wanted] * len(inside)
            self._item += [len(self._rows)] * len(inside)
        self._rows.append(rows.astype(np.float16))
        self._length += len(rows)

    def arrays(self) -> dict[str, Any]:
        return {
            "rows": np.concatenate([np.zeros((0, 96), np.float16), *self._rows]),
            "last": np.array(self._last, np.int64),
            "wanted": np.array(self._wanted, np.bool_),
            "item": np.array(self._item, np.int64),
        }
