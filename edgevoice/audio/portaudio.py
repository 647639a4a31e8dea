"""PortAudio, with its noise, its error numbers and its threads kept in one place."""

import asyncio
import contextlib
import ctypes
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from edgevoice.engines.registry import require
from edgevoice.errors import DeviceError
from edgevoice.noise import give_up, without_noise

log = logging.getLogger(__name__)

T = TypeVar("T")

HANGS_SECONDS = 5.0
"""A call into PortAudio that takes longer will never return: the slowest real one, opening a sleeping USB card, takes
about one second."""

_NOISE = re.compile(
    rb"Cannot connect to server|jack server is not running|JackShm|Expression '|PaAlsa|connect\(2\) call to "
    rb"/(?:dev/shm|tmp)/jack|attempt to connect to server failed|\s*$"
)
"""Lines that JACK and PortAudio write to standard error while they try every device there might be."""

_lock = threading.Lock()
"""Pa_Initialize and Pa_Terminate are not thread-safe, and neither is moving a file descriptor."""


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
    """A ``pyaudio.PyAudio``; ends with ``terminate``. PortAudio looks for devices only when the first one is made, so
    a device that comes back is found after all streams were closed.

    Raises:
        EngineMissingError, EngineBrokenError: the package pyaudio.
    """
    pyaudio = require("pyaudio", distribution="PyAudio")
    # Asking for JACK must not start a server of it.
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    _quiet_alsa()
    with quiet():
        return pyaudio.PyAudio()


def terminate(library: Any) -> None:
    with quiet():
        library.terminate()


async def close(library: Any, stream: Any) -> None:
    """Close a stream and end the library it is of."""

    def end() -> None:
        with quiet():
            stream.close()
        terminate(library)

    with contextlib.suppress(TimeoutError):  # the sound server has died; there is nothing left to give back
        await in_thread(end)


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


async def in_thread(job: Callable[[], T], timeout: float = HANGS_SECONDS) -> T:  # noqa: ASYNC109
    """Run a blocking call in a thread of its own, which is gone when this returns.

    Raises:
        TimeoutError: it hangs, as PortAudio does when a sound server dies at the wrong moment. The thread is left
            behind; it does not keep the process alive.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def done(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        try:
            result = job()
        except BaseException as error:  # noqa: BLE001 - handed to the one who waits
            report(None, error)
        else:
            report(result, None)

    def report(result: T | None, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(done, result, error)

    thread = threading.Thread(target=work, name="edgevoice-portaudio", daemon=True)
    thread.start()
    try:
        async with asyncio.timeout(timeout):
            return await future
    except TimeoutError:
        give_up()
        raise
    finally:
        if future.done() and not future.cancelled():
            thread.join()
