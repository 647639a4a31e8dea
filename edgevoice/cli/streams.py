"""Standard input, output and error, in whatever state the program was given them."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from edgevoice.errors import OutputError


class _Output(io.FileIO):
    """A descriptor that says so when it cannot be written. A reader that has gone stays a BrokenPipeError."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"it cannot be written: {error.strerror}",
                place="standard output",
                remedy="make room, or send it somewhere else",
            ) from error


def prepare() -> None:
    """Make the three streams usable.

    One that is closed becomes /dev/null: otherwise the next file to be opened would get its number, and what is
    printed would end up in that file. Standard output raises OutputError when it cannot be written, and writes a
    character that its encoding does not have as an escape.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it lives as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is sys.__stdout__:  # nobody has put something of their own there
        encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
        raw = _Output(1, "w", closefd=False)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=os.isatty(1)
        )


def settle() -> None:
    """Write out what is buffered; what cannot be written goes nowhere, or Python would try again at exit."""
    try:
        sys.stdout.flush()
    except (OutputError, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def quietly_ended() -> Iterator[None]:
    """Ctrl-C ends the process at once in here, as in ``edgevoice.start``; afterwards it raises KeyboardInterrupt."""
    before = signal.getsignal(signal.SIGINT)
    if before not in (signal.SIG_DFL, signal.default_int_handler):  # a script's background job, or somebody's own
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends what runs in here like Ctrl-C does, with exit code 143, so that half-written files are removed."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopped_once() -> Iterator[None]:
    """Of Ctrl-C and SIGTERM only the first is raised in here: a second one must not cut off the saving of what there
    is. What saves must therefore come to an end by itself."""
    stopped = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if stopped:
            return
        stopped = True
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # a script's background job
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
