"""Engines that obey the contract of the real ones, on audio that is written like a score.

A script is text: ``.`` is 0.1 s of silence, every other character 0.1 s of a level that stands for it, so that a fake
hears exactly what was written. ``W`` is the wake word, letters are words (see ``WORDS``).
"""

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgevoice.audio.pcm import RATE, Audio, Reblock, concatenate
from edgevoice.engines.protocols import AsrHint, Ending, Hypothesis, SpeechScore, WakeModel, WakeScore
from edgevoice.errors import EngineError, TextError

UNIT = RATE // 10
WORDS = {
    "o": "turn on",
    "f": "turn off",
    "k": "the kitchen light",
    "b": "the bedroom light",
    "t": "what time is it",
    "r": "repeat that",
    "s": "stop",
    "n": "never mind",
    "w": "that was wrong",
    "x": "colourless green ideas",
    "!": "crash",
}
LEVELS = {character: 2000 + 500 * index for index, character in enumerate("W" + "".join(WORDS))}
CHARACTERS = {level: character for character, level in LEVELS.items()}


def perform(script: str) -> Audio:
    """The audio of a script."""
    return Audio(np.repeat(np.array([LEVELS.get(character, 0) for character in script], np.int16), UNIT))


def seconds(script: str) -> float:
    return len(script) / 10


class ScriptSource:
    """A recording of a script, in blocks of any length."""

    lossless = True
    eager = True

    def __init__(self, script: str, block: int = 512) -> None:
        self._audio = perform(script)
        self._block = block
        self.closed = False

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        for at in range(0, len(self._audio), self._block):
            yield Audio(self._audio.samples[at : at + self._block], start=at)

    async def close(self) -> None:
        self.closed = True


class RecordingSink:
    """Keeps what was played."""

    lossless = True

    def __init__(self) -> None:
        self.played: list[Audio] = []
        self.flushes = 0
        self.volume = 100

    async def play(self, audio: Audio) -> None:
        self.played.append(audio)

    async def drain(self) -> None:
        pass

    def flush(self) -> None:
        self.flushes += 1

    async def close(self) -> None:
        pass


class FakeStore:
    def path(self, name: str) -> Path:
        return Path(name)


class FakeWake:
    """Hears four ``W`` on end, towards the end of the last as real models do; a step is 10 ms."""

    models: Sequence[WakeModel] = (WakeModel("computer", "Computer", threshold=0.5, patience=3),)
    heavy = False
    memory = 0.5

    def open(self) -> "FakeWakeSession":
        return FakeWakeSession()

    def close(self) -> None:
        pass


class FakeWakeSession:
    def __init__(self) -> None:
        self._reblock = Reblock(RATE // 100)
        self._steps = 0

    def feed(self, audio: Audio) -> Sequence[WakeScore]:
        scores = []
        for step in self._reblock.push(audio):
            self._steps = self._steps + 1 if step.samples[-1] == LEVELS["W"] else 0
            scores.append(WakeScore(0, float(self._steps > 37), step.end))
        return scores

    def close(self) -> None:
        pass


class FakeVad:
    """Whatever is not silent is speech; a frame is 32 ms."""

    def open(self) -> "FakeVadSession":
        return FakeVadSession()

    def close(self) -> None:
        pass


class FakeVadSession:
    def __init__(self) -> None:
        self._reblock = Reblock(512)

    def feed(self, audio: Audio) -> Sequence[SpeechScore]:
        return [
            SpeechScore(float(np.mean(frame.samples != 0)), frame.start, frame.end)
            for frame in self._reblock.push(audio)
        ]

    def close(self) -> None:
        pass


class FakeAsr:
    """Reads the words of a script; ``!`` makes it fail.

    Args:
        endings: by text, how it stands in the grammar; None for all others.
        refused: texts that it does not believe to be a sentence of the grammar.
    """

    def __init__(self, endings: Mapping[str, Ending] | None = None, refused: Collection[str] = ()) -> None:
        self.endings = endings or {}
        self.refused = refused
        self.finished = 0
        self.paused = 0
        self.open_sessions = 0
        self.begins: list[int] = []
        """Capture index at which the audio of each session began."""
        self.hasty: list[bool] = []
        """Whether each session was asked to save work."""

    def open(self, hint: AsrHint | None = None) -> "FakeAsrSession":
        self.hasty.append(hint is not None and hint.haste)
        self.open_sessions += 1
        return FakeAsrSession(self, constrained=bool(self.endings) and hint is not None and hint.automaton is not None)

    def close(self) -> None:
        pass


class FakeAsrSession:
    def __init__(self, engine: FakeAsr, *, constrained: bool = False) -> None:
        self._engine = engine
        self.constrained = constrained
        self._heard: list[Audio] = []
        self._text = ""

    def feed(self, audio: Audio) -> Hypothesis | None:
        if not self._heard:
            self._engine.begins.append(audio.start)
        self._heard.append(audio)
        text = self._read()
        if text == self._text:
            return None
        self._text = text
        return Hypothesis(text)

    def pause(self, *, glance: bool = False) -> Hypothesis | None:
        self._engine.paused += 1
        final = self._final()
        return None if glance and final.text in self._engine.refused else final

    def finish(self) -> Hypothesis:
        self._engine.finished += 1
        return self._final()

    def close(self) -> None:
        self._engine.open_sessions -= 1

    def _final(self) -> Hypothesis:
        text = self._read()
        if text in self._engine.refused:
            return Hypothesis(text, confidence=0.01, readings=())
        return Hypothesis(text, confidence=0.9, ending=self._engine.endings.get(text))

    def _read(self) -> str:
        words: list[str] = []
        last = None
        for sample in concatenate(self._heard).samples[:: UNIT // 4].tolist():
            character = CHARACTERS.get(sample)
            if character != last and character in WORDS:
                if character == "!":
                    raise EngineError("the recogniser failed", place="fake")
                words.append(WORDS[character])
            last = character
        return " ".join(words)


class FakeTts:
    """0.05 s of a constant a character, in pieces of 0.25 s."""

    rate = 24_000
    language = "en"

    def synthesize(self, text: str) -> Iterator[Audio]:
        if not any(character.isalnum() for character in text):
            raise TextError("nothing in it can be pronounced", place=f"text '{text}'")
        for at in range(0, len(text), 5):
            yield Audio(np.full(len(text[at : at + 5]) * 1200, 1000, np.int16), self.rate)

    def close(self) -> None:
        pass
