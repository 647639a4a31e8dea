"""``edgevoice tune``: the best engines, models and options for this machine, within budgets."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevoice.cli.common import add_config_arguments, add_grammar_argument, load_config, positive

if TYPE_CHECKING:
    from edgevoice.config import Config
    from edgevoice.modelstore import ModelStore
    from edgevoice.think.grammar import Grammar
    from edgevoice.tune.budgets import Budgets
    from edgevoice.tune.corpus import Corpus
    from edgevoice.tune.report import Report
    from edgevoice.tune.search import Found
    from edgevoice.tune.space import Space

HELP = "find the best engines, models and options for this machine, within budgets"

RECORDINGS = 60
"""Recordings at most, unless --limit says otherwise: minutes on a slow board, and a share known to about 5 %."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    budgets = parser.add_argument_group("budgets", "What does not keep them is not chosen. Each may be left out.")
    budgets.add_argument(
        "--latency-p95",
        metavar="600ms",
        help="from the end of speech to the first audio of the reply, for 95 of 100 commands",
    )
    budgets.add_argument("--memory", metavar="400MB", help="resident memory")
    budgets.add_argument("--cpu-idle", metavar="5%", help="of one core, while only the wake word is waited for")
    budgets.add_argument("--wer", metavar="8%", help="word error rate of free text")
    budgets.add_argument("--intent-accuracy", metavar="97%", help="commands with intent and slots all right")
    parser.add_argument(
        "--prefer",
        choices=("accuracy", "latency", "memory", "cpu"),
        default="accuracy",
        help="what counts first among those that keep the budgets (default: accuracy)",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="recordings: JSON lines with audio, and intent and slots, or text (default: a voice speaks commands)",
    )
    add_grammar_argument(parser)
    parser.add_argument(
        "--limit", type=positive, metavar="N", help=f"recordings at most, drawn by chance (default: {RECORDINGS})"
    )
    parser.add_argument(
        "--model", action="append", default=[], metavar="FOLDER", help="also try this recogniser's model"
    )
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="KEY",
        help="leave this as it is configured: a key, or all of a section, such as 'tts' or 'asr.whisper.prompt'",
    )
    parser.add_argument("--time-limit", metavar="10m", help="stop searching after this time, with what was found")
    parser.add_argument(
        "--out", type=Path, default=Path("edgevoice-tuned.yaml"), metavar="FILE", help="default: edgevoice-tuned.yaml"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE if it is there")
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="what was measured is kept here (default: the --out file's, .state)"
    )
    parser.add_argument("--fresh", action="store_true", help="measure anew what is in the state file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Everything is checked before anything is measured. What was measured is kept, however it ends."""
    import time

    from edgevoice.errors import BudgetError
    from edgevoice.modelstore import ModelStore
    from edgevoice.think.grammar import Grammar
    from edgevoice.tune import report as reports
    from edgevoice.tune import write
    from edgevoice.tune.processes import configured

    began = time.monotonic()
    budgets, limit, config = _asked(args)
    store = ModelStore()
    grammar = Grammar.load(config.packs())
    corpus = _corpus(args, config, grammar, store)
    _check_measurable(budgets, corpus)
    space = _space(args, config, store, corpus, budgets)
    found, caution = _search(args, config, corpus, space, budgets, None if limit is None else began + limit)

    report = reports.report(
        found,
        budgets=budgets,
        inputs=corpus.inputs,
        recordings=corpus.origin,
        combinations=space.size,
        seconds=time.monotonic() - began,
        versions=_versions(),
        options=_options(args),
        caution=caution,
    )
    if args.json is not None:
        write.save(_json(report), args.json)
    for line in reports.table(report):
        print(line)
    for text in report.caution:
        print(f"with caution: {text}")
    if found.winner is None:
        raise _refused(args, report, BudgetError)
    tuned = configured(config, found.winner.settings)
    write.save(write.document(tuned, found.winner.settings, list(reports.evidence(report))), args.out)
    if not found.complete:
        print(f"the time was up; the same command goes on searching from {_state(args)}")
    print(f"{args.out}: use it with: edgevoice run --config {args.out}")
    return 0


def _spent() -> float:
    """Processor seconds of this process and of all that it has waited for."""
    import resource

    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


# Before --------------------------------------------------------------------------------------------------------


def _asked(args: argparse.Namespace) -> "tuple[Budgets, float | None, Config]":
    """What was typed, all of it checked together: budgets, seconds at most, configuration."""
    from edgevoice.errors import ConfigError, EdgeVoiceError
    from edgevoice.evaluate.listening import with_grammars
    from edgevoice.suggest import did_you_mean
    from edgevoice.tune import budgets, space

    mistakes: list[EdgeVoiceError] = []
    found, limit, config = budgets.Budgets(), None, None
    try:
        found = budgets.parse(vars(args))
    except ConfigError as error:
        mistakes.append(error)
    if args.time_limit is not None:
        try:
            limit = budgets.duration(args.time_limit)
        except ValueError as error:
            mistakes.append(ConfigError(str(error), place="option --time-limit", remedy="for example 90s, 10m or 1h"))
    try:
        config = with_grammars(load_config(args), args.grammar)
    except ConfigError as error:
        mistakes.append(error)
    else:
        known = set(space.keys(config))
        for key in args.keep:
            if key not in known:
                hint = did_you_mean(key, known)
                mistakes.append(ConfigError(f"there is no key '{key}'", place="option --keep", remedy=hint))
    for path, force in ((args.out, args.force), (args.json, True), (_state(args), True)):
        if path is not None and (wrong := _unwritable(path, force=force)) is not None:
            mistakes.append(wrong)
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise ConfigError(f"{len(mistakes)} mistakes\n" + "\n".join(map(str, mistakes)))
    assert config is not None
    return found, limit, config


def _state(args: argparse.Namespace) -> Path:
    state: Path = args.state or args.out.with_name(f"{args.out.name}.state")
    return state


def _unwritable(path: Path, *, force: bool) -> "Any":
    import os

    from edgevoice.errors import OutputError

    if path.is_dir():
        return OutputError("it is a directory", place=str(path), remedy="name a file")
    if not path.parent.is_dir():
        return OutputError("there is no such folder", place=str(path.parent), remedy="make the folder first")
    if not os.access(path.parent, os.W_OK):
        return OutputError("nothing can be written there", place=str(path.parent), remedy="choose another folder")
    if path.exists() and not force:
        return OutputError(
            "it is there already", place=str(path), remedy="overwrite it with --force, or name another file with --out"
        )
    return None


def _corpus(args: argparse.Namespace, config: "Config", grammar: "Grammar", store: "ModelStore") -> "Corpus":
    import logging
    import sys

    from edgevoice.tune import corpus

    if args.manifest is None:
        print("a voice speaks the commands: no --manifest of recordings was given", file=sys.stderr)
        folder = _cache() / "tune"
        return corpus.spoken(config, grammar, store, folder, min(args.limit or corpus.SPOKEN, corpus.SPOKEN))
    found, warnings = corpus.from_manifest(args.manifest, args.limit or RECORDINGS, grammar)
    for warning in warnings[:20]:
        logging.getLogger("edgevoice.tune").warning("%s", warning)
    return found


def _cache() -> Path:
    import os

    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "edgevoice"


def _check_measurable(budgets: "Budgets", corpus: "Corpus") -> None:
    """That the recordings have the labels that the budgets are about."""
    from edgevoice.engines.registry import require
    from edgevoice.errors import ConfigError

    if budgets.accuracy is not None and not corpus.inputs.commands:
        raise ConfigError(
            "no recording has an intent", place="option --intent-accuracy", remedy="give them 'intent' and 'slots'"
        )
    if budgets.wer is not None and not corpus.inputs.words:
        raise ConfigError("no recording has a text", place="option --wer", remedy="give them 'text' in the manifest")
    if _free_text(budgets, corpus):
        require("jiwer", extra="bench")


def _free_text(budgets: "Budgets", corpus: "Corpus") -> bool:
    """Whether words are counted: that takes as long again, so only if it is asked for, or there is nothing else."""
    return budgets.wer is not None or not corpus.inputs.commands


def _space(
    args: argparse.Namespace, config: "Config", store: "ModelStore", corpus: "Corpus", budgets: "Budgets"
) -> "Space":
    import logging
    import os

    from edgevoice.tune import inventory, space

    found = {}
    for task, installed in (("asr", inventory.recognisers(store, args.model)), ("tts", inventory.voices(store))):
        own = space.configured_model(getattr(config, task))
        found[task], problems = inventory.usable(store, [own, *installed])
        if not found[task]:
            raise problems[0]
        for problem in problems:
            logging.getLogger("edgevoice.tune").warning("left out: %s", problem)
    return space.build(
        config,
        recognisers=found["asr"],
        voices=found["tts"],
        cores=len(os.sched_getaffinity(0)),
        keep=args.keep,
        commands=bool(corpus.inputs.commands),
        free_text=_free_text(budgets, corpus),
    )


# The search ----------------------------------------------------------------------------------------------------


def _search(
    args: argparse.Namespace,
    config: "Config",
    corpus: "Corpus",
    space: "Space",
    budgets: "Budgets",
    deadline: float | None,
) -> "tuple[Found, tuple[str, ...]]":
    """What was found, and what makes it less trustworthy."""
    import sys
    import time

    from edgevoice.bench.conditions import Conditions
    from edgevoice.cli.progress import ProgressLine
    from edgevoice.tune.processes import ProcessMeasurer
    from edgevoice.tune.search import Search
    from edgevoice.tune.state import Ledger

    state = _state(args)
    with ProgressLine(sys.stderr, quiet=args.quiet) as line:
        stage = {"done": 0, "total": 1}

        def progress(what: str, total: int) -> None:
            stage.update(done=0, total=max(total, 1))
            line.step(what)

        def advance(*_: object) -> None:
            stage["done"] += 1
            line.advance(min(stage["done"], stage["total"]), stage["total"], f"{stage['done']} of {stage['total']}")

        ledger = Ledger(
            ProcessMeasurer(config, corpus, _free_text(budgets, corpus)),
            path=state,
            key=_key(config, corpus, space, free_text=_free_text(budgets, corpus)),
            expired=lambda: deadline is not None and time.monotonic() >= deadline,
            on_outcome=advance,
        )
        if not args.fresh and (known := ledger.restore()):
            line.step(f"{known} measurements are known from {state}")
        conditions, spent = Conditions(), _spent()
        try:
            found = Search(ledger, space, budgets, corpus.inputs, args.prefer, progress).run()
        except (KeyboardInterrupt, SystemExit):
            line.step(f"stopped; what was measured is kept in {state}, and the same command goes on from there")
            raise
        finally:
            if ledger.measured:  # else the figures are of earlier runs, and so is what disturbed them
                for flag in conditions.flags(_spent() - spent):
                    ledger.note(flag.text)
        return found, tuple(ledger.notes)


def _key(config: "Config", corpus: "Corpus", space: "Space", *, free_text: bool) -> dict[str, str]:
    """What must be the same for figures to go together."""
    import hashlib

    import msgspec

    from edgevoice.evaluate.machine import machine

    def digest(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()[:12]

    made = machine()
    return {
        "processor": f"{made.processor}, {made.cores} cores, {made.architecture}",
        "python": made.python,
        **_versions(),
        **_models(space),
        "configuration": digest(msgspec.json.encode(config)),
        "recordings": corpus.digest(),
        "free text": str(free_text),
    }


def _models(space: "Space") -> dict[str, str]:
    """A mark of the files of every model that is tried, which changes when they do."""
    from edgevoice.errors import ModelError
    from edgevoice.modelstore import ModelStore

    store, found = ModelStore(), {}
    for trial in (*space.hear, *space.speak):
        for key, value in trial.settings:
            if key.endswith(".model") and str(value) not in found:
                try:
                    folder = store.path(str(value))
                except ModelError:
                    continue  # trying it says what is wrong
                files = [folder] if folder.is_file() else sorted(folder.glob("*.*"))
                size = sum(path.stat().st_size for path in files)
                found[str(value)] = f"{folder.name}, {size} bytes"
    return {f"model {name}": mark for name, mark in found.items()}


def _versions() -> dict[str, str]:
    from edgevoice.evaluate.machine import versions

    return versions(("edgevoice", "numpy", "onnxruntime", "ai-edge-litert", "hibari-tts", "vosk", "piper-tts"))


# Afterwards ----------------------------------------------------------------------------------------------------


def _options(args: argparse.Namespace) -> dict[str, Any]:
    kept = (str, int, float, list, Path)
    return {
        name: [str(each) for each in value]
        if isinstance(value, list)
        else str(value)
        if isinstance(value, Path)
        else value
        for name, value in vars(args).items()
        if isinstance(value, kept) and name != "command"
    }


def _json(report: "Report") -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"


def _refused(args: argparse.Namespace, report: "Report", error: "Any") -> Exception:
    from edgevoice.tune.report import refusal

    if not report.found.complete:
        found: Exception = error(
            "the time was up before anything was found that keeps the budgets",
            remedy=f"the same command goes on from {_state(args)}",
        )
        return found
    cause, remedy = refusal(report)
    refused: Exception = error(cause, remedy=remedy)
    return refused
