"""The status as text that Prometheus reads (its exposition format 0.0.4). What each metric means stands in
docs/reliability.md, from the texts here."""

from collections.abc import Iterator, Mapping
from typing import get_args

from edgevoice.health.status import State, Status

Samples = Mapping[tuple[tuple[str, str], ...], float]
"""Labels -> value."""


def text(status: Status) -> str:
    """All metrics. One whose value is not known is left out."""
    lines: list[str] = []
    for name, kind, meaning, samples in metrics(status):
        if samples:
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_labels(labels)} {value:.15g}" for labels, value in samples.items()]
    return "\n".join(lines) + "\n"


def metrics(status: Status) -> Iterator[tuple[str, str, str, Samples]]:
    """Name, type, meaning and values of each."""
    machine = status.machine
    yield "edgevoice_info", "gauge", "The version that runs.", _by("version", {status.version: 1})
    yield (
        "edgevoice_model_info",
        "gauge",
        "A model in use: task, engine, model, version.",
        {
            (("task", use.task), ("engine", use.engine), ("model", use.model), ("version", use.version)): 1
            for use in status.models
        },
    )
    states = {state: float(state == status.state) for state in get_args(State)}
    yield "edgevoice_state", "gauge", "1 for the state it is in, 0 for the others.", _by("state", states)
    yield "edgevoice_uptime_seconds", "gauge", "Since the process started.", _one(status.uptime_s)
    yield "edgevoice_level", "gauge", "Steps down because of overload or heat; 0 is full service.", _one(status.level)
    yield (
        "edgevoice_frames_per_second",
        "gauge",
        "Frames of 10 ms that wake word detection processed, a second, over ten seconds; 100 keeps up.",
        _one(status.frames_per_second),
    )
    yield "edgevoice_frames_total", "counter", "Frames of 10 ms that it processed.", _one(status.frames)
    yield "edgevoice_deaf_total", "counter", "How often nothing could be heard, by cause.", _by("cause", status.deaf)
    yield "edgevoice_reopened_total", "counter", "How often it heard again after that.", _one(status.reopened)
    yield "edgevoice_overruns_total", "counter", "How often audio was lost, by where.", _by("where", status.overruns)
    yield "edgevoice_lost_seconds_total", "counter", "Of audio, in those.", _one(status.lost_s)
    yield (
        "edgevoice_queue_seconds",
        "gauge",
        "Audio that waits to be processed, by who is to do it.",
        _by("queue", status.queues_s),
    )
    yield (
        "edgevoice_step_running_seconds",
        "gauge",
        "Age of the step that runs, by thread.",
        _by("thread", status.workers_s),
    )
    yield "edgevoice_hung", "gauge", "Threads that hang.", _one(len(status.hung))
    yield "edgevoice_wakes_total", "counter", "Turns begun, by word or push.", _by("by", status.wakes)
    yield "edgevoice_turns_total", "counter", "Turns ended, by outcome.", _by("outcome", status.turns)
    yield "edgevoice_faults_total", "counter", "Failures, by class of the error.", _by("error", status.faults)
    seconds = {step: spent.seconds for step, spent in status.spent.items()}
    counts = {step: spent.count for step, spent in status.spent.items()}
    yield (
        "edgevoice_step_seconds_sum",
        "counter",
        "Time that the steps of the turns took, by step.",
        _by("step", seconds),
    )
    yield "edgevoice_step_seconds_count", "counter", "How often they were done.", _by("step", counts)
    yield "edgevoice_reloads_total", "counter", "Configurations put in force.", _one(status.reloads)
    yield "edgevoice_reloads_rejected_total", "counter", "Configurations refused.", _one(status.reloads_rejected)
    yield "edgevoice_starts_total", "counter", "Starts of the service.", _one(status.starts)
    yield "edgevoice_unclean_starts_total", "counter", "Of these after a crash or kill.", _one(status.unclean_starts)
    resident = None if machine.resident_mb is None else machine.resident_mb * 1024 * 1024
    yield "edgevoice_resident_bytes", "gauge", "Memory of the process.", _one(resident)
    yield "edgevoice_temperature_celsius", "gauge", "The processor's hottest sensor.", _one(machine.temperature_c)
    throttled = None if machine.throttled is None else float(bool(machine.throttled))
    yield "edgevoice_throttled", "gauge", "1 while something slows the processor down.", _one(throttled)


def _one(value: float | None) -> Samples:
    return {} if value is None else {(): value}


def _by(label: str, values: Mapping[str, float]) -> Samples:
    return {((label, name),): value for name, value in values.items()}


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
