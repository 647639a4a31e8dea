"""``edgevoice say``: speak a text, to the speaker or into a WAV file."""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice.cli.common import add_config_arguments

if TYPE_CHECKING:
    from edgevoice.audio.pcm import Audio
    from edgevoice.audio.source import OutputOptions
    from edgevoice.config import Config
    from edgevoice.engines.protocols import TtsEngine

HELP = "speak a text, or write it to a WAV file"

MAX_BYTES = 1_000_000
"""Of a text from standard input: a day of speech. More is a mistake, such as a film instead of a text."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="+", metavar="TEXT", help="what to say; - reads it from standard input")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.wav", help="write it there instead of playing it")
    parser.add_argument("--engine", metavar="NAME", help="hibari or piper")
    parser.add_argument("--voice", metavar="NAME", help="the engine's voice, or the path of one")
    parser.add_argument("--speed", metavar="FACTOR", help="1 is the voice's own pace, 2 twice it")
    parser.add_argument("--verbose", action="store_true", help="tell how long it took, on standard error")
    parser.add_argument("--json", action="store_true", help="the same as a line of JSON on standard output")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Speak.

    Raises:
        TextError: there is nothing to say, or the voice cannot read it. OutputError: the file cannot be written.
        AudioError: the speaker. EngineError, ModelError, ConfigError: the voice.
    """
    import asyncio
    import json
    import sys

    from edgevoice.engines import registry
    from edgevoice.modelstore import ModelStore

    text = _text(args.text)
    config = _config(args)
    began = time.monotonic()
    engine: TtsEngine = registry.load("tts", config.tts.engine, config.tts.chosen, ModelStore())
    loaded = time.monotonic()
    timed = _Timed(engine)
    try:
        first = asyncio.run(_speak(text, timed, args.output, config.output))
    finally:
        engine.close()
    figures = {
        "engine": config.tts.engine,
        "output": str(args.output) if args.output else None,
        "load_s": round(loaded - began, 3),
        "first_audio_s": round(first - loaded, 3),
        "audio_s": round(timed.seconds, 3),
        "rtf": round(timed.busy / timed.seconds, 4),
    }
    if args.json:
        print(json.dumps(figures))
    if args.verbose:
        print(
            f"{figures['engine']}: loaded in {figures['load_s']} s, first audio after {figures['first_audio_s']} s, "
            f"{figures['audio_s']} s of audio at a real-time factor of {figures['rtf']}",
            file=sys.stderr,
        )
    return 0


def _text(words: list[str]) -> str:
    import sys

    from edgevoice.errors import TextError

    if words != ["-"]:
        return " ".join(words)
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TextError(
            f"it is longer than {MAX_BYTES} bytes", place="standard input", remedy="give it in several parts"
        )
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise TextError(
            f"it is no UTF-8 text: {error.reason} at byte {error.start}",
            place="standard input",
            remedy="convert it, for example with: iconv -t utf-8",
        ) from None


def _config(args: argparse.Namespace) -> "Config":
    """The configuration with what was typed; the options are short ways to write ``--set``."""
    import json

    from edgevoice.config import load

    overrides = list(args.overrides)
    if args.engine is not None:
        overrides.append(f"tts.engine={json.dumps(args.engine)}")
    config = load(args.config, overrides=overrides)
    engine = config.tts.engine
    if args.voice is not None:
        key = "voice" if "voice" in config.tts.chosen.__struct_fields__ else "model"
        overrides.append(f"tts.{engine}.{key}={json.dumps(args.voice)}")
    if args.speed is not None:
        overrides.append(f"tts.{engine}.speed={args.speed}")
    return load(args.config, overrides=overrides)


class _Timed:
    """An engine, and how long it worked for how much audio."""

    def __init__(self, engine: "TtsEngine") -> None:
        self._engine = engine
        self.busy = 0.0
        self.seconds = 0.0

    @property
    def rate(self) -> int:
        return self._engine.rate

    @property
    def language(self) -> str:
        return self._engine.language

    def synthesize(self, text: str) -> "Iterator[Audio]":
        pieces = iter(self._engine.synthesize(text))
        while True:
            began = time.monotonic()
            audio = next(pieces, None)
            self.busy += time.monotonic() - began
            if audio is None:
                return
            self.seconds += audio.seconds
            yield audio

    def close(self) -> None:
        self._engine.close()


async def _speak(text: str, engine: _Timed, output: Path | None, options: "OutputOptions") -> float:
    """Speak it to the end; gives ``time.monotonic()`` of its first audio."""
    from edgevoice.audio.speaker import open_speaker
    from edgevoice.audio.wavefile import WavSink
    from edgevoice.flow.worker import Worker
    from edgevoice.speak.say import say

    first: list[float] = []
    worker = Worker("tts")
    sink = WavSink(output, engine.rate) if output is not None else open_speaker(options)
    give_up: Callable[[], None] = sink.discard if isinstance(sink, WavSink) else sink.flush
    try:
        await say(
            text,
            tts=(worker, engine),
            sink=sink,
            elapse=_no_time,
            on_first_audio=lambda: first.append(time.monotonic()),
        )
    except BaseException:
        give_up()
        raise
    finally:
        await sink.close()
        await worker.close()
    return first[0]


async def _no_time(seconds: float) -> None:
    """The speaker's own clock runs, and a file needs none."""
