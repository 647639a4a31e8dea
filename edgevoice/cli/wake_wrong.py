"""``edgevoice wake wrong``."""

import argparse

HELP = "tell the running daemon that it last woke by mistake"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> int:
    from edgevoice.health.ask import ask

    print(ask("wrong").told)
    return 0
