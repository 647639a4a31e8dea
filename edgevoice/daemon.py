"""The process: signals, the talk key, and a stop that has a deadline."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

log = logging.getLogger(__name__)

Act = Callable[[], None]

FORCED = 70
"""Exit code of a stop that missed its deadline: it is a defect."""

_ASKING = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)


async def until_stopped(
    work: Callable[[], Awaitable[None]],
    *,
    deadline: float,
    push_to_talk: Act,
    reload: Act | None = None,
    toggle_mute: Act | None = None,
    stopping: Act = lambda: None,
) -> bool:
    """Do the work until it ends or SIGTERM or SIGINT arrives.

    SIGUSR1, and Enter on a terminal, push to talk; SIGUSR2 toggles the mute and SIGHUP reloads, where that is possible.
    On a terminal SIGHUP says that the terminal has gone, and ends the process as it always does.

    A stop that is not done after ``deadline`` seconds, because a thread hangs in native code, ends the process at once
    with exit code 70; so does a second signal, with 130.

    Args:
        stopping: called as soon as a signal has come that ends it.

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
        stopping()
        task.cancel()
        loop.call_later(deadline, _exit, FORCED, f"the stop took more than {deadline:g} s and was forced")

    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGUSR1: push_to_talk}
    if toggle_mute is not None:
        handlers[signal.SIGUSR2] = toggle_mute
    if reload is not None and _asks(signal.SIGHUP):
        handlers[signal.SIGHUP] = reload
    with (
        _signals(loop, handlers),
        _talk_key(loop, push_to_talk),
        contextlib.suppress(asyncio.CancelledError),
    ):
        await task
    return stopped


@contextmanager
def not_yet() -> Iterator[None]:
    """Until there is somebody to hear them, the signals that ask for something are passed over; by themselves they
    would end the process."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _ASKING if _asks(number)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def bounded_end() -> Iterator[Callable[[float], None]]:
    """Gives a function to be called when the end has begun: what is not done so many seconds later, at the end of the
    block, is ended by the kernel (SIGALRM).

    It needs neither memory nor a loop that runs: without memory, starting the thread that closes a device waits for
    ever, and with it the loop that a stop's own deadline needs.
    """

    def end_within(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)

    try:
        yield end_within
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _asks(number: signal.Signals) -> bool:
    """On a terminal SIGHUP says that the terminal has gone."""
    return number != signal.SIGHUP or not sys.stdin.isatty()


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, handlers: Mapping[signal.Signals, Act]) -> Iterator[None]:
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
def _talk_key(loop: asyncio.AbstractEventLoop, push: Act) -> Iterator[None]:
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
