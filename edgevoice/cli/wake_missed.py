"""``edgevoice wake missed``."""

import argparse
from pathlib import Path

HELP = "tell the running daemon that the wake word was said in the last 10 seconds, and it did not wake"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--word", metavar="NAME", help="which wake word, where it listens for several")


def run(args: argparse.Namespace) -> int:
    from edgevoice.health.ask import ask
    from edgevoice.wakes import kept

    answer = ask("missed")
    found = kept.read(path := Path(answer.path))
    if args.word is not None:
        found = kept.mark(path, "right", args.word)
    print(f"{answer.told}: {path}")
    if not found.word:
        print(f"which word was it? edgevoice wake label {path} right --word NAME")
    return 0
