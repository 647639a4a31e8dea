"""A whole benchmark: one stage after the other, and what came of them; it may be stopped at any time."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from edgevoice.bench import accuracy, board, conditions
from edgevoice.bench.measure import Group, Limits, Skipped, Spec, Tell
from edgevoice.bench.schema import Absent, Accuracy, Board, Ratio, Result, Series
from edgevoice.bench.speech import Recording
from edgevoice.errors import EngineMissingError
from edgevoice.evaluate import machine


class Stage(Protocol):
    """Something that is measured by itself."""

    def run(self, tell: Tell) -> None: ...

    def series(self) -> list[Series]:
        """What was measured, be it that ``run`` was interrupted."""

    def close(self) -> None: ...


class Session:
    """
    Args:
        options: written to the result.
        describe: gives the board.
    """

    def __init__(
        self,
        options: dict[str, Any],
        *,
        describe: Callable[[], Board] = board.describe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._describe = describe
        self._clock = clock
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._began = clock()
        self._before = describe()
        self._series: list[Series] = []
        self._ratios: list[Ratio] = []
        self._absent: list[Absent] = []
        self._accuracy: list[Accuracy] = []
        self._groups = 0

    @property
    def next_group(self) -> int:
        """A number for the next stage."""
        self._groups += 1
        return self._groups - 1

    def take(self, stage: Stage, tell: Tell) -> None:
        """Run a stage and keep what came of it, also when it is interrupted."""
        try:
            stage.run(tell)
        finally:
            try:
                self._keep(stage)
            except (KeyboardInterrupt, SystemExit):  # who stops it just now wants no less to be kept
                self._keep(stage)
                raise
            finally:
                stage.close()

    def _keep(self, stage: Stage) -> None:
        """All of it at the end, so that it may be interrupted and called again."""
        series = stage.series()
        ratios = stage.ratios() if isinstance(stage, Group) else []
        absent = list(map(_absent, stage.skipped)) if isinstance(stage, Group) else []
        found = stage.accuracy() if isinstance(stage, accuracy.Evaluated) else []
        self._series, self._ratios = self._series + series, self._ratios + ratios
        self._absent, self._accuracy = self._absent + absent, self._accuracy + found

    def take_all(self, specs: Sequence[Spec], limits: Limits, tell: Tell, parts: Sequence[Recording] = ()) -> None:
        """Measure the engines of one task in turns, in as many groups as fit into memory.

        Args:
            parts: what was recognised, for word error rates.
        """
        left = list(specs)
        heard = []
        try:
            while left:
                group = Group(self.next_group, left, limits)
                try:
                    self.take(group, tell)
                finally:
                    heard += group.texts()
                left = group.left
        finally:
            self._count_word_errors([(spec, texts) for spec, texts in heard if spec.task == "asr"], parts)

    def _count_word_errors(self, heard: list[tuple[Spec, dict[int, str]]], parts: Sequence[Recording]) -> None:
        try:
            self._accuracy += accuracy.word_errors(heard, parts)
        except EngineMissingError as error:
            self._absent.append(Absent(task="asr", engine="word error rate", why=error.cause, remedy=error.remedy))

    def result(self, *, partial: bool) -> Result:
        return Result(
            created=self._created,
            seconds=round(self._clock() - self._began, 1),
            partial=partial,
            commit=machine.commit(),
            board=self._before,
            board_after=self._describe(),
            options=self._options,
            series=tuple(self._series),
            ratios=tuple(self._ratios),
            accuracy=tuple(self._accuracy),
            absent=tuple(dict.fromkeys(self._absent)),
            flags=tuple(conditions.of_board(self._before)),
        )


def _absent(skipped: Skipped) -> Absent:
    spec, error = skipped.spec, skipped.error
    why = f"{error.place}: {error.cause}" if error.place else error.cause
    return Absent(task=spec.task, engine=spec.engine, peer=spec.peer, why=why, remedy=error.remedy)
