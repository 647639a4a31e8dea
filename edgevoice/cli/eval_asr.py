"""``edgevoice eval asr``: how many words of dictation are misheard."""

import argparse

from edgevoice.cli import eval_common as common
from edgevoice.cli.common import positive

HELP = "measure free recognition: word and character error rates, latency and computing time"

RULES = ("english", "plain", "none")
"""As in ``edgevoice.evaluate.normalise``, which a test compares them with."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--normalise",
        choices=RULES,
        default="english",
        help="what is done to texts before they are compared: contractions, numbers and spellings of English written "
        "out; only case and marks, for other languages; or nothing (default: english)",
    )
    parser.add_argument("--model", metavar="NAME", help="another model than the configured one")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of the recogniser")
    common.add_arguments(parser, manifest="audio and text", plot="error rates against SNR")


def run(args: argparse.Namespace) -> int:
    from functools import partial

    from edgevoice.engines.registry import require
    from edgevoice.evaluate import asr, asr_report
    from edgevoice.evaluate.scene import takes

    require("jiwer", extra="bench")
    config = common.prepare(args, "asr")
    config = common.with_threads(config, "asr", args.threads)
    items = asr.load(args.manifest, args.normalise, args.limit)
    noise = common.noise_file(args, config, items)
    planned = takes(items, common.snrs(args), common.seeds(args))
    crew = common.crew(args, config, ("asr",), [noise, *(item.path for item in items)])
    make = partial(asr.Bench, asr.Settings(config, noise, args.normalise))
    done, stopped = common.measure(args, crew, make, [job for jobs in planned for job in jobs], "recordings")
    found = [
        asr_report.condition(
            [each.transcription for each in results],
            len(jobs),
            common.noise_name(args, jobs[0].under),
            jobs[0].under.snr,
            args.seed,
        )
        for jobs, results in zip(planned, common.shares(done, planned), strict=True)
        if results
    ]
    report = asr_report.report(
        found,
        options=common.options(args, config, ("asr",)),
        peak_mb=common.peak(done),
        partial=stopped is not None,
    )
    return common.finish(
        args, report, measured=bool(found), tables=asr_report.tables, draw=asr_report.draw, stopped=stopped
    )
