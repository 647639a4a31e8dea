"""One assistant: its engines loaded and wired, the wake loop, barge-in, and the exchange of its parts."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from edgevoice.audio.deafness import FOUND_SECONDS
from edgevoice.audio.ear import Ear
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.audio.played import Played, Reference
from edgevoice.audio.source import AudioSink, AudioSource
from edgevoice.config import Config, lightened
from edgevoice.engines.protocols import VadEngine
from edgevoice.errors import DeviceError, EdgeVoiceError, OutputError
from edgevoice.events import (
    Deaf,
    DeafCause,
    Degraded,
    Event,
    Fault,
    Hearing,
    Listening,
    Muted,
    Overrun,
    Reloaded,
    ReloadRejected,
    TurnEnded,
    Wake,
)
from edgevoice.flow.hub import Hub, samples
from edgevoice.flow.worker import Worker
from edgevoice.governor import HASTE
from edgevoice.listen.echo import Echoless
from edgevoice.listen.own import OwnVoice
from edgevoice.listen.spot import Scorer, Spotter, gated
from edgevoice.listen.wake import Detection
from edgevoice.modelstore import ModelStore
from edgevoice.mute import MuteMemory
from edgevoice.parts import Loader, Parts
from edgevoice.recorder import Recorder
from edgevoice.recordings import Shelf
from edgevoice.reload import AT_START, Devices, Latest, changed_keys
from edgevoice.turn import Memory, Turn
from edgevoice.wakes import keeper
from edgevoice.wakes.keeper import Keeper

log = logging.getLogger(__name__)

PREROLL = 3.0
"""Seconds the hub remembers: the longest a wake may be detected after the command began, with the time that a second
look may take, and the warm-up of the VAD."""
ANEW = 1.5
"""Seconds back from which detection that was exchanged listens: the longest wake word, which may have begun."""
LOOK_PATIENCE = 1.0
"""Seconds that a second look at a doubtful wake word may take, at a microphone. It takes 0.05 s, or longer while the
recogniser is busy with a command. After this time the score alone decides."""
WAKE_BACKLOG = 2.0
"""Seconds of audio that may wait for wake word detection before the oldest is dropped: more would only make it late."""


def _vad(config: Config, parts: Parts) -> tuple[Worker, VadEngine] | None:
    """What tells when wake words are listened for; None: always."""
    return parts.engines.vad if gated(parts.wake[1], config.detection) else None


def _muted() -> DeviceError:
    return DeviceError("it is muted", place="the microphone", remedy="edgevoice unmute")


class Assistant:
    """Listens, converses, and can be interrupted.

    Args:
        emit: called with every event, on the loop.
        now: the local time, for actions that tell it.
        loader: what loaded the parts; without one nothing can be reloaded.
        devices: how other sound devices come into use; without one, as with a recording, they stay.
        mutes: keeps a mute over a restart; None: it is forgotten.
        played: what the sink gives to a loudspeaker; None: it has none, and nothing of it is heard.
    """

    def __init__(
        self,
        config: Config,
        parts: Parts,
        source: AudioSource,
        sink: AudioSink,
        emit: Callable[[Event], None],
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        *,
        loader: Loader | None = None,
        devices: Devices | None = None,
        mutes: MuteMemory | None = None,
        played: Played | None = None,
    ) -> None:
        self.on_processed: Callable[[int], None] = lambda samples: None
        """Called with the samples that wake word detection has just processed: the sign that all of it works."""
        self._config = config
        self._parts = parts
        self._sink = sink
        self._show = emit
        self._recorder: Recorder | None = None
        self._keeper = Keeper()
        self._now = now
        self._loader = loader
        self._devices = devices
        self._mutes = mutes
        self._microphone_lock = asyncio.Lock()
        """Muting and exchanging the device exclude each other."""
        self._ear = source if isinstance(source, Ear) else None
        if self._ear is not None:
            self._ear.on_deaf = self._on_deaf
            self._ear.on_hearing = self._on_hearing
        self._hub = Hub(source, preroll=samples(PREROLL), on_gap=self._on_gap)
        self._echoless: Echoless | None = None
        if played is not None:
            self._echoless = Echoless(Reference(played), cancel=config.detection.playback.cancel)
            self._hub.clean = self._echoless.clean
        self._tap = self._hub.tap(name="wake word", capacity=WAKE_BACKLOG, on_drop=self._on_drop, eager=False)
        self._memory = Memory()
        self._level = 0
        """Steps down that have been taken."""
        self._turn = self._make_turn()
        self._group = asyncio.TaskGroup()
        self._conversation: asyncio.Task[None] | None = None
        self._resumed = -1
        """Where sound came again after it had been deaf or muted."""
        self._fresh_from: int | None = None
        """Where the wake word is to be listened for anew."""
        self._stalled = False
        self._dropped = 0
        """Samples that the wake word's detection has missed while it was stalled."""
        self._spotter: Spotter | None = None
        self._listen_from: int | None = None
        """Where a new spotter begins to listen, in the past; None once it has."""
        self._answered = 0
        """Where the last turn ended."""
        self._renewing = asyncio.Lock()
        self._ready = asyncio.Event()
        self._reloads = Latest(self._reload, self._group.create_task)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return lightened(self._config, self._level)

    @property
    def parts(self) -> Parts:
        """What is in use now."""
        return self._parts

    @property
    def recordings(self) -> str | None:
        """The folders in which turns are recorded or wakes are kept; None when nothing is."""
        folders = [None if self._recorder is None else self._recorder.folder, self._keeper.folder]
        return ", ".join(folder for folder in folders if folder is not None) or None

    def queues(self) -> dict[str, float]:
        """Who listens, and how many seconds of audio wait for it."""
        return self._hub.waiting()

    async def run(self) -> None:
        """Listen until the source ends and the last turn has finished.

        Raises:
            AudioError: the source failed. OutputError, BrokenPipeError: the replies' file or the events' reader has.
                Any other exception is a defect; it arrives in an ExceptionGroup.
        """
        try:
            await self._record(await self._open_shelf(self._config))
        except OutputError as error:  # what is for debugging keeps nobody from being heard
            log.warning("%s", error)
        try:
            self._keeper.use(await keeper.place(self._config, self._parts.wake[1], ModelStore()))
        except OutputError as error:
            log.warning("%s", error)
        try:
            async with self._group as group:
                self._hub.hold()  # until the wake loop first waits for audio
                group.create_task(self._detect(), name="wake")
                group.create_task(self._pump(), name="pump")
        except* (EdgeVoiceError, BrokenPipeError) as errors:
            known = errors
        else:
            return
        finally:
            await self._record(None)
            await self._keeper.close()
        first: BaseException = known
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first

    def push_to_talk(self) -> None:
        """Begin a turn as if the wake word had been said. Called on the loop."""
        self._begin(Wake(at=self._hub.position, by="push", model="", phrase="", score=1.0))

    async def wake_wrong(self) -> str:
        """Mark the last wake as a false alarm; tells which that was.

        Raises:
            DaemonError: wakes are not kept, or there is none. OutputError: it cannot be written.
        """
        return await self._keeper.wrong()

    async def wake_missed(self) -> tuple[str, Path]:
        """Keep the last seconds as a wake that was missed; tells that, and where.

        Raises:
            DaemonError: wakes are not kept, or nothing was heard. DeviceError: it is muted. OutputError: it cannot be
                written.
        """
        if self._ear is not None and self._ear.muted:
            raise _muted()
        return await self._keeper.missed(None if self._spotter is None else self._spotter.scorer)

    async def mute(self) -> None:
        """Close the microphone until ``unmute``, also over a restart; a turn that is under way ends.

        Raises:
            DeviceError: a recording is listened to.
        """
        ear = self._microphone()
        async with self._microphone_lock:
            if ear.muted:
                return
            self._sink.flush()
            if self._conversation is not None:
                self._conversation.cancel()
            self._hub.break_off(_muted())
            await ear.mute()
            self._hub.forget()
            self._emit(Muted(at=self._hub.position))
            await self._keep_mute()

    async def unmute(self) -> None:
        """Open the microphone again; ``hearing`` follows when it is.

        Raises:
            DeviceError: a recording is listened to.
        """
        ear = self._microphone()
        async with self._microphone_lock:
            if ear.muted:
                ear.unmute()
                await self._keep_mute()

    def _microphone(self) -> Ear:
        if self._ear is None:
            raise DeviceError("a recording cannot be muted", place="mute", remedy="stop it instead")
        return self._ear

    async def _keep_mute(self) -> None:
        if self._mutes is None:
            return
        try:
            await asyncio.to_thread(self._mutes.keep, muted=self._microphone().muted)
        except OutputError as error:
            self._emit(Fault(at=self._hub.position, error=type(error).__name__, message=str(error)))

    async def reload(self, read: Callable[[], Config]) -> Reloaded | ReloadRejected:
        """Put another configuration in force, at the next moment in which there is no turn, and lose no audio. It is
        read and checked as a whole first, and what it changes is loaded, while the assistant goes on as before; with
        any mistake in it nothing changes. May be called at any time while the assistant runs; of many calls that come
        while one is under way, only the last is done.

        Args:
            read: reads the configuration, in a thread; raises EdgeVoiceError.

        Returns:
            The event that was emitted.
        """
        outcome: Reloaded | ReloadRejected = await self._reloads.request(read)
        return outcome

    async def _reload(self, read: Callable[[], Config]) -> Reloaded | ReloadRejected:
        outcome: Reloaded | ReloadRejected
        try:
            async with self._renewing:
                changed = await self._renew(await asyncio.to_thread(read), self._level)
        except EdgeVoiceError as error:
            outcome = ReloadRejected(at=self._hub.position, why=str(error))
        else:
            outcome = Reloaded(at=self._hub.position, changed=changed)
            for key in changed:
                if key in AT_START:
                    log.warning("%s: it is read when edgevoice starts; restart it for the change", key)
        self._emit(outcome)
        return outcome

    async def step_to(self, level: int, why: str) -> None:
        """Do less, or more again, from the next moment on in which there is no turn.

        Args:
            level: see ``edgevoice.governor``.
            why: told in the event ``degraded``.
        """
        try:
            async with self._renewing:
                await self._renew(self._config, level)
        except EdgeVoiceError as error:
            self._emit(Fault(at=self._hub.position, error=type(error).__name__, message=str(error)))
        else:
            self._emit(Degraded(at=self._hub.position, level=level, why=why))

    async def _renew(self, config: Config, level: int) -> tuple[str, ...]:
        """Put a configuration in force, as it is at a level; gives the keys that have changed.

        Raises:
            EdgeVoiceError: why it is not.
        """
        if self._loader is None:
            raise RuntimeError("an assistant without a loader was asked for a reload")
        before, parts = self._config, self._parts
        await self._ready.wait()
        fresh = await self._loader.load(lightened(config, level), parts)
        spotter = None
        try:
            spotter = await self._prepare_spotter(config, fresh)
            shelf = await self._open_shelf(config)
            kept = await keeper.place(config, fresh.wake[1], ModelStore())
            if self._devices is not None:
                await self._quiet()
                async with self._microphone_lock:
                    await self._devices.change(before, config)
            await self._quiet()
        except BaseException:
            if spotter is not None and (self._spotter is None or spotter.scorer is not self._spotter.scorer):
                spotter.scorer.close()
            await self._loader.keep(parts)
            raise
        # From here to the end of the exchange nothing else runs, so that no turn sees half of it.
        self._config, self._level, self._parts = config, level, fresh
        if self._echoless is not None:
            self._echoless.cancel = config.detection.playback.cancel
        self._turn = self._make_turn()
        old, self._spotter = self._spotter, spotter
        if old is not None and old is not spotter:
            old.close(scorer=old.scorer is not spotter.scorer)
        if old is not None and old.scorer is not spotter.scorer:
            self._listen_from = max(self._hub.position - samples(ANEW), self._answered)
        if config.debug != before.debug:
            await self._record(shelf)
        if config.detection.keep != before.detection.keep or fresh.wake != parts.wake:
            self._keeper.use(kept)
            self._keeper.prepare(spotter.scorer)
        await self._loader.keep(fresh)
        return changed_keys(before, config, parts, fresh)

    async def _open_shelf(self, config: Config) -> Shelf | None:
        """The folder for recordings, where such are wanted.

        Raises:
            OutputError: nothing can be written there.
        """
        if config.debug.recordings.folder is None:
            return None
        shelf = Shelf(config.debug.recordings)
        await asyncio.to_thread(shelf.check)
        return shelf

    async def _record(self, shelf: Shelf | None) -> None:
        """Keep recordings there from now on, or none."""
        before, self._recorder = self._recorder, None
        if shelf is not None:
            self._recorder = Recorder(shelf, self._hub)
            self._recorder.start()
        if before is not None:
            await before.close()

    async def _prepare_spotter(self, config: Config, parts: Parts) -> Spotter:
        """What will listen for the wake word; what does so now where nothing about it changes."""
        now, before = self._spotter, self._parts
        assert now is not None
        same = parts.wake == before.wake and parts.engines.asr == before.engines.asr
        vad = _vad(config, parts)
        scorer = now.scorer
        if parts.wake != before.wake or vad != _vad(self._config, before):
            scorer = await Scorer.open(parts.wake, vad)
        elif same and config.detection == self._config.detection:
            return now
        return self._make_spotter(scorer, config, parts)

    def _make_spotter(self, scorer: Scorer, config: Config, parts: Parts) -> Spotter:
        patience = None if self._hub.lossless else LOOK_PATIENCE

        def refused(found: Detection) -> None:
            self._keeper.decided(spotter, found, accepted=False)

        own = None
        if self._echoless is not None and config.detection.playback.own_voice:
            own = OwnVoice(parts.wake, self._echoless)
        spotter = Spotter(scorer, parts.wake[1], config.detection, parts.engines.asr, patience, refused, own)
        self._keeper.prepare(scorer)
        return spotter

    async def _quiet(self) -> None:
        """Wait for a moment without a turn."""
        while self._conversation is not None:
            await asyncio.wait([self._conversation])

    async def _pump(self) -> None:
        try:
            await self._hub.run()
        except DeviceError as error:
            self._emit(Deaf(at=self._hub.position, cause="device", why=str(error)))
            raise

    async def _detect(self) -> None:
        scorer = await Scorer.open(self._parts.wake, _vad(self._config, self._parts))
        self._spotter = self._make_spotter(scorer, self._config, self._parts)
        self._ready.set()
        if self._ear is not None and self._ear.muted:
            self._hub.break_off(_muted())
            self._emit(Muted(at=self._hub.position))
        else:
            self._listening()
        try:
            async for audio in self._tap:
                self._taken()
                await self._freshen(audio)
                spotter = self._spotter  # a reload exchanges it, as a rule while this waits for audio
                pieces = [audio]
                if self._listen_from is not None:
                    pieces[:0] = [part.until(audio.start) for part in self._hub.past(self._listen_from)]
                    self._listen_from = None
                for piece in pieces:
                    async with aclosing(spotter.hear(piece)) as wakes:
                        async for found in wakes:
                            self._spotted(spotter, found)
                    self._keeper.heard(spotter.scorer, piece)
                    self.on_processed(len(piece))
        finally:
            self._spotter.close()
            self._hub.release()

    async def _freshen(self, audio: Audio) -> None:
        """After a gap in which nothing could be heard, listen for the wake word anew: what was said before is over."""
        spotter = self._spotter
        if spotter is None or self._fresh_from is None or audio.start < self._fresh_from:
            return
        self._fresh_from = None
        scorer = await Scorer.open(self._parts.wake, _vad(self._config, self._parts))
        if spotter is not self._spotter:  # a reload was faster
            scorer.close()
            return
        spotter.close()
        self._spotter = self._make_spotter(scorer, self._config, self._parts)

    def _taken(self) -> None:
        """The wake word's detection goes on."""
        if self._stalled:
            self._stalled = False
            device = "" if self._ear is None else self._ear.device
            self._emit(Hearing(at=self._hub.position, device=device, lost=self._dropped))

    def _spotted(self, spotter: Spotter, found: Detection) -> None:
        if self._ear is not None and self._ear.muted:
            return  # it was said before the mute
        self._keeper.decided(spotter, found, accepted=True)
        model = found.model
        confidence = None if found.confidence is None else round(found.confidence, 3)
        wake = Wake(
            at=found.at,
            by="word",
            model=model.name,
            phrase=model.phrase,
            score=round(found.score, 3),
            confidence=confidence,
        )
        self._begin(wake)

    def _begin(self, wake: Wake) -> None:
        """Start a turn; one that is under way is interrupted. The speaker falls silent first: silence never waits."""
        self._sink.flush()
        before = self._conversation
        if before is not None:
            before.cancel()
        self._hub.hold()
        self._conversation = self._group.create_task(self._converse(wake, before), name="turn")
        self._conversation.add_done_callback(self._ended)

    def _ended(self, conversation: asyncio.Task[None]) -> None:
        """Also of a turn that was interrupted before its first step."""
        self._tap.eager = False
        self._hub.release()
        if self._conversation is conversation:
            self._conversation = None
            self._answered = self._hub.position

    async def _converse(self, wake: Wake, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._tap.eager = True  # who speaks into a reply is to be heard at once
        self._emit(wake)
        await self._one_turn(wake)

    async def _one_turn(self, wake: Wake) -> None:
        try:
            outcome = await self._turn.converse(wake)
        except asyncio.CancelledError:
            self._emit(TurnEnded(at=self._hub.position, outcome="interrupted"))
            raise
        except OutputError:
            raise
        except EdgeVoiceError as error:
            self._emit(Fault(at=self._hub.position, error=type(error).__name__, message=str(error)))
            self._emit(TurnEnded(at=self._hub.position, outcome="failed"))
        else:
            self._emit(TurnEnded(at=self._hub.position, outcome=outcome))
        self._listening()

    def _listening(self) -> None:
        """Say that it waits for a wake word, unless none would be heard; when that is over, ``hearing`` says it."""
        if (self._ear is None or self._ear.hears) and not self._stalled:
            self._emit(Listening(at=self._hub.position))

    def _make_turn(self) -> Turn:
        return Turn(
            self._config,
            self._hub,
            self._sink,
            self._parts.engines,
            self._parts.skills,
            self._memory,
            self._emit,
            self._set_volume,
            self._now,
            haste=self._level >= HASTE,
            wrong_wake=self._keeper.wrong_by_voice,
        )

    def _emit(self, event: Event) -> None:
        if self._recorder is not None:
            self._recorder.observe(event)
        self._keeper.observe(event)
        self._show(event)

    def _set_volume(self, percent: int, *, relative: bool) -> int:
        wanted = self._sink.volume + percent if relative else percent
        self._sink.volume = min(max(wanted, 0), 100)
        return self._sink.volume

    def _on_deaf(self, cause: DeafCause, why: str) -> None:
        """A turn that listens ends with the error; a reply that is under way is finished."""
        self._hub.break_off(DeviceError(f"nothing can be heard ({cause}): {why}", place="the microphone"))
        self._emit(Deaf(at=self._hub.position, cause=cause, why=why))

    def _on_hearing(self, device: str, lost: int) -> None:
        assert self._ear is not None
        self._resumed = self._ear.position
        if self._ear.was_closed:  # even when so shortly that no sample is missing
            self._fresh_from = self._resumed
        self._hub.mend()
        self._emit(Hearing(at=self._resumed, device=device, lost=lost))

    def _on_drop(self, audio: Audio) -> None:
        self._emit(Overrun(at=audio.end, lost=len(audio), where="wake word"))
        self._dropped = self._dropped + len(audio) if self._stalled else len(audio)
        behind = (self._hub.position - self._tap.taken) / RATE
        if not self._stalled and behind >= FOUND_SECONDS:
            self._stalled = True
            why = f"wake word detection has taken nothing for {behind:.1f} s: it hangs, or the machine is overloaded"
            self._emit(Deaf(at=self._hub.position, cause="stalled", why=why))

    def _on_gap(self, lost: int, at: int) -> None:
        if at == self._resumed:  # that has been told
            return
        if self._ear is not None and self._ear.deaf is not None:  # the device was opened anew, and is deaf still
            return
        self._emit(Overrun(at=at, lost=lost, where="capture"))
