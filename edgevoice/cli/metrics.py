"""``edgevoice metrics``: the running daemon's figures, for Prometheus."""

import argparse

HELP = "print the running daemon's figures as Prometheus text, for node_exporter's textfile collector"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> int:
    from edgevoice.health.ask import ask

    print(ask("metrics").metrics or "", end="")
    return 0
