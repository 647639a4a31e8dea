"""What every report of an evaluation says, and how it is written."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from edgevoice import wholefile
from edgevoice.evaluate import machine
from edgevoice.evaluate.machine import Machine
from edgevoice.evaluate.score import Interval, percentile

SHOWN = 15
"""Lines of a list on the terminal; all are in the JSON."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a report."""

    format: int
    created: str
    """ISO 8601, UTC."""
    partial: bool
    """It was stopped before the end."""
    commit: str | None
    versions: dict[str, str]
    machine: Machine
    options: dict[str, Any]
    peak_rss_mb: float
    """Of the largest process that did the work."""


class Percentiles(msgspec.Struct, frozen=True):
    p50: float | None
    p95: float | None


def percentiles(values: list[float]) -> Percentiles:
    return Percentiles(percentile(values, 50), percentile(values, 95))


def head(format_: int, *, options: dict[str, Any], peak_mb: float, partial: bool) -> dict[str, Any]:
    """The fields of ``Record``."""
    return {
        "format": format_,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "partial": partial,
        "commit": machine.commit(),
        "versions": machine.versions(),
        "machine": machine.machine(),
        "options": options,
        "peak_rss_mb": round(peak_mb, 1),
    }


def write(report: Record, path: Path) -> None:
    """Write it as JSON: whole, or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    wholefile.write(path, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


# Words of tables -----------------------------------------------------------------------------------------------


def label(snr: float | None) -> str:
    return "clean" if snr is None else f"{snr:g} dB"


def share(value: float | None) -> str:
    """A share in percent."""
    return "-" if value is None else f"{100 * value:.1f}"


def span(interval: Interval | None, scale: float = 100.0) -> str:
    """An interval, in percent unless another scale is given."""
    return "-" if interval is None else f"{scale * interval.low:.1f}..{scale * interval.high:.1f}"


def ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
