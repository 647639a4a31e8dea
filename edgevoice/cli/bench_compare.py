"""``edgevoice bench compare``: two results side by side, with how sure each difference is."""

import argparse
from pathlib import Path

HELP = "compare two results, with how sure each difference is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, metavar="A.json", help="a result of 'bench run'; ratios are B / A")
    parser.add_argument("b", type=Path, metavar="B.json")
    parser.add_argument("--all", action="store_true", help="every figure, also those without a difference")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """
    Raises:
        ConfigError: with everything that is wrong with either file.
    """
    import msgspec

    from edgevoice.bench import compare_table, load
    from edgevoice.bench.compare import compare
    from edgevoice.bench.differences import differences

    a, b = load.results([args.a, args.b])
    comparison, besides = compare(a, b), differences(a, b)
    if args.json:
        made = msgspec.to_builtins(comparison) | {"differences": msgspec.to_builtins(besides)}
        print(msgspec.json.format(msgspec.json.encode(made), indent=1).decode())
        return 0
    names = (str(args.a), str(args.b))
    print("\n".join(compare_table.lines(names, (a, b), comparison, besides, everything=args.all)))
    return 0
