"""``edgevoice devices``: the sound devices there are, and how loud a microphone is."""

import argparse
import sys
from typing import TYPE_CHECKING

from edgevoice.cli.common import add_config_arguments

if TYPE_CHECKING:
    from edgevoice.audio.convert import Level
    from edgevoice.audio.devices import Device
    from edgevoice.audio.source import InputOptions

HELP = "list microphones and speakers, or show a microphone's level"

METER_SAMPLES = 1_600
"""A reading every 0.1 s at 16 kHz: what the eye follows."""
METER_FLOOR = -60
"""The meter's left end in dBFS: a quiet room."""
METER_WIDTH = 40
LINES_PER_READING = 10
"""Where the output is no terminal, one reading in so many gets a line (one a second), and the last."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the list, or each reading of the meter, as JSON")
    parser.add_argument(
        "--meter",
        nargs="?",
        type=_seconds,
        const=float("inf"),
        metavar="SECONDS",
        help="show the level of the configured microphone, for so long or until Ctrl-C",
    )
    parser.add_argument("--device", metavar="NAME", help="the microphone to meter, instead of the configured one")
    add_config_arguments(parser)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds") from None
    if not value > 0:
        raise argparse.ArgumentTypeError("it must be more than 0")
    return value


def run(args: argparse.Namespace) -> int:
    if args.meter is not None:
        return _run_meter(args)
    import msgspec

    from edgevoice.audio.devices import explain_absence, list_devices

    devices = list_devices()
    if args.json:
        entries = [{**msgspec.structs.asdict(device)} for device in devices]
        for entry in entries:
            del entry["index"]  # it changes from one start to the next
        print(msgspec.json.format(msgspec.json.encode(entries)).decode())
        return 0
    if not devices:
        raise explain_absence(record=True)
    for title, inputs in (("Microphones", True), ("Speakers", False)):
        rows = [_row(device, inputs) for device in devices if (device.inputs if inputs else device.outputs)]
        print(f"{title} (* is the default)")
        width = max((len(row[1]) for row in rows), default=0)
        for mark, name, channels, rate, api in rows:
            print(f"  {mark} {name:<{width}}  {channels:>3} channels  {rate:>6} Hz  {api}")
        if not rows:
            print("    none")
    return 0


def _row(device: "Device", inputs: bool) -> tuple[str, str, int, int, str]:
    default = device.default_input if inputs else device.default_output
    channels = device.inputs if inputs else device.outputs
    return "*" if default else " ", device.name, channels, device.rate, device.host_api


def _run_meter(args: argparse.Namespace) -> int:
    import asyncio

    import msgspec

    from edgevoice.cli.common import load_config

    options = load_config(args).input
    if args.device is not None:
        options = msgspec.structs.replace(options, device=args.device)
    asyncio.run(_meter(options, args.meter, json=args.json))
    return 0


async def _meter(options: "InputOptions", seconds: float, *, json: bool) -> None:
    import contextlib

    import msgspec

    from edgevoice.audio.convert import measure
    from edgevoice.audio.microphone import open_microphone
    from edgevoice.audio.pcm import Reblock

    microphone = open_microphone(options)
    bar = sys.stdout.isatty() and not json
    try:
        print(f"edgevoice: listening to '{microphone.name}' at {microphone.rate} Hz", file=sys.stderr, flush=True)
        reblock = Reblock(METER_SAMPLES)
        readings = 0
        async with contextlib.aclosing(microphone.blocks()) as blocks:
            async for block in blocks:
                for piece in reblock.push(block):
                    level = measure(piece.samples)
                    readings += 1
                    last = piece.end / piece.rate >= seconds
                    if json:
                        reading = {"at": piece.end / piece.rate, **_as_dict(level)}
                        print(msgspec.json.encode(reading).decode(), flush=True)
                    elif bar:
                        print(f"\r{_draw(level)}\x1b[K", end="", flush=True)
                    elif last or readings % LINES_PER_READING == 0:
                        print(_draw(level), flush=True)
                    if last:
                        return
    finally:
        if bar:
            print()
        await microphone.close()


def _as_dict(level: "Level") -> dict[str, float | int | bool]:
    import dataclasses

    return dataclasses.asdict(level)


def _draw(level: "Level") -> str:
    """``[=======----|     ]  -23 dBFS, peak -11``: mean level, then up to the peak."""

    def column(dbfs: float) -> int:
        return max(0, min(METER_WIDTH, round((dbfs - METER_FLOOR) / -METER_FLOOR * METER_WIDTH)))

    mean, peak = column(level.rms), column(level.peak)
    bar = "=" * mean + "-" * max(peak - mean - 1, 0) + ("|" if peak > mean else "")
    mark = "  CLIPPED" if level.clipped else "  silent" if level.silent else ""
    rms, top = (round(value, 1) + 0.0 for value in (level.rms, level.peak))  # no "-0.0"
    return f"[{bar:<{METER_WIDTH}}] {rms:6.1f} dBFS, peak {top:6.1f}{mark}"
