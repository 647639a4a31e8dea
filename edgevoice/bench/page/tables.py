"""The figures as tables: nothing of a plot has to be guessed."""

from collections.abc import Callable, Iterable, Sequence

from edgevoice.bench.compare_table import number
from edgevoice.bench.page.lots import Lot, Lots
from edgevoice.bench.page.markup import colour, tag, text
from edgevoice.bench.schema import Metric, Series

NONE = "-"
Column = tuple[str, Callable[[Lot], str]]


def engines(lots: Lots, task: str) -> str:
    """Everything about the engines of a task; empty where there are none."""
    shown = [lot for lot in lots.series if lot.series.kind == "engine" and lot.series.task == task]
    if not shown:
        return ""
    latency = "chunk_ms" if task in ("wake", "vad") else "latency_ms"
    columns: list[Column] = [
        ("RTF", _median("rtf")),
        ("± 95 %", lambda lot: _half(lot.series.metrics.get("rtf"))),
        ("CPU", _median("cpu_x")),
        ("p50 ms", _median(latency)),
        ("p95 ms", _summary(latency, "p95")),
        ("p99 ms", _summary(latency, "p99")),
        ("first ms", _median("first_ms")),
        ("cold ms", _median("cold_ms")),
        ("load s", _median("load_s")),
        ("peak MB", lambda lot: _memory(lot.series, "peak_mb")),
        ("own MB", lambda lot: _memory(lot.series, "unshared_mb")),
        ("WER", lambda lot: _wer(lots, lot)),
        ("beside", lambda lot: _beside(lots, lot)),
    ]
    filled = [(head, make) for head, make in columns if any(make(lot) != NONE for lot in shown)]
    rows = []
    for lot in shown:
        figures = [make(lot) for _, make in filled]
        if not lot.series.metrics:
            figures = [f"{lot.series.state}: {lot.series.why}"]
        rows.append((lot, figures))
    return table([head for head, _ in filled], rows)


def table(heads: Sequence[str], rows: Iterable[tuple[Lot, Sequence[str]]]) -> str:
    """A table with a row for each series; a single figure takes the whole row."""
    body = []
    for lot, figures in rows:
        name = tag(
            "th",
            tag("i", class_=colour(lot.colour)),
            text(lot.short),
            tag("small", text(" · ".join(part for part in (lot.name, lot.model) if part))),
            scope="row",
        )
        wide = len(heads) if len(figures) == 1 < len(heads) else None
        cells = [tag("td", text(figure), colspan=wide, class_="why" if wide else None) for figure in figures]
        body.append(tag("tr", name, *cells))
    return simple(["", *heads], body)


def simple(heads: Sequence[str], body: Iterable[str]) -> str:
    """
    Args:
        body: rows, as markup.
    """
    head = tag("thead", tag("tr", *(tag("th", text(one), scope="col") for one in heads)))
    return tag("div", tag("table", head, tag("tbody", *body)), class_="scroll", tabindex=0)


def steps(lot: Lot, names: Sequence[str]) -> list[str]:
    """Rows of a turn's steps."""
    rows = []
    for name in names:
        metric = lot.series.metrics.get(f"{name}_ms")
        if metric is not None:
            found = metric.summary
            figures = [number(value) for value in (found.median, found.p95, found.p99)] + [str(found.n)]
            rows.append(
                tag(
                    "tr",
                    tag("th", text(name.replace("_", " ")), scope="row"),
                    *(tag("td", text(figure)) for figure in figures),
                )
            )
    return rows


def _median(name: str) -> Callable[[Lot], str]:
    return _summary(name, "median")


def _summary(name: str, which: str) -> Callable[[Lot], str]:
    def made(lot: Lot) -> str:
        metric = lot.series.metrics.get(name)
        return NONE if metric is None else number(getattr(metric.summary, which))

    return made


def _half(metric: Metric | None) -> str:
    if metric is None or metric.summary.interval is None or not metric.summary.median:
        return NONE
    half = (metric.summary.interval.high - metric.summary.interval.low) / 2
    return f"{100 * half / metric.summary.median:.1f} %"


def _memory(series: Series, name: str) -> str:
    value = None if series.usage is None else getattr(series.usage, name)
    return NONE if value is None else f"{value:.0f}"


def _wer(lots: Lots, lot: Lot) -> str:
    found = lots.accuracy(lot)
    return NONE if found is None else f"{100 * found.value:.1f} %"


def _beside(lots: Lots, lot: Lot) -> str:
    for name, result in lots.results:
        for ratio in result.ratios:
            if ratio.series == lot.series.key and lot.name in ("", name):
                return f"x {ratio.ratio:.2f}"
    return NONE
