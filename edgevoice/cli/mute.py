"""``edgevoice mute``."""

import argparse

HELP = "close the running daemon's microphone until 'unmute', also over a restart"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> int:
    from edgevoice.health.ask import ask

    print(ask("mute").told)
    return 0
