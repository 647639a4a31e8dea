"""How right engines are on the recordings that their speed is measured with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from edgevoice.bench.measure import Spec, Tell
from edgevoice.bench.plan import model_name
from edgevoice.bench.schema import Accuracy, Counted, Interval, Series, Task
from edgevoice.bench.speech import Recording
from edgevoice.config import Config
from edgevoice.evaluate import errors, score, tts, tts_report, vad, vad_report, wake, wake_report
from edgevoice.evaluate.manifest import Item
from edgevoice.evaluate.normalise import normalise
from edgevoice.evaluate.scene import CLEAN, takes


def word_errors(heard: Sequence[tuple[Spec, Mapping[int, str]]], parts: Sequence[Recording]) -> list[Accuracy]:
    """Word error rates of recognisers over the recordings whose text is known, one for each model and variant: threads
    change nothing about them.

    Raises:
        EngineMissingError: jiwer is not installed.
    """
    found: dict[tuple[str, bool, str, str], Accuracy] = {}
    for spec, texts in heard:
        known = [(parts[at], text) for at, text in sorted(texts.items()) if parts[at].text]
        each = [errors.words(normalise(part.text), normalise(text)) for part, text in known]
        total = errors.total(each)
        rate = errors.rate(total.wrong, total.said)
        if rate is None:
            continue
        made = Accuracy(
            task="asr",
            engine=spec.engine,
            peer=spec.peer,
            model=spec.model,
            variant=spec.variant,
            metric="wer",
            better="lower",
            value=rate,
            interval=_interval(errors.interval([one.wrong for one in each], [one.said for one in each], 0)),
            n=total.said,
            each=tuple(
                Counted(name=part.name, wrong=one.wrong, of=one.said)
                for (part, _), one in zip(known, each, strict=True)
            ),
        )
        found.setdefault((spec.engine, spec.peer, spec.model, spec.variant), made)
    return list(found.values())


class Evaluated:
    """An evaluation as ``edgevoice eval`` makes it, as a stage of a benchmark.

    Args:
        what: in words.
        bench: makes what does the jobs.
        judge: gives the figures of the jobs that were done; at least one was.
    """

    def __init__(
        self, what: str, bench: Callable[[], Any], jobs: Sequence[Any], judge: Callable[[list[Any]], list[Accuracy]]
    ) -> None:
        self._what = what
        self._bench = bench
        self._jobs = jobs
        self._judge = judge
        self._done: list[Any] = []

    def run(self, tell: Tell) -> None:
        """
        Raises:
            EdgeVoiceError: a recording or an engine failed.
        """
        tell(f"accuracy: {self._what}", 0.0)
        bench = self._bench()
        for number, job in enumerate(self._jobs, 1):
            self._done.append(bench.do(job))
            tell(f"accuracy: {self._what}", number / len(self._jobs))

    def series(self) -> list[Series]:
        return []

    def accuracy(self) -> list[Accuracy]:
        return self._judge(self._done) if self._done else []

    def close(self) -> None:
        """Nothing is held."""


def understanding(config: Config, items: Sequence[Item]) -> Evaluated:
    """The share of commands that are understood with every slot."""
    from edgevoice.evaluate import intents, listening

    def judge(done: list[intents.Done]) -> list[Accuracy]:
        each = tuple(
            Counted(name=one.audio, wrong=int(not one.correct), of=1) for result in done for one in result.predictions
        )
        right = sum(not one.wrong for one in each)
        made = _of(config, "asr", "intent_accuracy", right / len(each), score.interval(right, len(each)), len(each))
        return [msgspec.structs.replace(made, variant="grammar", better="higher", each=each)]

    settings = intents.Settings(config, listening.load)
    return Evaluated("commands", lambda: intents.Bench(settings), intents.conditions(items, (), ())[0], judge)


def waking(config: Config, items: Sequence[wake.Item]) -> Evaluated:
    """The share of wake words that are missed, and false alarms per hour, at the configured thresholds."""

    def judge(done: list[wake.Done]) -> list[Accuracy]:
        found = wake_report.condition(done, len(items), None, None, config.detection)
        rates = []
        if found.miss_rate is not None:
            rates.append(_of(config, "wake", "miss_rate", found.miss_rate, found.miss_interval, found.n))
        if found.false_alarms_per_hour is not None:
            clips = sum(not clip.holds for clip in found.clips)
            alarms = found.false_alarms_per_hour
            rates.append(_of(config, "wake", "false_alarms_per_hour", alarms, found.false_alarms_interval, clips))
        return rates

    return Evaluated("wake words", lambda: wake.Bench(wake.Settings(config)), wake.streams(items, [CLEAN]), judge)


def detecting(config: Config, items: Sequence[vad.Item]) -> Evaluated:
    """The share of frames that are taken for speech and are none, or the other way round."""

    def judge(done: list[vad.Done]) -> list[Accuracy]:
        found = vad_report.condition(done, len(items), None, None, 0)
        frames = found.speech_frames + found.other_frames
        return [_of(config, "vad", "frame_error", found.frame_error, found.frame_error_interval, frames)]

    return Evaluated("speech", lambda: vad.Bench(vad.Settings(config)), takes(items, (), ())[0], judge)


def speaking(config: Config, texts: Sequence[str]) -> Evaluated:
    """The word error rate of what the configured recogniser hears of the voice: errors of both."""

    def judge(done: list[tts.Done]) -> list[Accuracy]:
        spoken = [one.spoken for one in done]
        found = tts_report.condition(spoken, len(texts), 0)
        each = tuple(Counted(name=one.text, wrong=one.words.wrong, of=one.words.said) for one in spoken)
        words = sum(one.of for one in each)
        made = _of(config, "tts", "wer", found.wer, found.words.interval, words)
        return [msgspec.structs.replace(made, each=each)]

    jobs = [tts.Item(text, line) for line, text in enumerate(texts, 1)]
    return Evaluated("what is heard of the voice", lambda: tts.Bench(tts.Settings(config)), jobs, judge)


def _of(config: Config, task: Task, metric: str, value: float, interval: score.Interval | None, n: int) -> Accuracy:
    """Of the configured engine."""
    chosen = getattr(config, task)
    return Accuracy(
        task=task,
        engine=chosen.engine,
        model=model_name(chosen.chosen),
        metric=metric,
        better="lower",
        value=value,
        interval=_interval(interval),
        n=n,
    )


def _interval(found: score.Interval | None) -> Interval | None:
    return None if found is None else Interval(low=found.low, high=found.high)
