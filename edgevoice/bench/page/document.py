"""The page as a whole."""

from collections.abc import Iterator, Sequence

from edgevoice import __version__
from edgevoice.bench.compare import titles
from edgevoice.bench.page import rows, sections
from edgevoice.bench.page.lots import Lots
from edgevoice.bench.page.markup import colour, tag, text
from edgevoice.bench.page.style import CSS
from edgevoice.bench.schema import Board, Result
from edgevoice.bench.table import UNKNOWN

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may load: nothing. A browser holds it to that, whatever stands in a result."""

MADE = (
    "edgevoice bench run measured it, edgevoice bench html made the page. How two results differ, and how sure that "
    "is, says edgevoice bench compare; edgevoice bench check fails what is worse than a baseline."
)


def page(results: Sequence[tuple[str, Result]]) -> str:
    """HTML.

    Args:
        results: each with a name for people, such as that of its file.
    """
    lots = Lots(tuple(results))
    called = " and ".join(name for name, _ in results)
    keys = [(colour(at), name) for at, (name, _) in enumerate(results)]
    body = tag(
        "main",
        tag(
            "header",
            tag("h1", text(f"Benchmark: {called}")),
            rows.legend(keys) if lots.several else "",
            *(_board(name if lots.several else "", result) for name, result in results),
        ),
        _caution(lots),
        sections.tiles(lots),
        sections.turn(lots),
        sections.accuracy(lots),
        sections.speed(lots),
        sections.memory(lots),
        sections.over_time(lots),
        sections.contention(lots),
        sections.every_table(lots),
        sections.absent(lots),
        tag("footer", text(f"Made by edgevoice {__version__}: {MADE}")),
    )
    head = tag(
        "head",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        tag("title", text(f"{called} - edgevoice bench")),
        tag("style", CSS),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"


def _board(name: str, result: Result) -> str:
    board = result.board
    machine = board.model or board.processor or "Unknown machine"
    when = result.created.replace("T", " ").partition("+")[0].removesuffix("Z")
    told = f"{when} UTC, took {result.seconds / 60:.0f} min" + (", stopped before the end" if result.partial else "")
    facts = []
    for what, value in _facts(board, result):
        facts.append(
            tag(
                "div",
                tag("dt", text(what)),
                tag("dd", text(value or UNKNOWN), class_=None if value else "unknown"),
            )
        )
    heading = f"{name}: {machine}" if name else machine
    return tag("div", tag("h2", text(heading)), tag("small", text(told)), tag("dl", *facts), class_="board")


def _facts(board: Board, result: Result) -> Iterator[tuple[str, str]]:
    """An empty text is unknown."""
    after = result.board_after

    def number(value: float | None, unit: str) -> str:
        return "" if value is None else f"{value:.0f} {unit}"

    cores = f"{board.usable_cores} of {board.cores} cores, {board.architecture}"
    yield "Processor", f"{board.processor or UNKNOWN}, {cores}"
    yield "Features", "" if board.features is None else " ".join(board.features) or "none of those that matter"
    highest = f" of {board.max_frequency_mhz:.0f}" if board.frequency_mhz and board.max_frequency_mhz else ""
    yield "Frequency", "" if board.frequency_mhz is None else f"{board.frequency_mhz:.0f}{highest} MHz"
    yield "Governor", board.governor or ""
    yield "Memory", number(board.memory_mb, "MB")
    heat = [one.temperature_c for one in (board, after) if one is not None and one.temperature_c is not None]
    yield "Temperature", f"{' to '.join(f'{degrees:.0f}' for degrees in heat)} °C" if heat else ""
    limited = board.throttling
    yield "Throttling", "" if limited is None else ", ".join((*limited.now, *limited.since_boot)) or "none"
    yield "Energy counters", ", ".join(board.energy) or "none"
    yield "System", f"{board.system or UNKNOWN}, kernel {board.kernel}"
    runtime = [f"{name} {board.versions[name]}" for name in ("onnxruntime", "ai-edge-litert") if name in board.versions]
    yield "Software", ", ".join([f"Python {board.python}", *runtime])
    yield "Commit", result.commit or ""


def _caution(lots: Lots) -> str:
    """What makes figures less trustworthy, the same sentence once."""
    told: dict[str, list[str]] = {}
    for name, result in lots.results:
        before = f"{name}: " if lots.several else ""
        called = titles(result)
        for flag in result.flags:
            told.setdefault(before + flag.text, [])
        for series in result.series:
            for flag in series.flags:
                told.setdefault(before + flag.text, []).append(called[series.key])
    if not told:
        return ""
    items = []
    for words, where in told.items():
        of = "" if not where else where[0] if len(where) == 1 else f"{where[0]} and {len(where) - 1} more"
        items.append(tag("li", text(words), " ", tag("small", text(of))))
    count = f"{len(items)} reason{'s' * (len(items) > 1)} to read these figures with caution"
    return tag("details", tag("summary", text(count)), tag("ul", *items), class_="caution")
