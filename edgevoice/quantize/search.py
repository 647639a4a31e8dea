"""Tries recipes on a model, and finds the smallest result that the gate lets pass."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgevoice.errors import ModelError
from edgevoice.modelfiles import Progress
from edgevoice.quantize.gate import LayerNoise, Measurement, Verdict, judge
from edgevoice.quantize.recipe import Recipe
from edgevoice.quantize.subject import Changer, Subject, assemble

ONNX_TRIED = (
    Recipe(kind="nbits"),
    Recipe(kind="dynamic"),
    Recipe(kind="dynamic", operators=("MatMul", "Gemm", "Conv")),
    Recipe(kind="static"),
    Recipe(kind="static", calibration="percentile"),
    Recipe(kind="fp16"),
)
"""Without ranges by entropy: these take up to a second for every value of a graph, minutes for a voice."""
TFLITE_TRIED = (Recipe(kind="dynamic"), Recipe(kind="weights"), Recipe(kind="static"))
CANDIDATE = "candidate"
"""Folder for the model that is measured."""
HALVINGS = 4
"""Measurements at most that look for how many layers must stay in float: to a sixteenth of them."""

Measure = Callable[[Path], Measurement]
"""Runs a whole model on its task."""


def layers_in_float(kept: Sequence[str]) -> str:
    """In words, behind a recipe's name."""
    return f", {len(kept)} layer{'s' if len(kept) > 1 else ''} in float" if kept else ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate that was made."""

    graph: str
    recipe: str
    kept_float: tuple[str, ...] = ()
    size: int = 0
    """Bytes of the graph's file."""
    passed: bool = False
    why: str = ""
    """What the gate says, or why there is nothing to measure."""
    measurement: Measurement | None = None


@dataclass
class Result:
    """The model as it is so far."""

    changed: dict[str, bytes] = field(default_factory=dict)
    recipes: dict[str, Recipe] = field(default_factory=dict)
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)
    noise: dict[str, list[LayerNoise]] = field(default_factory=dict)
    measurement: Measurement | None = None
    verdict: Verdict | None = None


class Search:
    """
    Args:
        before: of the float model.
        scratch: a folder for candidates.
        told: is given every step when it is done; what it got is kept whatever happens after.
    """

    def __init__(
        self,
        subject: Subject,
        changers: Mapping[str, Changer],
        before: Measurement,
        max_drop: Mapping[str, float],
        measure: Measure,
        scratch: Path,
        told: Callable[[Step], None],
        progress: Progress,
    ) -> None:
        self._subject = subject
        self._changers = changers
        self._before = before
        self._max_drop = max_drop
        self._measure = measure
        self._scratch = scratch
        self._told = told
        self._progress = progress

    def fixed(self, recipe: Recipe, kept: Sequence[str]) -> Result:
        """One recipe for every graph, whether it passes or not.

        Raises:
            ModelError: a graph cannot be changed like this, or does not run afterwards.
        """
        result = Result()
        for graph in self._subject.graphs:
            changer = self._changers[graph]
            self._progress.step(f"quantizing {graph}: {recipe.name}")
            result.noise[graph] = [
                each for each in changer.sensitivity(recipe, self._scratch) if each.layer not in kept
            ]
            result.changed[graph] = changer.apply(recipe, kept)
            result.recipes[graph] = recipe
            result.kept[graph] = tuple(each for each in changer.layers(recipe) if each in kept)
        blamed = [each for noise in result.noise.values() for each in noise]
        self._judge(result, ", ".join(self._subject.graphs), recipe, tuple(kept), blamed)
        return result

    def auto(self) -> Result:
        """The smallest: graph by graph, the largest first, each with the others as they were found best so far."""
        best = Result()
        for graph in self._subject.graphs:
            best = self._best(graph, best)
        return best

    def _best(self, graph: str, start: Result) -> Result:
        changer = self._changers[graph]
        smallest = (self._subject.folder / graph).stat().st_size
        found = start
        whole: list[tuple[int, Recipe]] = []
        for recipe in TFLITE_TRIED if changer.is_tflite else ONNX_TRIED:
            if recipe.kind == "static" and not changer.feeds():
                continue
            self._progress.step(f"quantizing {graph}: {recipe.name}")
            try:
                whole.append((len(changer.apply(recipe, ())), recipe))
            except ModelError as error:
                self._told(Step(graph=graph, recipe=recipe.name, why=error.cause))
        for size, recipe in sorted(whole, key=lambda each: each[0]):
            if size >= smallest:
                self._told(Step(graph=graph, recipe=recipe.name, size=size, why="no smaller than what passed already"))
                continue
            tried = self._least_kept(graph, recipe, start, smallest)
            if tried is not None:
                found, smallest = tried, len(tried.changed[graph])
        return found

    def _least_kept(self, graph: str, recipe: Recipe, start: Result, smallest: int) -> Result | None:
        """The recipe with as few layers in float as pass, or None when that is no smaller than what there is."""
        changer = self._changers[graph]
        noise = changer.sensitivity(recipe, self._scratch)
        passes, fails, number, found = len(noise), -1, 0, None
        for _ in range(1 + HALVINGS):
            kept = tuple(each.layer for each in noise[:number])
            try:
                content = changer.apply(recipe, kept)
                small = len(content) < smallest
                trial = self._with(start, graph, recipe, kept, content, noise[number:])
                passed = small and self._judge(trial, graph, recipe, kept, noise[number:])
            except ModelError as error:
                self._told(Step(graph=graph, recipe=recipe.name, kept_float=kept, why=error.cause))
                return found
            if passed:
                found, passes = trial, number
            elif small:
                fails = number
            else:
                passes = number  # Enough layers to be too large: fewer are wanted, whether or not these pass.
            if passes - fails <= 1:
                break
            number = (passes + fails) // 2
        return found

    def _with(
        self, start: Result, graph: str, recipe: Recipe, kept: tuple[str, ...], content: bytes, noise: list[LayerNoise]
    ) -> Result:
        return Result(
            changed={**start.changed, graph: content},
            recipes={**start.recipes, graph: recipe},
            kept={**start.kept, graph: kept},
            noise={**start.noise, graph: noise},
        )

    def _judge(
        self, trial: Result, graph: str, recipe: Recipe, kept: tuple[str, ...], noise: Sequence[LayerNoise]
    ) -> bool:
        folder = assemble(self._subject.folder, trial.changed, self._scratch / CANDIDATE)
        self._progress.step(f"measuring {graph}: {recipe.name}{layers_in_float(kept)}")
        try:
            trial.measurement = self._measure(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        trial.verdict = judge(self._before, trial.measurement, self._max_drop, sensitivity=noise)
        self._told(
            Step(
                graph=graph,
                recipe=recipe.name,
                kept_float=kept,
                size=sum(len(trial.changed[name]) for name in graph.split(", ")),
                passed=trial.verdict.passed,
                why="; ".join(str(change) for change in trial.verdict.changes),
                measurement=trial.measurement,
            )
        )
        return trial.verdict.passed
