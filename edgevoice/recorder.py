"""Collects each turn's audio and events, and has them written in a thread of their own: capture never waits."""

import asyncio
import logging
import threading
from collections.abc import Sequence

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.events import Event, TurnEnded, Wake
from edgevoice.flow.hub import Hub, samples
from edgevoice.flow.worker import Worker
from edgevoice.recordings import Shelf

log = logging.getLogger(__name__)

LEAD = 1.5
"""Seconds before the wake that are recorded: all of the wake word, as far as the hub remembers."""
LONGEST = 120.0
"""Seconds recorded of a turn: several times the longest utterance, and 4 MB of memory."""
WAITING = 4
"""Turns that may wait for a slow disk; further ones are not recorded."""
TIDY_SECONDS = 3600.0
"""How often the age of recordings is looked at when no turn is recorded."""


class Recorder:
    """One for an assistant. All methods are called on the event loop.

    Args:
        hub: what is heard.
    """

    def __init__(self, shelf: Shelf, hub: Hub) -> None:
        self.folder = str(shelf.folder)
        self._shelf = shelf
        self._hub = hub
        self._worker = Worker("recordings")
        self._pieces: list[Audio] = []
        self._events: list[Event] = []
        self._waiting = 0
        self._lock = threading.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._recording = False

    def start(self) -> None:
        """Begin to look after the folder."""
        self._timer = asyncio.get_running_loop().call_later(TIDY_SECONDS, self.start)
        self._worker.post(self._tidy)

    async def close(self) -> None:
        """Wait until what is collected has been written."""
        self._stop()
        if self._timer is not None:
            self._timer.cancel()
        await self._worker.close()

    def observe(self, event: Event) -> None:
        """Something has happened to the assistant."""
        if isinstance(event, Wake):
            self._stop()
            self._recording = True
            for audio in self._hub.past(event.at - samples(LEAD)):
                self._push(audio)
            self._hub.on_audio = self._push
        if self._recording:
            self._events.append(event)
            if isinstance(event, TurnEnded):
                pieces, events = self._stop()
                self._keep(pieces, events, event.outcome)

    def _push(self, audio: Audio) -> None:
        begin = self._pieces[0].start if self._pieces else audio.start
        if audio.end - begin <= LONGEST * RATE:  # in capture time: a gap is silence in the file
            self._pieces.append(audio)

    def _stop(self) -> tuple[list[Audio], list[Event]]:
        found = self._pieces, self._events
        self._pieces, self._events, self._recording = [], [], False
        self._hub.on_audio = None
        return found

    def _keep(self, pieces: Sequence[Audio], events: Sequence[Event], outcome: str) -> None:
        with self._lock:
            busy = self._waiting >= WAITING
            self._waiting += not busy
        if busy:
            log.warning("%s: the disk is too slow; a turn is not recorded", self.folder)
        else:
            self._worker.post(self._write, pieces, events, outcome)

    def _write(self, pieces: Sequence[Audio], events: Sequence[Event], outcome: str) -> None:
        try:
            self._shelf.keep(pieces, events, outcome)
        finally:
            with self._lock:
                self._waiting -= 1

    def _tidy(self) -> None:
        try:
            self._shelf.tidy()
        except OSError as error:
            log.warning("%s: old recordings cannot be deleted: %s", self.folder, error.strerror or error)
