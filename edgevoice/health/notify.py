"""What systemd is told (sd_notify(3)): that the service is ready, what it does, and that it is alive."""

import os
import socket
import time
from collections.abc import Callable, Mapping

_MICROSECONDS = 1_000_000


class Notifier:
    """Sends the lines that a service manager understands; without one it does nothing.

    A message that does not get through is nothing to stop for: one that matters is missed by the manager, which acts.

    Args:
        address: ``NOTIFY_SOCKET``: a path, or a name in the abstract namespace behind ``@``; empty for none.
        watchdog: seconds within which the manager expects a sign of life; None: it expects none.
    """

    def __init__(self, address: str = "", watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Notifier":
        """As systemd asks for it. What it asks of another process is not for us."""
        address = environ.get("NOTIFY_SOCKET", "")
        meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        asked = environ.get("WATCHDOG_USEC", "")
        watchdog = int(asked) / _MICROSECONDS if address and meant and asked.isdecimal() and int(asked) else None
        return cls(address, watchdog)

    @property
    def listens(self) -> bool:
        """Somebody is told."""
        return bool(self._address)

    def ready(self) -> None:
        """It has started, or reloaded."""
        self._send("READY=1")

    def status(self, words: str) -> None:
        """What it does, in one line; only what is new is sent."""
        if words != self._status:
            self._status = words
            self._send("STATUS=" + " ".join(words.split()))

    def reloading(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """It reloads its configuration; ``ready`` must follow."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={clock() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def starting(self, seconds: float) -> None:
        """The start is still under way and may take so long from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * _MICROSECONDS)}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)  # a manager that does not read must not stop the loop
            try:
                out.sendto(message.encode(), self._address)
            except OSError:
                return
