"""``edgevoice wake label``."""

import argparse
from pathlib import Path

HELP = "say of kept wakes whether the wake word was said in them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="kept wakes, either file of each")
    parser.add_argument(
        "label",
        choices=("right", "wrong"),
        help="right: the wake word was said, whether or not it woke. wrong: it was not",
    )
    parser.add_argument("--word", metavar="NAME", help="which wake word that is, where it is not known or another")


def run(args: argparse.Namespace) -> int:
    """All are looked at before the first is labelled."""
    from edgevoice.wakes import kept

    paths = [kept.of(file) for file in args.files]
    for path in paths:
        kept.read(path)
    for path in paths:
        print(f"{args.label}: {kept.told(kept.mark(path, args.label, args.word))}")
    return 0
