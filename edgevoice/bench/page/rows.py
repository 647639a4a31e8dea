"""Charts of rows: a name, a plot, a figure. Coordinates along a row are percents, so that a row is as wide as there is
room and its text stays as large; on a narrow screen the plot goes below its name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edgevoice.bench.compare_table import number
from edgevoice.bench.page.lots import Lot
from edgevoice.bench.page.markup import colour, hint, percent, tag, text
from edgevoice.bench.page.scale import Scale, written
from edgevoice.bench.schema import Metric

HEIGHT = 30
"""Of a row's plot, in pixels."""
_JOIN = 10
"""Pixels by which lines reach into the rows above and below, so that they join where a name takes more lines."""
DOTS = 120
"""Values that are drawn one by one, evenly chosen in the order of measuring."""


@dataclass(frozen=True)
class Row:
    name: str
    below: str
    """Smaller, beneath the name."""
    marks: str
    """SVG."""
    figure: str
    beside: str
    """Smaller, behind the figure."""


def chart(rows: Sequence[Row], scale: Scale, unit: str) -> str:
    """All rows above one axis."""
    grid = "".join(
        tag("line", class_="grid", x1=percent(scale.at(at)), x2=percent(scale.at(at)), y1=-_JOIN, y2=HEIGHT + _JOIN)
        for at in scale.ticks()
    )
    drawn = [
        tag(
            "div",
            tag("div", text(row.name), tag("small", text(row.below)) if row.below else "", class_="name"),
            tag("svg", grid, row.marks, height=HEIGHT, role="img"),
            tag("div", tag("b", text(row.figure)), tag("small", text(row.beside)), class_="figure"),
            class_="row",
        )
        for row in rows
    ]
    axis = "".join(
        tag("text", text(written(at)), x=percent(scale.at(at)), y=14, class_="tick", text_anchor="middle")
        for at in scale.ticks()
    )
    last = tag(
        "div",
        tag("div", class_="name"),
        tag("svg", axis, height=20, aria_hidden="true"),
        tag("div", tag("small", text(unit)), class_="figure"),
        class_="row axis",
    )
    return tag("div", *drawn, last, class_="rows")


def named(lot: Lot) -> tuple[str, str]:
    """The two lines of a name."""
    return lot.title, " · ".join(part for part in (lot.name, lot.model) if part)


def distribution(lots: Iterable[tuple[Lot, Metric]], unit: str) -> str:
    """How values are spread: every one as a dot, a line from 5 to 95 %, a box over the middle half, the median."""
    shown = list(lots)
    scale = Scale.of(value for _, metric in shown for value in (metric.summary.low, metric.summary.high))
    return chart([_spread(lot, metric, scale) for lot, metric in shown], scale, unit)


def _spread(lot: Lot, metric: Metric, scale: Scale) -> Row:
    values = np.asarray(metric.samples)
    p5, p25, p75 = np.percentile(values, [5, 25, 75]).tolist()
    found, middle = metric.summary, HEIGHT / 2
    told = (
        f"{lot.full}: median {number(found.median, metric.unit)}, p95 {number(found.p95, metric.unit)}, "
        f"p99 {number(found.p99, metric.unit)}, {number(found.low, metric.unit)} to {number(found.high, metric.unit)}, "
        f"n = {found.n}"
    )
    chosen = [*values[:: -(-len(values) // DOTS)].tolist(), found.low, found.high]
    # The golden ratio spreads neighbours evenly, the same every time.
    dots = "".join(
        tag("circle", class_="dot", cx=percent(scale.at(value)), cy=4 + (at * 0.618 % 1) * (HEIGHT - 8), r=1.6)
        for at, value in enumerate(chosen)
    )
    marks = [
        hint(told),
        tag("rect", class_="touch", width="100%", height=HEIGHT),
        dots,
        _line(scale.at(p5), scale.at(found.p95), middle, "whisker"),
        _bar(scale.at(p25), scale.at(p75), 8, HEIGHT - 16, "box"),
        _tick(scale.at(found.median), 5, HEIGHT - 5, "median"),
        _tick(scale.at(found.p99), 11, HEIGHT - 11, "whisker"),
    ]
    return Row(
        lot.short,
        named(lot)[1],
        tag("g", *marks, class_=colour(lot.colour)),
        number(found.median, metric.unit),
        f"p95 {number(found.p95)}",
    )


@dataclass(frozen=True)
class Part:
    """One piece of a bar."""

    name: str
    value: float
    style: str
    """Its class."""


def stacked(bars: Sequence[tuple[tuple[str, str], Sequence[Part], str, str]], unit: str) -> str:
    """Bars of pieces, from 0.

    Args:
        bars: two lines of the name, the pieces, the figure, and what stands behind it.
    """
    scale = Scale.of((sum(part.value for part in parts) for _, parts, _, _ in bars), zero=True)
    rows = []
    for (name, below), parts, figure, beside in bars:
        marks, begun = [], 0.0
        for part in parts:
            end = begun + part.value
            shape = _bar(scale.at(begun), scale.at(end), 6, HEIGHT - 12, f"part {part.style}")
            marks.append(tag("g", hint(f"{part.name}: {number(part.value)} {unit}"), shape))
            begun = end
        rows.append(Row(name, below, "".join(marks), figure, beside))
    return chart(rows, scale, unit)


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """
    Args:
        entries: class of the colour, name.
    """
    return tag("div", *(tag("span", tag("i", class_=style), text(name)) for style, name in entries), class_="legend")


def _line(begin: float, end: float, y: float, style: str) -> str:
    return tag("line", class_=style, x1=percent(begin), x2=percent(end), y1=y, y2=y)


def _tick(x: float, top: float, bottom: float, style: str) -> str:
    return tag("line", class_=style, x1=percent(x), x2=percent(x), y1=top, y2=bottom)


def _bar(begin: float, end: float, top: float, height: float, style: str) -> str:
    return tag("rect", class_=style, x=percent(begin), width=percent(max(end - begin, 0.15)), y=top, height=height)
