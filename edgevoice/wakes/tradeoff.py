"""What each threshold costs in one room: missed wakes against false alarms, and which one to recommend."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from edgevoice.engines.protocols import AsrEngine, WakeEngine, WakeModel
from edgevoice.errors import AudioError
from edgevoice.evaluate.score import Interval, interval
from edgevoice.evaluate.wake import threshold, thresholds
from edgevoice.evaluate.wake_report import garwood
from edgevoice.listen.wake import Options
from edgevoice.wakes.kept import Found, Kept, Label
from edgevoice.wakes.replay import Judge, hear, same

FORMAT = 1
ENOUGH = 10
"""Wakes that the user called for, below which nothing is recommended: when none of 10 is missed, up to 28 % may be (95
%, Wilson)."""
DONE = ("answered", "silent")
"""Outcomes of a turn in which a command was understood and done."""

Progress = Callable[[int, int], None]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold."""

    threshold: float
    misses: int
    """Of those in which the word was said."""
    miss_interval: Interval
    """Of the share; 95 %, Wilson."""
    false_alarms: int
    """Of those in which it was not said."""
    false_alarms_per_day: Interval | None
    """Of 24 hours of listening; 95 %, Garwood. None where it is not known how long it was listened."""
    unlabelled: int
    """Of those without a label, that would wake."""
    complete: bool
    """False: below this threshold others may wake as well that were never kept, so there may be more false alarms."""

    @property
    def mistakes(self) -> int:
        return self.misses + self.false_alarms


class Word(msgspec.Struct, frozen=True, kw_only=True):
    word: str
    phrase: str
    threshold: float
    """In force."""
    said: int
    """Kept wakes in which the word was said, by their labels; or which are assumed to."""
    assumed: int
    """Of these, without a label."""
    not_said: int
    unlabelled: int
    other_model: int
    """Kept with another model; they are heard with the one of today."""
    differing: tuple[str, ...]
    """Files whose score is not found again bit for bit, though the model is the same."""
    rows: tuple[Row, ...]
    verdict: Literal["better", "best", "few_labels", "no_mistakes"]
    recommended: float | None
    """The threshold with the fewest mistakes, where that is another one than the one in force."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    folder: str
    hours: float
    """Listened to, as far as the kept wakes tell."""
    words: tuple[Word, ...]
    nameless: tuple[str, ...]
    """Missed ones of which it is not said which word it was."""
    not_configured: Mapping[str, int]
    """Kept wakes of words that are not listened for, by word."""
    broken: tuple[str, ...]
    """What is wrong with those that could not be heard."""


def tune(
    found: Sequence[Found],
    words: Sequence[WakeModel],
    engines: tuple[WakeEngine, AsrEngine | None],
    options: Options,
    digests: Mapping[str, str],
    *,
    folder: str,
    broken: Sequence[str] = (),
    assume: bool = False,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Listen to all kept wakes of some words.

    Args:
        engines: of wake words, and the recogniser of the second look.
        digests: of the models of today, by word.
        broken: what is wrong with those that are not among them.
        assume: whether an unlabelled wake whose command was done counts as called for.

    Raises:
        EngineError: an engine failed.
    """
    listened = [word.name for word in engines[0].models]
    hours = sum(each.kept.heard for each in found) / 3600
    ours = [each for each in found if each.kept.word in {word.name for word in words}]
    wrong, made, done = list(broken), list[Word](), 0
    for word in words:
        bench = _Bench(Judge(engines[0], word, options, engines[1]), word, options, digests.get(word.name, ""), assume)
        for each in ours:
            if each.kept.word == word.name:
                done += 1
                progress(done, len(ours))
                try:
                    bench.add(each, engines[0])
                except AudioError as error:
                    wrong.append(str(error))
        if bench.kept:
            made.append(bench.word(hours))
    others = [each.kept.word for each in found if each.kept.word and each.kept.word not in listened]
    return Report(
        folder=folder,
        hours=hours,
        words=tuple(made),
        nameless=tuple(str(each.path) for each in found if not each.kept.word),
        not_configured={name: others.count(name) for name in sorted(set(others))},
        broken=tuple(wrong),
    )


class _Bench:
    """The kept wakes of one word."""

    def __init__(self, judge: Judge, word: WakeModel, options: Options, digest: str, assume: bool) -> None:
        self._judge = judge
        self._model = word
        self._digest = digest
        self._assume = assume
        self._now = threshold(word, options)
        self._levels = thresholds(word, options)
        self.kept: list[Kept] = []
        self._woken: list[list[bool]] = []
        self._differing: list[str] = []

    def add(self, found: Found, engine: WakeEngine) -> None:
        """Listen to one.

        Raises:
            AudioError: its recording is broken. EngineError: an engine failed.
        """
        heard = hear(found, engine, self._model, self._judge.patience)
        known = found.kept.score is not None and found.kept.model == self._digest
        if known and not same(heard, self._judge.patience):
            self._differing.append(str(found.audio))
        self._woken.append(self._judge.woken(heard, self._levels))
        self.kept.append(found.kept)

    def word(self, hours: float) -> Word:
        labels = [self._label(kept) for kept in self.kept]
        assumed = sum(kept.label != label for kept, label in zip(self.kept, labels, strict=True))
        loose = max((kept.loose for kept in self.kept if kept.loose is not None), default=self._judge.loose(self._now))
        rows = [
            self._row(at, labels, hours, complete=self._judge.loose(level) >= loose)
            for at, level in enumerate(self._levels)
        ]
        verdict, best = _recommend(rows, self._levels.index(self._now), labels.count("right"))
        return Word(
            word=self._model.name,
            phrase=self._model.phrase,
            threshold=self._now,
            said=labels.count("right"),
            assumed=assumed,
            not_said=labels.count("wrong"),
            unlabelled=labels.count(None),
            other_model=sum(kept.model not in ("", self._digest) for kept in self.kept),
            differing=tuple(self._differing),
            rows=tuple(rows),
            verdict=verdict,
            recommended=best,
        )

    def _label(self, kept: Kept) -> Label | None:
        if kept.label is None and self._assume and kept.accepted and kept.outcome in DONE:
            return "right"
        return kept.label

    def _row(self, at: int, labels: Sequence[Label | None], hours: float, *, complete: bool) -> Row:
        woken = [each[at] for each in self._woken]
        pairs = list(zip(labels, woken, strict=True))
        misses, alarms = pairs.count(("right", False)), pairs.count(("wrong", True))
        return Row(
            threshold=self._levels[at],
            misses=misses,
            miss_interval=interval(misses, labels.count("right")),
            false_alarms=alarms,
            false_alarms_per_day=garwood(alarms, hours / 24) if hours else None,
            unlabelled=pairs.count((None, True)),
            complete=complete,
        )


def _recommend(
    rows: Sequence[Row], now: int, said: int
) -> tuple[Literal["better", "best", "few_labels", "no_mistakes"], float | None]:
    """The threshold with the fewest mistakes, a miss and a false alarm being one each: of several that lie side by side
    the middle one, which is the farthest from either kind, and of such stretches the one nearest the one in force."""
    if said < ENOUGH:
        return "few_labels", None
    if not rows[now].mistakes:
        return "no_mistakes", None
    known = [at for at, row in enumerate(rows) if row.complete]
    least = min((rows[at].mistakes for at in known), default=rows[now].mistakes)
    if least >= rows[now].mistakes:
        return "best", None
    stretches: list[list[int]] = []
    for at in (at for at in known if rows[at].mistakes == least):
        if stretches and stretches[-1][-1] == at - 1:
            stretches[-1].append(at)
        else:
            stretches.append([at])
    middles = [stretch[len(stretch) // 2] for stretch in stretches]
    return "better", rows[min(middles, key=lambda at: abs(at - now))].threshold
