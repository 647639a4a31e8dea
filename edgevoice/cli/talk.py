"""``edgevoice talk``."""

import argparse

HELP = "begin a turn in the running daemon, as if the wake word had been said"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> int:
    from edgevoice.health.ask import ask

    print(ask("talk").told)
    return 0
