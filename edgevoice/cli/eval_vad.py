"""``edgevoice eval vad``: how well speech is told from what is none."""

import argparse

from edgevoice.cli import eval_common as common

HELP = "measure voice activity detection: frames, lags, ROC curve"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="another model than the configured one")
    common.add_arguments(parser, manifest="audio and speech: [[from, to], ...] in seconds", plot="the ROC curves")


def run(args: argparse.Namespace) -> int:
    from functools import partial

    import msgspec

    from edgevoice.evaluate import vad, vad_report
    from edgevoice.evaluate.scene import takes

    config = common.prepare(args, "vad")
    items = vad.load(args.manifest, args.limit)
    noise = common.noise_file(args, config, items)
    planned = takes(items, common.snrs(args), common.seeds(args))
    crew = common.crew(args, config, ("vad",), [noise, *(item.path for item in items)])
    make = partial(vad.Bench, vad.Settings(config, noise))
    done, stopped = common.measure(args, crew, make, [job for jobs in planned for job in jobs], "recordings")
    found = [
        vad_report.condition(results, len(jobs), common.noise_name(args, jobs[0].under), jobs[0].under.snr, args.seed)
        for jobs, results in zip(planned, common.shares(done, planned), strict=True)
        if results
    ]
    report = vad_report.report(
        found,
        options=common.options(args, config, ("vad",), endpoint=msgspec.to_builtins(config.endpoint)),
        peak_mb=common.peak(done),
        partial=stopped is not None,
    )
    return common.finish(
        args, report, measured=bool(found), tables=vad_report.tables, draw=vad_report.draw, stopped=stopped
    )
