"""Speed and memory of recognition, side by side.

    python -m tools.bench_asr --manifest dev.jsonl [--engine whisper faster-whisper] [--threads 1 2] [--limit 10]
    python -m tools.bench_asr --manifest dev.jsonl --grammar orders.rhino.yaml --engine whisper-grammar-8 faster-whisper

Every engine runs in a process of its own, so that its memory is its own, and one at a time: every recording goes to all
of them in turn, round after round, so that what else the machine does falls on all alike. RTF is time by length of
audio; of each recording counts the median of its rounds.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tools.asr_engines import ENGINES, recogniser, recordings


def _serve(pipe: Connection, engine: str, threads: int, manifest: Path, limit: int, grammar: Path | None) -> None:
    """In the child: recognise the recordings whose numbers come through the pipe."""
    files = recordings(manifest)[:limit]
    begun = time.perf_counter()
    recognise = recogniser(engine, threads, None, grammar)
    loading = time.perf_counter() - begun
    recognise(files[0].samples)  # the first run also sets up buffers
    pipe.send(loading)
    while (number := pipe.recv()) is not None:
        wall, processor = time.perf_counter(), time.process_time()
        recognise(files[number].samples)
        pipe.send((time.perf_counter() - wall, time.process_time() - processor))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(
    engines: list[str], threads: list[int], manifest: Path, limit: int, rounds: int, grammar: Path | None = None
) -> list[dict[str, Any]]:
    """A row of figures for each engine and number of threads."""
    seconds = [len(file.samples) / 16_000 for file in recordings(manifest)[:limit]]
    context = multiprocessing.get_context("spawn")
    children = []
    for engine in engines:
        for count in threads:
            ours, theirs = context.Pipe()
            child = context.Process(target=_serve, args=(theirs, engine, count, manifest, limit, grammar))
            child.start()
            children.append((engine, count, ours, child, ours.recv()))
    times: dict[tuple[str, int], list[list[tuple[float, float]]]] = {
        (engine, count): [[] for _ in seconds] for engine, count, *_ in children
    }
    for turn in range(rounds):
        print(f"round {turn + 1} of {rounds}", file=sys.stderr)
        for number in range(len(seconds)):
            for engine, count, pipe, *_ in children:
                pipe.send(number)
                times[engine, count][number].append(pipe.recv())
    rows = []
    for engine, count, pipe, child, loading in children:
        pipe.send(None)
        memory = pipe.recv()
        child.join()
        wall = [statistics.median(run[0] for run in runs) for runs in times[engine, count]]
        processor = [statistics.median(run[1] for run in runs) for runs in times[engine, count]]
        rows.append(
            {
                "engine": engine,
                "threads": count,
                "audio_seconds": round(sum(seconds), 2),
                "rtf": sum(wall) / sum(seconds),
                "processor_rtf": sum(processor) / sum(seconds),
                "p50_ms": 1000 * statistics.median(wall),
                "max_ms": 1000 * max(wall),
                "load_s": loading,
                "peak_rss_mb": memory,
            }
        )
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench_asr", description="speed and memory of recognition")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--grammar", type=Path, help="intents for the engines that are held to them")
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=["whisper", "faster-whisper"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--limit", type=int, default=20, help="recordings at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the results to this file")
    args = parser.parse_args(arguments)
    rows = measure(args.engine, args.threads, args.manifest, args.limit, args.rounds, args.grammar)
    print(f"{'engine':18} {'threads':>7} {'RTF':>7} {'CPU':>7} {'p50 ms':>7} {'max ms':>7} {'load s':>7} {'MB':>5}")
    for row in rows:
        print(
            f"{row['engine']:18} {row['threads']:7d} {row['rtf']:7.4f} {row['processor_rtf']:7.4f} "
            f"{row['p50_ms']:7.0f} {row['max_ms']:7.0f} {row['load_s']:7.2f} {row['peak_rss_mb']:5.0f}"
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
