"""``edgevoice wake record``: the user's own samples of a wake word."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice.cli.common import add_config_arguments, load_config, positive

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.audio.pcm import Audio
    from edgevoice.audio.source import AudioSource
    from edgevoice.config import Config
    from edgevoice.engines.protocols import VadEngine

HELP = "record yourself saying a phrase, for 'wake train --positives'"
COUNT = 10
"""As many as sharpen a word; docs/wake-words.md has the figures."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("phrase", help='what will be said, for example "hey computer"')
    parser.add_argument(
        "--count", type=positive, default=COUNT, metavar="N", help=f"in the folder in the end (default: {COUNT})"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: the phrase with underscores")
    parser.add_argument("--device", metavar="NAME", help="the microphone, instead of input.device")
    parser.add_argument("--input", type=Path, metavar="FILE", help="a recording instead of the microphone")
    parser.add_argument(
        "--unchecked", action="store_true", help="do not ask the recogniser whether it was the phrase that was said"
    )
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Every recording lies in the folder as soon as it is good, and the same command goes on from there."""
    import asyncio

    from edgevoice.cli.wake import recogniser
    from edgevoice.errors import AudioError
    from edgevoice.evaluate.wake import load_vad
    from edgevoice.modelstore import ModelStore
    from edgevoice.waketrain import phrase

    words = phrase.parse(args.phrase)
    config = load_config(args)
    folder = _Folder(args.output or Path("_".join(words)), "_".join(words))
    if (before := folder.count()) >= args.count:
        print(f"{before} are in {folder.path} already; --count {before + COUNT} records {COUNT} more")
        return 0
    source = _source(args, config)  # a microphone that is not there is told before anything is made or loaded
    folder.make()
    recognise = None if args.unchecked else recogniser(config, ModelStore())
    vad = load_vad(config)

    def unusable(audio: "Audio") -> str | None:
        return _unusable(audio, words, recognise)

    try:
        asyncio.run(_record(source, config, folder, args.count, unusable, vad, " ".join(words)))
    finally:
        if (there := folder.count()) < args.count:
            print(f"{there} of {args.count} are in {folder.path}; the same command goes on from there", file=sys.stderr)
    if not folder.count():
        raise AudioError("nothing in it can be used", place=str(args.input), remedy="record it again")
    print(f'to learn from them: edgevoice wake train "{" ".join(words)}" --positives {folder.path}')
    return 0


class _Folder:
    """Where the recordings of a phrase are, numbered."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._name = name

    def make(self) -> None:
        """
        Raises:
            OutputError: there can be none.
        """
        from edgevoice.errors import OutputError

        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the folder cannot be made: {error.strerror or error}",
                place=str(self.path),
                remedy="name another one with --output",
            ) from error

    def _numbers(self) -> list[int]:
        if not self.path.is_dir():
            return []
        pattern = re.compile(rf"{self._name}-(\d+)\.wav")
        return [int(found.group(1)) for path in self.path.iterdir() if (found := pattern.fullmatch(path.name))]

    def count(self) -> int:
        return len(self._numbers())

    def next(self) -> Path:
        """What the next one is called; none is ever overwritten."""
        return self.path / f"{self._name}-{max(self._numbers(), default=0) + 1:03}.wav"


def _source(args: argparse.Namespace, config: "Config") -> "AudioSource":
    import msgspec

    if args.input is not None:
        from edgevoice.audio.wavefile import open_file

        return open_file(args.input, config.input.channel)
    from edgevoice.audio.microphone import open_microphone

    options = config.input if args.device is None else msgspec.structs.replace(config.input, device=args.device)
    return open_microphone(options)


async def _record(
    source: "AudioSource",
    config: "Config",
    folder: _Folder,
    count: int,
    unusable: "Callable[[Audio], str | None]",
    vad: "VadEngine",
    phrase: str,
) -> None:
    from contextlib import aclosing

    from edgevoice.audio.wavefile import WavSink
    from edgevoice.wakes.sampling import Trouble, utterances

    def ask() -> None:
        print(f"{folder.count() + 1} of {count}: say '{phrase}'", flush=True)

    try:
        ask()
        async with aclosing(utterances(source, vad, config.endpoint, gated=config.input.gated)) as found:
            async for each in found:
                fault = each.why if isinstance(each, Trouble) else unusable(each.audio)
                if isinstance(each, Trouble) or fault:
                    print(f"   {fault}", flush=True)
                    continue
                sink = WavSink(path := folder.next(), each.audio.rate)
                try:
                    await sink.play(each.audio)
                    await sink.close()
                except BaseException:
                    sink.discard()
                    raise
                print(f"   kept as {path}", flush=True)
                if folder.count() >= count:
                    return
                ask()
    finally:
        await source.close()


def _unusable(audio: "Audio", words: list[str], recognise: "Callable[[Audio], str] | None") -> str | None:
    from edgevoice.audio.pcm import RATE
    from edgevoice.waketrain.cut import bounds
    from edgevoice.waketrain.recordings import unusable

    samples = audio.float32()
    begin, end = bounds(samples)
    if (length := (end - begin) / RATE) < SHORTEST:
        return f"it has {length:.1f} s of sound, the phrase takes longer: say all of it"
    return unusable(samples, words, recognise)


SHORTEST = 0.25
"""Seconds of sound: two quick syllables."""
