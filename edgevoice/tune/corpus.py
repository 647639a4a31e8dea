"""The recordings that are recognised, and the sentences that are spoken."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Int16
from edgevoice.bench.speech import REPLIES
from edgevoice.config import Config
from edgevoice.engines import registry
from edgevoice.engines.protocols import ModelPaths, TtsEngine
from edgevoice.errors import GrammarError, OutputError
from edgevoice.evaluate import lines, manifest
from edgevoice.evaluate.normalise import normalise
from edgevoice.evaluate.recording import speech_end
from edgevoice.events import SlotValue
from edgevoice.think.grammar import Grammar
from edgevoice.think.match import Match
from edgevoice.tune.combine import Inputs

SPOKEN = 24
"""Commands that a voice speaks where there are no recordings: about one of every intent of the default pack."""
LEVELS = (30.0, 300.0, 1200.0)
"""Standard deviations of the noise behind them in turn, of 32767: a quiet room, one with a fan, one in which somebody
cooks. In silence alone a synthetic voice would be understood by anything."""
ENDS = "ends.json"
"""The seconds at which speech ends, found before the noise was added."""
_QUIET = 0.5
"""Seconds around a command."""
_LISTED = 3000
"""Sentences of a grammar that are drawn from; the default pack has more, and every template is among them."""
_SEED = 20
"""Of the order of recordings; any number does."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One recording and what is said in it."""

    path: str
    intent: str | None = None
    slots: dict[str, SlotValue] = {}
    text: str | None = None
    end: float | None = None
    """Second at which the speech ends; None: to be found in the recording, which takes a clean one."""


@dataclass(frozen=True)
class Corpus:
    samples: tuple[Sample, ...]
    """In an order drawn by chance, the same every time: so the first few of them stand for all."""
    origin: str
    """In words, for the evidence."""
    sentences: tuple[str, ...] = REPLIES

    @property
    def inputs(self) -> Inputs:
        return Inputs(
            recordings=len(self.samples),
            commands=sum(sample.intent is not None for sample in self.samples),
            words=sum(len(normalise(sample.text).split()) for sample in self.samples if sample.text is not None),
            sentences=len(self.sentences),
        )

    def digest(self) -> str:
        """Of labels and audio: figures of other recordings do not go together with theirs."""
        found = hashlib.sha256()
        for sample in self.samples:
            label = msgspec.structs.replace(sample, path=Path(sample.path).name)
            found.update(msgspec.json.encode(label, order="deterministic"))
            found.update(hashlib.sha256(Path(sample.path).read_bytes()).digest())
        found.update("\n".join(self.sentences).encode())
        return found.hexdigest()[:16]


class _Line(msgspec.Struct, frozen=True):
    audio: str
    intent: str | None = None
    slots: dict[str, SlotValue] = {}
    text: str | None = None


def from_manifest(path: Path, limit: int, grammar: Grammar) -> tuple[Corpus, list[str]]:
    """Recordings of a manifest: JSON lines with ``audio`` and ``intent`` with ``slots``, or ``text``, or all of them.

    Args:
        limit: so many of them at most, drawn by chance.
        grammar: what the labels must fit.

    Returns:
        The corpus, and warnings.

    Raises:
        ConfigError: with every mistake, each with file and line.
    """

    def labelled(line: _Line, audio: Path) -> Iterator[str]:
        if line.intent is None and line.text is None:
            yield "it has neither 'intent' nor 'text'"

    found = lines.read_audio(path, _Line, None, labelled)
    items = [
        manifest.Item(line.audio, audio, line.intent, line.slots, number)
        for number, audio, line in found
        if line.intent is not None
    ]
    warnings = manifest.check(items, grammar, path) if items else []
    samples = [
        Sample(path=str(audio), intent=line.intent, slots=line.slots, text=line.text) for _, audio, line in found
    ]
    drawn = _drawn(samples, limit)
    origin = f"{len(drawn)} of {len(samples)} recordings of {path.parent.name or '.'}/{path.name}"
    return Corpus(drawn, origin), warnings


def _drawn(samples: Sequence[Sample], limit: int) -> tuple[Sample, ...]:
    return tuple(samples[at] for at in np.random.default_rng(_SEED).permutation(len(samples))[:limit])


def commands(grammar: Grammar, count: int) -> list[tuple[str, Match]]:
    """Sentences of a grammar with what they mean, to be spoken by a voice; every intent has its turn.

    Raises:
        GrammarError: it has none that could be listed.
    """
    found: dict[str, list[tuple[str, Match]]] = {}
    phrases = grammar.phrases(_LISTED)
    for at in np.random.default_rng(_SEED).permutation(len(phrases)):
        understood = grammar.match(phrases[int(at)])
        if isinstance(understood, Match):
            found.setdefault(understood.intent.name, []).append((phrases[int(at)], understood))
    if not found:
        raise GrammarError(
            "none of its sentences could be listed, so none can be spoken",
            remedy="give recordings of them with --manifest",
        )
    turns = [
        sentences[turn]
        for turn in range(max(map(len, found.values())))
        for _, sentences in sorted(found.items())
        if turn < len(sentences)
    ]
    return turns[:count]


def spoken(config: Config, grammar: Grammar, store: ModelPaths, folder: Path, count: int = SPOKEN) -> Corpus:
    """Commands of the grammar in the configured voice, with noise behind them; the same every time.

    They are written to ``folder``, with their manifest, and read from there the next time.

    Raises:
        EngineError, ModelError: the voice. GrammarError: nothing can be spoken. OutputError: it cannot be written.
    """
    chosen = commands(grammar, count)
    name = config.tts.engine
    options = msgspec.json.encode(config.tts.chosen).decode()
    key = json.dumps([[text for text, _ in chosen], LEVELS, name, options])
    made = folder / f"spoken-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    planned = [
        Sample(
            path=str((made / f"{number:02d}.flac").absolute()),
            intent=match.intent.name,
            slots=dict(match.intent.slots),
            text=text,
        )
        for number, (text, match) in enumerate(chosen)
    ]
    if not (made / "dev.jsonl").is_file():
        voice: TtsEngine = registry.load("tts", name, config.tts.chosen, store)
        try:
            _write(made, planned, voice)
        finally:
            voice.close()
    ends = msgspec.json.decode((made / ENDS).read_bytes(), type=list[float])
    samples = [msgspec.structs.replace(each, end=end) for each, end in zip(planned, ends, strict=True)]
    return Corpus(_drawn(samples, count), f"{len(samples)} commands spoken by the voice {name}, with noise")


def _write(folder: Path, samples: Sequence[Sample], voice: TtsEngine) -> None:
    soundfile = registry.require("soundfile")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ends = []
        for number, sample in enumerate(samples):
            assert sample.text is not None
            noisy, end = _say(voice, sample.text, number)
            soundfile.write(sample.path, noisy, RATE, "PCM_16", format="FLAC")
            ends.append(end)
        (folder / ENDS).write_bytes(msgspec.json.encode(ends))
        # Last: who finds it knows that all else is there.
        written = [{**msgspec.to_builtins(each), "audio": Path(each.path).name} for each in samples]
        (folder / "dev.jsonl").write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in written))
    except (OSError, soundfile.LibsndfileError) as error:
        raise OutputError(f"speech cannot be written: {error}", place=str(folder)) from error


def _say(voice: TtsEngine, text: str, number: int) -> tuple[Int16, float]:
    """With noise; and the second at which the speech ends."""
    speech = resample(np.concatenate([audio.samples for audio in voice.synthesize(text)]), voice.rate, RATE)
    quiet = np.zeros(round(_QUIET * RATE), np.int16)
    clean = np.concatenate([quiet, speech, quiet]).astype(np.float64)
    room = np.random.default_rng(number).normal(0.0, LEVELS[number % len(LEVELS)], len(clean))
    noisy = np.clip(clean + room, -32767, 32767).astype(np.int16)
    return noisy, speech_end((clean / 32768).astype(np.float32)) / RATE
