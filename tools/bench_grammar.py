"""What a large grammar costs: compiling, matching, changing a list, and preparing the recogniser for it.

    python -m tools.bench_grammar [--templates 200] [--names 2000] [--runs 5] [--json]

The grammar is generated: templates of one to three slots over one list of names of two or three words, with
alternatives, optional words, rules and ranges. All is measured in a process of its own, so that its memory is its own.
Times are CPU times of its one thread, which other work on the machine disturbs least.
"""

import argparse
import itertools
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edgevoice.bench.procfs import status

_VERBS = ("turn on", "turn off", "switch on", "open", "close", "dim", "start", "stop", "raise", "lower")
_ENDINGS = ("", "now", "in {n} minutes", "to {n} percent", "for {n} hours", "until {n}", "in the {room}", "again")
_HEADS = ("", "please", "[could you] kindly", "<ask>", "(quickly|slowly)", "[just] once more")
_ROOMS = ("kitchen", "living room", "bedroom", "bath", "hall", "cellar", "attic", "garage")
_ONSETS = ("b", "br", "d", "dr", "f", "fl", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "w")
_RHYMES = ("ack", "all", "an", "are", "ate", "ell", "en", "ick", "ill", "in", "ock", "one", "ore", "un", "uck", "y")


def names_of(number: int) -> list[str]:
    """So many different names."""
    chance = random.Random(1)
    syllables = [onset + rhyme for onset, rhyme in itertools.product(_ONSETS, _RHYMES)]
    words = [first + second for first, second in itertools.product(syllables, ("", "ton", "er", "ow"))]
    found: dict[str, None] = {}
    while len(found) < number:
        found[" ".join(chance.sample(words, chance.choice((2, 2, 3))))] = None
    return list(found)


def pack(templates: int, names: int) -> str:
    """The grammar, as YAML."""
    rows = itertools.islice(itertools.product(_HEADS, _VERBS, _ENDINGS), templates)
    lines = ["intents:"]
    for number, (head, verb, ending) in enumerate(rows):
        sentence = " ".join(part for part in (head, verb, "[the|my] {name}", ending) if part)
        lines.append(f'  I{number}: {{data: [{{sentences: ["{sentence}"]}}]}}')
    lines += ["lists:", f"  name: [{', '.join(names_of(names))}]", f"  room: [{', '.join(_ROOMS)}]"]
    lines += ["  n: {range: {from: 0, to: 100}}", "expansion_rules:", "  ask: (can|could|would) you [please]"]
    lines += ["skip_words: [please, hey]"]
    return "\n".join(lines) + "\n"


def measure(templates: int, names: int, runs: int) -> dict[str, Any]:
    """All figures; to be called in a fresh process."""
    from edgevoice.engines.asr import whisper_tokens
    from edgevoice.engines.asr.token_automaton import Speller, TokenAutomaton
    from edgevoice.modelstore import ModelStore
    from edgevoice.think.grammar import Grammar, Match

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pack.yaml"
        path.write_text(pack(templates, names), "utf-8")
        bare = status()["VmRSS"]
        began = time.process_time()
        grammar = Grammar.load([path])
        compile_first = time.process_time() - began
        compiled = status()["VmRSS"]
        states = grammar.automaton.states
        again = [_timed(lambda: Grammar.load([path])) for _ in range(runs - 1)]
    said = [phrase for phrase in grammar.phrases(4 * templates) if isinstance(grammar.match(phrase), Match)]
    match = statistics.median(_timed(partial(grammar.match, phrase)) for phrase in said)
    known = names_of(names)
    others = [f"new {name}" for name in known]
    replaced = _timed(lambda: grammar.replace_list("name", others))
    grammar.replace_list("name", known)
    longer = [[*known, f"lamp {number}"] for number in range(runs)]
    one_more = [_timed(partial(grammar.replace_list, "name", row)) for row in longer]
    room = [_timed(lambda: grammar.replace_list("room", [*_ROOMS, "balcony"])) for _ in range(runs)]
    tokens = whisper_tokens.load(ModelStore().path("whisper-tiny.en-int8") / "tokens.json")
    began = time.process_time()
    speller = Speller(tokens, tokens.suppress)
    spell = time.process_time() - began
    spoken = [*itertools.islice(grammar.phrases(templates), 0, None, max(1, templates // 20))]

    def prepare() -> None:
        automaton = TokenAutomaton(grammar.automaton, speller)
        for phrase in spoken:
            state = automaton.start
            automaton.allowed(state)
            for token in speller.spell(f" {phrase}."):
                state = automaton.next(state, token)
                automaton.allowed(state)

    first = _timed(prepare)
    later = [_timed(prepare) for _ in range(runs)]
    grammar.replace_list("name", [*known, "one more lamp"])
    changed = _timed(prepare)
    return {
        "templates": templates,
        "names": names,
        "states": states,
        "compile_s": compile_first,
        "compile_again_s": min(again, default=compile_first),
        "compiled_mb": compiled - bare,
        "match_ms": 1000 * match,
        "replace_names_ms": 1000 * replaced,
        "add_name_ms": 1000 * statistics.median(one_more),
        "replace_rooms_ms": 1000 * statistics.median(room),
        "speller_ms": 1000 * spell,
        "tokens_first_ms": 1000 * first,
        "tokens_later_ms": 1000 * statistics.median(later),
        "tokens_changed_ms": 1000 * changed,
        "all_mb": status()["VmRSS"] - bare,
    }


_ROWS = {
    "compile_s": ("reading and compiling, s", "{:.2f}"),
    "compile_again_s": ("the same, best of later ones, s", "{:.2f}"),
    "compiled_mb": ("memory it adds, MB", "{:.0f}"),
    "states": ("states", "{}"),
    "match_ms": ("matching a sentence, ms", "{:.2f}"),
    "replace_names_ms": ("other names for all, ms", "{:.1f}"),
    "add_name_ms": ("one name more, ms", "{:.1f}"),
    "replace_rooms_ms": ("one room more, ms", "{:.1f}"),
    "speller_ms": ("the recogniser's table of tokens, once, ms", "{:.0f}"),
    "tokens_first_ms": ("20 sentences in tokens, the first time, ms", "{:.0f}"),
    "tokens_later_ms": ("the same with what is spelt already, ms", "{:.0f}"),
    "tokens_changed_ms": ("the same after the names were replaced, ms", "{:.0f}"),
    "all_mb": ("memory of everything, MB", "{:.0f}"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", type=int, default=200, help="at most 480")
    parser.add_argument("--names", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        figures = pool.apply(measure, (args.templates, args.names, args.runs))
    if args.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{figures['templates']} templates, {figures['names']} names")
    for key, (label, form) in _ROWS.items():
        print(f"{label:<46} {form.format(figures[key]):>8}")


def _timed(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
