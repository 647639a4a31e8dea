"""Results as tables for a terminal."""

from collections.abc import Iterator, Sequence

from edgevoice.bench.schema import Board, Metric, Ratio, Result, Series

UNKNOWN = "unknown"
NONE = "-"
STEPS = ("silence", "recognition", "intent", "action", "first_audio", "answer", "response")


def tables(result: Result) -> Iterator[str]:
    """All of it, line by line."""
    yield from _board(result.board)
    for task in ("wake", "vad", "asr", "tts"):
        found = [one for one in result.series if one.kind == "engine" and one.task == task]
        if found:
            yield from ("", task, *_aligned(_engines(found, result)))
    for one in result.series:
        if one.kind in ("turn", "soak") and one.metrics:
            yield from ("", _title(one), *_aligned(_steps(one)))
            yield from _turns(one)
        elif one.kind == "idle" and one.metrics:
            yield from ("", _title(one), *_idle(one))
        elif one.kind in ("turn", "soak", "idle") and not one.metrics:
            yield from ("", f"{_title(one)}: {one.state}: {one.why}")
    waited = [one for one in result.series if one.kind == "contention"]
    if waited:
        yield from ("", "wake word and voice activity beside busy processes", *_aligned(_contention(waited)))
    yield from _notes(result)


def _board(board: Board) -> Iterator[str]:
    def known(value: object, unit: str = "") -> str:
        return UNKNOWN if value is None else f"{value}{unit}"

    def number(value: float | None, unit: str) -> str:
        return UNKNOWN if value is None else f"{value:.0f}{unit}"

    features = UNKNOWN if board.features is None else " ".join(board.features) or "none of those that matter"
    throttling = UNKNOWN
    if board.throttling is not None:
        now, ever = ", ".join(board.throttling.now), ", ".join(board.throttling.since_boot)
        throttling = f"now {now or 'none'}, since the start {ever or 'none'}"
    yield f"board        {known(board.model)}{' (virtual machine)' if board.virtual else ''}"
    yield f"processor    {known(board.processor)}, {board.usable_cores} of {board.cores} cores, {board.architecture}"
    yield f"features     {features}"
    yield (
        f"frequency    {number(board.frequency_mhz, ' MHz')}, at most {number(board.max_frequency_mhz, ' MHz')}, "
        f"governor {known(board.governor)}"
    )
    yield f"memory       {number(board.memory_mb, ' MB')}, {number(board.available_mb, ' MB')} available"
    yield f"temperature  {number(board.temperature_c, ' °C')}; throttling: {throttling}"
    yield f"energy       {', '.join(board.energy) or 'no counter'}"
    yield f"system       {known(board.system)}, kernel {board.kernel}, Python {board.python}"


def _engines(found: Sequence[Series], result: Result) -> list[list[str]]:
    ratios = {ratio.series: ratio for ratio in result.ratios}
    wer = {(one.engine, one.peer, one.model, one.variant): one for one in result.accuracy if one.metric == "wer"}
    accurate = any((one.engine, one.peer, one.model, one.variant) in wer for one in found)
    streams = found[0].task in ("wake", "vad")
    latency = "chunk_ms" if streams else "latency_ms"
    head = ["engine", "variant", "threads", "RTF", "+-", "CPU", "p50 ms", "p95 ms", "p99 ms"]
    head += [] if streams else ["first ms"]
    rows = [[*head, "cold ms", "load s", "peak MB", "beside", *(["WER"] if accurate else [])]]
    for one in found:
        row = [one.engine + (" *" if one.peer else ""), one.variant, str(one.threads)]
        if not one.metrics:
            rows.append([*row, f"{one.state}: {one.why}"])
            continue
        spread = one.metrics.get(latency)
        row += [
            _median(one, "rtf", 4),
            _spread(one.metrics.get("rtf")),
            _median(one, "cpu_x", 4),
            _median(one, latency, 1),
            NONE if spread is None else f"{spread.summary.p95:.1f}",
            NONE if spread is None else f"{spread.summary.p99:.1f}",
        ]
        row += [] if streams else [_median(one, "first_ms", 0)]
        row += [
            _median(one, "cold_ms", 0),
            _median(one, "load_s", 2),
            NONE if one.usage is None else f"{one.usage.peak_mb:.0f}",
            _ratio(ratios.get(one.key)),
        ]
        if accurate:
            rate = wer.get((one.engine, one.peer, one.model, one.variant))
            row.append(NONE if rate is None else f"{rate.value:.2%}")
        rows.append(row)
    return rows


def _steps(one: Series) -> list[list[str]]:
    rows = [["step", "p50 ms", "p95 ms", "p99 ms", "n"]]
    for step in STEPS:
        metric = one.metrics.get(f"{step}_ms")
        if metric is not None:
            found = metric.summary
            name = step.replace("_", " ")
            rows.append([name, f"{found.median:.1f}", f"{found.p95:.1f}", f"{found.p99:.1f}", str(found.n)])
    return rows


def _turns(one: Series) -> Iterator[str]:
    for name, text in (("unanswered_percent", "without an answer"), ("cut_off_percent", "cut off before their end")):
        metric = one.metrics.get(name)
        if metric is not None:
            share = sum(metric.samples) / len(metric.samples)
            yield f"{share:.1f} % of {metric.summary.n} turns {text}"
    if one.usage is not None:
        yield f"{one.usage.peak_mb:.0f} MB at most; loaded in {_median(one, 'load_s', 2)} s"
    hot = [point.temperature_c for point in one.points if point.temperature_c is not None]
    if one.points:
        heat = f"{hot[0]:.0f} to {max(hot):.0f} °C" if hot else f"temperature {UNKNOWN}"
        yield f"{one.points[-1].seconds / 60:.1f} minutes, {heat}"


def _idle(one: Series) -> Iterator[str]:
    share = one.metrics["cpu_percent"].summary
    memory = ""
    if one.usage is not None:
        memory = f"; {one.usage.peak_mb:.0f} MB at most"
        if one.usage.unshared_mb is not None:
            memory += f", {one.usage.unshared_mb:.0f} MB of its own"
    yield f"{share.median:.2f} % of one core (p95 {share.p95:.2f} %){memory}"


def _contention(found: Sequence[Series]) -> list[list[str]]:
    rows = [["others", "p50 ms", "p95 ms", "p99 ms", "max ms", "missed", "of"]]
    for one in found:
        if "chunk_ms" not in one.metrics:
            rows.append([one.variant, f"{one.state}: {one.why}"])
            continue
        late, missed = one.metrics["chunk_ms"].summary, one.metrics["missed_percent"]
        share = sum(missed.samples) / len(missed.samples)
        figures = [f"{value:.1f}" for value in (late.median, late.p95, late.p99, late.high)]
        rows.append([one.variant, *figures, f"{share:.2f} %", str(late.n)])
    return rows


def _notes(result: Result) -> Iterator[str]:
    if any(one.peer for one in result.series):
        yield from ("", "* another project's engine")
    for one in result.accuracy:
        if one.metric != "wer":
            form = "{:.2f}" if one.metric.endswith("_per_hour") else "{:.1%}"
            interval = f" ({form} to {form})".format(one.interval.low, one.interval.high) if one.interval else ""
            yield f"{one.metric.replace('_', ' ')} of {one.engine}: {form.format(one.value)}{interval}, n = {one.n}"
    if result.absent:
        yield from ("", "not measured")
        for absent in result.absent:
            remedy = f"; {absent.remedy}" if absent.remedy else ""
            yield f"  {absent.task} {absent.engine}{' *' if absent.peer else ''}: {absent.why}{remedy}"
    told: dict[str, list[str]] = {}
    for series in result.series:
        for flag in series.flags:
            told.setdefault(flag.text, []).append(_title(series))
    if told or result.flags:
        yield from ("", "with caution")
        yield from (f"  {flag.text}" for flag in result.flags)
        for text, where in told.items():
            yield f"  {where[0] if len(where) == 1 else f'{where[0]} and {len(where) - 1} more'}: {text}"
    if result.partial:
        yield from ("", "It was stopped before the end: this is what was measured until then.")


def _title(one: Series) -> str:
    if one.kind in ("idle", "soak", "turn", "contention"):
        return f"{one.kind} {one.variant}".strip()
    threads = f"{one.threads} thread{'s' * (one.threads > 1)}"
    return " ".join(part for part in (one.task, one.engine + " *" * one.peer, one.variant, threads) if part)


def _median(one: Series, name: str, digits: int) -> str:
    metric = one.metrics.get(name)
    return NONE if metric is None else f"{metric.summary.median:.{digits}f}"


def _spread(metric: Metric | None) -> str:
    """Half of the interval as a part of the median."""
    if metric is None or metric.summary.interval is None or not metric.summary.median:
        return NONE
    half = (metric.summary.interval.high - metric.summary.interval.low) / 2
    return f"{half / metric.summary.median:.1%}"


def _ratio(ratio: Ratio | None) -> str:
    return NONE if ratio is None else f"x {ratio.ratio:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first two columns to the left, numbers to the right."""
    whole = [row for row in rows if len(row) == len(rows[0])]
    widths = [max(len(row[at]) for row in whole) for at in range(len(rows[0]))]
    left = 2 if rows[0][1:2] == ["variant"] else 1
    for row in rows:
        pairs = zip(row, widths, strict=False)
        cells = [cell.ljust(width) if at < left else cell.rjust(width) for at, (cell, width) in enumerate(pairs)]
        yield "  ".join(cells).rstrip() if len(row) == len(rows[0]) else "  ".join([*cells[:-1], row[-1]])
