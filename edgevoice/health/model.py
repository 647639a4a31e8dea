"""The health of a running assistant, kept from its events. What is shown anywhere is a view of its ``snapshot``."""

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, assert_never

from edgevoice import __version__, events
from edgevoice.audio.pcm import RATE
from edgevoice.events import Event
from edgevoice.health import machine
from edgevoice.health.status import LastFault, LastTurn, LastWake, Machine, ModelInUse, Spent, State, Status
from edgevoice.observe import Step

FRAME: Final = RATE // 100
"""Samples of what is called a frame here: 10 ms, the step of most acoustic features."""

RATE_WINDOW: Final = 10.0
"""Seconds over which frames per second are counted: forty of the quarter seconds that a microphone gathers while idle,
so that one more or less changes little."""

HANG_SECONDS: Final = 30.0
"""A step of an engine that takes longer hangs. The longest that occurs by design is the recognition of the longest
utterance, in one piece, on the slowest board and four times overloaded."""


class Busy(Protocol):
    """A thread; see ``edgevoice.flow.worker.Worker``."""

    @property
    def name(self) -> str: ...

    def busy(self) -> float:
        """Seconds that the step in flight has been running."""


class Health:
    """Keeps what happened, in bounded memory. All methods are called on the event loop.

    Args:
        device: what is listened to.
        read_machine: reads the board.
        clock: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        *,
        device: str = "",
        read_machine: Callable[[], Machine] = machine.read,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.models: Sequence[ModelInUse] = ()
        """What is used for which task."""
        self.starts: tuple[int, int] | None = None
        """How often the service was started, and how often of these uncleanly; None when nothing is kept."""
        self.recordings: Callable[[], str | None] = lambda: None
        """Tells where turns are recorded."""
        self.queues: Callable[[], Mapping[str, float]] = dict
        """Tells who listens and how many seconds of audio wait for it."""
        self.workers: Callable[[], Iterable[Busy]] = tuple
        """Tells the threads whose steps may hang."""
        self._device = device
        self.stopping = False
        self.read_machine = read_machine
        self._clock = clock
        self._began = clock()
        self._shown: tuple[State, float] = ("starting", self._began)
        self._processing = False
        self._listens = False
        """The assistant has begun to listen, if to nothing yet."""
        self._deaf: events.Deaf | None = None
        self._muted = False
        self._in_turn = False
        self._degraded: events.Degraded | None = None
        self._samples = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._recent_from = self._began
        self._deaf_times: Counter[str] = Counter()
        self._reopened = 0
        self._overruns: Counter[str] = Counter()
        self._lost = 0
        self._wakes: Counter[str] = Counter()
        self._turns: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._spent: dict[str, tuple[int, float]] = {}
        self._steps: dict[str, float] = {}
        self._last_wake: tuple[float, events.Wake] | None = None
        self._last_turn: tuple[float, str, dict[str, float]] | None = None
        self._last_fault: tuple[float, events.Fault] | None = None
        self._reloads = self._rejected = 0

    def frames(self, samples: int) -> None:
        """Wake word detection has processed so many samples."""
        now = self._clock()
        if not self._processing:
            self._processing, self._recent_from = True, now
        self._samples += samples
        self._recent.append((now, samples))
        self._forget(now)
        self._settle(now)

    def observe(self, event: Event, steps: Sequence[Step]) -> None:
        """Something has happened.

        Args:
            steps: those that the event ends.
        """
        now = self._clock()
        for step in steps:
            count, seconds = self._spent.get(step.name, (0, 0.0))
            self._spent[step.name] = count + 1, seconds + step.seconds
            self._steps[step.name] = step.seconds
        match event:
            case events.Wake():
                self._wakes[event.by] += 1
                self._last_wake = now, event
                self._in_turn, self._steps = True, {}
            case events.TurnEnded():
                self._turns[event.outcome] += 1
                self._last_turn = now, event.outcome, self._steps
                self._in_turn = False
            case events.Overrun():
                self._overruns[event.where] += 1
                self._lost += event.lost
            case events.Deaf():
                self._deaf_times[event.cause] += 1
                self._deaf, self._muted = event, False
            case events.Hearing():
                self._reopened += self._deaf is not None
                self._deaf, self._muted = None, False
                self._listens = True
                self._device = event.device
            case events.Muted():
                self._deaf, self._muted = None, True
                self._listens = True
            case events.Degraded():
                self._degraded = event if event.level else None
            case events.Reloaded():
                self._reloads += 1
            case events.ReloadRejected():
                self._rejected += 1
            case events.Fault():
                self._faults[event.error] += 1
                self._last_fault = now, event
            case events.Listening():
                self._listens = True
            case (
                events.SpeechStarted()
                | events.Partial()
                | events.SpeechEnded()
                | events.Transcript()
                | events.IntentMatched()
                | events.NotUnderstood()
                | events.ActionDone()
                | events.Reply()
                | events.Speaking()
            ):
                pass
            case _:
                assert_never(event)
        self._settle(now)

    @property
    def processing(self) -> bool:
        """Wake word detection has processed audio, so the assistant works from end to end."""
        return self._processing

    @property
    def muted(self) -> bool:
        return self._muted

    @property
    def hears(self) -> bool:
        """What is said now would be heard."""
        return self._listens and not self._muted and self._deaf is None

    @property
    def deaf(self) -> events.Deaf | None:
        return self._deaf

    @property
    def state(self) -> State:
        """What matters most: whether it can be spoken to, then what it does."""
        if self.stopping:
            return "stopping"
        if self._muted:
            return "muted"
        if self._deaf is not None:
            return "deaf"
        if not self._processing:
            return "starting"
        if self._in_turn:
            return "turn"
        return "listening" if self._degraded is None else "degraded"

    @property
    def cause(self) -> str:
        """Why it is in this state, where that needs a reason."""
        match self.state:
            case "deaf" if self._deaf is not None:
                return f"{self._deaf.cause.replace('_', ' ')}: {self._deaf.why}"
            case "degraded" if self._degraded is not None:
                return self._degraded.why
        return ""

    def hung(self) -> tuple[str, ...]:
        """The threads whose step takes longer than any can."""
        return tuple(worker.name for worker in self.workers() if worker.busy() > HANG_SECONDS)

    def last_turn(self) -> tuple[str, dict[str, float]] | None:
        """Outcome, and seconds by step."""
        return None if self._last_turn is None else self._last_turn[1:]

    def snapshot(self) -> Status:
        """All of it, now."""
        now = self._clock()
        self._forget(now)
        self._settle(now)
        return Status(
            version=__version__,
            pid=os.getpid(),
            state=self.state,
            cause=self.cause,
            in_state_s=_round(now - self._shown[1]),
            uptime_s=_round(now - self._began),
            level=0 if self._degraded is None else self._degraded.level,
            frames_per_second=self._frames_per_second(now),
            frames=self._samples // FRAME,
            device=self._device,
            deaf=dict(self._deaf_times),
            reopened=self._reopened,
            overruns=dict(self._overruns),
            lost_s=round(self._lost / RATE, 3),
            queues_s={name: round(seconds, 3) for name, seconds in self.queues().items()},
            workers_s={worker.name: _round(worker.busy()) for worker in self.workers()},
            tasks=_tasks(),
            hung=self.hung(),
            wakes=dict(self._wakes),
            turns=dict(self._turns),
            faults=dict(self._faults),
            spent={name: Spent(count=count, seconds=round(sum_, 4)) for name, (count, sum_) in self._spent.items()},
            last_wake=self._wake(now),
            last_turn=self._turn(now),
            last_fault=self._fault(now),
            reloads=self._reloads,
            reloads_rejected=self._rejected,
            recordings=self.recordings(),
            starts=None if self.starts is None else self.starts[0],
            unclean_starts=None if self.starts is None else self.starts[1],
            models=tuple(self.models),
            machine=self.read_machine(),
        )

    def _settle(self, now: float) -> None:
        if (state := self.state) != self._shown[0]:
            self._shown = state, now

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] <= now - RATE_WINDOW:
            self._recent.popleft()

    def _frames_per_second(self, now: float) -> float:
        span = min(now - self._recent_from, RATE_WINDOW) if self._processing else 0.0
        return _round(sum(samples for _, samples in self._recent) / FRAME / span) if span > 0 else 0.0

    def _wake(self, now: float) -> LastWake | None:
        if self._last_wake is None:
            return None
        at, wake = self._last_wake
        return LastWake(ago_s=_round(now - at), by=wake.by, model=wake.model, score=wake.score)

    def _turn(self, now: float) -> LastTurn | None:
        if self._last_turn is None:
            return None
        at, outcome, steps = self._last_turn
        took = {name.replace(" ", "_"): _round(seconds * 1000) for name, seconds in steps.items()}
        return LastTurn(ago_s=_round(now - at), outcome=outcome, took_ms=took)

    def _fault(self, now: float) -> LastFault | None:
        if self._last_fault is None:
            return None
        at, fault = self._last_fault
        return LastFault(ago_s=_round(now - at), error=fault.error, message=fault.message)


def _round(value: float) -> float:
    return round(value, 1)


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # no loop runs here
        return 0
