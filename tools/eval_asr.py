"""Word error rates, side by side.

    python -m tools.eval_asr --manifest dev.jsonl [--engine whisper faster-whisper] [--texts] [--json FILE]

The manifest has a JSON object per line: ``audio`` (path relative to the manifest, 16 kHz mono) and ``text``. Texts are
compared after ``edgevoice.evaluate.normalise``. The processor time is this process's, from the audio to the text.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tools.asr_engines import ENGINES, Recording, recogniser, recordings
from edgevoice.evaluate.normalise import normalise


def evaluate(engine: str, files: list[Recording], threads: int, model: str | None) -> dict[str, Any]:
    """Word errors of an engine over all recordings, and each text."""
    import jiwer

    recognise = recogniser(engine, threads, model)
    texts, processor = {}, 0.0
    for number, file in enumerate(files):
        print(f"\r{engine}: {number + 1} of {len(files)}", end="", file=sys.stderr, flush=True)
        begun = time.process_time()
        texts[file.name] = recognise(file.samples)
        processor += time.process_time() - begun
    print(file=sys.stderr)
    counted = jiwer.process_words(
        [normalise(file.text) for file in files], [normalise(texts[file.name]) for file in files]
    )
    return {
        "engine": engine,
        "files": len(files),
        "words": counted.hits + counted.substitutions + counted.deletions,
        "wer": counted.wer,
        "substitutions": counted.substitutions,
        "insertions": counted.insertions,
        "deletions": counted.deletions,
        "processor_seconds": round(processor, 3),
        "texts": texts,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.eval_asr", description="word error rates, side by side")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=[name for name in ENGINES if name != "vosk"])
    parser.add_argument("--model", help="another model than the engine's own")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--texts", action="store_true", help="print what was understood")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    args = parser.parse_args(arguments)
    files = [file for file in recordings(args.manifest) if file.text]
    results = [evaluate(engine, files, args.threads, args.model) for engine in args.engine]
    print(f"{'engine':18} {'WER':>7} {'words':>6} {'sub':>4} {'ins':>4} {'del':>4} {'CPU s':>7}")
    for row in results:
        print(
            f"{row['engine']:18} {row['wer']:7.2%} {row['words']:6d} {row['substitutions']:4d} "
            f"{row['insertions']:4d} {row['deletions']:4d} {row['processor_seconds']:7.2f}"
        )
        for name, text in row["texts"].items() if args.texts else ():
            print(f"    {name}: {text}")
    if args.json:
        args.json.write_text(json.dumps(results, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
