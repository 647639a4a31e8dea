"""The native protocol of systemd's journal (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): a datagram of fields."""

import contextlib
import logging
import os
import re
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")
LONGEST = 32_768
"""Bytes of a value: a datagram takes a little over 200 KB of them, and what is longer helps nobody."""
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Level -> priority as in syslog; below all of them it is 7, debug."""
_NAME = re.compile(r"[^A-Z0-9_]")


def goes_there(stream: str | None, descriptor: int = 2) -> bool:
    """Whether what is written to the descriptor goes to the journal.

    Args:
        stream: ``$JOURNAL_STREAM``: device and inode of the stream that systemd has connected, ``DEV:INODE``.
    """
    if not stream:
        return False
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"


def encode(fields: Mapping[str, object]) -> bytes:
    """A datagram. Names are written in capitals; a value of several lines goes with its length before it."""
    out = bytearray()
    for name, value in fields.items():
        key = _NAME.sub("_", name.upper()).strip("_")[:64].encode()
        data = str(value).encode(errors="replace")[:LONGEST]
        if b"\n" in data:
            out += key + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
        else:
            out += key + b"=" + data + b"\n"
    return bytes(out)


class JournalHandler(logging.Handler):
    """Sends records with their fields. What the journal does not take at once is written to standard error instead: a
    log must neither stop capture nor get lost."""

    def __init__(self, path: Path = SOCKET) -> None:
        super().__init__()
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
            priority = next((number for level, number in PRIORITIES if record.levelno >= level), 7)
            fields: dict[str, object] = {
                "MESSAGE": message,
                "PRIORITY": priority,
                "SYSLOG_IDENTIFIER": "edgevoice",
                "LOGGER": record.name,
            }
            given: Mapping[str, object] = getattr(record, "fields", {})
            fields |= {f"EDGEVOICE_{name}": value for name, value in given.items()}
            try:
                self._socket.sendto(encode(fields), self._path)
            except OSError:
                print(f"edgevoice: {record.levelname}: {message}", file=sys.stderr, flush=True)
        except Exception:  # noqa: BLE001 - logging's own way: a defect in a message is shown and does not end the program
            self.handleError(record)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()
        super().close()
