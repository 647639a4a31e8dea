"""``edgevoice wake``: wake words of one's own."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice.cli import wake_label, wake_missed, wake_record, wake_tune, wake_wrong
from edgevoice.cli.common import add_config_arguments, load_config

if TYPE_CHECKING:
    from edgevoice.audio.pcm import Audio, Float32
    from edgevoice.config import Config
    from edgevoice.modelstore import ModelStore
    from edgevoice.waketrain.train import Made

HELP = "make a wake word of your own, and live with one"

ACTIONS = {"record": wake_record, "tune": wake_tune, "label": wake_label, "wrong": wake_wrong, "missed": wake_missed}
"""Beside ``train``, which is here."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    train = actions.add_parser(
        "train",
        help="learn a wake word from a typed phrase",
        description="Learn a wake word from a typed phrase, in minutes. Stopped, it goes on where it was when the same "
        "is asked for again.",
        allow_abbrev=False,
    )
    train.add_argument("phrase", help='what shall be said, for example "hey computer"')
    train.add_argument(
        "--positives", type=Path, metavar="DIR", help="your own recordings of the phrase, a few seconds each"
    )
    train.add_argument("--negatives", type=Path, metavar="DIR", help="recordings without the phrase: talk, television")
    train.add_argument("--output", type=Path, metavar="FILE", help="default: the phrase with underscores, .tflite")
    train.add_argument("--force", action="store_true", help="overwrite FILE if it is there")
    train.add_argument("--seed", type=_seed, default=0, metavar="N", help="the same gives the same word (default: 0)")
    train.add_argument(
        "--minutes",
        type=_minutes,
        metavar="N",
        help="as much material as takes about so long on a laptop (default: 4); not a limit of time",
    )
    train.add_argument("--quiet", action="store_true", help="no progress bar, a line per step")
    train.add_argument("--json", action="store_true", help="print the word's card")
    add_config_arguments(train)
    train.set_defaults(run_action=_train)
    for name, module in ACTIONS.items():
        action = actions.add_parser(name, help=module.HELP, description=module.HELP, allow_abbrev=False)
        module.add_arguments(action)
        action.set_defaults(run_action=module.run)


def _seed(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError("at least 0")
    return number


def _minutes(text: str) -> float:
    if not 0.01 <= (number := float(text)) <= 600:
        raise argparse.ArgumentTypeError("from 0.01 to 600")
    return number


def run(args: argparse.Namespace) -> int:
    code: int = args.run_action(args)
    return code


def _train(args: argparse.Namespace) -> int:
    """Everything that was given is checked before the work begins."""
    from edgevoice.cli.progress import ProgressLine
    from edgevoice.engines.wake.embedding import Front
    from edgevoice.engines.wake.openwakeword import Options
    from edgevoice.errors import OutputError
    from edgevoice.modelstore import ModelStore
    from edgevoice.waketrain import phrase, recordings, train, voices
    from edgevoice.waketrain.material import Task

    words = phrase.parse(args.phrase)
    output = args.output or Path("_".join(words) + ".tflite")
    if output.suffix != ".tflite":
        raise OutputError("the file's name must end in .tflite", place=str(output), remedy="choose another name")
    if output.exists() and not args.force:
        raise OutputError("it is there already", place=str(output), remedy="choose another name, or give --force")
    config, store = load_config(args), ModelStore()
    _tell(phrase.doubts(words))
    own: tuple[Float32, ...] = ()
    against: tuple[Float32, ...] = ()
    if args.positives:
        own, wrong = recordings.positives(args.positives, words, recogniser(config, store))
        _tell(f"left out: {each}" for each in wrong)
    if args.negatives:
        against, wrong = recordings.negatives(args.negatives)
        _tell(f"left out: {each}" for each in wrong)
    with ProgressLine(sys.stderr, quiet=args.quiet) as progress:
        progress.step("loading the voices")
        front = Front(store.path(Options().model))
        speakers = voices.at_hand(store)
        amounts = train.amounts(train.MINUTES if args.minutes is None else args.minutes)
        task = Task(tuple(words), args.seed, amounts, own, against)
        try:
            made = train.train(task, speakers, front, output, progress, cache=_cache() / "waketrain")
        except KeyboardInterrupt:
            progress.step("stopped; the same command goes on from here")
            raise
    _print(made, output, as_json=args.json)
    _tell(f"'{made.phrase}': {each}" for each in made.warnings)
    return 0


def _cache() -> Path:
    """By the XDG base directory specification."""
    import os

    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "edgevoice"


def _tell(warnings: Iterable[str]) -> None:
    for warning in warnings:
        print(f"edgevoice: warning: {warning}", file=sys.stderr)


def recogniser(config: "Config", store: "ModelStore") -> "Callable[[Audio], str] | None":
    """What was said, by the configured recogniser; None, with a warning, where it cannot be loaded."""
    from edgevoice.engines import registry
    from edgevoice.engines.protocols import AsrEngine
    from edgevoice.errors import EdgeVoiceError

    try:
        engine: AsrEngine = registry.load("asr", config.asr.engine, config.asr.chosen, store)
    except EdgeVoiceError as error:
        _tell([f"whether your recordings hold the phrase is not checked: {error}"])
        return None

    def recognise(audio: "Audio") -> str:
        session = engine.open()
        try:
            session.feed(audio)
            return session.finish().text
        finally:
            session.close()

    return recognise


def _print(made: "Made", output: Path, *, as_json: bool) -> None:
    if as_json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(made), indent=2).decode())
        return
    print(f"{output}: '{made.phrase}', by {', '.join(made.recipe['voices'])}")
    print("false alarms per hour  threshold  misses (of synthetic speech)")
    for rate, threshold in made.thresholds.items():
        print(f"{rate:>21}  {threshold:9.4f}  {100 * made.missed[rate]:5.1f} %")
    print(f"To listen for it: wake.engine: openwakeword, wake.openwakeword.models: [{output.resolve()}]")
