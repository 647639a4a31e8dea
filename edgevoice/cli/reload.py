"""``edgevoice reload``."""

import argparse

HELP = "put a changed configuration in force, without losing audio"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> int:
    from edgevoice.health.ask import ask

    print(ask("reload").told)
    return 0
