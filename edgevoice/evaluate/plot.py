"""A picture of accuracy against SNR, with the published curves of others."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgevoice.engines.registry import require
from edgevoice.errors import ConfigError, OutputError
from edgevoice.evaluate import published
from edgevoice.evaluate.report import Report
from edgevoice.evaluate.score import Interval

SUFFIXES = (".svg", ".png", ".pdf")
SIZE = (8.0, 5.5)
"""Inches."""
_GREYS = ("#555555", "#777777", "#999999", "#bbbbbb")


def check(path: Path) -> None:
    """
    Raises:
        ConfigError: the name's ending is of no kind of picture. EngineMissingError: matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"'{path.suffix}' is no kind of picture", place=f"option --plot {path}", remedy=f"use {', '.join(SUFFIXES)}"
        )
    require("matplotlib", extra="bench")


def save(path: Path, draw: Callable[[Any], None]) -> None:
    """Write a picture.

    Args:
        draw: draws into matplotlib's axes.

    Raises:
        OutputError: it cannot be written. EngineMissingError, EngineBrokenError: matplotlib.
    """
    matplotlib = require("matplotlib", extra="bench")
    with matplotlib.rc_context({"svg.hashsalt": "edgevoice", "font.size": 10}):
        figure = require("matplotlib.figure", extra="bench").Figure(figsize=SIZE, layout="constrained")
        draw(figure.add_subplot())
        try:
            figure.savefig(path, dpi=150)
        except OSError as error:
            raise OutputError(f"it cannot be written: {error.strerror}", place=str(path)) from error


def draw(report: Report, path: Path) -> None:
    """
    Raises:
        OutputError: it cannot be written. EngineMissingError, EngineBrokenError: matplotlib.
    """
    save(path, partial(_draw, report))


def _draw(report: Report, axes: Any) -> None:
    noisy = sorted((each for each in report.conditions if each.snr_db is not None), key=lambda each: each.snr_db or 0.0)
    clean = next((each for each in report.conditions if each.snr_db is None), None)
    others = published.comparable(one.label_intent for each in report.conditions for one in each.predictions)
    snrs = [each.snr_db or 0.0 for each in noisy]
    if others:
        known = list(published.RHINO)
        axes.plot(
            known, _percent(published.RHINO.values()), "s--", color="#d95f02", label="Picovoice Rhino (published)"
        )
        for (name, mean), grey in zip(published.MEANS.items(), _GREYS, strict=True):
            axes.hlines(100 * mean, min(known), max(known), colors=grey, linestyles="dotted")
            axes.annotate(
                f"{name}: mean, published", (max(known), 100 * mean), ha="right", va="bottom", color=grey, fontsize=8
            )
        snrs += known
    if noisy:
        accuracy = [100 * each.accuracy for each in noisy]
        below = [100 * (each.accuracy - each.accuracy_interval.low) for each in noisy]
        above = [100 * (each.accuracy_interval.high - each.accuracy) for each in noisy]
        at = [each.snr_db for each in noisy]
        axes.errorbar(at, accuracy, [below, above], fmt="o-", color="#1b6ca8", capsize=3, label="edgevoice (95 %)")
        strict = _percent(each.strict_accuracy for each in noisy)
        axes.plot(at, strict, "x", color="#1b6ca8", label="edgevoice, strict: no slot too many")
    if clean is not None:
        text = f"edgevoice, clean: {100 * clean.accuracy:.1f} %"
        axes.axhline(100 * clean.accuracy, color="#1b6ca8", linewidth=0.8, alpha=0.5, label=text)
    if snrs:
        axes.set_xticks(sorted(set(snrs)))
        axes.set_xlim(min(snrs) - 1, max(snrs) + 1)
    axes.set_xlabel("SNR in dB" + (f" ({Path(noisy[0].noise or '').stem})" if noisy else ""))
    axes.set_ylabel("commands understood in %")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=8, frameon=False)
    axes.set_title(f"{report.conditions[0].n} commands" if report.conditions else "")


def _percent(shares: Any) -> list[float]:
    return [100 * share for share in shares]


def against_snr(
    axes: Any, name: str, points: Sequence[tuple[float | None, float, Interval | None]], colour: str
) -> None:
    """A curve with its intervals, and a line for what was measured without noise.

    Args:
        points: SNR (None: clean), share, its interval.
    """
    noisy = sorted((snr, value, span) for snr, value, span in points if snr is not None)
    if noisy:
        values = [100 * value for _, value, _ in noisy]
        # An interval by bootstrap need not hold the value.
        below = [100 * max(value - span.low, 0.0) if span else 0.0 for _, value, span in noisy]
        above = [100 * max(span.high - value, 0.0) if span else 0.0 for _, value, span in noisy]
        snrs = [snr for snr, _, _ in noisy]
        axes.errorbar(snrs, values, [below, above], fmt="o-", color=colour, capsize=3, label=f"{name} (95 %)")
        axes.set_xticks(snrs)
    for snr, value, _ in points:
        if snr is None:
            text = f"{name}, clean: {100 * value:.1f} %"
            axes.axhline(100 * value, color=colour, linewidth=0.8, alpha=0.6, linestyle="dashed", label=text)
    axes.set_xlabel("SNR in dB")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False)
