"""The log of ``edgevoice run``: where it goes, and which view of the events goes there."""

import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from edgevoice.events import Event
from edgevoice.logs import journal
from edgevoice.logs.calm import Calm, FloodFilter
from edgevoice.logs.lines import LOGGER, LogLines
from edgevoice.logs.options import Format, Options
from edgevoice.logs.private import without_texts


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        shown = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": super().format(record),
            **getattr(record, "fields", {}),
        }
        return msgspec.json.encode(shown).decode()


def chosen(options: Options, environ: Mapping[str, str] = os.environ, descriptor: int = 2) -> Format:
    """The format that is meant."""
    if options.format == "auto":
        return "journald" if journal.goes_there(environ.get("JOURNAL_STREAM"), descriptor) else "text"
    return options.format


def begin(options: Options) -> Format:
    """Send the program's log where it is wanted from now on, and no flood of it; gives the format."""
    found = chosen(options)
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler) is logging.StreamHandler:  # that of the command line
            root.removeHandler(handler)
    handler = journal.JournalHandler() if found == "journald" else logging.StreamHandler()
    if found == "json":
        handler.setFormatter(JsonFormatter())
    elif found == "text":
        handler.setFormatter(logging.Formatter("edgevoice: %(levelname)s: %(message)s"))
    handler.addFilter(FloodFilter(exempt=LOGGER))
    root.addHandler(handler)
    return found


def view(
    form: Format,
    console: Callable[[Event], None],
    *,
    stream: Callable[[Event], None] | None,
    transcripts: Callable[[], bool],
) -> Callable[[Event], None]:
    """Who is to see the events of a run.

    Args:
        console: shows them to people; used for the format ``text``.
        stream: takes them all, for programs (``--json``); it takes the place of the console.
        transcripts: whether texts may be shown, asked at every event.
    """
    shown = Calm(LogLines() if form != "text" else console) if stream is None or form != "text" else None

    def emit(event: Event) -> None:
        seen = event if transcripts() else without_texts(event)
        if stream is not None:
            stream(seen)
        if shown is not None:
            shown(seen)

    return emit
