"""The coefficients of edgevoice.engines.asr.whisper_confidence, fitted to recordings.

    python -m tools.fit_confidence --commands dev.jsonl coffee_maker.rhino.yaml --noise kitchen.flac \\
        --snr 12,6 --others talk/ coffee_maker.rhino.yaml --others talk/ edgevoice/data/intents/en

Commands (manifests, as for ``edgevoice eval intents``) and other speech (folders of audio) may be given several times,
each with the grammar that they are heard with; every one of them weighs the same. It prints the coefficients fitted to
all of it, and what is refused when every recording is judged by the fit to the others (five parts, by the name of the
file, so that no recording is on both sides).
"""

import argparse
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.engines.asr import whisper, whisper_tokens
from edgevoice.engines.asr.whisper_confidence import features
from edgevoice.engines.asr.whisper_decode import rules
from edgevoice.engines.asr.whisper_grammar import GrammarReader
from edgevoice.engines.asr.whisper_net import WhisperNet
from edgevoice.evaluate import manifest
from edgevoice.evaluate.mix import mix, piece
from edgevoice.evaluate.recording import read
from edgevoice.modelstore import ModelStore
from edgevoice.think.grammar import Grammar

PARTS = 5
LONGEST = 28 * RATE

Float64 = NDArray[np.float64]


@dataclass
class Heard:
    group: str
    command: bool
    part: int
    features: tuple[float, ...]


def fit(rows: Float64, commands: NDArray[np.bool_], weights: Float64) -> Float64:
    """Logistic regression by Newton's method with a small ridge: coefficients, the constant last."""
    mean = np.average(rows, axis=0, weights=weights)
    scale = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights))
    scaled = np.column_stack([(rows - mean) / scale, np.ones(len(rows))])
    ridge = np.diag([1e-3] * rows.shape[1] + [0.0])
    found = np.zeros(scaled.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(scaled @ found, -40, 40)))
        slope = scaled.T @ (weights * (p - commands)) + ridge @ found
        curvature = (scaled.T * (weights * p * (1 - p))) @ scaled + ridge
        step = np.linalg.solve(curvature, slope)
        found -= step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-9))
    raw = found[:-1] / scale
    return np.append(raw, found[-1] - raw @ mean)


def weigh(heard: Sequence[Heard], prior: float) -> Float64:
    """Every group weighs the same among the commands, or among the rest."""
    groups = {each.group: each.command for each in heard}
    size = {name: sum(each.group == name for each in heard) for name in groups}
    kinds = list(groups.values())
    share = {True: prior / max(kinds.count(True), 1), False: (1 - prior) / max(kinds.count(False), 1)}
    return np.array([share[each.command] / size[each.group] for each in heard])


def solve(heard: Sequence[Heard], prior: float) -> Float64:
    rows = np.array([each.features for each in heard])
    return fit(rows, np.array([each.command for each in heard]), weigh(heard, prior))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--commands", nargs=2, action="append", default=[], metavar=("MANIFEST", "GRAMMAR"))
    parser.add_argument("--others", nargs=2, action="append", default=[], metavar=("FOLDER", "GRAMMAR"))
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--snr", default="12,6", help="besides without noise (default: %(default)s)")
    parser.add_argument("--prior", type=float, default=0.75, help="share of commands (default: %(default)s)")
    args = parser.parse_args()
    reader = load()
    sources = [(name, True, [item.path for item in manifest.load(Path(name))], pack) for name, pack in args.commands]
    sources += [(name, False, sorted(filter(Path.is_file, Path(name).rglob("*"))), pack) for name, pack in args.others]
    noise = None if args.noise is None else read(args.noise).float32()
    snrs = [None] if noise is None else [None, *map(float, args.snr.split(","))]
    heard: list[Heard] = []
    for name, command, paths, pack in sources:
        grammar = Grammar.load([Path(pack)])
        for path in paths:
            for snr in snrs:
                print(f"\r{name} {path.name} {len(heard)}", end="\033[K", file=sys.stderr)
                group = f"{name} {Path(pack).name} {'clean' if snr is None else f'{snr:g} dB'}"
                samples = read(path).float32()[:LONGEST]
                if snr is not None and noise is not None:
                    under = piece(noise, len(samples), lead=0, tail=0, seed=int(snr), name=path.name)
                    samples = mix(samples, under, 0, snr)
                fits = judge(reader, samples, grammar)
                if fits is not None:
                    heard.append(Heard(group, command, zlib.crc32(path.name.encode()) % PARTS, fits))
    print(file=sys.stderr)
    found = solve(heard, args.prior)
    print("weights " + ", ".join(f"{value:.3f}" for value in found[:-1]) + f"; constant {found[-1]:.3f}")
    scores = np.zeros(len(heard))
    for part in range(PARTS):
        inside = np.array([each.part == part for each in heard])
        if inside.any():
            held = solve([each for each in heard if each.part != part], args.prior)
            rows = np.array([each.features for each in heard if each.part == part])
            scores[inside] = 1 / (1 + np.exp(-(rows @ held[:-1] + held[-1])))
    thresholds = (0.1, 0.3, 0.5, 0.7, 0.9)
    print("refused below:".ljust(60) + "".join(f"{at:7g}" for at in thresholds))
    for group in dict.fromkeys(each.group for each in heard):
        inside = np.array([each.group == group for each in heard])
        print(group[-60:].ljust(60) + "".join(f"{100 * (scores[inside] < at).mean():7.1f}" for at in thresholds))
    return 0


def load() -> GrammarReader:
    options = whisper.Options()
    folder = ModelStore().path(options.model)
    tokens = whisper_tokens.load(folder / "tokens.json")
    rule = rules(tokens, None, options.suppress_symbols, options.max_tokens)
    return GrammarReader(WhisperNet(folder, 1), tokens, rule, prompt=options.prompt)


def judge(reader: GrammarReader, samples: Float32, grammar: Grammar) -> tuple[float, ...] | None:
    """The features of the sentence that fits best; None when there is none."""
    context = len(samples) / RATE + whisper.Options().padding
    searched = reader.search(samples, grammar.automaton, context=context, width=whisper.Options().beams)
    return None if searched.fit is None else features(searched.fit, searched.no_speech)


if __name__ == "__main__":
    sys.exit(main())
