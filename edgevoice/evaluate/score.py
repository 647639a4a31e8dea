"""What predictions are worth: shares with their intervals, errors by slot, calibration, refusal."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np

from edgevoice.events import SlotValue

Slots = Mapping[str, SlotValue]

_Z = 1.959964
"""Standard deviations of a normal distribution between which 95 % lie."""

BINS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Edges of the bins of confidence: finer towards the top, where nearly all answers are."""

CURVE = 101
"""Points of the curve of refusal at most."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded command under one condition."""

    audio: str
    """As the manifest names it."""
    seed: int | None
    """The seed its noise was drawn by; None without noise."""
    label_intent: str
    label_slots: dict[str, SlotValue]
    intent: str | None
    """What was understood; None when it was refused."""
    slots: dict[str, SlotValue]
    confidence: float | None
    """That this was meant, 0..1; None when the engine gives none."""
    slot_confidence: dict[str, float]
    acceptance: float
    """What ``intents.min_confidence`` is compared with; 0 when no command fits at all."""
    text: str
    """As recognised."""
    why: str | None
    """Why it was refused."""
    correct: bool
    """The intent is right, and every slot of the label is there with the same value (the benchmark's own rule)."""
    strict: bool
    """Correct, and there is no other slot."""
    end: str
    """Why listening ended: ``silence``, ``no_speech``, ``too_long``, ``end_of_audio``, ..."""
    cut_off: bool
    """Listening ended before the speech did."""
    latency_ms: float | None
    """From the end of speech, by the recording's energy, to the intent; None when it was cut off or nothing heard."""
    compute_ms: float
    """Time that the engines and the grammar took, together."""
    engine_ms: dict[str, float]
    """The same by ``vad``, ``asr`` and ``think`` (the grammar)."""
    cpu_ms: float
    """Processor time of the whole process, all threads."""
    seconds: float
    """Length of the recording."""


class Interval(msgspec.Struct, frozen=True):
    low: float
    high: float


class SlotErrors(msgspec.Struct, frozen=True):
    said: int
    """Commands with this slot in the label."""
    missed: int
    """Of them: not understood, be it that the whole command was refused."""
    wrong: int
    """Of them: another value understood."""
    extra: int
    """Commands without it in which it was understood."""


class Confusion(msgspec.Struct, frozen=True):
    slot: str
    """``intent`` for the intent itself."""
    said: SlotValue | None
    """None: not said."""
    heard: SlotValue | None
    """None: not heard."""
    n: int


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Answers whose confidence lies in ``low <= confidence < high`` (the last bin holds 1, too)."""

    low: float
    high: float
    n: int
    confidence: float
    """Their mean."""
    right: float
    """Share of them that is right."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Of the curve of refusal: if everything below this confidence were refused."""

    threshold: float
    refused: float
    """Share of the utterances that are no commands."""
    lost: list[float]
    """By condition, in their order: share of the commands."""


def is_correct(label_intent: str, label: Slots, intent: str | None, slots: Slots) -> bool:
    return intent == label_intent and all(name in slots and same(slots[name], value) for name, value in label.items())


def same(one: SlotValue, other: SlotValue) -> bool:
    """Equality in which true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def interval(right: int, n: int) -> Interval:
    """The 95 % interval of a share by Wilson (1927, J. Am. Stat. Assoc. 22, 209); 0..1 when n is 0."""
    if not n:
        return Interval(0.0, 1.0)
    share, z2 = right / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # It holds the share; but where all or none are right, its bound is the share, and may be rounded to its wrong side.
    return Interval(max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0))


def garwood(events: int, hours: float, level: float = 0.95) -> Interval:
    """The exact interval of a Poisson rate per hour (Garwood, 1936, Biometrika 28, 437): with a rate at its upper end
    so few events have a chance of (1 - level) / 2, at its lower end so many."""
    tail = (1 - level) / 2
    high = _mean(lambda mean: _at_most(events, mean) - tail)
    low = _mean(lambda mean: tail - (1 - _at_most(events - 1, mean))) if events else 0.0
    return Interval(low / hours, high / hours)


def _at_most(events: int, mean: float) -> float:
    """The chance of at most so many events, of a Poisson distribution."""
    terms = [number * math.log(mean) - mean - math.lgamma(number + 1) for number in range(events + 1)]
    return min(math.fsum(map(math.exp, terms)), 1.0)


def _mean(falling: Callable[[float], float]) -> float:
    """Where a function of the mean that falls passes 0, by bisection."""
    low, high = 0.0, 1.0
    while falling(high) > 0:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return high


def percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def slot_errors(predictions: Iterable[Prediction]) -> dict[str, SlotErrors]:
    """By slot; slots without a label are there when they were heard."""
    said: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    extra: Counter[str] = Counter()
    for each in predictions:
        said.update(each.label_slots.keys())
        extra.update(each.slots.keys() - each.label_slots.keys())
        for name, value in each.label_slots.items():
            if name not in each.slots:
                missed[name] += 1
            elif not same(each.slots[name], value):
                wrong[name] += 1
    names = sorted({*said, *extra})
    return {name: SlotErrors(said[name], missed[name], wrong[name], extra[name]) for name in names}


def confusions(predictions: Iterable[Prediction]) -> list[Confusion]:
    """What was taken for what, the most frequent first. The slots of a command that was refused, or taken for another
    intent, are not in it: the intent is."""
    found: Counter[tuple[str, SlotValue | None, SlotValue | None]] = Counter()
    for each in predictions:
        if each.intent != each.label_intent:
            found["intent", each.label_intent, each.intent] += 1
            continue
        for name in {**each.label_slots, **each.slots}:
            said, heard = each.label_slots.get(name), each.slots.get(name)
            if said is None or heard is None or not same(said, heard):
                found[name, said, heard] += 1
    ordered = sorted(found.items(), key=lambda item: (-item[1], *map(str, item[0])))
    return [Confusion(*what, count) for what, count in ordered]


def calibration(answers: Iterable[tuple[float, bool]]) -> list[Bin]:
    """How often answers of some confidence are right; empty bins are left out.

    Args:
        answers: confidence, and whether it was right.
    """
    bins: list[list[tuple[float, bool]]] = [[] for _ in BINS[1:]]
    for confidence, right in answers:
        bins[int(np.searchsorted(BINS[1:-1], confidence, side="right"))].append((confidence, right))
    return [
        Bin(
            low=low,
            high=high,
            n=len(inside),
            confidence=sum(confidence for confidence, _ in inside) / len(inside),
            right=sum(right for _, right in inside) / len(inside),
        )
        for low, high, inside in zip(BINS, BINS[1:], bins, strict=False)
        if inside
    ]


def answers(predictions: Iterable[Prediction]) -> list[tuple[float, bool]]:
    """Confidence and rightness (strict) of every command that was understood."""
    return [(each.confidence, each.strict) for each in predictions if each.intent and each.confidence is not None]


def slot_answers(predictions: Iterable[Prediction]) -> list[tuple[float, bool]]:
    """Confidence and rightness of every slot that was understood."""
    return [
        (confidence, name in each.label_slots and same(each.label_slots[name], each.slots[name]))
        for each in predictions
        for name, confidence in each.slot_confidence.items()
        if name in each.slots
    ]


def curve(others: Sequence[float], commands: Sequence[Sequence[float]]) -> list[Point]:
    """What other thresholds would refuse.

    Args:
        others: acceptance of every utterance that is no command; 0 where no command fits.
        commands: by condition, the acceptance of every command.
    """
    every = sorted({0.0, *others, *(each for condition in commands for each in condition)})
    if len(every) > CURVE:
        every = [every[at] for at in np.linspace(0, len(every) - 1, CURVE).round().astype(int)]
    every.append(math.nextafter(1.0, 2.0))

    def below(values: Sequence[float], threshold: float) -> float:
        return sum(value <= 0.0 or value < threshold for value in values) / len(values) if values else 0.0

    return [
        Point(threshold=at, refused=below(others, at), lost=[below(condition, at) for condition in commands])
        for at in every
    ]
