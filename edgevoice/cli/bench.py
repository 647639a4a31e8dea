"""``edgevoice bench``: its actions, each in a module of its own."""

import argparse
import importlib

HELP = "measure engines and the whole daemon on this machine, compare results, guard against getting slower"

ACTIONS = ("run", "compare", "check", "html")
"""Each is a module ``edgevoice.cli.bench_<action>`` with HELP, add_arguments and run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in ACTIONS:
        module = importlib.import_module(f"edgevoice.cli.bench_{name}")
        sub = actions.add_parser(name, help=module.HELP, description=module.HELP, allow_abbrev=False)
        module.add_arguments(sub)
        sub.set_defaults(run_action=module.run)


def run(args: argparse.Namespace) -> int:
    code: int = args.run_action(args)
    return code
