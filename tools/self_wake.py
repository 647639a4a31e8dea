"""Whether the assistant wakes itself, and whether a person is heard over its replies; replayed, without a sound card.

    python -m tools.self_wake --people DIR [--model alexa] [--phrase Alexa] [--levels=-10,-5,0] [--before 1]

Replies that hold the wake word are spoken by the configured voice, go through a loudspeaker that clips and a room, and
reach the microphone 20 to 120 ms later, by a clock of their own. Every reply is heard alone and with a recording of the
wake word by a person in its middle, by what listens in the daemon.

The level of the echo is that of the loudest frame of 2048 samples against the person's loudest, in dB.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edgevoice.audio.pcm import RATE, Audio, Float32, Int16
from edgevoice.audio.played import Played, Reference
from edgevoice.config import Config, load
from edgevoice.engines import registry
from edgevoice.engines.protocols import AsrEngine, WakeEngine
from edgevoice.engines.registry import require
from edgevoice.evaluate.mix import loudest
from edgevoice.evaluate.recording import read
from edgevoice.evaluate.wake import load_asr
from edgevoice.flow.worker import Inline
from edgevoice.listen.echo import Echoless
from edgevoice.listen.own import OwnVoice
from edgevoice.listen.spot import Scorer, Spotter
from edgevoice.listen.wake import Detection, Options
from edgevoice.modelstore import ModelStore
from tools.spoken import speak

BLOCK: Final = 512
LEAD: Final = int(2.5 * RATE)
"""Samples of the room's noise before the first reply: features adapt to what they hear."""
PAUSE: Final = int(1.5 * RATE)
"""Samples behind a reply."""
LOUD: Final = 0.3
"""Peak of a person's recording."""
NOISE: Final = 30 / 32_768
RAISED: Final = 0.99
"""Score that wakes during a reply where thresholds are raised."""
IN_TIME: Final = RATE // 2
"""Samples behind the end of a person's recording in which its wake may come."""

SENTENCES: Final = (
    "My name is {}, and I am glad to help.",
    "You can say {}, turn on the kitchen light.",
    "Just call me {}, whenever you need something.",
    "I wake up when somebody says {} in this room.",
    "{} is the word that I listen for.",
    "If you say {} once more, I will stop at once.",
    "To set a timer, say {}, set a timer for ten minutes.",
    "The last thing that I heard was {}, but nothing came after it.",
    "Sorry, I am not {}, I am somebody else, and I cannot do that.",
    "There are three lights in the living room. Say {}, and then the name of the lamp.",
)
BEGINNINGS: Final = (
    "",
    "Good morning. ",
    "It is ten past four. ",
    "The timer is set. ",
    "The light in the kitchen is on. ",
    "All right. ",
    "I have understood you. ",
    "There is one more thing. ",
    "The weather is fine. ",
    "You have two messages. ",
)
EARLIER: Final = "The light in the kitchen is on, and the timer has four minutes left."
"""What was replied before."""
MODES: Final = ("nothing", "raised", "own voice", "echo", "both")


@dataclass(frozen=True)
class Scene:
    """A reply in a room."""

    alone: Int16
    """What the microphone hears."""
    with_person: Int16
    played: Int16
    """What the loudspeaker is given, by the microphone's clock."""
    starts: Sequence[int]
    """Where it is given something anew."""
    person: tuple[int, int]
    """From where to where the person's recording lies in it."""


def make(replies: Sequence[Float32], person: Float32, level: float, seed: int) -> Scene:
    """The last of the replies is the one that is spoken into."""
    random = np.random.default_rng(seed)
    delay, drift = int(random.uniform(0.02, 0.12) * RATE), random.uniform(-1e-4, 1e-4)
    path, drive = _path(random), random.uniform(0.3, 1.5)
    person = person * np.float32(LOUD / np.abs(person).max())
    starts = []
    at = LEAD
    for reply in replies:
        starts.append(at)
        at += len(reply) + PAUSE
    played, echo = np.zeros(at, np.float32), np.zeros(at, np.float32)
    for start, reply in zip(starts, replies, strict=True):
        played[start : start + len(reply)] = reply
        heard = _convolve(_loudspeaker(reply, drive), path)
        heard = require("soxr").resample(heard.astype(np.float64), 1e6, 1e6 * (1 + drift))
        begin = start + delay + int(random.uniform(0, 0.01) * RATE)  # devices do not begin to the sample
        echo[begin : begin + len(heard)] += heard[: at - begin]
    last = echo[starts[-1] :]
    echo *= np.float32(np.sqrt(10 ** (level / 10) * loudest(person) / loudest(last)))
    echo += random.normal(0, NOISE, at).astype(np.float32)
    where = starts[-1] + int(len(replies[-1]) * random.uniform(0.3, 0.7)) - len(person) // 2
    where = min(max(where, starts[-1]), at - len(person))
    both = echo.copy()
    both[where : where + len(person)] += person
    return Scene(_int16(echo), _int16(both), _int16(played), starts, (where, where + len(person)))


def _path(random: np.random.Generator) -> Float32:
    """From loudspeaker to microphone: the direct sound, and a room that is as loud or up to 9 dB softer."""
    lasting = random.uniform(0.2, 0.5)
    size = int(lasting * RATE)
    room = random.normal(0, 1, size) * 10 ** (-3 * np.arange(size) / size)
    room *= 10 ** (-random.uniform(0, 9) / 20) / np.sqrt(np.square(room).sum())
    room[0] = 1.0
    return room.astype(np.float32)


def _loudspeaker(samples: Float32, drive: float) -> Float32:
    """It clips softly, so that a tone at its peak has 1 to 10 % of harmonics, and it has no bass."""
    scaled = samples / np.abs(samples).max()
    bent = np.tanh(drive * (scaled + 0.05 * scaled**2)) / np.tanh(drive)
    spectrum, hertz = np.fft.rfft(bent), np.fft.rfftfreq(len(bent), 1 / RATE)
    spectrum *= (hertz / 250) ** 2 / np.sqrt(1 + (hertz / 250) ** 4)
    return np.fft.irfft(spectrum, len(bent)).astype(np.float32)


def _convolve(one: Float32, other: Float32) -> Float32:
    size = 1 << (len(one) + len(other) - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(one, size) * np.fft.rfft(other, size), size)[: len(one) + len(other)].astype(
        np.float32
    )


def _int16(samples: Float32) -> Int16:
    return np.clip(np.rint(samples * 32_767), -32_768, 32_767).astype(np.int16)


@dataclass(frozen=True)
class Listener:
    """What listens in the daemon."""

    engine: WakeEngine
    asr: AsrEngine | None
    options: Options

    def wakes(self, heard: Int16, scene: Scene, mode: str) -> list[Detection]:
        return asyncio.run(self._listen(heard, scene, mode))

    async def _listen(self, heard: Int16, scene: Scene, mode: str) -> list[Detection]:
        now, here = 0.0, Inline()
        played = Played(clock=lambda: now)
        echoless = Echoless(Reference(played), cancel=mode in ("echo", "both"))
        own = OwnVoice((here, self.engine), echoless) if mode in ("own voice", "both") else None
        scorer = await Scorer.open((here, self.engine), None)
        asr = None if self.asr is None else (here, self.asr)
        spotter = Spotter(scorer, self.engine, self.options, asr, own=own)
        found: list[Detection] = []
        for piece in _pieces(heard):
            now = piece.end / RATE
            self._play(played, scene, piece)
            async for wake in spotter.hear(echoless.clean(piece)):
                if mode == "raised" and echoless.over_reply(wake.at) and wake.score < RAISED:
                    continue
                found.append(wake)
        scorer.close()
        return found

    @staticmethod
    def _play(played: Played, scene: Scene, piece: Audio) -> None:
        """The loudspeaker takes what it plays now; the moment of that is that of the block's end."""
        for start in scene.starts:
            if piece.end == _rounded(start):
                played.add(b"", 0, 1, RATE, first=True)
        if piece.end >= _rounded(scene.starts[0]):
            # It lies where the microphone is when the block has come, so a block ahead of what is heard.
            data = scene.played[piece.end : piece.end + BLOCK]
            played.add(data.tobytes(), BLOCK, 1, RATE, first=False)


def _rounded(start: int) -> int:
    return start // BLOCK * BLOCK


def _pieces(samples: Int16) -> Iterator[Audio]:
    for at in range(0, len(samples) // BLOCK * BLOCK, BLOCK):
        yield Audio(samples[at : at + BLOCK], start=at)


def measure(
    listener: Listener, scenes: Callable[[float, int], Scene], count: int, levels: Sequence[float], modes: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for every level and mode."""
    rows = []
    for level in levels:
        own, heard = Counter[str](), Counter[str]()
        for number in range(count):
            scene = scenes(level, number)
            begin, end = scene.person
            for mode in modes:
                own[mode] += bool(listener.wakes(scene.alone, scene, mode))
                wakes = listener.wakes(scene.with_person, scene, mode)
                heard[mode] += any(begin <= wake.at <= end + IN_TIME for wake in wakes)
        for mode in modes:
            row = {"echo_db": level, "mode": mode, "replies": count, "self": own[mode], "heard": heard[mode]}
            print(json.dumps(row), flush=True)
            rows.append(row)
    return rows


def texts(phrase: str, count: int) -> list[str]:
    """Replies that hold a phrase."""
    every = [beginning + sentence.format(phrase) for sentence in SENTENCES for beginning in BEGINNINGS]
    return every[:: max(len(every) // count, 1)][:count]


def load_engine(config: Config, name: str, model: str) -> WakeEngine:
    options = msgspec.convert({"models": [model]}, registry.options_type("wake", name))
    engine: WakeEngine = registry.load("wake", name, options, ModelStore())
    return engine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True, help="a folder of recordings of the wake word")
    parser.add_argument("--engine", default="microwakeword")
    parser.add_argument("--model", default="alexa")
    parser.add_argument("--phrase", default="Alexa", help="how the replies spell it")
    parser.add_argument("--levels", default="-10,-5,0")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--replies", type=int, default=100)
    parser.add_argument("--before", type=int, default=1, help="replies in the same room before")
    args = parser.parse_args()
    config = load(None)
    recordings = [read(path).float32() for path in sorted(args.people.glob("*.flac"))]
    *spoken, earlier = (Audio(samples).float32() for samples in speak([*texts(args.phrase, args.replies), EARLIER]))
    listener = Listener(load_engine(config, args.engine, args.model), load_asr(config), config.detection)

    def scene(level: float, number: int) -> Scene:
        replies = [*[earlier] * args.before, spoken[number]]
        return make(replies, recordings[number * len(recordings) // len(spoken)], level, number)

    levels = [float(level) for level in args.levels.split(",")]
    measure(listener, scene, len(spoken), levels, args.modes.split(","))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
