"""``edgevoice unmute``."""

import argparse

HELP = "open the running daemon's microphone again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> int:
    from edgevoice.health.ask import ask

    print(ask("unmute").told)
    return 0
