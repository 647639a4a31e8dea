"""``edgevoice eval``: how well engines do on recordings."""

import argparse

from edgevoice.cli import eval_asr, eval_intents, eval_tts, eval_vad, eval_wake

HELP = "measure how well recordings are understood, in silence and in noise"

KINDS = {"wake": eval_wake, "asr": eval_asr, "intents": eval_intents, "vad": eval_vad, "tts": eval_tts}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="WHAT", required=True)
    for name, kind in KINDS.items():
        kind.add_arguments(kinds.add_parser(name, help=kind.HELP, description=kind.HELP, allow_abbrev=False))


def run(args: argparse.Namespace) -> int:
    """Everything is checked before anything is measured. What was measured is reported also when it is stopped."""
    code: int = KINDS[args.kind].run(args)
    return code
