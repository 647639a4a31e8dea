"""The results of a page, each with its name."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from edgevoice.bench.compare import titles
from edgevoice.bench.schema import Accuracy, Kind, Result, Series, Task


@dataclass(frozen=True)
class Lot:
    """A series and where it stands on the page."""

    name: str
    """Of its result; empty where there is only one."""
    series: Series
    title: str
    colour: int

    @property
    def full(self) -> str:
        """The title, behind the name of its result where there are several."""
        return ": ".join(part for part in (self.name, self.title) if part)

    @property
    def short(self) -> str:
        """The title without the task, below a heading that has it."""
        return self.title.removeprefix(f"{self.series.task} ")

    @property
    def model(self) -> str:
        return self.series.model.rpartition("/")[2]


@dataclass(frozen=True)
class Lots:
    results: tuple[tuple[str, Result], ...]

    @property
    def several(self) -> bool:
        return len(self.results) > 1

    @cached_property
    def series(self) -> tuple[Lot, ...]:
        """What is the same in several results stands together; colours tell results apart, or else engines."""
        engines = list(dict.fromkeys((one.engine, one.peer) for _, result in self.results for one in result.series))
        keys = list(dict.fromkeys(one.key for _, result in self.results for one in result.series))
        found = []
        for number, (name, result) in enumerate(self.results):
            called = titles(result)
            for one in result.series:
                colour = number if self.several else engines.index((one.engine, one.peer))
                lot = Lot(name if self.several else "", one, called[one.key], colour)
                found.append((keys.index(one.key), number, lot))
        return tuple(lot for _, _, lot in sorted(found, key=lambda each: each[:2]))

    def of(self, kind: Kind, task: Task | None = None) -> Iterator[Lot]:
        """Those that have figures."""
        for lot in self.series:
            if lot.series.kind == kind and task in (None, lot.series.task) and lot.series.metrics:
                yield lot

    def accuracy(self, lot: Lot) -> Accuracy | None:
        """The word error rate of a recogniser, without noise."""
        one = lot.series
        for name, result in self.results:
            for found in result.accuracy:
                same = (found.engine, found.peer, found.model, found.variant) == (
                    one.engine,
                    one.peer,
                    one.model,
                    one.variant,
                )
                if same and found.metric == "wer" and found.condition == "clean" and lot.name in ("", name):
                    return found
        return None
