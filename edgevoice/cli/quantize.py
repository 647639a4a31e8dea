"""``edgevoice quantize``: make a model smaller, and publish it if it still does its work."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevoice.modelfiles import Progress
    from edgevoice.modelstore import ModelStore
    from edgevoice.quantize.gate import Measurement
    from edgevoice.quantize.recipe import Recipe
    from edgevoice.quantize.search import Result, Step
    from edgevoice.quantize.subject import Subject

HELP = "make a model smaller without losing what it does"

WARNINGS = 10
"""Shown: enough to see what they have in common."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="float32 model: NAME, NAME@VERSION, or a path (with a /)")
    parser.add_argument("--manifest", type=Path, required=True, metavar="FILE", help="JSON lines it is measured on")
    parser.add_argument("--limit", type=int, metavar="N", help="lines of the manifest at most")
    parser.add_argument(
        "--recipe",
        default="auto",
        choices=("auto", "dynamic", "static", "fp16", "nbits", "weights"),
        help="auto (the default) finds the smallest that passes; weights is for TFLite, fp16 and nbits for ONNX",
    )
    parser.add_argument("--operators", metavar="A,B", help="ONNX operators that are changed, for example MatMul,Conv")
    parser.add_argument("--per-tensor", action="store_true", help="one scale for a whole matrix, not one by channel")
    parser.add_argument("--ranges", choices=("minmax", "entropy", "percentile"), help="of activations, for static")
    parser.add_argument("--block", type=int, choices=(16, 32, 64, 128, 256), help="weights to a scale, for nbits")
    parser.add_argument("--keep-float", action="append", default=[], metavar="LAYER", help="leave it as it is (repeat)")
    parser.add_argument("--graph", action="append", default=[], metavar="FILE", help="only this file (repeat)")
    parser.add_argument(
        "--calibration", type=Path, metavar="FOLDER|FILE", help="recordings at 16 kHz, or a manifest; texts for a voice"
    )
    parser.add_argument("--calibration-limit", type=int, default=8, metavar="N", help="recordings of it (default: 8)")
    parser.add_argument("--task", choices=("asr", "intents", "wake", "vad", "tts"), help="told from the model")
    parser.add_argument("--engine", metavar="NAME", help="that runs the model; told from the model")
    parser.add_argument("--word", metavar="NAME", help="wake word that features are measured with: a model or a path")
    parser.add_argument(
        "--grammar", type=Path, action="append", default=[], metavar="FILE", help="for intents (repeat)"
    )
    parser.add_argument(
        "--max-drop",
        action="append",
        default=[],
        metavar="[METRIC=]N",
        help="how much worse it may get, of all shares or of one metric (repeat; default 0.01)",
    )
    parser.add_argument("--name", help="of the model in the store that the result becomes a version of")
    parser.add_argument("--version", metavar="VERSION", help="of the result (default: what was done)")
    parser.add_argument("--use", action="store_true", help="let the name stand for the new version at once")
    parser.add_argument("--dry-run", action="store_true", help="measure and report, publish nothing")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where measurements are kept (default: the cache)")
    parser.add_argument("--json", action="store_true", help="everything as JSON on stdout")


def run(args: argparse.Namespace) -> int:
    import tempfile

    from edgevoice.cli.progress import ProgressLine
    from edgevoice.errors import ConfigError, GateError
    from edgevoice.modelstore import ModelStore
    from edgevoice.quantize import gate, publish, samples
    from edgevoice.quantize.feeds import CalibrationSet, Material
    from edgevoice.quantize.journal import Journal, key
    from edgevoice.quantize.mistakes import Mistakes
    from edgevoice.quantize.search import Search, layers_in_float
    from edgevoice.quantize.subject import LINES, Changer, assemble, check, subject
    from edgevoice.think.grammar import Grammar

    recipe = _recipe(args)
    max_drop = gate.parse_max_drop(args.max_drop)
    store = ModelStore()
    source, known = publish.source_model(store, args.model)
    steps: list[Step] = []
    with (
        tempfile.TemporaryDirectory(prefix="edgevoice-") as scratch_name,
        ProgressLine(sys.stderr) as progress,
        _as_typed(source, scratch := Path(scratch_name)),
    ):
        progress.step("reading the model")
        about = subject(source, scratch, args.task, args.engine, args.graph)
        given, mistakes = None, Mistakes()
        lines: list[samples.Heard | samples.Written] = []
        with mistakes:
            gate.check_limits(about.task, gate.METRICS[about.task], max_drop)
        with mistakes:
            lines, set_ = samples.load(LINES[about.task], args.manifest, args.limit)
        if args.calibration is not None:
            with mistakes:
                given = CalibrationSet(args.calibration, args.calibration_limit, texts=about.task == "tts")
                given.apart_from(lines, args.manifest)
        if args.grammar and about.task != "intents":
            with mistakes:
                raise ConfigError(
                    f"it is only for intents, and this is measured for {about.task}",
                    place="option --grammar",
                    remedy="add --task intents, or leave it out",
                )
        for grammar in args.grammar:
            with mistakes:
                Grammar.load([grammar])
        word = None
        if args.word:
            with mistakes:
                word = _word(args.word, about, store)
        mistakes.complain()
        if about.task == "intents":
            _check_labels(args, progress)
        heard = Material.of(lines, args.manifest, args.calibration_limit) if given is None else None
        changers = {graph: Changer(about.folder / graph, given, heard) for graph in about.graphs}
        if recipe is not None:
            check(changers, recipe, args.keep_float)
        beside = [*args.grammar, *([word] if word else []), *_features(about)]
        journal = Journal((args.work or _cache()) / "measurements.jsonl")
        name = args.name or known.name
        if not args.dry_run and args.version:
            store.check_free(name, args.version, "asr" if about.task == "intents" else about.task)

        def measure(model: Path) -> "Measurement":
            found = journal.get(one := key(model, about.task, about.engine, set_, beside))
            if found is None:
                found = gate.measure(
                    about.task,
                    model,
                    args.manifest,
                    args.limit,
                    engine=about.engine,
                    reference=about.reference,
                    options={"models": [str(word)]} if word else None,
                    grammars=args.grammar,
                    progress=progress,
                )
                journal.put(one, found)
            return found

        def told(step: "Step") -> None:
            steps.append(step)
            said = "passes" if step.passed else "does not pass" if step.measurement else "left out"
            kept = layers_in_float(step.kept_float)
            progress.step(f"{step.graph}: {step.recipe}{kept}, {step.size / 1e6:.2f} MB: {said}: {step.why}")

        before = None
        try:
            progress.step("measuring the float model")
            before = measure(about.folder)
            search = Search(about, changers, before, max_drop, measure, scratch, told, progress)
            result = search.auto() if recipe is None else search.fixed(recipe, args.keep_float)
        except KeyboardInterrupt:
            _show(args, before, steps, None, "", stopped=True)
            raise
        published = ""
        if result.verdict is not None and result.measurement is not None and not args.dry_run and result.verdict.passed:
            version = args.version or _version(result)
            folder = assemble(about.folder, result.changed, scratch / "result")
            publish.publish(
                store,
                folder,
                known,
                name=name,
                version=version,
                recipe={
                    graph: result.recipes[graph].description(tflite=graph.endswith(".tflite"))
                    for graph in sorted(result.recipes)
                },
                calibration=given.known if given else None,
                kept_float=[f"{graph}:{each}" for graph in sorted(result.kept) for each in result.kept[graph]],
                before=before,
                after=result.measurement,
                verdict=result.verdict,
                use=args.use,
                progress=progress,
            )
            published = f"{name}@{version}"
    _show(args, before, steps, result, published)
    if result.verdict is None:
        raise GateError(
            "no smaller model passed, so nothing is published",
            place=args.model,
            remedy="allow more with --max-drop, or give --calibration for more recipes",
        )
    result.verdict.raise_unless_passed(args.model)
    return 0


@contextlib.contextmanager
def _as_typed(source: Path, scratch: Path) -> Iterator[None]:
    """Lets errors name the model that was given, not copies of it that are gone when they are read."""
    from edgevoice.errors import EdgeVoiceError
    from edgevoice.quantize.search import CANDIDATE
    from edgevoice.quantize.subject import FLOAT

    copied = source.parent if source.is_file() else source
    try:
        yield
    except EdgeVoiceError as error:
        for folder, name in ((scratch / FLOAT, str(copied)), (scratch / CANDIDATE, f"changed, {copied}")):
            error.place = error.place.replace(str(folder), name)
            error.cause = error.cause.replace(str(folder), name)
        raise


def _check_labels(args: argparse.Namespace, progress: "Progress") -> None:
    """
    Raises:
        ConfigError: the grammar cannot give the label of any line.
    """
    from edgevoice.quantize import labels

    warnings = labels.check(args.manifest, args.limit, args.grammar)
    for warning in warnings[:WARNINGS]:
        progress.step(f"warning: {warning}")
    if len(warnings) > WARNINGS:
        progress.step(f"warning: and {len(warnings) - WARNINGS} more like these")


def _word(name: str, about: "Subject", store: "ModelStore") -> Path:
    """The file of the wake word that features are measured with.

    Raises:
        ConfigError: there is nothing here that it could be for. ModelError: there is no such word.
    """
    from edgevoice.engines.wake import wordfile
    from edgevoice.errors import ConfigError

    if about.engine != "openwakeword":
        raise ConfigError(
            f"it is only for features of openWakeWord, and this is for {about.engine}",
            place="option --word",
            remedy="leave it out",
        )
    return wordfile.find(name, store.path(name)).absolute()


def _features(about: "Subject") -> list[Path]:
    """The files of the features in the store that a word without any is measured with.

    Raises:
        ModelError: they are not there.
    """
    from edgevoice.quantize import wakeparts

    if about.engine != "openwakeword" or wakeparts.has_features(about.folder):
        return []
    return sorted(path for path in wakeparts.features(about.folder).iterdir() if path.suffix == ".tflite")


def _recipe(args: argparse.Namespace) -> "Recipe | None":
    """What was typed, or None for ``auto``.

    Raises:
        ConfigError: an option that this recipe does not have.
    """
    from edgevoice.errors import ConfigError
    from edgevoice.quantize.recipe import Recipe

    kinds = {
        "operators": ("dynamic", "static", "nbits"),
        "per_tensor": ("dynamic", "static"),
        "ranges": ("static",),
        "block": ("nbits",),
        "keep_float": ("dynamic", "static", "nbits", "fp16", "weights"),
    }
    wrong = [name for name, has in kinds.items() if getattr(args, name) and args.recipe not in has]
    if wrong:
        options = ", ".join("--" + name.replace("_", "-") for name in wrong)
        raise ConfigError(f"the recipe '{args.recipe}' has no {options}", place="option --recipe")
    limits = {"--limit": args.limit, "--calibration-limit": args.calibration_limit}
    if low := [option for option, limit in limits.items() if limit is not None and limit < 1]:
        raise ConfigError("it must be 1 at least", place=f"option {', '.join(low)}")
    if args.recipe == "static" and args.calibration is None:
        raise ConfigError("a static recipe needs recordings", place="option --recipe", remedy="give --calibration")
    if args.recipe == "auto":
        return None
    operators = tuple(part.strip() for part in args.operators.split(",") if part.strip()) if args.operators else ()
    return Recipe(
        kind=args.recipe,
        operators=operators,
        per_channel=not args.per_tensor,
        calibration=args.ranges or "minmax",
        block=args.block or 32,
    )


def _version(result: "Result") -> str:
    names = {recipe.name for recipe in result.recipes.values()}
    kept = sum(len(each) for each in result.kept.values())
    return "-".join(sorted(names)) + (f"-float{kept}" if kept else "")


def _cache() -> Path:
    import os

    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "edgevoice" / "quantize"


def _show(
    args: argparse.Namespace,
    before: "Measurement | None",
    steps: "list[Step]",
    result: "Result | None",
    published: str,
    *,
    stopped: bool = False,
) -> None:
    import msgspec

    if args.json:
        report: dict[str, Any] = {
            "format": 1,
            "model": args.model,
            "before": before,
            "steps": steps,
            "chosen": {
                graph: {
                    "recipe": recipe.description(tflite=graph.endswith(".tflite")),
                    "kept_float": result.kept[graph],
                    "noise": result.noise[graph],
                }
                for graph, recipe in sorted(result.recipes.items())
            }
            if result
            else {},
            "after": result.measurement if result else None,
            "verdict": result.verdict if result else None,
            "published": published or None,
            "stopped": stopped,
        }
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
        return
    if before is not None:
        first = before.metrics[0]
        labels = [_label(step) for step in steps]
        wide = max(map(len, ["float32", *labels]))
        print(f"{'':<{wide}} {'size':>9} {'load':>8} {'memory':>8} {'p50':>9}  {first.name} (95 %), n = {first.n}")
        print(f"{'float32':<{wide}} {_row(before)}")
        for label, step in zip(labels, steps, strict=True):
            if step.measurement is None:
                print(f"{label:<{wide}} left out: {step.why}")
            else:
                verdict = "passed" if step.passed else "did not pass"
                print(f"{label:<{wide}} {_row(step.measurement)}  {verdict}")
    if result and result.verdict:
        for line in result.verdict.report():
            print(line)
        if result.verdict.unsure:
            print("the recordings are too few to exclude that it lost more than is allowed")
    if published:
        print(f"published as {published}")
    elif stopped:
        print("stopped; what was measured is kept, the store is as it was")


def _label(step: "Step") -> str:
    return f"{step.graph} {step.recipe}" + (f", {len(step.kept_float)} float" if step.kept_float else "")


def _row(found: "Measurement") -> str:
    first = found.metrics[0]
    return (
        f"{found.size / 1e6:>6.2f} MB {found.load_ms:>5.0f} ms {found.rss_mb:>5.0f} MB "
        f"{found.latency_p50_ms:>6.1f} ms  {first.value:.4g} ({first.low:.3g} to {first.high:.3g})"
    )
