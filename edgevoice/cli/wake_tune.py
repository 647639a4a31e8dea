"""``edgevoice wake tune``: the trade-off of one room, from the wakes that were kept in it."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice.cli.common import add_config_arguments, load_config

if TYPE_CHECKING:
    from edgevoice.config import Config
    from edgevoice.engines.protocols import WakeModel
    from edgevoice.wakes.tradeoff import Report, Row, Table, Word

HELP = "recommend thresholds for this room, from the wakes that were kept"
SHOWN = 12
"""Rows of a table."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where they lie (default: detection.keep.folder)")
    parser.add_argument("--word", metavar="NAME", help="one wake word (default: all)")
    parser.add_argument(
        "--assume-right",
        action="store_true",
        help="take a wake without a label for called for, where its command was understood and done",
    )
    parser.add_argument("--apply", action="store_true", help="write what is recommended into the configuration file")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Everything is heard before anything is written."""
    config = load_config(args)
    report = _report(args, config, _folder(args, config))
    if args.json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        print("\n".join(_text(report, applies=args.apply)))
    if args.apply:
        _apply(args, report)
    return 0


def _folder(args: argparse.Namespace, config: "Config") -> Path:
    from edgevoice.errors import ConfigError

    if args.keep is not None:
        return Path(args.keep)
    if config.detection.keep.folder is None:
        raise ConfigError(
            "no wakes are kept",
            place="detection.keep.folder",
            remedy="name a folder there, edgevoice reload, and come back after some days; or give --keep DIR",
        )
    return Path(config.detection.keep.folder).expanduser()


def _report(args: argparse.Namespace, config: "Config", folder: Path) -> "Report":
    from edgevoice.cli.progress import ProgressLine
    from edgevoice.errors import ConfigError
    from edgevoice.evaluate.wake import load_asr, load_engine
    from edgevoice.modelstore import ModelStore
    from edgevoice.wakes import kept
    from edgevoice.wakes.digest import digests
    from edgevoice.wakes.tradeoff import tune

    found, broken = kept.load(folder)
    if not found and not broken:
        raise ConfigError(
            "no wake is kept in it yet",
            place=str(folder),
            remedy="wake it, or say 'edgevoice wake missed' when it did not hear you",
        )
    with ProgressLine(sys.stderr, quiet=args.quiet) as line:
        line.step("loading the engines")
        engine = load_engine(config)
        words = _words(args.word, list(engine.models))
        asr = load_asr(config) if config.detection.verify.engine == "asr" else None
        line.step("listening to what was kept")
        return tune(
            found,
            words,
            (engine, asr),
            config.detection,
            digests(config, list(engine.models), ModelStore()),
            folder=str(folder),
            broken=broken,
            assume=args.assume_right,
            progress=lambda done, total: line.advance(done, total, f"{done} of {total}"),
        )


def _words(name: str | None, known: "list[WakeModel]") -> "list[WakeModel]":
    from edgevoice.errors import ConfigError
    from edgevoice.suggest import did_you_mean

    if name is None:
        return known
    found = [word for word in known if word.name == name]
    if not found:
        names = [word.name for word in known]
        raise ConfigError(
            f"it is not listened for '{name}'",
            place="option --word",
            remedy=did_you_mean(name, names) or f"it is listened for: {', '.join(names)}",
        )
    return found


# What is told --------------------------------------------------------------------------------------------------


def _text(report: "Report", *, applies: bool) -> Iterator[str]:
    for word in report.words:
        yield from _word(word, report.hours)
        yield ""
    if report.look is not None and report.words:
        yield "All of them by the confidence that the second look asks for (detection.verify.threshold):"
        yield ""
        yield from _table(report.look)
        yield ""
    if not report.words:
        yield "Nothing was kept of the wake words that are listened for."
    for name, count in report.not_configured.items():
        yield f"{count} kept of '{name}', which is not listened for: not counted"
    if report.over_reply:
        yield f"{report.over_reply} kept while the assistant spoke, when other rules decide: not counted"
    for path in report.nameless:
        yield f"not counted: {path}: which word was missed? edgevoice wake label {path} right --word NAME"
    for cause in report.broken:
        yield f"left out: {cause}"
    if report.better() and not applies:
        yield f"To put {_changes(report)} in force: the same command with --apply"


def _changes(report: "Report") -> str:
    return " and ".join(f"{each.key}: {each.recommended:g}" for each in report.better())


def _word(word: "Word", hours: float) -> Iterator[str]:
    total = word.said + word.not_said + word.unlabelled
    yield f"'{word.phrase}' ({word.word}): {total} kept in {hours:.1f} h of listening"
    assumed = f", {word.assumed} of them assumed" if word.assumed else ""
    yield f"  said: {word.said}{assumed}; not said: {word.not_said}; without a label: {word.unlabelled}"
    if word.other_model:
        yield f"  {word.other_model} were kept with another model, and are heard with the one of today"
    if word.differing:
        yield (
            f"  {len(word.differing)} do not give the score again that they were kept with (another patience, or a gap "
            f"in the sound): {', '.join(Path(path).name for path in word.differing[:3])}"
        )
    yield ""
    yield from _table(word)
    if (lower := _perhaps(word)) is not None:
        yield (
            f"  {lower.threshold:g} might be better, but what it would wake by mistake was never kept: "
            "put it in force by hand, and look again after some days"
        )


def _table(table: "Table") -> Iterator[str]:
    yield f"  {'threshold':>11} {'missed':>7} {'95 %':>14} {'false':>6} {'per day, 95 %':>15} {'no label':>9}"
    for row in _shown(table):
        mark = "*" if row.threshold == table.threshold else ">" if row.threshold == table.recommended else " "
        low, high = 100 * row.miss_interval.low, 100 * row.miss_interval.high
        per_day = row.false_alarms_per_day
        alarms = f"{row.false_alarms}{'' if row.complete else '+'}"
        rate = "-" if per_day is None else f"{per_day.low:.1f} .. {per_day.high:.1f}"
        yield (
            f"{mark} {row.threshold:11.4g} {row.misses:7d} {f'{low:.0f} .. {high:.0f} %':>14} "
            f"{alarms:>6} {rate:>15} {row.unlabelled:9d}"
        )
    if not all(row.complete for row in table.rows):
        yield "  (*: in force; +: at least, for what scores so little was never kept)"
    yield ""
    yield f"  {_verdict(table)}"


def _shown(table: "Table") -> "list[Row]":
    """The rows where something changes, that in force and that recommended."""
    rows = table.rows
    figures = [(row.misses, row.false_alarms, row.unlabelled, row.complete) for row in rows]
    changes = [at for at in range(len(rows)) if at == 0 or figures[at] != figures[at - 1]]
    if len(changes) > SHOWN:
        changes = [changes[round(at * (len(changes) - 1) / (SHOWN - 1))] for at in range(SHOWN)]
    always = (table.threshold, table.recommended)
    return [row for at, row in enumerate(rows) if at in changes or row.threshold in always]


def _verdict(table: "Table") -> str:
    from edgevoice.wakes.tradeoff import ENOUGH, GAIN

    now = table.row(table.threshold)
    if table.recommended is not None:
        then = table.row(table.recommended)
        return (
            f"recommended: {table.recommended:g} instead of {table.threshold:g}: {then.misses} missed and "
            f"{then.false_alarms} false alarms instead of {now.misses} and {now.false_alarms}"
        )
    return {
        "few_labels": f"too few labels to recommend anything: at least {ENOUGH} in which the word was said are needed. "
        "Label some: edgevoice wake label FILE right|wrong; or take --assume-right",
        "no_mistakes": f"{table.threshold:g} makes no mistake with what is labelled; it stays",
        "best": f"{table.threshold:g} stays: no other makes at least {GAIN} mistakes fewer",
    }[table.verdict]


def _perhaps(word: "Word") -> "Row | None":
    """An incomplete row that makes fewer mistakes than the best that is known."""
    from edgevoice.wakes.tradeoff import GAIN

    if word.verdict == "few_labels":
        return None
    best = word.row(word.threshold if word.recommended is None else word.recommended)
    fewer = [row for row in word.rows if not row.complete and row.mistakes <= best.mistakes - GAIN]
    return min(fewer, key=lambda row: (row.mistakes, -row.threshold), default=None)


# Applying ------------------------------------------------------------------------------------------------------


def _apply(args: argparse.Namespace, report: "Report") -> None:
    from edgevoice import config as configuration
    from edgevoice import yamledit
    from edgevoice.errors import ConfigError

    if not report.better():
        print("nothing is applied", file=sys.stderr)
        return
    path = args.config or configuration.find() or configuration.user_file()
    for table in report.better():
        assert table.recommended is not None
        keys = table.key.split(".", 2)  # a word's name may have dots
        made = yamledit.change(path, keys, table.recommended)
        print(made.diff(), file=sys.stderr if args.json else sys.stdout)
        made.write()
        if _in_force(load_config(args), keys) != table.recommended:
            raise ConfigError(
                "it is written, but something else decides it: the environment, or --set",
                place=f"{path}: {table.key}",
                remedy="take that away",
            )
    _reload()


def _in_force(config: "Config", keys: list[str]) -> float | None:
    if keys[1] == "thresholds":
        return config.detection.thresholds.get(keys[2])
    return config.detection.verify.threshold


def _reload() -> None:
    """Have a running daemon take it."""
    from edgevoice.errors import DaemonError
    from edgevoice.health.ask import ask

    try:
        ask("status")
    except DaemonError as error:
        print(f"in force at the next start, or after: edgevoice reload ({error.cause})", file=sys.stderr)
    else:
        print(ask("reload").told, file=sys.stderr)
