"""Budgets: what an assistant may cost and how right it must be, as it is typed."""

import re
from collections.abc import Mapping

import msgspec

from edgevoice.errors import ConfigError

_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z%]*)")
_UNITS: dict[str, dict[str, float]] = {
    "time": {"ms": 1.0, "s": 1000.0},
    "memory": {"KB": 1 / 1024, "KiB": 1 / 1024, "MB": 1.0, "MiB": 1.0, "GB": 1024.0, "GiB": 1024.0},
    "share": {"%": 0.01},
    "percent": {"%": 1.0},
}
"""Kind -> unit -> what one of it is in the unit we count in. MB are 1024 * 1024 bytes, as everywhere here."""
_EXAMPLES = {"time": "600ms or 0.6s", "memory": "400MB or 0.5GB", "share": "8%", "percent": "5%"}


class Budgets(msgspec.Struct, frozen=True, kw_only=True):
    """Null: no budget was given."""

    latency_ms: float | None = None
    """Most for the 95th percentile of the time from the end of speech to the first audio of the reply."""
    memory_mb: float | None = None
    """Most resident memory."""
    cpu_percent: float | None = None
    """Most of one core while only the wake word is waited for."""
    wer: float | None = None
    """Highest word error rate, 0..1."""
    accuracy: float | None = None
    """Least share of commands whose intent and slots are all right and no slot more, 0..1."""

    def typed(self) -> str:
        """The options that give these budgets."""
        values = (
            ("--latency-p95", self.latency_ms, 1, "ms"),
            ("--memory", self.memory_mb, 1, "MB"),
            ("--cpu-idle", self.cpu_percent, 1, "%"),
            ("--wer", self.wer, 100, "%"),
            ("--intent-accuracy", self.accuracy, 100, "%"),
        )
        return " ".join(
            f"{option} {scale * value:g}{unit}" for option, value, scale, unit in values if value is not None
        )


_OPTIONS = {
    "latency_p95": ("--latency-p95", "latency_ms", "time"),
    "memory": ("--memory", "memory_mb", "memory"),
    "cpu_idle": ("--cpu-idle", "cpu_percent", "percent"),
    "wer": ("--wer", "wer", "share"),
    "intent_accuracy": ("--intent-accuracy", "accuracy", "share"),
}
"""Name of the argument -> option, field of ``Budgets``, kind."""


def parse(typed: Mapping[str, str | None]) -> Budgets:
    """The budgets out of what was typed, by the names of the arguments; None where nothing was.

    Raises:
        ConfigError: with every one that is no budget.
    """
    found: dict[str, float] = {}
    mistakes = []
    for argument, (option, field, kind) in _OPTIONS.items():
        text = typed.get(argument)
        if text is None:
            continue
        try:
            found[field] = _value(text, kind)
        except ValueError as error:
            mistakes.append(ConfigError(str(error), place=f"option {option}", remedy=f"for example {_EXAMPLES[kind]}"))
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise ConfigError(f"{len(mistakes)} mistakes in the budgets\n" + "\n".join(map(str, mistakes)))
    return Budgets(**found)


def duration(text: str) -> float:
    """Seconds out of ``90s``, ``10m`` or ``1h``.

    Raises:
        ValueError: it is none.
    """
    units = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
    match = _NUMBER.fullmatch(text.strip())
    if match is None or match[2] not in units:
        raise ValueError(f"'{text}' is no time")
    seconds = float(match[1]) * units[match[2]]
    if seconds <= 0:
        raise ValueError("it must be more than nothing")
    return seconds


def _value(text: str, kind: str) -> float:
    units = _UNITS[kind]
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is no number with a unit")
    number, unit = match.groups()
    if not unit:
        raise ValueError(f"'{text}' has no unit")
    if unit not in units:
        raise ValueError(f"'{unit}' is none of the units {', '.join(units)}")
    value = float(number) * units[unit]
    if kind == "share" and value > 1:
        raise ValueError(f"{text} is more than 100 %")
    if kind in ("time", "memory") and value <= 0:
        raise ValueError("it must be more than nothing")
    return value
