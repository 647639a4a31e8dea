"""Looks after a running assistant: health, watchdog, control socket, and what signals ask for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from edgevoice.config import Config
from edgevoice.errors import DaemonError, EdgeVoiceError
from edgevoice.events import Degraded, Event, Reloaded, ReloadRejected
from edgevoice.governor import Governor
from edgevoice.health import metrics
from edgevoice.health.control import Do, serve
from edgevoice.health.model import Busy, Health
from edgevoice.health.notify import Notifier
from edgevoice.health.protocol import Answer, Verb
from edgevoice.health.starts import Starts
from edgevoice.health.status import ModelInUse
from edgevoice.health.watchdog import Watchdog
from edgevoice.observe import Step
from edgevoice.parts import Parts

log = logging.getLogger(__name__)


class Attended(Protocol):
    """What an assistant lets itself be asked and told; see ``edgevoice.assistant.Assistant``."""

    on_processed: Callable[[int], None]

    @property
    def config(self) -> Config: ...

    @property
    def parts(self) -> Parts: ...

    @property
    def recordings(self) -> str | None: ...

    async def run(self) -> None: ...

    def push_to_talk(self) -> None: ...

    def queues(self) -> Mapping[str, float]: ...

    async def mute(self) -> None: ...

    async def unmute(self) -> None: ...

    async def wake_wrong(self) -> str: ...

    async def wake_missed(self) -> tuple[str, Path]: ...

    async def reload(self, read: Callable[[], Config]) -> Reloaded | ReloadRejected: ...

    async def step_to(self, level: int, why: str) -> None: ...


class Attendant:
    """One for an assistant. Its events go through ``observe``.

    Args:
        sound: the threads of the sound library, which may hang as well.
        path: the control socket.
        read: reads the configuration anew, in a thread; raises EdgeVoiceError.
        models: tells what a configuration uses.
    """

    def __init__(
        self,
        assistant: Attended,
        health: Health,
        notifier: Notifier,
        starts: Starts,
        *,
        sound: Busy,
        path: Path,
        read: Callable[[], Config],
        models: Callable[[Config], tuple[ModelInUse, ...]],
    ) -> None:
        self._assistant = assistant
        self._health = health
        self._path = path
        self._read = read
        self._models = models
        self._watchdog = Watchdog(notifier, health, self._round_trip)
        self._governor = Governor(lambda: assistant.config.overload, assistant.step_to, health.read_machine)
        self._notifier = notifier
        self._starts = starts
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloads = 0
        """Under way."""
        self._muting = asyncio.Lock()
        self._defect: BaseException | None = None
        health.queues = assistant.queues
        health.recordings = lambda: assistant.recordings
        health.workers = lambda: (*assistant.parts.workers, sound)
        health.models = models(assistant.config)
        assistant.on_processed = self._watchdog.processed

    def observe(self, event: Event, steps: list[Step]) -> None:
        """Something has happened to the assistant."""
        self._health.observe(event, steps)
        self._governor.observe(event, steps)
        if isinstance(event, Reloaded | Degraded):
            self._health.models = self._models(self._assistant.config)
        self._watchdog.tell()

    async def run(self) -> None:
        """Run the assistant and look after it.

        Raises:
            DaemonError: another daemon is running. What the assistant raises.
        """
        commands: Mapping[Verb, Do] = {
            "status": self._status,
            "metrics": self._metrics,
            "talk": self._talk,
            "mute": self._mute,
            "unmute": self._unmute,
            "reload": self._reload,
            "wrong": self._wrong,
            "missed": self._missed,
        }
        main = asyncio.current_task()
        assert main is not None
        self._stop = main.cancel
        async with serve(self._path, commands):
            self._health.starts = self._starts.begin()
            if self._notifier.listens:
                self._spawn(self._watchdog.run())
            self._spawn(self._governor.run())
            try:
                await self._assistant.run()
            except asyncio.CancelledError:
                if self._defect is not None:
                    raise self._defect from None
                raise
            finally:
                self.stopping()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                if self._defect is None:
                    self._starts.end()

    def stopping(self) -> None:
        """The end has begun."""
        self._watchdog.stopping()

    # What signals ask for; called on the loop.

    def talk_now(self) -> None:
        """Begin a turn; while nothing can be heard this does nothing."""
        if self._health.hears:
            self._assistant.push_to_talk()

    def toggle_mute(self) -> None:
        self._spawn(self._toggle())

    def reload_now(self) -> None:
        self._spawn(self._do(self._reload()))

    # What the control socket is asked for.

    async def _status(self) -> Answer:
        return Answer(ok=True, status=msgspec.to_builtins(self._health.snapshot()))

    async def _metrics(self) -> Answer:
        return Answer(ok=True, metrics=metrics.text(self._health.snapshot()))

    async def _talk(self) -> Answer:
        if not self._health.hears:
            raise DaemonError(f"it is {self._health.state} and would not hear what is said", remedy=self._health.cause)
        self._assistant.push_to_talk()
        return Answer(ok=True, told="it listens: speak now")

    async def _mute(self) -> Answer:
        async with self._muting:
            await self._assistant.mute()
        return Answer(ok=True, told="the microphone is closed")

    async def _unmute(self) -> Answer:
        async with self._muting:
            await self._assistant.unmute()
        return Answer(ok=True, told="the microphone is opened again")

    async def _reload(self) -> Answer:
        self._reloads += 1
        if self._reloads == 1:
            self._watchdog.reloading()
        try:
            outcome = await self._assistant.reload(self._read)
        finally:
            self._reloads -= 1
            if self._reloads == 0:
                self._watchdog.reloaded()
        if isinstance(outcome, ReloadRejected):
            return Answer(ok=False, error=f"nothing has changed: {outcome.why}")
        return Answer(ok=True, told=f"in force: {', '.join(outcome.changed) or 'nothing that was not before'}")

    async def _wrong(self) -> Answer:
        return Answer(ok=True, told=await self._assistant.wake_wrong())

    async def _missed(self) -> Answer:
        told, path = await self._assistant.wake_missed()
        return Answer(ok=True, told=told, path=str(path))

    async def _toggle(self) -> None:
        async with self._muting:
            await (self._assistant.unmute() if self._health.muted else self._assistant.mute())

    async def _do(self, work: Awaitable[Answer]) -> None:
        await work  # what came of it is an event

    async def _round_trip(self) -> None:
        await self._assistant.parts.wake[0].call(lambda: None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """What is not possible is logged; a defect ends the daemon as one would anywhere else."""
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, EdgeVoiceError):
            log.error("%s", error)
        elif self._defect is None:
            self._defect = error
            self._stop()
