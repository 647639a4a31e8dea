"""How right engines are on the recordings that their speed is measured with."""

from collections.abc import Mapping, Sequence

from edgevoice.bench.measure import Spec, Tell
from edgevoice.bench.plan import model_name
from edgevoice.bench.schema import Accuracy, Counted, Interval, Series
from edgevoice.bench.speech import Recording
from edgevoice.config import Config
from edgevoice.evaluate import errors, score
from edgevoice.evaluate.manifest import Item
from edgevoice.evaluate.normalise import normalise


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


class Understanding:
    """The share of commands that are understood with every slot, as ``edgevoice eval intents`` counts it.

    Args:
        items: the recorded commands.
    """

    def __init__(self, config: Config, items: Sequence[Item]) -> None:
        self._config = config
        self._items = items
        self._counted: list[Counted] = []

    def run(self, tell: Tell) -> None:
        """
        Raises:
            EdgeVoiceError: a recording or an engine failed.
        """
        from edgevoice.evaluate import intents, listening

        tell("accuracy of intents", 0.0)
        (commands, *_) = intents.conditions(self._items, (), ())
        bench = intents.Bench(intents.Settings(self._config, listening.load))
        for number, command in enumerate(commands, 1):
            self._counted += [
                Counted(name=one.audio, wrong=int(not one.correct), of=1) for one in bench.do(command).predictions
            ]
            tell("accuracy of intents", number / len(commands))

    def series(self) -> list[Series]:
        return []

    def accuracy(self) -> list[Accuracy]:
        count = len(self._counted)
        right = sum(not one.wrong for one in self._counted)
        if not count:
            return []
        asr = self._config.asr
        return [
            Accuracy(
                task="asr",
                engine=asr.engine,
                model=model_name(asr.chosen),
                variant="grammar",
                metric="intent_accuracy",
                better="higher",
                value=right / count,
                interval=_interval(score.interval(right, count)),
                n=count,
                each=tuple(self._counted),
            )
        ]

    def close(self) -> None:
        """Nothing is held."""


def _interval(found: score.Interval | None) -> Interval | None:
    return None if found is None else Interval(low=found.low, high=found.high)
