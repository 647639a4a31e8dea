"""``edgevoice status``: how the running daemon is."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from edgevoice.cli.console import visible

if TYPE_CHECKING:
    from edgevoice.health.status import Status

HELP = "tell how the running daemon is: what it hears, its last turn, its engines and the board"

WATCH_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="all of it, as one JSON object (a line each with --watch)")
    parser.add_argument("--watch", action="store_true", help="again every second, until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    import msgspec

    from edgevoice.health.ask import ask
    from edgevoice.health.status import Status

    while True:
        status = ask("status").status
        if args.json:
            print(msgspec.json.encode(status).decode(), flush=True)
        else:
            if args.watch and sys.stdout.isatty():
                print("\033[H\033[2J", end="")
            print("\n".join(table(msgspec.convert(status, Status, strict=False))), flush=True)
        if not args.watch:
            return 0
        time.sleep(WATCH_SECONDS)


def table(status: "Status") -> list[str]:
    """What a person wants to know, a line each."""
    rows = {
        "state": f"{status.state} for {_time(status.in_state_s)}" + (f": {status.cause}" if status.cause else ""),
        "up": f"{_time(status.uptime_s)}, edgevoice {status.version}, process {status.pid}",
        "hears": _hears(status),
        "audio lost": _counts(status.overruns, f", {status.lost_s:g} s in all"),
        "deaf": _counts(status.deaf, f"; heard again: {_times(status.reopened)}"),
        "waiting": ", ".join(f"{name} {seconds:.2f} s" for name, seconds in status.queues_s.items()),
        "hangs": ", ".join(f"{name} for {_time(status.workers_s[name])}" for name in status.hung),
        "last wake": _wake(status),
        "last turn": _turn(status),
        "turns": _counts(status.turns),
        "last fault": _fault(status),
        "degraded": f"by {status.level}" if status.level else "",
        "starts": _starts(status),
        "models": ", ".join(f"{use.task} {use.engine} {use.model} ({use.version})" for use in status.models),
        "recordings": f"every turn is kept in {status.recordings}" if status.recordings else "",
        "machine": _machine(status),
    }
    return [f"{name:<11} {visible(text)}" for name, text in rows.items() if text]


def _hears(status: "Status") -> str:
    pace = f"{status.frames_per_second:g} frames a second"
    return f"{status.device}, {pace}" if status.device else pace


def _wake(status: "Status") -> str:
    last = status.last_wake
    if last is None:
        return ""
    by = f"{last.model} ({last.score:.2f})" if last.by == "word" else "push to talk"
    return f"{_time(last.ago_s)} ago, {by}"


def _turn(status: "Status") -> str:
    last = status.last_turn
    if last is None:
        return ""
    took = " | ".join(f"{step.replace('_', ' ')} {milliseconds:.0f} ms" for step, milliseconds in last.took_ms.items())
    return f"{_time(last.ago_s)} ago, {last.outcome.replace('_', ' ')}" + (f": {took}" if took else "")


def _fault(status: "Status") -> str:
    last = status.last_fault
    return "" if last is None else f"{_time(last.ago_s)} ago, {last.error}: {last.message}"


def _starts(status: "Status") -> str:
    if status.starts is None:
        return ""
    return f"{_times(status.starts)}, of these {status.unclean_starts} after a crash, a kill or a power cut"


def _machine(status: "Status") -> str:
    machine, parts = status.machine, []
    if machine.resident_mb is not None:
        parts.append(f"{machine.resident_mb:g} MB")
    if machine.temperature_c is not None:
        parts.append(f"{machine.temperature_c:g} °C")
    if machine.throttled:
        parts.append(f"slowed down: {', '.join(machine.throttled)}")
    elif machine.throttled_before:
        parts.append(f"was slowed down: {', '.join(machine.throttled_before)}")
    return ", ".join(parts)


def _counts(counts: dict[str, int], more: str = "") -> str:
    if not counts:
        return ""
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()) + more


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _time(seconds: float) -> str:
    """In the two largest units."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {int(seconds) % 60} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
