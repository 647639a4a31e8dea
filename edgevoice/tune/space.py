"""The combinations that are tried: which options vary, between which values, and what is known of them beforehand."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from edgevoice.config import Chosen, Config
from edgevoice.tune.trial import Trial, Value

BLOCKS = (512, 1024, 2048)
"""A frame of the voice activity detector, and what spares the processor while nobody speaks (docs/benchmarks.md)."""
BEAMS = (1, 3, 8)
"""Between 8 and 16 nothing changes in the evaluation; every halving costs a little accuracy in noise."""
PADDINGS = (0.5, 1.0)
"""Seconds of silence behind the audio; with less than half a second the last word suffers."""
CONTEXTS = (6.0, 12.0, 30.0)
"""Seconds that free text is written out of: two below Whisper's own 30."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An option that varies."""

    key: str
    values: tuple[Value, ...]
    """What costs less time first, where that is known."""
    cost: bool = False
    """A later value never takes less time."""
    accuracy: bool = False
    """A later value is never less accurate."""


@dataclass(frozen=True)
class Space:
    """What can be tried here."""

    idle: tuple[Trial, ...]
    """The one that reacts soonest first."""
    speak: tuple[Trial, ...]
    hear: tuple[Trial, ...]
    axes: Mapping[str, Axis] = field(default_factory=dict)
    """By key, those with a known effect."""

    @property
    def size(self) -> int:
        """Combinations."""
        return len(self.idle) * len(self.speak) * len(self.hear)

    def costs_more(self, one: Trial, other: Trial) -> bool:
        """Whether ``one`` surely takes at least the time of ``other``: nowhere an earlier value on the axes of cost,
        somewhere a later one, and the same everywhere else."""
        return self._later(one, other, {key for key, axis in self.axes.items() if axis.cost})

    def hears_more(self, one: Trial, other: Trial) -> bool:
        """The same for accuracy: ``one`` is surely at least as right."""
        return self._later(one, other, {key for key, axis in self.axes.items() if axis.accuracy})

    def _later(self, one: Trial, other: Trial, keys: set[str]) -> bool:
        a, b = dict(one.settings), dict(other.settings)
        if a.keys() != b.keys() or a == b:
            return False
        return all(a[key] == b[key] or (key in keys and self._rank(key, a[key]) > self._rank(key, b[key])) for key in a)

    def _rank(self, key: str, value: Value) -> int:
        return self.axes[key].values.index(value)


def build(
    config: Config,
    *,
    recognisers: Sequence[tuple[str, str]],
    voices: Sequence[tuple[str, str]],
    cores: int,
    keep: Sequence[str] = (),
    commands: bool = True,
    free_text: bool = False,
) -> Space:
    """The combinations for a machine.

    Args:
        config: what is not varied stays as it is here, and its own values are among those that are tried.
        recognisers, voices: engine and model (or voice) of what is here.
        cores: that may be used.
        keep: keys, or beginnings of keys, of what must stay as it is: ``tts``, ``asr.whisper.prompt``.
        commands, free_text: what is recognised; options without an effect on it do not vary.
    """
    made = _Builder(config, keep)
    idle = made.trials("idle", [Axis("input.block", BLOCKS)])
    speak = [
        trial
        for engine, voice in made.chosen("tts", voices)
        for trial in made.trials(
            "speak",
            [
                Axis("tts.engine", (engine,)),
                Axis(f"tts.{engine}.{'voice' if engine == 'hibari' else 'model'}", (voice,)),
                Axis(f"tts.{engine}.threads", _threads(cores)),
            ],
        )
    ]
    hear = []
    for engine, model in made.chosen("asr", recognisers):
        axes = [Axis("asr.engine", (engine,)), Axis(f"asr.{engine}.model", (model,))]
        if engine == "whisper":
            axes += [Axis("asr.whisper.threads", _threads(cores)), Axis("asr.whisper.padding", PADDINGS, cost=True)]
            if commands:
                axes += [
                    Axis("asr.whisper.beams", BEAMS, cost=True, accuracy=True),
                    Axis("asr.whisper.prompt", (False, True), cost=True),
                ]
            if free_text:
                axes.append(Axis("asr.whisper.min_context", CONTEXTS, cost=True))
        elif engine == "vosk" and commands:
            axes.append(Axis("asr.vosk.use_phrases", (True, False)))
        hear += made.trials("hear", axes)
    known = {key: axis for key, axis in made.axes.items() if axis.cost or axis.accuracy}
    return Space(tuple(idle), tuple(speak), tuple(hear), known)


def _threads(cores: int) -> tuple[int, ...]:
    """1, 2, 4 ... and all of them."""
    powers = itertools.takewhile(lambda count: count < cores, (2**exponent for exponent in range(7)))
    return (*powers, min(cores, 16))


class _Builder:
    def __init__(self, config: Config, keep: Sequence[str]) -> None:
        self._config = config
        self._keep = keep
        self.axes: dict[str, Axis] = {}

    def chosen(self, task: str, found: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Engines with their models, less those that what is kept rules out."""
        section = getattr(self._config, task)
        own, own_model = configured_model(section)
        return [
            (engine, model)
            for engine, model in dict.fromkeys(found)
            if (engine == own or not self._kept(f"{task}.engine"))
            and (engine != own or model == own_model or not self._kept(f"{task}.{engine}.{_model_key(section.chosen)}"))
        ]

    def trials(self, part: str, axes: Sequence[Axis]) -> list[Trial]:
        """All combinations of the values, those of the configuration among them."""
        own = [self._with_own(axis) for axis in axes]
        self.axes.update({axis.key: axis for axis in own})
        keys = [axis.key for axis in own]
        return [
            Trial(part, tuple(zip(keys, values, strict=True)))  # type: ignore[arg-type]
            for values in itertools.product(*(axis.values for axis in own))
        ]

    def _with_own(self, axis: Axis) -> Axis:
        name = axis.key.rpartition(".")[2]
        if name in ("engine", "model", "voice"):  # chosen already
            return axis
        value = self._value(axis.key)
        if self._kept(axis.key):
            values: tuple[Value, ...] = (value,)
        elif value in axis.values:
            values = axis.values
        else:
            numbers = [each for each in (*axis.values, value) if isinstance(each, int | float)]
            values = tuple(sorted(numbers))
        return Axis(axis.key, values, axis.cost, axis.accuracy)

    def _value(self, key: str) -> Value:
        section, *rest = key.split(".")
        found = getattr(self._config, section)
        if len(rest) == 2:
            found = found.options[rest[0]]
        value: Value = getattr(found, rest[-1])
        return value

    def _kept(self, key: str) -> bool:
        return any(key == kept or key.startswith(f"{kept}.") for kept in self._keep)


def _model_key(options: msgspec.Struct) -> str:
    return "model" if hasattr(options, "model") else "voice"


def configured_model(section: Chosen) -> tuple[str, str]:
    """Engine and model (or voice)."""
    return section.engine, str(getattr(section.chosen, _model_key(section.chosen)))


def keys(config: Config) -> Iterator[str]:
    """Every key that ``keep`` may name: sections, engines and options."""
    for section in msgspec.structs.fields(type(config)):
        yield section.name
        value = getattr(config, section.name)
        engines = getattr(value, "options", None)
        if engines is None:
            yield from (f"{section.name}.{option.name}" for option in msgspec.structs.fields(value))
            continue
        yield f"{section.name}.engine"
        for engine, options in engines.items():
            yield f"{section.name}.{engine}"
            yield from (f"{section.name}.{engine}.{option.name}" for option in msgspec.structs.fields(options))
