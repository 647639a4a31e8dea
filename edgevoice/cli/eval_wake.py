"""``edgevoice eval wake``: how many wake words are missed, and how often something else wakes."""

import argparse

from edgevoice.cli import eval_common as common

HELP = "measure wake words: misses against false alarms per hour"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a wake word, in place of the configured ones; may be given several times",
    )
    parser.add_argument(
        "--gap", type=_gap, metavar="SECONDS", help="between two clips, of silence or of the noise (default: 2)"
    )
    common.add_arguments(parser, manifest="audio and, where the clip holds it, phrase", plot="the DET curves")


def _gap(text: str) -> float:
    if not 0.5 <= (seconds := float(text)) <= 60:
        raise argparse.ArgumentTypeError("from 0.5 to 60")
    return seconds


def run(args: argparse.Namespace) -> int:
    from functools import partial

    import msgspec

    from edgevoice.evaluate import wake, wake_report
    from edgevoice.evaluate.scene import CLEAN, noisy

    config = common.prepare(args, "wake")
    items = wake.load(args.manifest, args.limit)
    noise = common.noise_file(args, config, items)
    engine = wake.load_engine(config)
    common.warn(wake.unknown(items, engine.models))
    needed = wake.tasks(config, engine)
    engine.close()
    planned = [wake.streams(items, under) for under in ([CLEAN], *noisy(common.snrs(args), common.seeds(args)))]
    crew = common.crew(args, config, needed, [noise, *(item.path for item in items)])
    make = partial(wake.Bench, wake.Settings(config, noise, wake.GAP if args.gap is None else args.gap))
    jobs = [job for each in planned for job in each]
    done, stopped = common.measure(args, crew, make, jobs, f"streams of up to {wake.CLIPS} clips")
    found = [
        wake_report.condition(
            results,
            sum(len(stream.items) for stream in streams),
            common.noise_name(args, streams[0].under),
            streams[0].under.snr,
            config.detection,
        )
        for streams, results in zip(planned, common.shares(done, planned), strict=True)
        if results
    ]
    report = wake_report.report(
        found,
        options=common.options(args, config, needed, detection=msgspec.to_builtins(config.detection)),
        peak_mb=common.peak(done),
        partial=stopped is not None,
    )
    return common.finish(
        args, report, measured=bool(found), tables=wake_report.tables, draw=wake_report.draw, stopped=stopped
    )
