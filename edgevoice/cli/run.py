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
    from edgevoice.events import Event
    from edgevoice.health.notify import Notifier
    from edgevoice.logs.options import Format
    from edgevoice.parts import Loader, Parts

HELP = "listen, understand, act and answer: live, or on a recording"
REPLY = Path("reply.wav")
COMMAND = Path("command.wav")
FORCED_AFTER = 1.0
"""Seconds after the deadline of a stop at which the kernel ends the process: it should say by itself why it does."""


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

    from edgevoice.audio.devices import has_sound_card
    from edgevoice.daemon import bounded_end, not_yet
    from edgevoice.health.notify import Notifier
    from edgevoice.logs import setup
    from edgevoice.modelstore import ModelStore
    from edgevoice.parts import Loader

    form = setup.begin(config.logging)
    notifier = Notifier.from_environment()

    def tell(what: str) -> None:
        print(f"edgevoice: {what}", file=sys.stderr, flush=True)

    def loading(name: str) -> None:
        tell(f"loading {name}")
        notifier.status(f"Starting: loading {name}")

    # A service waits for its microphone; who tries it out without one is to hear something all the same.
    live = args.input is None and not args.demo and (notifier.listens or has_sound_card(input=True))
    with not_yet(), bounded_end() as end_within:
        async with (
            _sink(args, config, live=live, patient=notifier.listens) as sink,  # first: what cannot be written is
            Loader(ModelStore(), loading) as loader,  # known before anything is loaded
        ):
            parts = await loader.load(config)
            if live:
                await _listen(args, config, loader, parts, sink, notifier, form, end_within)
            else:
                await _replay(args, config, parts, sink, form, tell)
    if not live or args.output is not None:
        tell(f"the replies are in {args.output or REPLY}")
    return 0


async def _listen(
    args: argparse.Namespace,
    config: "Config",
    loader: "Loader",
    parts: "Parts",
    sink: "AudioSink",
    notifier: "Notifier",
    form: "Format",
    end_within: Callable[[float], None],
) -> None:
    """At the microphone, until a signal comes."""
    from edgevoice.assistant import Assistant
    from edgevoice.audio.ear import Ear
    from edgevoice.audio.exchange import LiveDevices, MicrophoneOpener, Mouth
    from edgevoice.audio.microphone import open_microphone
    from edgevoice.audio.portaudio import hanging, inventory
    from edgevoice.daemon import until_stopped
    from edgevoice.errors import DeviceError
    from edgevoice.health.attendant import Attendant
    from edgevoice.health.model import Health
    from edgevoice.health.models import in_use
    from edgevoice.health.place import SOCKET, runtime_folder, state_folder
    from edgevoice.health.starts import Starts
    from edgevoice.modelstore import ModelStore
    from edgevoice.mute import MuteMemory
    from edgevoice.observe import Stopwatch

    mutes = MuteMemory(state_folder())
    first = None
    if not (muted := mutes.muted()):
        try:
            first = open_microphone(config.input)
        except DeviceError:
            if not notifier.listens:
                raise
    opener = MicrophoneOpener(config.input)
    ear = Ear(opener, first=first, muted=muted, gated=config.input.gated, inventory=inventory)
    health = Health(device="" if first is None else first.name)
    stopwatch = Stopwatch()

    def emit(event: "Event") -> None:
        attendant.observe(event, stopwatch.observe(event))
        show(event)

    mouth = sink if isinstance(sink, Mouth) else None
    devices = LiveDevices(ear, opener, mouth)
    played = None if mouth is None else mouth.played
    assistant = Assistant(config, parts, ear, sink, emit, loader=loader, devices=devices, mutes=mutes, played=played)
    show = _show(args, parts, form, lambda: assistant.config)
    attendant = Attendant(
        assistant,
        health,
        notifier,
        Starts(state_folder()),
        sound=hanging,
        path=runtime_folder() / SOCKET,
        read=lambda: load_config(args),
        models=lambda used: in_use(used, ModelStore()),
    )
    try:
        await until_stopped(
            attendant.run,
            deadline=config.assistant.stop_deadline,
            push_to_talk=attendant.talk_now,
            reload=attendant.reload_now,
            toggle_mute=attendant.toggle_mute,
            stopping=attendant.stopping,
        )
    finally:
        end_within(config.assistant.stop_deadline + FORCED_AFTER)
        sink.flush()
        await ear.close()


async def _replay(
    args: argparse.Namespace,
    config: "Config",
    parts: "Parts",
    sink: "AudioSink",
    form: "Format",
    tell: Callable[[str], None],
) -> None:
    """On a recording, to its end."""
    from edgevoice.assistant import Assistant
    from edgevoice.daemon import until_stopped

    source = await _recording(args, config, parts, tell)
    assistant = Assistant(config, parts, source, sink, _show(args, parts, form, lambda: config))
    try:
        await until_stopped(assistant.run, deadline=config.assistant.stop_deadline, push_to_talk=assistant.push_to_talk)
    finally:
        sink.flush()
        await source.close()


def _show(
    args: argparse.Namespace, parts: "Parts", form: "Format", config: "Callable[[], Config]"
) -> "Callable[[Event], None]":
    """How events are printed and logged.

    Args:
        config: tells the configuration in force.
    """
    import sys

    from edgevoice.cli.console import Console, JsonLines
    from edgevoice.logs import setup

    phrases = " or ".join(f'"{model.phrase}"' for model in parts.wake[1].models)
    stream = JsonLines(sys.stdout) if args.json else None
    return setup.view(
        form, Console(sys.stdout, phrases), stream=stream, transcripts=lambda: config().logging.transcripts
    )


async def _recording(
    args: argparse.Namespace, config: "Config", parts: "Parts", tell: Callable[[str], None]
) -> "AudioSource":
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
async def _sink(args: argparse.Namespace, config: "Config", *, live: bool, patient: bool) -> AsyncIterator["AudioSink"]:
    """The speaker, or a file that appears when all went well and is given up otherwise.

    Args:
        patient: a speaker that is not there now may come later.
    """
    if live and args.output is None:
        from edgevoice.audio.exchange import Mouth
        from edgevoice.audio.speaker import open_speaker

        mouth = Mouth(open_speaker(config.output, patient=patient))
        try:
            yield mouth
        finally:
            await mouth.close()
        return
    from edgevoice.audio.wavefile import WavSink

    file = WavSink(args.output or REPLY)
    try:
        yield file
        await file.close()
    except BaseException:
        file.discard()
        raise
