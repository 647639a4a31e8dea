"""``edgevoice eval tts``: whether the voice is understood, how soon it is heard, and how it sounds."""

import argparse

from edgevoice.cli import eval_common as common
from edgevoice.cli.common import positive
from edgevoice.cli.eval_asr import RULES

HELP = "measure the voice: what the recogniser hears of it, first audio, loudness"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--normalise",
        choices=RULES,
        default="english",
        help="what is done to texts before they are compared; see 'eval asr' (default: english)",
    )
    parser.add_argument("--model", metavar="NAME", help="another voice than the configured one")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of the voice")
    common.add_arguments(parser, manifest="text", plot="the time to the first audio", noise=False)


def run(args: argparse.Namespace) -> int:
    from functools import partial

    from edgevoice.engines.registry import require
    from edgevoice.evaluate import tts, tts_report

    require("jiwer", extra="bench")
    config = common.prepare(args, "tts")
    config = common.with_threads(config, "tts", args.threads)
    items = tts.load(args.manifest, args.normalise, args.limit)
    crew = common.crew(args, config, ("tts", "asr"), [])
    make = partial(tts.Bench, tts.Settings(config, args.normalise))
    done, stopped = common.measure(args, crew, make, items, "texts")
    (results,) = common.shares(done, [items])
    found = [tts_report.condition([each.spoken for each in results], len(items), args.seed)] if results else []
    report = tts_report.report(
        found,
        options=common.options(args, config, ("tts", "asr")),
        peak_mb=common.peak(done),
        partial=stopped is not None,
    )
    return common.finish(
        args, report, measured=bool(found), tables=tts_report.tables, draw=tts_report.draw, stopped=stopped
    )
