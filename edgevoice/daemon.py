"""The process: signals, the talk key, and a stop that has a deadline."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

FORCED = 70
"""Exit code of a stop that missed its deadline: it is a defect."""


async def until_stopped(
    work: Callable[[], Awaitable[None]], *, deadline: float, push_to_talk: Callable[[], None]
) -> bool:
    """Do the work until it ends or SIGTERM or SIGINT arrives; SIGUSR1, and Enter on a terminal, push to talk.

    A stop that is not done after ``deadline`` seconds, because a thread hangs in native code, ends the process at once
    with exit code 70; so does a second signal, with 130.

    Returns:
        True when a signal ended it, False when the work was done.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work())
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if stopped:
            _exit(130, "stopped at once")
        stopped = True
        task.cancel()
        loop.call_later(deadline, _exit, FORCED, f"the stop took more than {deadline:g} s and was forced")

    with (
        _signals(loop, stop, push_to_talk),
        _talk_key(loop, push_to_talk),
        contextlib.suppress(asyncio.CancelledError),
    ):
        await task
    return stopped


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None], push: Callable[[], None]) -> Iterator[None]:
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGUSR1: push}
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


@contextmanager
def _talk_key(loop: asyncio.AbstractEventLoop, push: Callable[[], None]) -> Iterator[None]:
    """Enter on the terminal pushes to talk."""
    if not sys.stdin.isatty():
        yield
        return

    def pressed() -> None:
        if os.read(sys.stdin.fileno(), 1024):
            push()
        else:  # the terminal has gone
            loop.remove_reader(sys.stdin.fileno())

    loop.add_reader(sys.stdin.fileno(), pressed)
    try:
        yield
    finally:
        loop.remove_reader(sys.stdin.fileno())


def _exit(code: int, why: str) -> None:
    print(f"edgevoice: {why}", file=sys.stderr, flush=True)
    os._exit(code)
