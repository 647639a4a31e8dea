"""PortAudio, with its noise, its error numbers and its threads kept in one place.

The library is one for the whole process and looks for devices only when its first user initializes it. So a device
that came back, under another number perhaps, is found only after all streams were closed: whoever opens one may ask
the others to let go of theirs (``Guest``). They open them again when they next need them.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from edgevoice.engines.registry import require
from edgevoice.errors import DeviceError
from edgevoice.noise import give_up, without_noise

log = logging.getLogger(__name__)

T = TypeVar("T")

HANGS_SECONDS = 5.0
"""A call into PortAudio that takes longer will never return: the slowest real one, opening a sleeping USB card, takes
about one second."""

CANCELLED_SECONDS = 1.0
"""What a call may still take that nobody waits for any more, before its thread is left behind."""

_NOISE = re.compile(
    rb"Cannot connect to server|jack server is not running|JackShm|Expression '|PaAlsa|connect\(2\) call to "
    rb"/(?:dev/shm|tmp)/jack|attempt to connect to server failed|\s*$"
)
"""Lines that JACK and PortAudio write to standard error while they try every device there might be."""

_lock = threading.RLock()
"""Pa_Initialize and Pa_Terminate are not thread-safe, and neither is moving a file descriptor."""


class Guest(Protocol):
    """Who keeps a stream open."""

    def let_go(self, *, needed: bool) -> None:
        """Close the stream, and the library with it, so that devices can be looked for anew. Called in any thread.

        Args:
            needed: a device came or went since the last look; otherwise only a stream that is not in use is closed.
        """


_guests: set[Guest] = set()
_users: set[Any] = set()
"""The instances of the library that were not ended yet."""
_listed = ""
"""The inventory when the library looked for devices."""
opening = threading.RLock()
"""Held by who opens a stream, and by a guest that starts or closes its own; never waited for on an event loop. It is
taken before the library's own lock."""


class Hanging:
    """The threads that were left behind in the library, as one that is busy; see ``flow.worker.Worker.busy``."""

    name = "sound"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: list[tuple[float, threading.Thread]] = []

    def leave(self, thread: threading.Thread) -> None:
        """It does not answer; nobody waits for it any more."""
        self._left.append((self._clock(), thread))

    def busy(self) -> float:
        """Seconds since the first one was left behind that still hangs; 0 when none does."""
        self._left = [(since, thread) for since, thread in self._left if thread.is_alive()]
        return max(self._clock() - self._left[0][0], 1e-9) if self._left else 0.0


hanging = Hanging()


def inventory(proc: Path = Path("/proc/asound/cards")) -> str:
    """Something that changes when a sound card is plugged in or out."""
    try:
        return proc.read_text()
    except OSError:  # no ALSA in the kernel
        return ""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the sound libraries' chatter off standard error, and other threads out of them."""
    with _lock, without_noise(_NOISE):
        yield


def _alsa_says(file: bytes, line: int, function: bytes, _error: int, message: bytes) -> None:
    # The message's arguments are variadic and stay unread.
    log.debug("ALSA %s:%d (%s) %s", file.decode(), line, function.decode(), message.decode())


_alsa_handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)(
    _alsa_says
)
"""Kept for ever: ALSA may call it at any time."""


def _quiet_alsa() -> None:
    """Send what ALSA reports, at the start and while a stream runs, to the debug log."""
    with contextlib.suppress(OSError):  # a PortAudio without ALSA
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_alsa_handler)


def initialize() -> Any:
    """A ``pyaudio.PyAudio``; ends with ``terminate``. PortAudio looks for devices only when the first one is made.

    Raises:
        EngineMissingError, EngineBrokenError: the package pyaudio.
    """
    global _listed
    pyaudio = require("pyaudio", distribution="PyAudio")
    # Asking for JACK must not start a server of it.
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    _quiet_alsa()
    with quiet():
        if not _users:
            _listed = inventory()
        library = pyaudio.PyAudio()
        _users.add(library)
        return library


def terminate(library: Any) -> None:
    with quiet():
        library.terminate()
        _users.discard(library)


def open_for(guest: Guest, opened: Callable[[Any], T]) -> tuple[Any, T]:
    """Initialize the library and open a stream for a guest; when that fails in a list of devices that may be old, let
    the other guests go and try in a new one.

    Args:
        opened: opens the stream with the library; raises DeviceError when it cannot.

    Returns:
        The library, to be ended with ``end``, and what ``opened`` gave.
    """
    with opening:
        old = bool(_users)
        current = not old or inventory() == _listed
        if current:
            try:
                return _enter(guest, opened)
            except DeviceError:
                if not old:
                    raise
        for other in list(_guests):
            other.let_go(needed=not current)
        return _enter(guest, opened)


def _enter(guest: Guest, opened: Callable[[Any], T]) -> tuple[Any, T]:
    library = initialize()
    try:
        result = opened(library)
    except BaseException:
        terminate(library)
        raise
    _guests.add(guest)
    return library, result


def end(guest: Guest, library: Any, stream: Any) -> None:
    """Close a guest's stream and end the library it is of."""
    _guests.discard(guest)
    with quiet():
        stream.close()
        terminate(library)


async def close(guest: Guest, library: Any, stream: Any) -> None:
    """``end``, in a thread."""
    with contextlib.suppress(TimeoutError):  # the sound server hangs; should it go on, the thread does the rest
        await in_thread(lambda: end(guest, library, stream))


async def open_in_thread(job: Callable[[], T], discard: Callable[[T], None] = lambda result: None) -> T:
    """Run a job that opens a stream in a thread.

    Args:
        discard: called with the result in case nobody waits for it any more.

    Raises:
        DeviceError: the job's own, or the sound system does not answer. What it still does is waited for then: nothing
            else is opened before it has ended.
    """
    silent = DeviceError(
        "the sound system does not answer",
        place="sound",
        remedy="it is asked again; should it go on, restart the sound server (systemctl --user restart pipewire "
        "pulseaudio) or plug the device in again",
    )
    if hanging.busy():
        raise silent
    try:
        return await in_thread(job, discard=discard)
    except TimeoutError:
        raise silent from None


def open_stream(
    library: Any,
    *,
    index: int,
    name: str,
    record: bool,
    rates: list[int],
    channels: list[int],
    frames: Callable[[int], int],
    callback: Callable[..., Any],
) -> tuple[Any, int, int]:
    """Open a stream, not started, with the first rate and channel count that the device takes.

    Args:
        library: from ``initialize``.
        index, name: the device.
        record: a microphone, or else a speaker.
        rates, channels: what to try, the best first.
        frames: rate -> frames per callback.

    Returns:
        The stream, its rate and its channels.

    Raises:
        DeviceError: it is busy, refused, gone, or takes none of them.
    """
    pyaudio = require("pyaudio", distribution="PyAudio")
    direction = "input" if record else "output"
    last: OSError | None = None
    for count in dict.fromkeys(channels):
        for rate in dict.fromkeys(rates):
            try:
                with quiet():
                    stream = library.open(
                        **{direction: True, f"{direction}_device_index": index},
                        format=pyaudio.paInt16,
                        rate=rate,
                        channels=count,
                        frames_per_buffer=frames(rate),
                        stream_callback=callback,
                        start=False,
                    )
            except OSError as error:
                last = error
                if error.errno not in (pyaudio.paInvalidSampleRate, pyaudio.paInvalidChannelCount):
                    raise _cannot_open(error, name, record) from error
            else:
                return stream, rate, count
    assert last is not None
    raise DeviceError(
        f"it takes none of the rates {', '.join(map(str, rates))} Hz with {' or '.join(map(str, channels))} channels",
        place=_place(name, record),
        remedy="choose another device; see 'edgevoice devices'",
    ) from last


def _place(name: str, record: bool) -> str:
    return f"{'microphone' if record else 'speaker'} '{name}'"


def _cannot_open(error: OSError, name: str, record: bool) -> DeviceError:
    """What PortAudio's error number means to a user."""
    pyaudio = require("pyaudio", distribution="PyAudio")
    text = str(error.args[-1])
    if error.errno == pyaudio.paDeviceUnavailable:
        return DeviceError(
            "it is busy or was unplugged",
            place=_place(name, record),
            remedy="close the program that uses it ('fuser -v /dev/snd/*' names it), or plug it in again",
        )
    return DeviceError(
        f"it cannot be opened: {text}", place=_place(name, record), remedy="run 'edgevoice doctor' to see why"
    )


async def in_thread(
    job: Callable[[], T],
    timeout: float = HANGS_SECONDS,  # noqa: ASYNC109
    discard: Callable[[T], None] = lambda result: None,
) -> T:
    """Run a blocking call in a thread of its own, which is gone when this returns.

    Args:
        discard: called with a result that nobody waits for any more.

    Raises:
        TimeoutError: it hangs, as PortAudio does while a sound server is frozen. The thread is left behind; it does not
            keep the process alive.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    handover = threading.Lock()
    results: list[T] = []
    errors: list[BaseException] = []
    abandoned = False

    def work() -> None:
        try:
            result = job()
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits
            with handover:
                errors.append(error)
        else:
            with handover:
                if not abandoned:
                    results.append(result)
            if not results:
                discard(result)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(_resolve, ended)

    def abandon() -> bool:
        """Whether the thread is still at it; then it keeps what comes of it."""
        nonlocal abandoned
        with handover:
            abandoned = not (results or errors)
            return abandoned

    thread = threading.Thread(target=work, name="edgevoice-portaudio", daemon=True)
    thread.start()
    try:
        async with asyncio.timeout(timeout):
            await asyncio.shield(ended)
    except TimeoutError:
        if abandon():
            _leave(thread)
            raise
    except asyncio.CancelledError:
        if not abandon():
            for result in results:
                discard(result)
        try:
            async with asyncio.timeout(CANCELLED_SECONDS):
                await asyncio.shield(ended)
            thread.join()
        except TimeoutError:
            _leave(thread)
        raise
    thread.join()
    for error in errors:
        raise error
    return results[0]


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _leave(thread: threading.Thread) -> None:
    hanging.leave(thread)
    give_up()
