"""The parts of the page, each empty where nothing of it was measured."""

from collections.abc import Sequence

import numpy as np

from edgevoice.bench.compare import middle
from edgevoice.bench.compare_table import number
from edgevoice.bench.page import plots, rows, tables
from edgevoice.bench.page.lots import Lot, Lots
from edgevoice.bench.page.markup import colour, tag, text
from edgevoice.bench.schema import Metric, Series, Task
from edgevoice.bench.table import STEPS

TASKS: dict[Task, str] = {"asr": "Speech recognition", "tts": "Speech", "wake": "Wake word", "vad": "Voice activity"}
SPLIT = ("silence", "recognition", "intent", "action", "first_audio")
"""Steps of a turn that follow one another."""


def section(name: str, heading: str, words: str, *inner: str) -> str:
    if not any(inner):
        return ""
    return tag("section", tag("h2", text(heading)), tag("p", text(words)) if words else "", *inner, id=name)


def tiles(lots: Lots) -> str:
    """The figures that people ask for first."""
    found = []
    for kind, name, words in (
        ("turn", "answer_ms", "End of listening to first audio"),
        ("turn", "response_ms", "End of speech to first audio"),
        ("idle", "cpu_percent", "Idle load, of one core"),
    ):
        lot = next((lot for lot in lots.of(kind) if name in lot.series.metrics), None)  # type: ignore[arg-type]
        if lot is not None:
            metric = lot.series.metrics[name]
            found.append((words, number(metric.summary.median, metric.unit), f"p95 {number(metric.summary.p95)}"))
    idle = next((lot.series for lot in lots.of("idle") if lot.series.usage is not None), None)
    if idle is not None and idle.usage is not None:
        found.append(("Memory while idle", f"{idle.usage.peak_mb:.0f} MB", "at most"))
    recognisers = [
        (ratio.summary.median, lot)
        for lot in lots.of("engine", "asr")
        if (ratio := lot.series.metrics.get("rtf")) is not None and ratio.summary.median > 0
    ]
    if recognisers:
        rtf, best = min(recognisers, key=lambda each: each[0])
        found.append(("Fastest recogniser", f"{number(1 / rtf)}x", f"real time: {best.short}"))
    made = [
        tag("div", tag("span", text(name)), tag("b", text(figure)), tag("small", text(more)))
        for name, figure, more in found
    ]
    return tag("div", *made, class_="tiles") if made and not lots.several else ""


def turn(lots: Lots) -> str:
    """Where the time of a turn goes."""
    shown = [*lots.of("turn"), *lots.of("soak")]
    if not shown:
        return ""
    bars = []
    for lot in shown:
        parts = [
            rows.Part(step.replace("_", " "), float(np.mean(metric.samples)), colour(at))
            for at, step in enumerate(SPLIT)
            if (metric := lot.series.metrics.get(f"{step}_ms")) is not None
        ]
        whole = sum(part.value for part in parts)
        bars.append((rows.named(lot), parts, number(whole, "ms"), ""))
    keys = [(colour(at), step.replace("_", " ")) for at, step in enumerate(SPLIT)]
    inner = [rows.legend(keys), rows.stacked(bars, "ms")]
    heads = ["", "p50 ms", "p95 ms", "p99 ms", "n"]
    each = [
        tag(
            "div",
            tag("h3", text(" · ".join(part for part in (lot.title, lot.name) if part))),
            tables.simple(heads, tables.steps(lot, STEPS)),
            tag("p", text(_shares(lot.series)), class_="below"),
        )
        for lot in shown
    ]
    inner.append(tag("div", *each, class_="pair"))
    return section(
        "turn",
        "A turn, step by step",
        "Means of the steps from the end of speech to the first audio of the reply. Answer: all of them but the "
        "silence that is waited for. Response: from the end of speech, by the recording's own energy.",
        *inner,
    )


def speed(lots: Lots) -> str:
    """How latencies of engines are spread."""
    inner = []
    for task, heading in TASKS.items():
        for name, words in (
            ("latency_ms", "from the text to the last audio" if task == "tts" else "to the final text"),
            ("first_ms", "to the first audio" if task == "tts" else "computing up to the first partial text"),
            ("chunk_ms", "computing for a block"),
        ):
            found = [(lot, metric) for lot in lots.of("engine", task) if (metric := lot.series.metrics.get(name))]
            if found and (name != "chunk_ms" or task in ("wake", "vad")):
                inner += [tag("h3", text(f"{heading}: {words}")), rows.distribution(found, "ms")]
    return section(
        "latency",
        "Latency",
        "Each dot is a measured value. The box holds the middle half, the line goes from the 5th to the 95th "
        "percentile with a tick at the 99th, the thick mark is the median.",
        *inner,
    )


def accuracy(lots: Lots) -> str:
    """Errors of recognisers against their speed."""
    dots = []
    for lot in lots.of("engine", "asr"):
        found, rtf = lots.accuracy(lot), lot.series.metrics.get("rtf")
        if found is None or rtf is None:
            continue
        label = lot.short.replace(" threads", "").replace(" thread", "")
        span = f", 95 % {100 * found.interval.low:.1f} to {100 * found.interval.high:.1f} %" if found.interval else ""
        told = f"{lot.full}: RTF {number(rtf.summary.median)}, WER {100 * found.value:.1f} %{span}, {found.n} words"
        across = None
        if found.interval is not None:
            across = type(found.interval)(low=100 * found.interval.low, high=100 * found.interval.high)
        dots.append(
            plots.Dot(
                f"{lot.name} {label}".strip(),
                told,
                rtf.summary.median,
                100 * found.value,
                across,
                lot.colour,
                lot.series.peer,
            )
        )
    inner = []
    if dots:
        inner.append(plots.scatter(dots, "seconds of computing for a second of audio", "word error rate in %"))
        if any(dot.hollow for dot in dots):
            inner.insert(0, rows.legend([("round", "edgevoice"), ("ring", "others")]))
    others = [
        f"{name + ': ' if lots.several else ''}{one.engine}{' *' * one.peer} {one.variant}: "
        f"{one.metric.replace('_', ' ')} {100 * one.value:.1f} %"
        + (f" ({100 * one.interval.low:.1f} to {100 * one.interval.high:.1f} %)" if one.interval else "")
        + f", n = {one.n}, {one.condition}"
        for name, result in lots.results
        for one in result.accuracy
        if one.metric != "wer" or one.condition != "clean"
    ]
    inner.append(tag("ul", *(tag("li", text(line)) for line in others)) if others else "")
    return section(
        "accuracy",
        "Accuracy against speed",
        "Left is faster, below is more accurate. The number behind a name: threads. The line is the 95 % interval of "
        "the word error rate, drawn over recordings.",
        *inner,
    )


def memory(lots: Lots) -> str:
    """Resident memory of the process of each."""
    bars = []
    for lot in lots.series:
        usage = lot.series.usage
        if usage is None:
            continue
        own = f"{usage.unshared_mb:.0f} own" if usage.unshared_mb is not None else ""
        bare = usage.bare_mb or 0.0
        parts = [
            rows.Part("bare", bare, "c7"),
            rows.Part("loaded", max(usage.loaded_mb - bare, 0.0), "c0"),
            rows.Part("most, beyond that", max(usage.peak_mb - max(usage.loaded_mb, bare), 0.0), "c0 pale"),
        ]
        bars.append((rows.named(lot), [part for part in parts if part.value], f"{usage.peak_mb:.0f} MB", own))
    if not bars:
        return ""
    keys = [("c7", "bare, before loading"), ("c0", "loaded"), ("c0 pale", "most at any time")]
    return section(
        "memory",
        "Memory",
        "Resident memory of the process, each in one of its own. Own: what ending it would give back.",
        rows.legend(keys),
        rows.stacked(bars, "MB"),
    )


def over_time(lots: Lots) -> str:
    """Soak and idle."""
    found = []
    for lot in lots.series:
        if len(lot.series.points) > 1:
            name = " · ".join(part for part in (lot.title, lot.name) if part)
            found.append(tag("h3", text(name)) + _lines(lot))
    return section("time", "Over time", "", *found)


def _lines(lot: Lot) -> str:
    points, inner, missing = lot.series.points, [], []
    for fields, name, unit, zero in (
        (("latency_ms", "latency_p95_ms"), "latency", "ms", True),
        (("temperature_c",), "temperature", "°C", False),
        (("frequency_mhz",), "frequency", "MHz", True),
        (("cpu_percent",), "processor, of one core", "%", True),
        (("rss_mb",), "memory", "MB", True),
        (("power_w",), "power", "W", True),
    ):
        lines = []
        for at, field in enumerate(fields):
            known = [(one.seconds, value) for one in points if (value := getattr(one, field)) is not None]
            if known:
                style = f"{colour(lot.colour)}{' pale' if at else ''}"
                lines.append(plots.Line(f"{name}{', p95' if at else ', median' if fields[1:] else ''}", known, style))
        if lines:
            key = rows.legend([(line.style, line.name) for line in lines]) if len(lines) > 1 else ""
            inner.append(tag("div", plots.over_time(lines, points[-1].seconds, name, unit, zero=zero), key))
        elif not (lot.series.kind == "idle" and name == "latency"):
            missing.append(name)
    inner = [tag("div", *inner, class_="pair")]
    if missing:
        inner.append(tag("p", text(f"This machine does not tell: {', '.join(missing)}.")))
    throttled = [one.seconds for one in points if one.throttled]
    if throttled:
        inner.append(tag("p", text(f"Throttled at {len(throttled)} of {len(points)} points.")))
    return "".join(inner)


def contention(lots: Lots) -> str:
    found = [(lot, metric) for lot in lots.of("contention") if (metric := lot.series.metrics.get("chunk_ms"))]
    if not found:
        return ""
    missed = [f"{lot.full}: {_shares(lot.series)}" for lot, _ in found]
    return section(
        "contention",
        "Beside busy processes",
        "From when a block is due to when wake word and voice activity have heard it, while other processes take the "
        "processor.",
        rows.distribution(found, "ms"),
        tag("ul", *(tag("li", text(line)) for line in missed)),
    )


def every_table(lots: Lots) -> str:
    inner = []
    for task, heading in TASKS.items():
        made = tables.engines(lots, task)
        if made:
            inner += [tag("h3", text(heading)), made]
    return section(
        "tables",
        "Engines in figures",
        "RTF: seconds of computing for a second of audio; CPU: the same of all threads. Beside: RTF by that of the "
        "first of its group, round by round. * another project's engine.",
        *inner,
    )


def _shares(series: Series) -> str:
    told = []
    for name, words in (
        ("unanswered_percent", "of {n} turns without an answer"),
        ("cut_off_percent", "of {n} turns cut off before their end"),
        ("missed_percent", "of {n} blocks too late"),
    ):
        metric: Metric | None = series.metrics.get(name)
        if metric is not None:
            told.append(f"{middle(name, metric):.1f} % {words.format(n=metric.summary.n)}")
    return "; ".join(told)


def absent(lots: Lots) -> str:
    """What was not measured, and why."""
    found: Sequence[str] = [
        tag(
            "li",
            text(f"{name + ': ' if lots.several else ''}{one.task} {one.engine}{' *' * one.peer}: {one.why}"),
            text("; ") + tag("code", text(one.remedy)) if one.remedy else "",
        )
        for name, result in lots.results
        for one in result.absent
    ]
    failed = [
        tag("li", text(f"{lot.full}: {lot.series.state}: {lot.series.why}"))
        for lot in lots.series
        if lot.series.state != "measured"
    ]
    return section("absent", "Not measured", "", tag("ul", *failed, *found) if found or failed else "")
