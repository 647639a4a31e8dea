"""What all kinds of ``edgevoice eval`` share: options, checks, progress, and saving what was measured."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgevoice.cli.common import add_config_arguments, load_config, positive

if TYPE_CHECKING:
    from edgevoice.config import Config
    from edgevoice.evaluate.record import Record
    from edgevoice.evaluate.scene import Recorded, Under
    from edgevoice.evaluate.work import Bench, Crew, Measured

J = TypeVar("J")
R = TypeVar("R", bound="Measured")
S = TypeVar("S", bound="Record")

SNRS = (6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0)
"""Those of the curves that others have published."""


def add_arguments(parser: argparse.ArgumentParser, *, manifest: str, plot: str, noise: bool = True) -> None:
    """The options of all kinds.

    Args:
        manifest: what a line holds.
        plot: what the picture shows.
        noise: whether noise can be mixed in.
    """
    parser.add_argument(
        "--manifest",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"JSON lines with {manifest}; paths from its folder",
    )
    if noise:
        parser.add_argument("--noise", type=Path, metavar="FILE", help="also measure with this noise mixed in")
        parser.add_argument(
            "--snr",
            type=_snrs,
            metavar="DB,DB",
            help=f"at these SNRs (default: {','.join(f'{snr:g}' for snr in SNRS)})",
        )
    parser.add_argument(
        "--seed",
        type=_natural,
        default=0,
        metavar="N",
        help="decides which pieces of the noise, and the draws of intervals" if noise else "of the draws of intervals",
    )
    if noise:
        parser.add_argument(
            "--seeds", type=positive, default=1, metavar="N", help="pieces of noise for each recording (default: 1)"
        )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N lines")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--workers", type=positive, default=1, metavar="N", help="processes (default: 1)")
    who.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="give the work to this Dask cluster instead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, with every result")
    parser.add_argument("--plot", type=Path, metavar="FILE", help=f"draw {plot}, as SVG, PNG or PDF")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_config_arguments(parser)


def _snrs(text: str) -> tuple[float, ...]:
    found = tuple(float(part) for part in text.split(","))
    if len(set(found)) < len(found) or not all(-100 <= snr <= 100 for snr in found):
        raise argparse.ArgumentTypeError("each once, and from -100 to 100")
    return found


def _natural(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError("not below 0")
    return number


# Before --------------------------------------------------------------------------------------------------------


def prepare(args: argparse.Namespace, task: str | None = None) -> "Config":
    """The configuration, once it is sure that results can be written.

    Args:
        task: whose engine gets the model of --model, if there is such an option and it was typed.

    Raises:
        OutputError, ConfigError, EngineMissingError: what was asked for cannot be had.
    """
    from edgevoice.evaluate import plot

    for path in (args.json, args.plot):
        _check_output(path)
    if args.plot is not None:
        plot.check(args.plot)
    config = load_config(args)
    if task is not None and (model := args.model) is not None:
        several = isinstance(model, list)
        config = with_option(
            config, task, "models" if several else "model", tuple(model) if several else model, typed="--model"
        )
    return config if args.scheduler is None else _portable(config)


def _portable(config: "Config") -> "Config":
    """The configuration with all its paths absolute, for processes that run in other folders."""
    import msgspec

    from edgevoice.config import TASKS

    def absolute(name: str) -> str:
        return str(Path(name).expanduser().absolute()) if "/" in name else name

    for task in TASKS:
        options = getattr(config, task).chosen
        if hasattr(options, "model"):
            config = with_option(config, task, "model", absolute(options.model), typed="--set")
        if hasattr(options, "models"):
            config = with_option(config, task, "models", tuple(map(absolute, options.models)), typed="--set")
    packs = tuple(str(Path(pack).absolute()) for pack in config.intents.packs)
    return msgspec.structs.replace(config, intents=msgspec.structs.replace(config.intents, packs=packs))


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


def with_threads(config: "Config", task: str, threads: int | None) -> "Config":
    """The configuration with another number of threads for a task's engine.

    Raises:
        ConfigError: the engine has no such option.
    """
    return config if threads is None else with_option(config, task, "threads", threads, typed="--threads")


def with_option(config: "Config", task: str, name: str, value: Any, *, typed: str) -> "Config":
    """The configuration with another value of an option of a task's engine.

    Args:
        typed: the option of the command line.

    Raises:
        ConfigError: the engine has no such option.
    """
    import msgspec

    from edgevoice.errors import ConfigError

    part = getattr(config, task)
    if not hasattr(part.chosen, name):
        raise ConfigError(f"the engine '{part.engine}' has no such option", place=f"option {typed}")
    chosen = {**part.options, part.engine: msgspec.structs.replace(part.chosen, **{name: value})}
    return msgspec.structs.replace(config, **{task: msgspec.structs.replace(part, options=chosen)})


def noise_file(args: argparse.Namespace, config: "Config", items: "Sequence[Recorded]") -> Path | None:
    """The noise, if there is any; checked, and with a warning when it is shorter than a recording.

    Raises:
        AudioFormatError: it is no audio. ConfigError: it is silent, or --snr stands without it.
    """
    from edgevoice.errors import ConfigError
    from edgevoice.evaluate import lines
    from edgevoice.evaluate.recording import read

    if args.noise is None:
        if args.snr is not None:
            raise ConfigError("there is no noise to mix in", place="option --snr", remedy="name it with --noise FILE")
        return None
    noise = read(args.noise, config.input.channel)
    if not noise.samples.any():
        raise ConfigError("it is silent", place=str(args.noise), remedy="give a recording of noise")
    longest = max((lines.seconds(item.path) for item in items), default=0.0)
    if noise.seconds < longest:
        warn([f"{args.noise}: {noise.seconds:.1f} s of noise are repeated for recordings of up to {longest:.1f} s"])
    path: Path = args.noise.absolute()
    return path


def snrs(args: argparse.Namespace) -> Sequence[float]:
    found: Sequence[float] = (args.snr or SNRS) if args.noise is not None else ()
    return found


def noise_name(args: argparse.Namespace, under: "Under") -> str | None:
    """The noise as it was typed; None in silence."""
    return None if under.snr is None else str(args.noise)


def seeds(args: argparse.Namespace) -> range:
    return range(args.seed, args.seed + args.seeds)


def warn(warnings: Sequence[str]) -> None:
    import logging

    shown = 20
    log = logging.getLogger("edgevoice.evaluate")
    for warning in warnings[:shown]:
        log.warning("%s", warning)
    if len(warnings) > shown:
        log.warning("and %d more like these", len(warnings) - shown)


# The work ------------------------------------------------------------------------------------------------------


def crew(args: argparse.Namespace, config: "Config", tasks: Sequence[str], files: "Iterable[Path | None]") -> "Crew":
    """Who does the work.

    Args:
        tasks: whose engines are needed.
        files: what every worker must be able to read.
    """
    from functools import partial

    from edgevoice.evaluate.work import Local

    if args.scheduler is None:
        return Local(args.workers)
    from edgevoice.evaluate import cluster

    needed = [path for path in files if path is not None]
    return cluster.Cluster(args.scheduler, partial(cluster.identity, config, tuple(tasks)), needed)


def measure(
    args: argparse.Namespace, crew: "Crew", make: "Callable[[], Bench[J, R]]", jobs: "Sequence[J]", what: str
) -> "tuple[dict[int, R], BaseException | None]":
    """By number of the job what came of it, and what stopped it before the end, if anything did.

    Args:
        what: the jobs, in a word.
    """
    import sys
    import time

    from edgevoice.cli.progress import ProgressLine

    done: dict[int, R] = {}
    began = time.monotonic()
    try:
        with ProgressLine(sys.stderr, quiet=args.quiet) as progress:
            progress.step(f"{len(jobs)} {what}")
            for number, result in crew.run(make, jobs):
                done[number] = result
                left = (time.monotonic() - began) / len(done) * (len(jobs) - len(done))
                progress.advance(len(done), len(jobs), f"{len(done)} done, {left / 60:.0f} min left")
    except BaseException as error:  # noqa: BLE001 - raised again once what was measured is saved
        return done, error
    return done, None


# After ---------------------------------------------------------------------------------------------------------


def shares(done: Mapping[int, R], planned: Sequence[Sequence[Any]]) -> list[list[R]]:
    """The results by condition, in the order of the jobs.

    Args:
        planned: by condition the jobs, which were numbered through.
    """
    found, at = [], 0
    for jobs in planned:
        found.append([done[number] for number in range(at, at + len(jobs)) if number in done])
        at += len(jobs)
    return found


def peak(done: "Mapping[int, Measured]") -> float:
    return max((each.peak_mb for each in done.values()), default=0.0)


def options(args: argparse.Namespace, config: "Config", tasks: Sequence[str], **more: Any) -> dict[str, Any]:
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
        for task in tasks
    }
    return typed | chosen | more | {"block": config.input.block}


def finish(
    args: argparse.Namespace,
    report: S,
    *,
    measured: bool,
    tables: Callable[[S], Iterable[str]],
    draw: Callable[[S, Path], None],
    stopped: BaseException | None,
) -> int:
    """Print, write and draw what there is, then raise what stopped it. Where nothing could be measured nothing is
    written: what an earlier run wrote stays."""
    from edgevoice.evaluate.record import write

    if measured:
        print("\n".join(tables(report)), flush=True)  # first: it needs no room on the disk
        if args.json is not None:
            write(report, args.json)
        if args.plot is not None:
            draw(report, args.plot)
    if stopped is not None:
        raise stopped
    return 0
