"""What each threshold costs in one room: missed wakes against false alarms, and which one to recommend."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from edgevoice.engines.protocols import AsrEngine, WakeEngine, WakeModel
from edgevoice.errors import AudioError
from edgevoice.evaluate.score import Interval, garwood, interval
from edgevoice.evaluate.wake import threshold, thresholds
from edgevoice.listen.wake import Options
from edgevoice.wakes.kept import Found, Kept, Label
from edgevoice.wakes.replay import Judge, hear, same

FORMAT = 1
ENOUGH = 10
"""Wakes that the user called for, below which nothing is recommended: when none of 10 is missed, up to 28 % may be (95
%, Wilson)."""
GAIN = 2
"""Mistakes that another threshold has to make fewer to be recommended: one fewer is chance. On 50 recordings and 20
times a word that sounds alike, one fewer was made with 0.07 than with 0.05 of the second look; on as many others none
was."""
DONE = ("answered", "silent")
"""Outcomes of a turn in which a command was understood and done."""
LOOKS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Thresholds of the second look that are tried."""

Progress = Callable[[int, int], None]
Verdict = Literal["better", "best", "few_labels", "no_mistakes"]


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
    """False: with this threshold others may wake as well that were never kept, so there may be more false alarms."""

    @property
    def mistakes(self) -> int:
        return self.misses + self.false_alarms


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What one key of the configuration decides."""

    key: str
    """Dotted."""
    threshold: float
    """In force."""
    rows: tuple[Row, ...]
    verdict: Verdict
    recommended: float | None
    """The threshold with the fewest mistakes, where they are at least ``GAIN`` fewer than with the one in force."""

    def row(self, threshold: float) -> Row:
        return next(row for row in self.rows if row.threshold == threshold)


class Word(Table, frozen=True, kw_only=True):
    """By the word's threshold."""

    word: str
    phrase: str
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


class Report(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    folder: str
    hours: float
    """Listened to, as far as the kept wakes tell."""
    words: tuple[Word, ...]
    look: Table | None
    """All words together by the threshold of the second look; None where there is none."""
    nameless: tuple[str, ...]
    """Missed ones of which it is not said which word it was."""
    not_configured: Mapping[str, int]
    """Kept wakes of words that are not listened for, by word."""
    over_reply: int
    """Of these words, decided while the assistant spoke: what it said decided, too, so they are not counted."""
    broken: tuple[str, ...]
    """What is wrong with those that could not be heard."""

    def better(self) -> list[Table]:
        """The changes to make: of the thresholds of words or of the second look, whichever leaves fewer mistakes; both
        at once were not tried."""
        words: list[Table] = [word for word in self.words if word.recommended is not None]
        if self.look is None or self.look.recommended is None:
            return words
        left = sum(_chosen(word).mistakes for word in self.words)
        return words if words and left <= _chosen(self.look).mistakes else [self.look]


def _chosen(table: Table) -> Row:
    return table.row(table.threshold if table.recommended is None else table.recommended)


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
    of_words = [each for each in found if each.kept.word in {word.name for word in words}]
    ours = [each for each in of_words if not each.kept.over_reply]
    wrong, benches, done = list(broken), list[_Bench](), 0
    for word in words:
        bench = _Bench(Judge(engines[0], word, options, engines[1]), word, options, digests.get(word.name, ""))
        for each in ours:
            if each.kept.word == word.name:
                done += 1
                progress(done, len(ours))
                try:
                    bench.add(each, engines[0], assume=assume)
                except AudioError as error:
                    wrong.append(str(error))
        if bench.labels:
            benches.append(bench)
    others = [each.kept.word for each in found if each.kept.word and each.kept.word not in listened]
    return Report(
        folder=folder,
        hours=hours,
        words=tuple(bench.word(hours) for bench in benches),
        look=_look(benches, options, hours),
        nameless=tuple(str(each.path) for each in found if not each.kept.word),
        not_configured={name: others.count(name) for name in sorted(set(others))},
        over_reply=len(of_words) - len(ours),
        broken=tuple(wrong),
    )


def label(kept: Kept, *, assume: bool) -> Label | None:
    """Whether the word was said; see ``tune``."""
    if kept.label is None and assume and kept.accepted and kept.outcome in DONE:
        return "right"
    return kept.label


class _Bench:
    """The kept wakes of one word."""

    def __init__(self, judge: Judge, word: WakeModel, options: Options, digest: str) -> None:
        self.judge = judge
        self._model = word
        self._digest = digest
        self._now = threshold(word, options)
        self._levels = thresholds(word, options)
        self._options = [msgspec.structs.replace(options, thresholds={word.name: level}) for level in self._levels]
        as_now = msgspec.structs.replace(options, thresholds={word.name: self._now})
        self._looks = [_with_look(as_now, level) for level in looks(options)] if judge.looks else []
        self.labels: list[Label | None] = []
        self.by_look: list[list[bool]] = []
        self._by_threshold: list[list[bool]] = []
        self._differing: list[str] = []
        self._assumed = self._others = 0
        self._loose: list[float] = []

    def add(self, found: Found, engine: WakeEngine, *, assume: bool) -> None:
        """Listen to one.

        Raises:
            AudioError: its recording is broken. EngineError: an engine failed.
        """
        kept = found.kept
        heard = hear(found, engine, self._model, self.judge.patience)
        if kept.score is not None and kept.model == self._digest and not same(heard, self.judge.patience):
            self._differing.append(str(found.audio))
        woken = self.judge.woken(heard, [*self._options, *self._looks])
        self._by_threshold.append(woken[: len(self._options)])
        self.by_look.append(woken[len(self._options) :])
        self.labels.append(label(kept, assume=assume))
        self._assumed += self.labels[-1] != kept.label
        self._others += kept.model not in ("", self._digest)
        self._loose += [] if kept.loose is None else [kept.loose]

    def word(self, hours: float) -> Word:
        seen = max(self._loose, default=self.judge.loose(self._now))
        rows = [
            _row(level, [each[at] for each in self._by_threshold], self.labels, hours, self.judge.loose(level) >= seen)
            for at, level in enumerate(self._levels)
        ]
        verdict, best = _recommend(rows, self._now, self.labels.count("right"))
        return Word(
            key=f"detection.thresholds.{self._model.name}",
            word=self._model.name,
            phrase=self._model.phrase,
            threshold=self._now,
            said=self.labels.count("right"),
            assumed=self._assumed,
            not_said=self.labels.count("wrong"),
            unlabelled=self.labels.count(None),
            other_model=self._others,
            differing=tuple(self._differing),
            rows=tuple(rows),
            verdict=verdict,
            recommended=best,
        )


def looks(options: Options) -> list[float]:
    """Thresholds of the second look that are tried, the one in force among them."""
    return sorted({*LOOKS, options.verify.threshold})


def _with_look(options: Options, level: float) -> Options:
    return msgspec.structs.replace(options, verify=msgspec.structs.replace(options.verify, threshold=level))


def _look(benches: Sequence[_Bench], options: Options, hours: float) -> Table | None:
    """By the threshold of the second look, of the words that have one; whatever it refuses was kept."""
    looked = [bench for bench in benches if bench.judge.looks]
    if not looked:
        return None
    labels = [each for bench in looked for each in bench.labels]
    woken = [each for bench in looked for each in bench.by_look]
    rows = [_row(level, [each[at] for each in woken], labels, hours, True) for at, level in enumerate(looks(options))]
    verdict, best = _recommend(rows, options.verify.threshold, labels.count("right"))
    return Table(
        key="detection.verify.threshold",
        threshold=options.verify.threshold,
        rows=tuple(rows),
        verdict=verdict,
        recommended=best,
    )


def _row(level: float, woken: Sequence[bool], labels: Sequence[Label | None], hours: float, complete: bool) -> Row:
    pairs = list(zip(labels, woken, strict=True))
    misses, alarms = pairs.count(("right", False)), pairs.count(("wrong", True))
    return Row(
        threshold=level,
        misses=misses,
        miss_interval=interval(misses, labels.count("right")),
        false_alarms=alarms,
        false_alarms_per_day=garwood(alarms, hours / 24) if hours else None,
        unlabelled=pairs.count((None, True)),
        complete=complete,
    )


def _recommend(rows: Sequence[Row], now: float, said: int) -> tuple[Verdict, float | None]:
    """The threshold with the fewest mistakes, a miss and a false alarm being one each: of several that lie side by side
    the middle one, which is the farthest from either kind, and of such stretches the one nearest the one in force."""
    at_now = next(at for at, row in enumerate(rows) if row.threshold == now)
    if said < ENOUGH:
        return "few_labels", None
    if not rows[at_now].mistakes:
        return "no_mistakes", None
    known = [at for at, row in enumerate(rows) if row.complete]
    least = min((rows[at].mistakes for at in known), default=rows[at_now].mistakes)
    if least > rows[at_now].mistakes - GAIN:
        return "best", None
    stretches: list[list[int]] = []
    for at in (at for at in known if rows[at].mistakes == least):
        if stretches and stretches[-1][-1] == at - 1:
            stretches[-1].append(at)
        else:
            stretches.append([at])
    middles = [stretch[(len(stretch) - (stretch[0] > at_now)) // 2] for stretch in stretches]
    return "better", rows[min(middles, key=lambda at: abs(at - at_now))].threshold
