"""``edgevoice eval``: how well recordings are understood."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevoice.cli.common import add_config_arguments, load_config

if TYPE_CHECKING:
    from edgevoice.config import Config
    from edgevoice.evaluate.intents import Command, Done, Settings, Talk
    from edgevoice.evaluate.manifest import Item
    from edgevoice.evaluate.report import Report

HELP = "measure how well recordings are understood, in silence and in noise"

SNRS = (6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0)
"""Those of the published curves."""
AUDIO = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aif", ".aiff", ".au", ".w64", ".caf"})
"""Files that --reject takes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="WHAT", required=True)
    text = "measure spoken commands: intents and slots, latency, computing time, and refusal of what is no command"
    intents = kinds.add_parser("intents", help=text, description=text, allow_abbrev=False)
    intents.add_argument(
        "--manifest", type=Path, required=True, metavar="FILE", help="JSON lines with audio, intent and slots"
    )
    intents.add_argument(
        "--grammar",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="intents, in place of those of the configuration; may be given several times",
    )
    intents.add_argument("--noise", type=Path, metavar="FILE", help="also measure with this noise mixed in")
    intents.add_argument(
        "--snr", type=_snrs, metavar="DB,DB", help=f"at these SNRs (default: {','.join(f'{snr:g}' for snr in SNRS)})"
    )
    intents.add_argument("--seed", type=_natural, default=0, metavar="N", help="decides which pieces of the noise")
    intents.add_argument(
        "--seeds", type=_positive, default=1, metavar="N", help="pieces of noise for each recording (default: 1)"
    )
    intents.add_argument(
        "--reject", type=Path, metavar="DIR", help="also measure how much is refused of the talk in these audio files"
    )
    intents.add_argument("--limit", type=_positive, metavar="N", help="only the first N recordings")
    intents.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes (default: 1)")
    intents.add_argument("--threads", type=_positive, metavar="N", help="threads of the recogniser")
    intents.add_argument(
        "--realtime", action="store_true", help="listen at the pace of a microphone instead of simulating it"
    )
    intents.add_argument("--json", type=Path, metavar="FILE", help="write everything, with every prediction")
    intents.add_argument("--plot", type=Path, metavar="FILE", help="draw accuracy against SNR as SVG, PNG or PDF")
    intents.add_argument("--quiet", action="store_true", help="no progress bar")
    add_config_arguments(intents)


def _snrs(text: str) -> tuple[float, ...]:
    found = tuple(float(part) for part in text.split(","))
    if len(set(found)) < len(found) or not all(-100 <= snr <= 100 for snr in found):
        raise argparse.ArgumentTypeError("each once, and from -100 to 100")
    return found


def _natural(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError("not below 0")
    return number


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def run(args: argparse.Namespace) -> int:
    """Everything is checked before anything is measured. What was measured is reported also when it is stopped."""
    from edgevoice.evaluate import listening, manifest, plot
    from edgevoice.evaluate.intents import Settings, Talk, conditions
    from edgevoice.evaluate.report import tables, write
    from edgevoice.think.grammar import Grammar

    config = _config(args)
    for path in (args.json, args.plot):
        _check_output(path)
    if args.plot is not None:
        plot.check(args.plot)
    items = manifest.load(args.manifest, args.limit)
    _warn(manifest.check(items, Grammar.load(config.packs()), args.manifest))
    _check_noise(args, config, items)
    talk = [Talk(path, str(path.relative_to(args.reject))) for path in _talk(args.reject)] if args.reject else []
    snrs = (args.snr or SNRS) if args.noise is not None else ()
    commands = conditions(items, snrs, range(args.seed, args.seed + args.seeds))

    settings = Settings(config, listening.load, args.noise, args.realtime)
    done, stopped = _measure(args, settings, commands, talk)
    report = _report(args, config, commands, talk, done, partial=stopped is not None)
    if args.json is not None:
        write(report, args.json)
    if report.conditions:
        print("\n".join(tables(report)))
        if args.plot is not None:
            plot.draw(report, args.plot)
    if stopped is not None:
        raise stopped
    return 0


def _config(args: argparse.Namespace) -> "Config":
    import msgspec

    from edgevoice.errors import ConfigError
    from edgevoice.evaluate.listening import with_grammars

    config = load_config(args)
    if args.threads is not None:
        options = config.asr.chosen
        if not hasattr(options, "threads"):
            raise ConfigError(f"the engine '{config.asr.engine}' has no such option", place="option --threads")
        chosen = {**config.asr.options, config.asr.engine: msgspec.structs.replace(options, threads=args.threads)}
        config = msgspec.structs.replace(config, asr=msgspec.structs.replace(config.asr, options=chosen))
    return with_grammars(config, args.grammar)


def _check_output(path: Path | None) -> None:
    """That a file can be written, before hours are spent on what goes into it."""
    import os

    from edgevoice.errors import OutputError

    if path is None:
        return
    if path.is_dir():
        raise OutputError("it is a directory", place=str(path), remedy="name a file")
    if not path.parent.is_dir():
        raise OutputError("there is no such folder", place=str(path.parent), remedy="make the folder first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError("nothing can be written there", place=str(path.parent), remedy="choose another folder")


def _check_noise(args: argparse.Namespace, config: "Config", items: "list[Item]") -> None:
    from edgevoice.errors import ConfigError
    from edgevoice.evaluate.recording import read

    if args.noise is None:
        if args.snr is not None:
            raise ConfigError("there is no noise to mix in", place="option --snr", remedy="name it with --noise FILE")
        return
    noise = read(args.noise, config.input.channel)
    if not noise.samples.any():
        raise ConfigError("it is silent", place=str(args.noise), remedy="give a recording of noise")
    longest = max((read(item.path, config.input.channel).seconds for item in items), default=0.0)
    if noise.seconds < longest:
        _warn([f"{args.noise}: {noise.seconds:.1f} s of noise are repeated for recordings of up to {longest:.1f} s"])


def _talk(folder: Path) -> list[Path]:
    from edgevoice.errors import ConfigError
    from edgevoice.evaluate.manifest import unreadable

    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO and path.is_file())
    if not found:
        raise ConfigError("there is no audio file below it", place=f"option --reject {folder}")
    if mistakes := [why for path in found if (why := unreadable(path)) is not None]:
        raise ConfigError("\n".join(mistakes), place=f"option --reject {folder}")
    return found


def _warn(warnings: list[str]) -> None:
    import logging

    shown = 20
    log = logging.getLogger("edgevoice.evaluate")
    for warning in warnings[:shown]:
        log.warning("%s", warning)
    if len(warnings) > shown:
        log.warning("and %d more like these", len(warnings) - shown)


def _measure(
    args: argparse.Namespace, settings: "Settings", commands: "list[list[Command]]", talk: "list[Talk]"
) -> "tuple[dict[int, Done], BaseException | None]":
    """By number of the job what came of it, and what stopped it before the end, if anything did."""
    import sys
    import time

    from edgevoice.cli.progress import ProgressLine
    from edgevoice.evaluate.intents import run as measure

    jobs: list[Command | Talk] = [*(job for condition in commands for job in condition), *talk]
    done: dict[int, Done] = {}
    began = time.monotonic()
    try:
        with ProgressLine(sys.stderr, quiet=args.quiet) as progress:
            progress.step(f"{len(jobs)} recordings")
            for number, result in measure(settings, jobs, args.workers):
                done[number] = result
                left = (time.monotonic() - began) / len(done) * (len(jobs) - len(done))
                progress.advance(len(done), len(jobs), f"{len(done)} done, {left / 60:.0f} min left")
    except BaseException as error:  # noqa: BLE001 - raised again once what was measured is saved
        return done, error
    return done, None


def _report(
    args: argparse.Namespace,
    config: "Config",
    commands: "list[list[Command]]",
    talk: "list[Talk]",
    done: "dict[int, Done]",
    *,
    partial: bool,
) -> "Report":
    from edgevoice.evaluate.report import condition, report

    found, at = [], 0
    for condition_ in commands:
        predictions = [
            one for number in range(at, at + len(condition_)) if number in done for one in done[number].predictions
        ]
        at += len(condition_)
        if predictions:
            snr = condition_[0].snr
            found.append(condition(predictions, len(condition_), None if snr is None else str(args.noise), snr))
    heard = [one for number in range(at, at + len(talk)) if number in done for one in done[number].utterances]
    peak = max((each.peak_mb for each in done.values()), default=0.0)
    return report(found, heard, options=_options(args, config), peak_mb=peak, partial=partial)


def _options(args: argparse.Namespace, config: "Config") -> dict[str, Any]:
    """What was asked for, and the part of the configuration that decides about results."""
    import msgspec

    def plain(value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    typed = {
        name: [plain(each) for each in value] if isinstance(value, list | tuple) else plain(value)
        for name, value in vars(args).items()
        if isinstance(value, str | int | float | list | tuple | Path | None) and name not in ("command", "kind")
    }
    chosen = {
        task: {"engine": getattr(config, task).engine, **msgspec.to_builtins(getattr(config, task).chosen)}
        for task in ("vad", "asr")
    }
    settings = {**chosen, "endpoint": msgspec.to_builtins(config.endpoint), "block": config.input.block}
    return typed | settings
