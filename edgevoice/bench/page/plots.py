"""Plots with two axes: accuracy against speed, and what changes over time."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgevoice.bench.compare_table import number
from edgevoice.bench.page.markup import colour, hint, percent, tag, text
from edgevoice.bench.page.scale import Scale, written
from edgevoice.bench.schema import Interval

TALL = 320
"""Height of a plot of points, in pixels."""
LOW = 130
"""Height of one of several plots over the same time."""
_LINE = 15
"""Pixels that a label takes up and down."""
_LABEL = 20.0
"""Percent of the width that a label takes, on a wide page."""


@dataclass(frozen=True)
class Dot:
    label: str
    told: str
    """Shown where the pointer rests."""
    x: float
    y: float
    across: Interval | None
    """Of y."""
    colour: int
    hollow: bool


def scatter(dots: Sequence[Dot], x_name: str, y_name: str) -> str:
    """Points with their intervals; to the left and down is better. Where there is no room for names, numbers stand for
    them, with a list of the names below."""
    x_scale = Scale.of(dot.x for dot in dots)
    ends = [end for dot in dots if dot.across for end in (dot.across.low, dot.across.high)]
    y_scale = Scale.of([*(dot.y for dot in dots), *ends], zero=True)
    spans, drawn = [_grid(x_scale, y_scale, TALL)], []
    places = {dot: (x_scale.at(dot.x), TALL - y_scale.at(dot.y) * TALL / 100) for dot in dots}
    taken = [(x - 1, x + 1, y) for x, y in places.values()]
    ordered = sorted(dots, key=lambda each: (each.y, -each.x))
    for count, dot in enumerate(ordered, 1):
        x, y = places[dot]
        left = x > 100 - _LABEL
        begin, end = (x - _LABEL, x - 1.5) if left else (x + 1.5, x + _LABEL)
        place = y
        while any(abs(place - other) < _LINE and begin < last and first < end for first, last, other in taken):
            place -= _LINE
        taken.append((begin, end, place))
        if dot.across is not None:
            low, high = (TALL - y_scale.at(end) * TALL / 100 for end in (dot.across.low, dot.across.high))
            style = f"span {colour(dot.colour)}"
            spans.append(tag("line", class_=style, x1=percent(x), x2=percent(x), y1=low, y2=high))
        marks = [hint(dot.told)]
        marks.append(tag("circle", class_="hollow" if dot.hollow else "point", cx=percent(x), cy=y, r=6))
        style = "digit" + " on" * (not dot.hollow)
        marks.append(tag("text", str(count), class_=style, x=percent(x), y=y + 4, text_anchor="middle"))
        marks.append(
            tag(
                "text",
                text(dot.label),
                class_="label",
                x=percent(x),
                y=place + 4,
                dx=-11 if left else 11,
                text_anchor="end" if left else "start",
            )
        )
        drawn.append(tag("g", *marks, class_=colour(dot.colour)))
    names = tag("ol", *(tag("li", text(dot.told)) for dot in ordered), class_="names")
    return _framed([*spans, *drawn], x_name, y_name, TALL) + names


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]
    style: str
    """Its class, and the colour's."""


def over_time(lines: Sequence[Line], seconds: float, name: str, unit: str, *, zero: bool) -> str:
    """Lines over minutes."""
    minutes = Scale(0.0, max(seconds / 60, 1e-3))
    values = Scale.of((value for line in lines for _, value in line.points), zero=zero, logarithmic=False)
    drawn = [_grid(minutes, values, LOW)]
    paths = []
    for line in lines:
        at = " ".join(f"{minutes.at(when / 60):.2f},{100 - values.at(value):.2f}" for when, value in line.points)
        paths.append(tag("polyline", points=at, class_=line.style))
    drawn.append(
        tag("svg", *paths, viewBox="0 0 100 100", preserveAspectRatio="none", width="100%", height=LOW, x=0, y=0)
    )
    width = 100 / max(max((len(line.points) for line in lines), default=1), 1)
    for line in lines:
        for when, value in line.points:
            words = f"{line.name}: {number(value)} {unit} at {when / 60:.1f} min"
            drawn.append(
                tag(
                    "circle",
                    hint(words),
                    class_="touch",
                    cx=percent(minutes.at(when / 60)),
                    cy=LOW - values.at(value) * LOW / 100,
                    r=7 if width > 1 else 4,
                )
            )
    return _framed(drawn, "minutes", f"{name} in {unit}", LOW)


def _grid(x: Scale, y: Scale, height: int) -> str:
    found = []
    for at in x.ticks():
        where = percent(x.at(at))
        found.append(tag("line", class_="grid", x1=where, x2=where, y1=0, y2=height))
        found.append(tag("text", text(written(at)), class_="tick", x=where, y=height + 16, text_anchor="middle"))
    for at in y.ticks(4 if height > LOW else 3):
        where_y = height - y.at(at) * height / 100
        found.append(tag("line", class_="grid", x1=0, x2="100%", y1=where_y, y2=where_y))
        found.append(tag("text", text(written(at)), class_="tick", x=-8, y=where_y + 4, text_anchor="end"))
    return "".join(found)


def _framed(drawn: Sequence[str], x_name: str, y_name: str, height: int) -> str:
    return tag(
        "figure",
        tag("figcaption", text(y_name)),
        tag("svg", *drawn, height=height + 20, role="img", aria_label=f"{y_name} by {x_name}"),
        tag("div", text(x_name), class_="x"),
        class_="plot",
    )
