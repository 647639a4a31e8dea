"""Options that several commands share."""

import argparse
from pathlib import Path

from edgevoice.config import Config, load


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (default: see 'config show')")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override a key of the configuration, for example --set endpoint.silence=0.8",
    )


def add_grammar_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--grammar",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="intents, in place of those of the configuration; may be given several times",
    )


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def load_config(args: argparse.Namespace) -> Config:
    """The configuration that the arguments of ``add_config_arguments`` ask for.

    Raises:
        ConfigError: with every mistake in it.
    """
    return load(args.config, overrides=args.overrides)
