"""``edgevoice transcribe``: plain transcription of files."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgevoice.cli.common import add_config_arguments, load_config

if TYPE_CHECKING:
    from edgevoice.engines.protocols import AsrEngine

HELP = "write down what is said in audio files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="WAV, FLAC or other audio file")
    parser.add_argument("--json", action="store_true", help="a JSON line per file")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Transcribe every file; one that fails is reported and the others still done."""
    import asyncio
    import json
    import sys

    import msgspec

    from edgevoice.engines import registry
    from edgevoice.errors import EdgeVoiceError
    from edgevoice.modelstore import ModelStore

    config = load_config(args)
    options = config.asr.chosen
    if hasattr(options, "partials"):  # nobody would see them
        options = msgspec.structs.replace(options, partials=False)
    engine = registry.load("asr", config.asr.engine, options, ModelStore())
    code = 0
    for path in args.files:
        try:
            text, seconds = asyncio.run(_transcribe(engine, path, config.input.channel))
        except EdgeVoiceError as error:
            print(f"edgevoice: error: {error}", file=sys.stderr)
            code = error.exit_code
            continue
        if args.json:
            print(json.dumps({"file": str(path), "seconds": round(seconds, 3), "text": text}, ensure_ascii=False))
        else:
            print(text if len(args.files) == 1 else f"{path}: {text}", flush=True)
    engine.close()
    return code


async def _transcribe(engine: "AsrEngine", path: Path, channel: int | Literal["mix"]) -> tuple[str, float]:
    """The text of a file and its length in seconds."""
    from edgevoice.audio.pcm import RATE
    from edgevoice.audio.wavefile import open_file

    source = open_file(path, channel)
    session = engine.open()
    position = 0
    try:
        async for audio in source.blocks():
            session.feed(audio)
            position = audio.end
        return session.finish().text.strip(), position / RATE
    finally:
        session.close()
        await source.close()
