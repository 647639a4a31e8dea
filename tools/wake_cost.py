"""What words of openWakeWord cost: share of a core by how many there are, and memory of each further one.

    python -m tools.wake_cost WORD WORD... --noise FILE --speech DIR [--gate off]

WORD is the file of a word, as ``edgevoice wake train`` writes it. Heard are a quiet room, FILE, and the recordings of
DIR one behind the other without a pause, each for about --seconds, by the code of ``edgevoice eval wake``: gate, second
look and all. Runs with one word and with all alternate, --rounds times, and the median counts. Memory is that of
processes which load one word, and one more each.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgevoice.audio.convert import to_int16
from edgevoice.audio.pcm import RATE, Audio, Int16
from edgevoice.bench.procfs import status
from edgevoice.config import Config, load
from edgevoice.engines.registry import require
from edgevoice.evaluate.recording import read
from edgevoice.evaluate.wake import Bench, Item, Settings, Stream, load_engine
from edgevoice.waketrain.recordings import files

QUIET = 10 ** (-65 / 20)
"""Root mean square of a quiet room at a good microphone, full scale being 1."""


def heard(noise: Path, speech: Path, seconds: float) -> Iterator[tuple[str, Int16]]:
    """The sounds, each with what it is."""
    length = int(seconds * RATE)
    yield "quiet room", to_int16((np.random.default_rng(0).normal(size=length) * QUIET).astype(np.float32))
    yield "noise", np.resize(read(noise, "mix").samples, length)
    found: list[Int16] = []
    for path in files(speech):
        found.append(read(path, "mix").samples)
        if sum(map(len, found)) >= length:
            break
    yield "speech", np.concatenate(found)[:length]


def configured(words: Sequence[Path], *, gate: bool) -> Config:
    models = ", ".join(str(word.resolve()) for word in words)
    return load(
        overrides=[
            "wake.engine=openwakeword",
            f"wake.openwakeword.models=[{models}]",
            *([] if gate else ["detection.gate=false"]),
        ]
    )


def share(config: Config, sound: Path) -> float:
    """Of a core, in percent."""
    done = Bench(Settings(config, gap=0.0)).do(Stream((Item(str(sound), sound, None, 1),)))
    return 100 * done.cpu / done.seconds


def memory(words: Sequence[Path]) -> float:
    """Of this process once it listens, in MB of 1024 * 1024 bytes."""
    engine = load_engine(configured(words, gate=False))
    session = engine.open()
    for at in range(0, 3 * RATE, RATE // 10):
        session.feed(Audio(np.zeros(RATE // 10, np.int16), start=at))
    return status()["VmRSS"]


def main() -> int:
    parser = argparse.ArgumentParser(description="What words of openWakeWord cost.")
    parser.add_argument("words", nargs="+", type=Path, metavar="WORD")
    parser.add_argument("--noise", type=Path, required=True, metavar="FILE")
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seconds", type=float, default=60, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--gate", choices=("auto", "off"), default="auto")
    args = parser.parse_args()
    counts = sorted({1, len(args.words)})
    print("share of a core, in %")
    with tempfile.TemporaryDirectory() as folder:
        for name, sound in heard(args.noise, args.speech, args.seconds):
            path = Path(folder) / f"{name}.wav"
            require("soundfile").write(path, sound, RATE, subtype="PCM_16")
            found: dict[int, list[float]] = {count: [] for count in counts}
            for _ in range(args.rounds):
                for count in counts:
                    found[count].append(share(configured(args.words[:count], gate=args.gate == "auto"), path))
            told = (f"{count} words {statistics.median(each):5.2f}" for count, each in found.items())
            print(f"{name:12}", *told, sep="  ", flush=True)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        sizes = [pool.apply(memory, (args.words[:count],)) for count in range(1, len(args.words) + 1)]
    print("memory, in MB:", ", ".join(f"{size:.1f}" for size in sizes))
    if len(sizes) > 1:
        print(f"each further word: {(sizes[-1] - sizes[0]) / (len(sizes) - 1):.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
