"""The configuration of the winner as a YAML file: what differs from the defaults, with the evidence in comments."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgevoice import config as configuration
from edgevoice import wholefile
from edgevoice.config import Chosen, Config
from edgevoice.tune.points import Point
from edgevoice.tune.trial import Value


def document(config: Config, tuned: Sequence[tuple[str, Value]], evidence: Sequence[str]) -> str:
    """A YAML file that gives this configuration.

    Args:
        tuned: the keys that were chosen by measuring; they stand there also where they are the default.
        evidence: lines for the head.
    """
    lines = [f"# {line}".rstrip() for line in evidence]
    keys = {key for key, _ in tuned}
    defaults = configuration.load(Path("/dev/null"), environ={})
    for field in msgspec.structs.fields(Config):
        section = list(_section(getattr(config, field.name), getattr(defaults, field.name), field.name, keys))
        if section:
            lines += ["", f"{field.name}:", *section]
    return "\n".join(lines) + "\n"


def _section(value: Any, default: Any, key: str, tuned: set[str]) -> Iterator[str]:
    if not isinstance(value, Chosen):
        yield from _options(value, default, key, "  ", tuned)
        return
    if value.engine != default.engine or f"{key}.engine" in tuned:
        yield _line("engine", value.engine, f"{key}.engine", "  ", tuned)
    for engine, options in value.options.items():
        inside = list(_options(options, default.options[engine], f"{key}.{engine}", "    ", tuned))
        if inside:
            yield f"  {engine}:"
            yield from inside


def _options(options: msgspec.Struct, default: msgspec.Struct, key: str, indent: str, tuned: set[str]) -> Iterator[str]:
    for field in msgspec.structs.fields(options):
        value, path = getattr(options, field.name), f"{key}.{field.name}"
        if value != getattr(default, field.name) or path in tuned:
            if path == "intents.packs":  # which would count from this file's folder
                value = [str(Path(pack).absolute()) for pack in value]
            yield _line(field.name, value, path, indent, tuned)


def _line(name: str, value: object, path: str, indent: str, tuned: set[str]) -> str:
    text = msgspec.json.encode(value).decode()  # JSON is YAML, too
    return f"{indent}{name}: {text}{'  # tuned' if path in tuned else ''}"


def figures(point: Point) -> list[tuple[str, str]]:
    """Name and value of every figure of a point, for people."""
    found = []
    if point.accuracy is not None:
        right = round(point.accuracy * point.commands)
        found.append(("intent accuracy", f"{100 * point.accuracy:.1f} % ({right} of {point.commands})"))
    if point.wer is not None:
        found.append(("word errors", f"{100 * point.wer:.1f} % of {point.words} words"))
    latency = "nothing was heard" if point.latency_ms is None else f"{point.latency_ms:.0f} ms"
    return [
        *found,
        ("latency, p95", latency),
        ("memory", f"{point.memory_mb:.0f} MB"),
        ("idle", f"{point.cpu_percent:.1f} % of a core"),
    ]


def save(text: str, path: Path) -> None:
    """Write it: whole, or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    wholefile.write(path, text.encode())
