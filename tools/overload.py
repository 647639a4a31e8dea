"""How late commands are recognised while others take the processor, with and without stepping down.

    python -m tools.overload [--others 8] [--commands 12] [--nice 5] [--fixed]

A daemon listens at a virtual sound card while commands are spoken; from the first of them on, so many others for each
processor want to run all the time. Afterwards it is waited for until it is back at full service.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any, Final

from tools.faultscene import Scene, scene
from tools.soundcard import virtual_sound_card
from tools.spoken import WAKE, speak

COMMAND: Final = "turn on the light in the kitchen."
WITHIN: Final = 25.0
"""Seconds in which a command is answered, or else not any more."""
BACK_WITHIN: Final = 150.0
"""Seconds after the load in which it is back at full service, or else not any more."""


def main() -> int:
    parser = argparse.ArgumentParser(description="commands while others take the processor")
    parser.add_argument("--others", type=int, default=8, help="others for each processor")
    parser.add_argument("--commands", type=int, default=12)
    parser.add_argument("--nice", type=int, default=5, help="how much less urgent the others are; the unit has 5")
    parser.add_argument("--fixed", action="store_true", help="without stepping down")
    args = parser.parse_args()
    (spoken,) = speak([f"{WAKE}, {COMMAND}"])
    with virtual_sound_card() as card, scene(card) as on:
        on.config = {"overload": {"step_down": not args.fixed}}
        with on.running():
            print(json.dumps(_play(on, spoken, args), indent=2))
    return 0


def _play(on: Scene, spoken: Any, args: argparse.Namespace) -> dict[str, Any]:
    busy = ["nice", "-n", str(args.nice), "sh", "-c", "while :; do :; done"]
    others = [subprocess.Popen(busy) for _ in range(args.others * (os.cpu_count() or 1))]
    began = time.monotonic()
    by_level: dict[int, list[float]] = {}
    missed = 0
    try:
        for _ in range(args.commands):
            asked, level = time.monotonic(), on.service.status().get("level", 0)
            on.room.say(spoken)
            if not on.until(lambda since=asked: bool(on.service.of("turnended", since=since)), WITHIN):  # type: ignore[misc]
                missed += 1
                continue
            for _, event in on.service.of("transcript", since=asked):
                by_level.setdefault(level, []).append(event["took_ms"]["recognition"])
            time.sleep(3.0)
        status = on.service.status()
    finally:
        for other in others:
            other.kill()
            other.wait()
    gone = time.monotonic()
    on.until(lambda: on.service.status().get("level") == 0, BACK_WITHIN)
    steps = on.service.of("degraded", since=began)
    return {
        "commands": args.commands,
        "not answered": missed,
        "recognition, ms, by level": {
            level: {"median": statistics.median(times), "largest": max(times), "n": len(times)}
            for level, times in by_level.items()
        },
        "frames a second": status.get("frames_per_second"),
        "overruns": status.get("overruns"),
        "steps": [(round(came - began, 1), event["level"], event["why"]) for came, event in steps],
        "back after, s": round(steps[-1][0] - gone, 1) if steps and not steps[-1][1]["level"] else None,
    }


if __name__ == "__main__":
    sys.exit(main())
