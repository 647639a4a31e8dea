"""How soon and how fast the speech engines speak, side by side.

    python -m tools.bench_tts [--engine hibari piper] [--runs 20] [--threads 1] [--json]

Every engine runs in a process of its own, so that its memory is its own. Measured are, over replies as an assistant
gives them: the time from the text to the first audio (normalisation and division into clauses included), the real-time
factor (time of synthesis by length of audio), and the process's memory.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

REPLIES = (
    "OK.",
    "The kitchen light is on.",
    "It is 7:05 pm.",
    "Today is Sunday, November 22nd, 2026.",
    "It is 21.5 °C in the living room, and the heating is set to 23 °C.",
    "I turned off the lights in the kitchen, the hall and the bathroom. The one in the bedroom did not answer.",
)
LONG = "The weather stays as it is, and nothing changes at all today. " * 16


def measure(engine: str, model: str, threads: int, runs: int) -> dict[str, Any]:
    """Figures of one engine; to be called in a fresh process."""
    from edgevoice.engines import registry
    from edgevoice.modelstore import ModelStore
    from edgevoice.speak.phrases import clauses

    bare = _rss()
    options = registry.options_type("tts", engine)
    chosen = {"threads": threads} | ({"model": model} if model and "model" in options.__struct_fields__ else {})
    began = time.perf_counter()
    voice = registry.load("tts", engine, options(**chosen), ModelStore())
    load = time.perf_counter() - began
    loaded = _rss()
    firsts: list[float] = []
    busy = seconds = 0.0
    for _ in range(runs):
        for text in REPLIES:
            began = time.perf_counter()
            pieces = (piece for clause in clauses(text, language=voice.language) for piece in voice.synthesize(clause))
            seconds += next(pieces).seconds
            firsts.append(time.perf_counter() - began)
            seconds += sum(piece.seconds for piece in pieces)
            busy += time.perf_counter() - began
    began = time.perf_counter()
    parts = clauses(LONG, language=voice.language)
    length = sum(piece.seconds for part in parts for piece in voice.synthesize(part))
    long_rtf = (time.perf_counter() - began) / length
    return {
        "engine": engine,
        "threads": threads,
        "load_s": round(load, 2),
        "first_audio_p50_ms": round(float(np.percentile(firsts, 50)) * 1000, 1),
        "first_audio_p95_ms": round(float(np.percentile(firsts, 95)) * 1000, 1),
        "rtf": round(busy / seconds, 4),
        "rtf_long": round(long_rtf, 4),
        "rss_bare_mb": round(bare),
        "rss_loaded_mb": round(loaded),
        "rss_after_mb": round(_rss()),
        "rss_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _rss() -> float:
    """Resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024**2


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", nargs="+", default=["hibari", "piper"], metavar="NAME")
    parser.add_argument("--model", default="", metavar="NAME", help="Piper's voice: a name of the catalog or a path")
    parser.add_argument("--threads", nargs="+", type=int, default=[1], metavar="N")
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="times every reply is spoken")
    parser.add_argument("--json", action="store_true", help="a JSON line per engine instead of a table")
    args = parser.parse_args()
    rows = []
    for threads in args.threads:
        for engine in args.engine:
            print(f"{engine}, threads {threads} ...", file=sys.stderr)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows.append(pool.apply(measure, (engine, args.model, threads, args.runs)))
    if args.json:
        for row in rows:
            print(json.dumps(row))
        return 0
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
