"""``edgevoice intent``: what a sentence means, and why."""

import argparse
import sys
from pathlib import Path

from edgevoice.cli.common import add_config_arguments, load_config

HELP = "show which intent a sentence has, and why, or what came closest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="+", help="the sentence, in quotes or as several words")
    parser.add_argument(
        "--pack",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="a directory or file of intents, laid over those of the configuration; may be given several times",
    )
    parser.add_argument("--no-default", action="store_true", help="leave the default pack out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """0 for a match, 1 for none."""
    import msgspec

    from edgevoice.think.grammar import Grammar, Match, default_pack

    config = load_config(args)
    configured = [pack for pack in config.packs() if not (args.no_default and pack == default_pack())]
    grammar = Grammar.load([*configured, *args.pack], by_sound=config.intents.by_sound)
    found = grammar.match(" ".join(args.text))
    if args.json:
        content = {"matched": isinstance(found, Match), **msgspec.to_builtins(found)}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")
    elif isinstance(found, Match):
        print(f"intent  {found.intent.name}")
        for name, value in found.intent.slots.items():
            print(f"slot    {name} = {value!r}")
        print(f"text    {found.text}")
        print(f"score   {found.score:.2f}")
        if found.confidence is not None:
            print(f"sure    {found.confidence:.0%}, by sound")
        print(f"matched {found.explanation}")
    else:
        print(f"no intent for '{found.text}': {found.why}")
        if found.closest is not None:
            distance = "" if found.distance is None else f", distance {found.distance:g}"
            print(f"closest '{found.closest}' ({found.intent}, {found.place}){distance}")
    return 0 if isinstance(found, Match) else 1
