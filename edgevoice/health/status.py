"""What is told about a running assistant: the one record that ``edgevoice status``, metrics, log and systemd show."""

from typing import Literal

import msgspec

State = Literal["starting", "listening", "turn", "muted", "deaf", "degraded", "stopping"]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The process and the board, now. None: the kernel does not tell."""

    resident_mb: float | None = None
    temperature_c: float | None = None
    """Of the hottest sensor of the processor."""
    throttled: tuple[str, ...] | None = None
    """What slows the processor down now."""
    throttled_before: tuple[str, ...] | None = None
    """What has slowed it down since the board was started."""


class ModelInUse(msgspec.Struct, frozen=True, kw_only=True):
    task: str
    engine: str
    model: str
    version: str


class LastWake(msgspec.Struct, frozen=True, kw_only=True):
    ago_s: float
    by: Literal["word", "push"]
    model: str
    score: float


class LastTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Without what was said: that is nobody's business but the user's."""

    ago_s: float
    """Since its end."""
    outcome: str
    took_ms: dict[str, float]
    """Step -> milliseconds, as in the events."""


class LastFault(msgspec.Struct, frozen=True, kw_only=True):
    ago_s: float
    error: str
    message: str


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a step of the turns has taken so far."""

    count: int
    seconds: float


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are since the start of the process; times ending in ``_s`` are seconds."""

    version: str
    pid: int
    state: State
    cause: str
    """Why it is deaf or degraded; empty in other states."""
    in_state_s: float
    uptime_s: float
    level: int
    """How many steps down it has gone because of overload or heat; 0 is full service."""
    frames_per_second: float
    """Frames of 10 ms that wake word detection has processed, a second, over the last ten seconds: 100 keeps up."""
    frames: int
    """All of them."""
    device: str
    """What is listened to, as far as it has said its name."""
    deaf: dict[str, int]
    """Cause -> how often it was deaf because of it."""
    reopened: int
    """How often it has heard again after that."""
    overruns: dict[str, int]
    """Where -> how often audio was lost there."""
    lost_s: float
    """Of audio, in those."""
    queues_s: dict[str, float]
    """Who listens -> audio that waits for it."""
    workers_s: dict[str, float]
    """Thread -> since when the step in it has been running; 0 when it is idle."""
    tasks: int
    """Of the event loop: a few more in a turn, and always as many afterwards."""
    hung: tuple[str, ...]
    """The threads whose step takes longer than any can; the watchdog is no longer fed."""
    wakes: dict[str, int]
    """``word`` or ``push`` -> how often."""
    turns: dict[str, int]
    """Outcome -> how often."""
    faults: dict[str, int]
    """Class of the error -> how often."""
    spent: dict[str, Spent]
    last_wake: LastWake | None
    last_turn: LastTurn | None
    last_fault: LastFault | None
    recordings: str | None
    """Where the sound of every turn is kept, when that is asked for."""
    reloads: int
    """Changed configurations that were put in force."""
    reloads_rejected: int
    starts: int | None
    """How often the service was started here; None when nothing is kept."""
    unclean_starts: int | None
    """How many of them came after a crash, a kill or a power cut."""
    models: tuple[ModelInUse, ...]
    machine: Machine
