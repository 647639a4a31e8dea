"""``edgevoice intents``: what can be done with whole files of intents."""

import argparse
import sys
from pathlib import Path

HELP = "convert a grammar of Picovoice Rhino into an intent pack"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    convert = actions.add_parser("convert", help=HELP)
    convert.add_argument("grammar", type=Path, metavar="GRAMMAR", help="a .yaml file that begins with 'context:'")
    convert.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PATH",
        help="the pack's file, or a directory to put it into; without it the pack is printed",
    )
    convert.add_argument("--force", action="store_true", help="overwrite a file that is there already")


def run(args: argparse.Namespace) -> int:
    from edgevoice.think.rhino_convert import convert

    text = convert(args.grammar)
    if args.output is None:
        sys.stdout.write(text)
        return 0
    target = args.output / _name(args.grammar) if args.output.is_dir() else args.output
    _write(target, text, force=args.force)
    print(f"wrote {target}", file=sys.stderr)
    return 0


def _name(grammar: Path) -> str:
    """coffee.rhino.yaml -> coffee.yaml"""
    return f"{grammar.stem.removesuffix('.rhino')}.yaml"


def _write(target: Path, text: str, *, force: bool) -> None:
    """
    Raises:
        OutputError: it is there already, or cannot be written.
    """
    from edgevoice.errors import OutputError

    try:
        with target.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise OutputError(
            "there is such a file already", place=str(target), remedy="name another one, or add --force"
        ) from error
    except OSError as error:
        raise OutputError(f"it cannot be written: {error.strerror}", place=str(target)) from error
