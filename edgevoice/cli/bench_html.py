"""``edgevoice bench html``: results as one page for a browser."""

import argparse
from pathlib import Path

HELP = "show results as one page for a browser"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT.json", help="results of 'bench run'")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the page to write")


def run(args: argparse.Namespace) -> int:
    """
    Raises:
        ConfigError: with everything that is wrong with the files. OutputError: the page cannot be written.
    """
    from edgevoice.bench import load
    from edgevoice.bench.page.document import page
    from edgevoice.errors import OutputError

    paths = list(dict.fromkeys(args.results))
    stems = {path.stem for path in paths}
    names = [path.stem if len(stems) == len(paths) else str(path) for path in paths]
    text = page(list(zip(names, load.results(paths), strict=True)))
    try:
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"it cannot be written: {error.strerror or error}", place=str(args.output)) from error
    print(args.output)
    return 0
