"""``edgevoice eval intents``: how well spoken commands are understood."""

import argparse
from pathlib import Path

from edgevoice.cli import eval_common as common
from edgevoice.cli.common import add_grammar_argument, positive

HELP = "measure spoken commands: intents and slots, latency, computing time, and refusal of what is no command"

AUDIO = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aif", ".aiff", ".au", ".w64", ".caf"})
"""Files that --reject takes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_grammar_argument(parser)
    parser.add_argument(
        "--reject", type=Path, metavar="DIR", help="also measure how much is refused of the talk in these audio files"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of the recogniser")
    parser.add_argument(
        "--realtime", action="store_true", help="listen at the pace of a microphone instead of simulating it"
    )
    common.add_arguments(parser, manifest="audio, intent and slots", plot="accuracy against SNR")


def run(args: argparse.Namespace) -> int:
    from functools import partial

    import msgspec

    from edgevoice.evaluate import listening, manifest, plot
    from edgevoice.evaluate.intents import Bench, Command, Settings, Talk, conditions
    from edgevoice.evaluate.report import condition, report, tables
    from edgevoice.think.grammar import Grammar

    config = common.with_threads(common.prepare(args), "asr", args.threads)
    config = listening.with_grammars(
        config, [path if args.scheduler is None else path.absolute() for path in args.grammar]
    )
    items = manifest.load(args.manifest, args.limit)
    common.warn(manifest.check(items, Grammar.load(config.packs()), args.manifest))
    noise = common.noise_file(args, config, items)
    talk = [Talk(path, str(path.relative_to(args.reject.absolute()))) for path in _talk(args.reject)]
    commands = conditions(items, common.snrs(args), common.seeds(args))

    settings = Settings(config, listening.load, noise, args.realtime)
    files = [noise, *map(Path, config.intents.packs), *(item.path for item in items), *(each.path for each in talk)]
    crew = common.crew(args, config, ("vad", "asr"), files)
    jobs: list[Command | Talk] = [*(job for each in commands for job in each), *talk]
    done, stopped = common.measure(args, crew, partial(Bench, settings), jobs, "recordings")
    *by_condition, others = common.shares(done, [*commands, talk])
    found = [
        condition(
            [one for each in results for one in each.predictions],
            len(planned),
            None if planned[0].snr is None else str(args.noise),
            planned[0].snr,
        )
        for planned, results in zip(commands, by_condition, strict=True)
        if results
    ]
    whole = report(
        found,
        [one for each in others for one in each.utterances],
        options=common.options(args, config, ("vad", "asr"), endpoint=msgspec.to_builtins(config.endpoint)),
        peak_mb=common.peak(done),
        partial=stopped is not None,
    )
    return common.finish(args, whole, measured=bool(found), tables=tables, draw=plot.draw, stopped=stopped)


def _talk(folder: Path | None) -> list[Path]:
    from edgevoice.errors import ConfigError
    from edgevoice.evaluate.lines import unreadable

    if folder is None:
        return []
    found = sorted(path for path in folder.absolute().rglob("*") if path.suffix.lower() in AUDIO and path.is_file())
    if not found:
        raise ConfigError("there is no audio file below it", place=f"option --reject {folder}")
    if mistakes := [why for path in found if (why := unreadable(path)) is not None]:
        raise ConfigError("\n".join(mistakes), place=f"option --reject {folder}")
    return found
