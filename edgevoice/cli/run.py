"""``edgevoice run``: the assistant, live or on a recording."""

import argparse
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice.cli.common import add_config_arguments, load_config

if TYPE_CHECKING:
    from edgevoice.audio.source import AudioSink, AudioSource
    from edgevoice.config import Config
    from edgevoice.parts import Parts

HELP = "listen, understand, act and answer: live, or on a recording"
REPLY = Path("reply.wav")
COMMAND = Path("command.wav")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input",
        metavar="FILE",
        help="a recording instead of the microphone, at file speed; '-' reads raw PCM (16 kHz, mono, s16le) "
        "from stdin. "
        "Without it and without a sound card a recording is made with the configured voice.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=f"write the replies to a WAV file instead of playing them (with a recording: {REPLY} unless told)",
    )
    parser.add_argument("--demo", action="store_true", help="a recording made with the configured voice, in any case")
    parser.add_argument("--json", action="store_true", help="events as JSON lines")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args, load_config(args)))


async def _run(args: argparse.Namespace, config: "Config") -> int:
    import sys

    from edgevoice.assistant import Assistant
    from edgevoice.audio.devices import has_sound_card
    from edgevoice.cli.console import Console, JsonLines
    from edgevoice.daemon import until_stopped
    from edgevoice.modelstore import ModelStore
    from edgevoice.parts import Loader

    def tell(what: str) -> None:
        print(f"edgevoice: {what}", file=sys.stderr, flush=True)

    live = args.input is None and not args.demo and has_sound_card(input=True)
    async with (
        _sink(args, config, live=live) as sink,  # first: what cannot be written is known before anything is loaded
        Loader(ModelStore(), lambda name: tell(f"loading {name}")) as loader,
    ):
        parts = await loader.load(config)
        source = await _source(args, config, parts, live=live, tell=tell)
        phrases = " or ".join(f'"{model.phrase}"' for model in parts.wake[1].models)
        emit = JsonLines(sys.stdout) if args.json else Console(sys.stdout, phrases)
        assistant = Assistant(config, parts, source, sink, emit, loader=loader)
        try:
            await until_stopped(
                assistant.run, deadline=config.assistant.stop_deadline, push_to_talk=assistant.push_to_talk
            )
        finally:
            sink.flush()
            await source.close()
    if not live or args.output is not None:
        tell(f"the replies are in {args.output or REPLY}")
    return 0


async def _source(
    args: argparse.Namespace, config: "Config", parts: "Parts", *, live: bool, tell: Callable[[str], None]
) -> "AudioSource":
    if live:
        from edgevoice.audio.microphone import open_microphone

        return open_microphone(config.input)
    if args.input == "-":
        from edgevoice.audio.stdin import open_stdin

        return open_stdin(16_000)
    from edgevoice.audio.wavefile import WavSink, open_file

    path = COMMAND if args.input is None else Path(args.input)
    if args.input is None:
        from edgevoice.demo import SPOKEN, recording

        worker, engine = parts.engines.tts
        why = "as asked" if args.demo else "there is no microphone"
        tell(f"{why}, the voice itself says: {' '.join(SPOKEN)} (in {COMMAND})")
        spoken = await worker.call(recording, engine)
        sink = WavSink(COMMAND)
        await sink.play(spoken)
        await sink.close()
    return open_file(path, config.input.channel)


@asynccontextmanager
async def _sink(args: argparse.Namespace, config: "Config", *, live: bool) -> AsyncIterator["AudioSink"]:
    """The speaker, or a file that appears when all went well and is given up otherwise."""
    if live and args.output is None:
        from edgevoice.audio.speaker import open_speaker

        speaker = open_speaker(config.output)
        try:
            yield speaker
        finally:
            await speaker.close()
        return
    from edgevoice.audio.wavefile import WavSink

    file = WavSink(args.output or REPLY)
    try:
        yield file
        await file.close()
    except BaseException:
        file.discard()
        raise
