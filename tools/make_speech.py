"""A small set of spoken commands with their texts, for benchmarks on a machine that has no recordings.

    python -m tools.make_speech FOLDER

writes FLAC files at 16 kHz and dev.jsonl, as the tools for recognition read it. Synthetic speech is easier than people:
use it to compare engines and machines, not to say how well something understands.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import soundfile

from edgevoice.audio.convert import resample
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.engines import registry
from edgevoice.modelstore import ModelStore
from tools.bench_daemon import with_noise

SENTENCES = (
    "Turn on the kitchen light.",
    "What time is it?",
    "Set the brightness in the living room to forty percent.",
    "Turn off the fan in the bedroom, and then all the lights downstairs.",
    "Remind me to water the plants when I come home from work tomorrow evening.",
    "Could you please tell me what the weather will be like at the lake on the weekend?",
)
VOICES = ("hibari", "piper")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name in VOICES:
        voice = registry.load("tts", name, None, ModelStore())
        for number, text in enumerate(SENTENCES):
            samples = np.concatenate([audio.samples for audio in voice.synthesize(text)])
            quiet = np.zeros(RATE // 2, np.int16)
            audio = with_noise(Audio(np.concatenate([quiet, resample(samples, voice.rate, RATE), quiet])))
            path = folder / f"{name}-{number}.flac"
            soundfile.write(path, audio.samples, RATE)
            lines.append(json.dumps({"audio": path.name, "text": text}))
    (folder / "dev.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    print(folder / "dev.jsonl")
    return 0


if __name__ == "__main__":
    sys.exit(main())
