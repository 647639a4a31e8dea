"""What listening alone costs: CPU share of reading the default microphone, by block length and rate.

    python tools/bench_microphone.py [--seconds 10] [--json]

All threads of the process count: PortAudio's, the sound server's client and the event loop. Nothing else is done with
the sound. On a machine without a microphone it says so and measures nothing.
"""

import argparse
import asyncio
import contextlib
import json
import time

from edgevoice.audio.devices import has_sound_card
from edgevoice.audio.microphone import open_microphone
from edgevoice.audio.pcm import RATE
from edgevoice.audio.source import InputOptions

BLOCKS = (512, 1_024, 2_048)
RATES = (RATE, 48_000)
WARM_UP = 1.0
"""Seconds before the measurement: a device starts in bursts."""


async def measure(block: int, rate: int, seconds: float) -> dict[str, float]:
    """CPU seconds per second in percent, and what the device runs at."""
    microphone = open_microphone(InputOptions(block=block, rate=rate))
    began, used = 0.0, 0.0
    try:
        async with contextlib.aclosing(microphone.blocks()) as blocks:
            async for piece in blocks:
                if not began and piece.end >= WARM_UP * RATE:
                    began, used = time.monotonic(), time.process_time()
                if piece.end >= (WARM_UP + seconds) * RATE:
                    break
        share = 100 * (time.process_time() - used) / (time.monotonic() - began)
    finally:
        await microphone.close()
    return {"block": block, "rate": microphone.rate, "cpu_percent": round(share, 2), "overruns": microphone.overruns}


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU share of reading the default microphone")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not has_sound_card(input=True):
        print("[]" if args.json else "there is no microphone to measure")
        return
    results = [asyncio.run(measure(block, rate, args.seconds)) for rate in RATES for block in BLOCKS]
    if args.json:
        print(json.dumps(results, indent=2))
        return
    print("block  rate   CPU of one core")
    for result in results:
        print(f"{result['block']:5}  {result['rate']:5}  {result['cpu_percent']:5.2f} %")


if __name__ == "__main__":
    main()
