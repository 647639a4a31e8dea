"""A measurer for the search that computes what it gives, and counts what it was asked."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from edgevoice.tune.combine import Inputs
from edgevoice.tune.space import Axis, Space
from edgevoice.tune.trial import Failed, Loaded, Outcome, Piece, Trial

BARE = 60.0


@dataclass
class World:
    """How recordings of a made-up board come out; more beams take longer and are never less right.

    Args:
        latency: of a model, in ms.
        wrong: recordings that a model gets wrong with one beam.
        memory: of a model, in MB.
    """

    recordings: int = 20
    sentences: int = 3
    latency: dict[str, float] = field(default_factory=lambda: {"small": 200.0, "large": 500.0})
    wrong: dict[str, int] = field(default_factory=lambda: {"small": 5, "large": 2})
    memory: dict[str, float] = field(default_factory=lambda: {"small": 100.0, "large": 300.0})
    voices: dict[str, float] = field(default_factory=lambda: {"quick": 20.0, "rich": 120.0})
    beams: tuple[int, ...] = (1, 3, 8)
    idle: dict[int, float] = field(default_factory=lambda: {512: 3.0, 1024: 2.0})
    broken: frozenset[str] = frozenset()
    """Models and voices that do not work."""

    @property
    def inputs(self) -> Inputs:
        return Inputs(recordings=self.recordings, commands=self.recordings, words=0, sentences=self.sentences)

    @property
    def space(self) -> Space:
        return Space(
            idle=tuple(Trial("idle", (("input.block", block),)) for block in self.idle),
            speak=tuple(Trial("speak", (("tts.engine", voice),)) for voice in self.voices),
            hear=tuple(
                Trial("hear", (("asr.model", model), ("beams", beams)))
                for model in self.latency
                for beams in self.beams
            ),
            axes={"beams": Axis("beams", self.beams, cost=True, accuracy=True)},
        )

    def heard(self, model: str, beams: int, number: int) -> Outcome:
        at = (number * 7 + 3) % self.recordings  # the wrong ones are spread over the recordings
        level = self.beams.index(beams)
        return Outcome(
            input=number,
            peak_mb=BARE + self.memory[model] + number * 0.1,
            latency_ms=self.latency[model] * (1 + 0.2 * level) + at,
            right=at >= self.wrong[model] - level,
        )

    def spoken(self, voice: str, number: int) -> Outcome:
        return Outcome(input=number, peak_mb=BARE + 50, latency_ms=self.voices[voice] + number)


class WorldMeasurer:
    """See ``edgevoice.tune.trial.Measurer``.

    Args:
        interrupt: called before every input; may raise.
    """

    def __init__(self, world: World, interrupt: Callable[[int], None] = lambda count: None) -> None:
        self.world = world
        self.asked: list[tuple[Trial, int]] = []
        """Every input that was measured."""
        self.loads: list[Trial] = []
        self.open = 0
        """Processes that run."""
        self._interrupt = interrupt

    def measure(self, trial: Trial, inputs: Sequence[int]) -> Generator[Piece, None, None]:
        self.loads.append(trial)
        self.open += 1
        try:
            if self.world.broken & {str(value) for _, value in trial.settings}:
                yield Failed("it is broken")
                return
            memory = BARE + self._memory(trial)
            yield Loaded(seconds=0.1, bare_mb=BARE, loaded_mb=memory, peak_mb=memory)
            for number in inputs:
                self._interrupt(len(self.asked))
                self.asked.append((trial, number))
                yield self._outcome(trial, number)
        finally:
            self.open -= 1

    def _memory(self, trial: Trial) -> float:
        settings = dict(trial.settings)
        return self.world.memory.get(str(settings.get("asr.model")), 10.0)

    def _outcome(self, trial: Trial, number: int) -> Outcome:
        world, settings = self.world, dict(trial.settings)
        match trial.part:
            case "idle":
                return Outcome(
                    input=number, peak_mb=BARE + 5, cpu_percent=world.idle[int(str(settings["input.block"]))]
                )
            case "speak":
                return world.spoken(str(settings["tts.engine"]), number)
            case "hear":
                return world.heard(str(settings["asr.model"]), int(str(settings["beams"])), number)
            case "whole":
                return self._whole(trial, number)

    def _whole(self, trial: Trial, number: int) -> Outcome:
        world = self.world
        if number < world.recordings:
            part, at = "hear", number
        elif number < world.recordings + world.sentences:
            part, at = "speak", number - world.recordings
        else:
            part, at = "idle", 0
        found = self._outcome(Trial(part, trial.settings), at)  # type: ignore[arg-type]
        fields = {name: getattr(found, name) for name in ("latency_ms", "right", "cpu_percent")}
        return Outcome(input=number, peak_mb=self._together(trial), **fields)

    def _together(self, trial: Trial) -> float:
        """What all parts take: each its own, and what one of them needs for its work."""
        idle = speak = 10.0
        return BARE + idle + self._memory(trial) + speak + max(40.0, 0.1 * (self.world.recordings - 1))
