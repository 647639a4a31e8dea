"""The manifests that the tables of docs/quantization.md were measured on, made of a folder of recordings.

    python -m tools.gate_sets DATA TARGET [--read TEXT]...

DATA holds ``barista/`` (``dev.jsonl``, its recordings and ``kitchen.flac``), ``dictation/`` (``dev.jsonl`` and its
recordings) and ``wake/PHRASE/`` (recordings, each with its phrase once). Into TARGET go noisy copies of recordings and:

    orders.jsonl    for intents: every order, by turns as recorded and in noise; then every order the other way round
    orders-6dB.jsonl, orders-3dB.jsonl    the same, all of them in noise as loud as that
    speech.jsonl    for asr: the passages, and clips of wake phrases, whose text is the phrase
    vad.jsonl       for vad: orders by turns in noise, passages, clips, noise alone; without labels
    wake.jsonl      for wake: clips of "alexa", as recorded and in noise; as talk the orders, passages and other phrases
    hours.jsonl     for wake: the same calls; as talk all orders, passages and other phrases, and what voices read out
    texts.jsonl     for tts: replies as an assistant gives them
    calibration-orders.jsonl, calibration-clips.jsonl, calibration-texts.jsonl    of what stands in none of the above

Same folder, same bytes. It needs the package soundfile, and some 200 MB. What voices read out are the paragraphs of
TEXT, by turns by hibari and Piper, which must be installed, and by espeak-ng; without TEXT it is left out.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgevoice.audio.convert import resample, to_int16
from edgevoice.audio.pcm import RATE, Int16, concatenate
from edgevoice.engines import registry
from edgevoice.engines.registry import require
from edgevoice.evaluate.mix import mix, piece
from edgevoice.evaluate.recording import read
from edgevoice.modelstore import ModelStore

ORDERS_SNR = 9.0
"""Where a good recogniser begins to err, so that a worse one shows."""
LOUD_SNRS = (6.0, 3.0)
"""Where a good recogniser errs often, which tells models apart that are both right at ``ORDERS_SNR``."""
LOUD_ORDERS = 120
WAKE_SNR = 3.0
CALIBRATION_ORDERS = 6
CALIBRATION_CLIPS = 2
"""Of each phrase."""
SPEECH_CLIPS = 25
VAD_CLIPS = 16
TALK_CLIPS = 10
"""Of each phrase: as many as a run of some minutes allows."""
CALLS = 75
TALK_ORDERS = 80
"""Of the orders of a set: openWakeWord takes a minute for half an hour of audio."""
_SEED = 0

REPLIES = (
    "The timer for {} minutes is set.",
    "I have put {} eggs on the shopping list.",
    "In {} hours it will begin to rain.",
    "It is {} degrees outside, with a light wind from the west.",
    "The alarm will ring at {} in the morning.",
    "Your coffee will be ready in about {} minutes, with oat milk and two sugars.",
    "The next bus leaves in {} minutes from the station.",
    "I could not find a lamp in room {}.",
    "The living room is now at {} percent.",
    "There are {} new messages, and one of them is from your sister.",
    "The washing machine needs another {} minutes.",
    "Do you really want to delete all {} reminders?",
    "That makes {} pounds and fifty pence.",
    "The front door has been open for {} minutes.",
    "The kitchen light will go off in {} seconds.",
)
NUMBERS = ("three", "seven", "twelve", "twenty one")
CALIBRATION_TEXTS = (
    "The heating in the bathroom is off, and the window is open.",
    "I did not understand that, please say it again.",
    "Good morning! Today is Monday, the fourth of March.",
    "Playing jazz in the kitchen.",
)


class Sets:
    def __init__(self, data: Path, target: Path) -> None:
        self._data = data
        self._target = target
        self._noise = read(data / "barista" / "kitchen.flac").float32()

    def clean(self, path: Path) -> str:
        """A recording as a manifest in the target names it."""
        return Path(os.path.relpath(path, self._target)).as_posix()

    def noisy(self, path: Path, snr: float) -> str:
        """The same with a copy in noise, which is made here."""
        speech = read(path).float32()
        noise = piece(self._noise, len(speech), lead=0, tail=0, seed=_SEED, name=path.name)
        name = f"noisy/{path.stem}-{zlib.crc32(str(path.parent.name).encode()):08x}-{snr:g}dB.flac"
        (self._target / "noisy").mkdir(parents=True, exist_ok=True)
        soundfile = require("soundfile")
        soundfile.write(str(self._target / name), to_int16(mix(speech, noise, 0, snr)), RATE)
        return name

    def clips(self, phrase: str) -> list[Path]:
        folder = self._data / "wake" / phrase
        return sorted(path for path in folder.iterdir() if path.suffix in (".flac", ".wav"))

    def lines(self, folder: str) -> list[dict[str, Any]]:
        """Of a manifest in the data; ``audio`` is a path then."""
        manifest = self._data / folder / "dev.jsonl"
        found = [json.loads(line) for line in manifest.read_text().splitlines() if line.strip()]
        return [{**line, "audio": manifest.parent / line["audio"]} for line in found]

    def write(self, name: str, lines: Sequence[dict[str, Any]]) -> None:
        self._target.mkdir(parents=True, exist_ok=True)
        (self._target / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        print(f"{len(lines):>5} lines in {self._target / name}", file=sys.stderr)


class Readers:
    """Voices that read paragraphs out, by turns."""

    def __init__(self) -> None:
        store = ModelStore()
        # Piper's noise is chance, which would give other bytes every time.
        options = msgspec.convert({"noise": 0.0, "rhythm_noise": 0.0}, registry.options_type("tts", "piper"))
        self._voices = [
            registry.load("tts", "hibari", None, store),
            registry.load("tts", "piper", options, store),
            None,
        ]
        self._turn = 0

    def read(self, text: str) -> Int16:
        voice = self._voices[self._turn % len(self._voices)]
        self._turn += 1
        if voice is None:
            with tempfile.NamedTemporaryFile(suffix=".wav") as file:
                subprocess.run(["espeak-ng", "-v", "en-us", "-w", file.name, text], check=True)
                return read(Path(file.name)).samples
        spoken = concatenate(list(voice.synthesize(text)))
        return resample(spoken.samples, spoken.rate, RATE)


def voices_reading(sets: Sets, target: Path, texts: Sequence[Path]) -> list[dict[str, Any]]:
    """Recordings of every paragraph."""
    if not texts:
        return []
    readers, soundfile = Readers(), require("soundfile")
    (target / "read").mkdir(parents=True, exist_ok=True)
    found = []
    for text in texts:
        for number, paragraph in enumerate(re.split(r"\n\s*\n", text.read_text()), 1):
            if words := " ".join(re.findall(r"[A-Za-z',.;:?!-]+", paragraph)):
                path = target / "read" / f"{text.stem}-{number}.flac"
                soundfile.write(str(path), readers.read(words), RATE)
                found.append({"audio": sets.clean(path)})
    return found


def interleaved(*kinds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All of them, so mixed that the first part has about as large a share of every kind."""
    places = [((at + 0.5) / len(lines), line) for lines in kinds for at, line in enumerate(lines)]
    return [line for _, line in sorted(places, key=lambda each: each[0])]


def make(data: Path, target: Path, texts: Sequence[Path]) -> None:
    sets = Sets(data, target)
    phrases = sorted(path.name for path in (data / "wake").iterdir() if path.is_dir())
    every = sets.lines("barista")
    orders, held_back = every[:-CALIBRATION_ORDERS], every[-CALIBRATION_ORDERS:]
    both = [(sets.clean(line["audio"]), sets.noisy(line["audio"], ORDERS_SNR)) for line in orders]
    turns = [
        [{**line, "audio": names[(at + turn) % 2]} for at, (line, names) in enumerate(zip(orders, both, strict=True))]
        for turn in (0, 1)
    ]
    sets.write("orders.jsonl", [*turns[0], *turns[1]])
    for snr in LOUD_SNRS:
        loud = [{**line, "audio": sets.noisy(line["audio"], snr)} for line in orders[:LOUD_ORDERS]]
        sets.write(f"orders-{snr:g}dB.jsonl", loud)
    passages = [{"audio": sets.clean(line["audio"]), "text": line["text"]} for line in sets.lines("dictation")]
    used = {phrase: sets.clips(phrase)[:-CALIBRATION_CLIPS] for phrase in phrases}
    spoken = [
        {"audio": sets.clean(path), "text": phrase.replace("_", " ")}
        for phrase in phrases
        for path in used[phrase][:SPEECH_CLIPS]
    ]
    sets.write("speech.jsonl", [*passages, *spoken])
    mixed = [{"audio": line["audio"]} for line in turns[0]]
    alone = [{"audio": sets.clean(data / "barista" / "kitchen.flac")}]
    read_out = [{"audio": line["audio"]} for line in passages]
    clips = [{"audio": sets.clean(path)} for phrase in phrases for path in used[phrase][:VAD_CLIPS]]
    sets.write("vad.jsonl", [*mixed, *read_out, *clips, *alone])
    called = used["alexa"][:CALLS]
    calls = [sets.clean(path) for path in called] + [sets.noisy(path, WAKE_SNR) for path in called]
    others = [
        {"audio": sets.clean(path)} for phrase in phrases if phrase != "alexa" for path in used[phrase][:TALK_CLIPS]
    ]
    talk = [*mixed[:TALK_ORDERS], *read_out, *alone, *others]
    sets.write("wake.jsonl", [*({"audio": name, "phrase": "alexa"} for name in calls), *talk])
    others = [{"audio": sets.clean(path)} for phrase in phrases if phrase != "alexa" for path in used[phrase]]
    talk = interleaved(mixed, read_out, alone, others, voices_reading(sets, target, texts))
    sets.write("hours.jsonl", [*({"audio": name, "phrase": "alexa"} for name in calls), *talk])
    sets.write("texts.jsonl", [{"text": reply.format(number)} for reply in REPLIES for number in NUMBERS])
    sets.write("calibration-orders.jsonl", [{"audio": sets.clean(line["audio"])} for line in held_back])
    kept = [{"audio": sets.clean(path)} for phrase in phrases for path in sets.clips(phrase)[-CALIBRATION_CLIPS:]]
    sets.write("calibration-clips.jsonl", kept)
    sets.write("calibration-texts.jsonl", [{"text": text} for text in CALIBRATION_TEXTS])


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the manifests that docs/quantization.md was measured on.")
    parser.add_argument("data", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument(
        "--read", type=Path, action="append", default=[], metavar="TEXT", help="to be read out (repeat)"
    )
    args = parser.parse_args()
    make(args.data.absolute(), args.target.absolute(), args.read)
    return 0


if __name__ == "__main__":
    sys.exit(main())
