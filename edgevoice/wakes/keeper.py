"""Keeps the last seconds before every wake, and before what was doubtful and refused, where the user wants that.

Nothing is written but when such a thing happens or is labelled, and then in a thread of its own: listening never waits.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from edgevoice import __version__
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.config import Config
from edgevoice.engines.protocols import ModelPaths, WakeEngine
from edgevoice.errors import DaemonError, EdgeVoiceError, OutputError
from edgevoice.events import Event, TurnEnded, Wake
from edgevoice.flow.worker import Worker
from edgevoice.listen.spot import Recent, Scorer, Spotter
from edgevoice.listen.wake import Detection
from edgevoice.recordings import Ring, wav
from edgevoice.wakes import kept as files
from edgevoice.wakes.digest import digests
from edgevoice.wakes.kept import Kept, Kind

log = logging.getLogger(__name__)

SECONDS = 3.0
"""Before the decision, at least."""
DECIDING = 1.0
"""Seconds before the decision whose scores are to be the same when they are computed again: a doubt is decided 0.5 s
after it began."""
TAIL = 0.5
"""Seconds after it: with another threshold it might have come later."""
GRID = 3840
"""Samples; a whole number of steps of all engines (1280, 480, 320, 160). A file begins so many after the engine did."""
MISSED = 10.0
"""Seconds that are kept of what should have woken: the user notices, and then has to say so."""
APART = 1.0
"""Seconds within which refusals of a word are one, and a wake takes their place: a doubt is looked at three times."""
LATE = 2.0
"""Seconds that a decision may lie behind what was heard last: the gate opens for what was said 1.5 s before."""
VOICE = 60.0
"""Seconds after a wake within which "that was wrong" means it, and not the wake that let this be said."""
WAITING = 4
"""Wakes that may wait for a slow disk; further ones are not kept."""
TIDY_SECONDS = 3600.0
"""How often the age of what is kept is looked at when nothing wakes."""


def _off() -> DaemonError:
    remedy = "name a folder there, and then: edgevoice reload"
    return DaemonError("wakes are not kept", place="detection.keep.folder", remedy=remedy)


def seconds(engine: WakeEngine) -> float:
    """How much sound before a decision is kept: as much as gives the same scores again."""
    return max(SECONDS, engine.memory + DECIDING)


@dataclass(frozen=True)
class Place:
    """Where wakes are kept."""

    ring: Ring
    engine: str
    seconds: float
    words: Sequence[str]
    digests: Mapping[str, str]


async def place(config: Config, engine: WakeEngine, store: ModelPaths) -> Place | None:
    """Where this configuration wants wakes to be kept; None: nowhere.

    Raises:
        OutputError: nothing can be written there.
    """
    options = config.detection.keep
    if options.folder is None:
        return None
    ring = Ring(options, "detection.keep")
    await asyncio.to_thread(ring.check)
    known = await asyncio.to_thread(digests, config, list(engine.models), store)
    return Place(ring, config.wake.engine, seconds(engine), [word.name for word in engine.models], known)


@dataclass
class _Open:
    """One that is not written yet."""

    name: str
    kept: Kept
    recent: Recent
    until: int
    """Capture index up to which sound belongs to it."""
    audio: Audio | None = None
    began: bool = False
    """Its turn has begun."""
    over: bool = False
    """Nothing more comes but sound."""

    def take(self, end: int) -> None:
        """Take the sound when all of it is there, or no more comes: what is heard now is kept elsewhere."""
        if self.audio is None and end >= self.until:
            self.audio = self.recent.span(self.kept.start, self.until)


class Keeper:
    """One for an assistant. All methods are called on the event loop.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._place: Place | None = None
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._made = 0.0
        """When the last one was."""
        self._heard = 0
        """Samples since the last one."""
        self._wake: _Open | None = None
        self._refused: _Open | None = None
        self._wakes: deque[tuple[str, Kept]] = deque(maxlen=2)
        """The last ones, also those that are written."""
        self._by_word = False
        """Whether a wake word began this turn, or the last one."""

    @property
    def folder(self) -> str | None:
        return None if self._place is None else str(self._place.ring.folder)

    def use(self, where: Place | None) -> None:
        """Keep wakes there from now on, or nowhere."""
        self._flush()
        self._place = where
        self._wakes.clear()
        self._heard = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if where is not None:
            self._worker = self._worker or Worker("wakes")
            self._look_after(where)

    async def close(self) -> None:
        """Wait until what is kept has been written."""
        self.use(None)
        if self._worker is not None:
            await self._worker.close()
            self._worker = None

    def prepare(self, scorer: Scorer) -> None:
        """Let it remember as much as is kept."""
        if self._place is not None:
            memory = max(self._place.seconds + GRID / RATE + TAIL + LATE, MISSED)
            scorer.recent.kept = max(scorer.recent.kept, int(memory * RATE))

    # What happens -------------------------------------------------------------------------------------------------

    def decided(self, spotter: Spotter, found: Detection, *, accepted: bool) -> None:
        """Something woke, or was doubtful and is no wake."""
        if self._place is None:
            return
        before, self._refused = self._refused, None
        if before is not None:
            near = found.at - before.kept.at <= APART * RATE and before.kept.word == found.model.name
            if near:  # the same doubt
                self._heard += round(before.kept.heard * RATE)
            else:
                self._write(before)
        if accepted and self._wake is not None:  # its turn is interrupted
            self._write(self._wake)
        made = self._open("wake" if accepted else "refused", spotter.scorer, found.at, found.at + int(TAIL * RATE))
        made.kept = msgspec.structs.replace(
            made.kept,
            word=found.model.name,
            score=found.score,
            confidence=found.confidence,
            threshold=spotter.detector.threshold(found.model),
            loose=spotter.detector.loose(found.model),
            over_reply=spotter.over_reply(found.at),
            model=self._place.digests.get(found.model.name, ""),
        )
        if accepted:
            self._wake = made
            self._wakes.append((made.name, made.kept))
        else:
            self._refused = made

    def heard(self, scorer: Scorer, audio: Audio) -> None:
        """This was listened to."""
        if self._place is None:
            return
        self._heard += len(audio)
        for each in (self._wake, self._refused):
            if each is not None:
                each.take(audio.end if each.recent is scorer.recent else each.until)
        if self._refused is not None and audio.end - self._refused.kept.at > APART * RATE:
            self._write(self._refused)
            self._refused = None
        self._settle()

    def observe(self, event: Event) -> None:
        """Something has happened to the assistant."""
        if isinstance(event, Wake):
            self._by_word = event.by == "word"
            if self._wake is not None and self._by_word:
                self._wake.began = True
        elif isinstance(event, TurnEnded) and self._wake is not None and self._wake.began:
            self._wake.kept = msgspec.structs.replace(self._wake.kept, outcome=event.outcome)
            self._wake.over = True
            self._settle()

    # What the user says about it ----------------------------------------------------------------------------------

    async def wrong(self) -> str:
        """Nobody had said the wake word when it last woke; tells which that was.

        Raises:
            DaemonError: wakes are not kept, or there is none. OutputError: it cannot be written.
        """
        if self._place is None or self._worker is None:
            raise _off()
        if self._wake is not None:
            self._wake.kept = found = msgspec.structs.replace(self._wake.kept, label="wrong")
        else:
            name = self._wakes[-1][0] if self._wakes else None
            found = await self._worker.call(_mark_wrong, self._place.ring.folder, name)
        return f"marked as wrong: {files.told(found)}"

    async def missed(self, scorer: Scorer | None) -> tuple[str, Path]:
        """The wake word was said in the last seconds; tells what was kept, and where.

        Raises:
            DaemonError: wakes are not kept, or nothing was heard. OutputError: it cannot be written.
        """
        if self._place is None or self._worker is None:
            raise _off()
        end = 0 if scorer is None else scorer.recent.end
        if scorer is None or not end:
            raise DaemonError("nothing has been heard yet", place="wake missed")
        made = self._open("missed", scorer, end, end, least=MISSED)
        words = self._place.words
        word = words[0] if len(words) == 1 else ""
        made.kept = msgspec.structs.replace(
            made.kept, word=word, model=self._place.digests.get(word, ""), accepted=False, label="right"
        )
        made.take(end)
        try:
            await self._worker.call(_put, self._place.ring, made)
        except OSError as error:
            raise OutputError(
                f"it cannot be kept: {error.strerror or error}", place=str(self._place.ring.folder)
            ) from error
        return "kept as missed", self._place.ring.folder / f"{made.name}.json"

    def wrong_by_voice(self) -> Literal["now", "before"] | None:
        """Somebody says in a turn that it woke by mistake; tells whether that is the wake which began this turn or the
        one before, None where there is none. It is written later."""
        if self._place is None or self._worker is None or not self._wakes:
            return None
        name, last = self._wakes[-1]
        which: Literal["now", "before"] = "now"
        if self._by_word and len(self._wakes) > 1 and last.at - self._wakes[0][1].at <= VOICE * RATE:
            name, last = self._wakes[0]
            which = "before"
        elif not self._by_word:
            which = "before"
        if self._wake is not None and self._wake.name == name:
            self._wake.kept = msgspec.structs.replace(self._wake.kept, label="wrong")
        else:
            self._worker.post(_mark_wrong_or_warn, self._place.ring.folder, name)
        return which

    # Writing ------------------------------------------------------------------------------------------------------

    def _open(self, kind: Kind, scorer: Scorer, at: int, until: int, least: float = 0.0) -> _Open:
        assert self._place is not None
        now = max(self._clock(), self._made + 0.001)  # so that no two have one name
        self._made = now
        begun, wanted = scorer.begun, at - int(max(self._place.seconds, least) * RATE)
        start = begun if wanted <= begun else begun + (wanted - begun) // GRID * GRID
        known = Kept(
            kind=kind,
            made=datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
            word="",
            accepted=kind == "wake",
            engine=self._place.engine,
            model="",
            start=max(start, 0),
            at=at,
            heard=self._heard / RATE,
            edgevoice=__version__,
        )
        self._heard = 0
        return _Open(self._place.ring.name(now, kind), known, scorer.recent, until)

    def _settle(self) -> None:
        """Write the last wake when everything is known about it."""
        if self._wake is not None and self._wake.over and self._wake.audio is not None:
            self._write(self._wake)
            self._wake = None

    def _flush(self) -> None:
        """Write what is open, as far as it has come."""
        for each in (self._refused, self._wake):
            if each is not None:
                self._write(each)
        self._refused = self._wake = None

    def _write(self, made: _Open) -> None:
        assert self._place is not None
        assert self._worker is not None
        made.take(made.until)
        with self._lock:
            busy = self._waiting >= WAITING
            self._waiting += not busy
        if busy:
            log.warning("%s: the disk is too slow; a wake is not kept", self._place.ring.folder)
        else:
            self._worker.post(self._put, self._place.ring, made)

    def _put(self, ring: Ring, made: _Open) -> None:
        try:
            _put(ring, made)
        except OSError as error:
            log.warning("%s: a wake is not kept: %s", ring.folder, error.strerror or error)
        finally:
            with self._lock:
                self._waiting -= 1

    def _look_after(self, where: Place) -> None:
        assert self._worker is not None
        self._timer = asyncio.get_running_loop().call_later(TIDY_SECONDS, self._look_after, where)
        self._worker.post(_tidy, where.ring)


def _put(ring: Ring, made: _Open) -> None:
    assert made.audio is not None
    # Where less is remembered than was wanted, the file begins later.
    told = msgspec.structs.replace(made.kept, start=made.audio.start)
    ring.put(made.name, {"wav": wav([made.audio]), "json": files.encode(told)})


def _tidy(ring: Ring) -> None:
    try:
        ring.tidy()
    except OSError as error:
        log.warning("%s: old wakes cannot be deleted: %s", ring.folder, error.strerror or error)


def _mark_wrong(folder: Path, name: str | None) -> Kept:
    """Label the wake of a name, or the last one of the folder."""
    if name is None:
        wakes = [path for path in files.names(folder) if path.stem.endswith("-wake")]
        if not wakes:
            raise DaemonError("no wake has been kept yet", place=str(folder))
        path = wakes[-1]
    else:
        path = folder / f"{name}.json"
        if not path.exists():
            raise DaemonError("the last wake was not kept; the log says why", place=str(folder))
    return files.mark(path, "wrong")


def _mark_wrong_or_warn(folder: Path, name: str) -> None:
    try:
        _mark_wrong(folder, name)
    except EdgeVoiceError as error:
        log.warning("%s", error)
