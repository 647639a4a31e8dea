"""Progress on stderr: a bar on a terminal, a line per step elsewhere."""

import shutil
import time
from typing import Protocol

REDRAW_SECONDS = 0.1
"""Ten times a second is smooth, and costs nothing on a slow serial line."""
BAR_WIDTH = 24


class Screen(Protocol):
    """What is needed of a stream; ``sys.stderr`` has it."""

    def isatty(self) -> bool: ...
    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...


class ProgressLine:
    """Draws each step as one line. Use it as a context, so that the last line is ended whatever happens.

    Args:
        quiet: no bar, also on a terminal; still a line for each step.
    """

    def __init__(self, out: Screen, *, quiet: bool = False) -> None:
        self._out = out
        self._bar = out.isatty() and not quiet
        self._text = ""
        self._drawn = 0.0

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def step(self, text: str) -> None:
        self._end()
        self._text = text
        self._drawn = 0.0
        if self._bar:
            self._draw("")
        else:
            self._out.write(f"{text}\n")
            self._out.flush()

    def advance(self, done: int, total: int, text: str = "") -> None:
        """
        Args:
            done, total: bytes, unless a text says what is shown beside the bar.
        """
        now = time.monotonic()
        if not self._bar or (done < total and now - self._drawn < REDRAW_SECONDS):
            return
        self._drawn = now
        filled = BAR_WIDTH * done // total if total else BAR_WIDTH
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        self._draw(f" [{bar}] {text or f'{done / 1e6:.1f} of {total / 1e6:.1f} MB'}")

    def _draw(self, tail: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        text = self._text[: max(width - len(tail), 0)]
        self._out.write(f"\r\x1b[K{text}{tail}"[: width + 4])
        self._out.flush()

    def _end(self) -> None:
        if self._bar and self._text:
            self._out.write("\n")
            self._out.flush()
        self._text = ""
