"""``edgevoice bench check``: for continuous integration; ends with 1 where a result is worse than a baseline."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevoice.bench.schema import Result

HELP = "fail where a result is worse than a baseline"

WORSE = 1
"""Exit code. Files that cannot be used or compared end with that of a ConfigError."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", type=Path, metavar="RESULT", help="a result of 'bench run'")
    parser.add_argument("--baseline", type=Path, required=True, metavar="FILE", help="the result it is judged by")
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        action="append",
        default=[],
        metavar="[METRIC=]PERCENT",
        help="what may be worse: for all metrics, or for one (rtf=5, peak_mb=3); percentage points for shares "
        "(wer=0.5); default: 10 %%, shares 1 point; load_s and cold_ms only where named",
    )
    parser.add_argument("--subset", action="store_true", help="the result need not have all that the baseline has")
    parser.add_argument("--any-machine", action="store_true", help="also where the machines differ")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def _tolerance(text: str) -> tuple[str, float]:
    name, equals, amount = text.rpartition("=")
    number = float(amount)
    if (equals and not name) or not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError("not less than 0")
    return name, number


def run(args: argparse.Namespace) -> int:
    """
    Raises:
        ConfigError: files that cannot be used, metrics that are not there, machines that differ.
    """
    import sys

    import msgspec

    from edgevoice.bench import load
    from edgevoice.bench.check import check
    from edgevoice.bench.compare import compare
    from edgevoice.bench.differences import differences

    baseline, result = load.results([args.baseline, args.result])
    if not args.any_machine:
        _same_machine(args, baseline, result)
    comparison = compare(baseline, result)
    names = [*(one.metric for one in comparison.changes), *(one.metric for one in comparison.accuracy)]
    found = check(comparison, _tolerances(args.tolerance, names), subset=args.subset)
    for one in differences(baseline, result):
        print(f"{one.about}: {one.text.replace('A: ', 'baseline: ', 1).replace('B: ', 'result: ', 1)}", file=sys.stderr)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
    else:
        unsure = [f"too few values to judge: {text}" for text in found.unsure]
        print("\n".join([*unsure, *found.worse, *found.gone, _summed(found.judged, len(found.worse), len(found.gone))]))
    return 0 if found.passed else WORSE


def _summed(judged: int, worse: int, gone: int) -> str:
    if not judged:
        return "failed: they have nothing in common that could be compared"
    if not worse and not gone:
        return f"passed: none of {judged} figures is worse than is allowed, as far as can be seen"
    return f"failed: {worse} of {judged} figures are worse than is allowed, {gone} are gone"


def _tolerances(typed: list[tuple[str, float]], names: list[str]) -> dict[str, float]:
    from edgevoice.bench.check import STARTING
    from edgevoice.errors import ConfigError
    from edgevoice.suggest import did_you_mean

    known = dict.fromkeys(names)
    wrong = [
        f"there is no metric '{name}' in both results; {did_you_mean(name, known)}"
        for name, _ in typed
        if name and name not in known
    ]
    if wrong:
        raise ConfigError("\n".join(wrong), place="option --tolerance")
    every = {name: amount for all_, amount in typed if not all_ for name in known if name not in STARTING}
    return every | {name: amount for name, amount in typed if name}


def _same_machine(args: argparse.Namespace, baseline: "Result", result: "Result") -> None:
    from edgevoice.bench.differences import machines
    from edgevoice.errors import ConfigError

    if found := list(machines(baseline.board, result.board)):
        raise ConfigError(
            f"it was measured on another machine than {args.baseline}: {'; '.join(found)}",
            place=str(args.result),
            remedy="measure a baseline on this one, or compare all the same with: --any-machine",
        )
