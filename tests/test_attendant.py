"""The attendant: signals, control socket, watchdog and health around an assistant."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from edgevoice import events, governor
from edgevoice.audio.portaudio import Hanging
from edgevoice.config import Config, load
from edgevoice.errors import DaemonError, DeviceError
from edgevoice.events import Event, Reloaded, ReloadRejected
from edgevoice.flow.worker import Worker
from edgevoice.health.ask import ask
from edgevoice.health.attendant import Attendant
from edgevoice.health.model import Health
from edgevoice.health.notify import Notifier
from edgevoice.health.protocol import Answer, Verb
from edgevoice.health.starts import Starts
from edgevoice.health.status import Machine, ModelInUse, Status
from edgevoice.observe import Step
from edgevoice.parts import Parts


class Said(Notifier):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__("somebody", 30.0)
        self.sent: list[str] = []

    def _send(self, message: str) -> None:
        self.sent.append(message.partition("\n")[0])


class FakeAssistant:
    """Runs until it is told to end, and does what it is asked."""

    def __init__(self) -> None:
        self.on_processed: Callable[[int], None] = lambda samples: None
        self.config = load(Path("/dev/null"), environ={})
        self.worker = Worker("wake")
        self.parts = cast("Parts", SimpleNamespace(wake=(self.worker, None), workers=[self.worker]))
        self.emit: Callable[[Event], None] = lambda event: None
        self.asked: list[str] = []
        self.rejected = ""
        self.failure: Exception | None = None
        self.running = asyncio.Event()
        self.end = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def run(self) -> None:
        self.running.set()
        await self.end.wait()
        if self.failure is not None:
            raise self.failure

    def push_to_talk(self) -> None:
        self.asked.append("talk")

    @property
    def recordings(self) -> str | None:
        return "/turns"

    def queues(self) -> Mapping[str, float]:
        return {"wake word": 0.25}

    async def mute(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.asked.append("mute")
        self.emit(events.Muted(at=0))

    async def unmute(self) -> None:
        self.asked.append("unmute")
        self.emit(events.Hearing(at=0, device="microphone", lost=0))

    async def wake_wrong(self) -> str:
        self.asked.append("wrong")
        return "marked as wrong: alexa"

    async def wake_missed(self) -> tuple[str, Path]:
        self.asked.append("missed")
        return "kept as missed", Path("/wakes/1-missed.json")

    async def reload(self, read: Callable[[], Config]) -> Reloaded | ReloadRejected:
        self.asked.append("reload")
        await self.go_on.wait()
        self.config = read()
        outcome: Reloaded | ReloadRejected
        outcome = ReloadRejected(at=0, why=self.rejected) if self.rejected else Reloaded(at=0, changed=("tts.engine",))
        self.emit(outcome)
        return outcome

    async def step_to(self, level: int, why: str) -> None:
        self.asked.append(f"level {level}")
        self.emit(events.Degraded(at=0, level=level, why=why))


class Rig:
    """An attendant at work."""

    def __init__(self, folder: Path) -> None:
        self.assistant = FakeAssistant()
        self.said = Said()
        self.path = folder / "run/control.sock"
        self.read = 0
        self.attendant = Attendant(
            self.assistant,
            Health(read_machine=Machine),
            self.said,
            Starts(folder / "state"),
            sound=Hanging(),
            path=self.path,
            read=self._read,
            models=lambda config: (ModelInUse(task="tts", engine=config.tts.engine, model="", version=str(self.read)),),
        )
        self.assistant.emit = lambda event: self.attendant.observe(event, [])

    def _read(self) -> Config:
        self.read += 1
        return load(Path("/dev/null"), environ={})

    async def ask(self, do: Verb) -> Answer:
        return await asyncio.to_thread(ask, do, paths=[self.path])

    async def status(self) -> Status:
        return msgspec.convert((await self.ask("status")).status, Status, strict=False)

    def told(self) -> list[str]:
        told = [message for message in self.said.sent if not message.startswith(("STATUS", "WATCHDOG"))]
        self.said.sent.clear()
        return told


def attended(folder: Path, client: Callable[[Rig], Awaitable[None]]) -> None:
    async def go() -> None:
        rig = Rig(folder)
        running = asyncio.ensure_future(rig.attendant.run())
        try:
            await rig.assistant.running.wait()
            await client(rig)
            rig.assistant.end.set()
            await running
        finally:
            running.cancel()
            await asyncio.wait([running])
            await rig.assistant.worker.close()
        leftover = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert leftover == []

    asyncio.run(go())
    assert [thread for thread in threading.enumerate() if thread.name.startswith("wake")] == []


def test_the_status_is_that_of_the_assistant(tmp_path: Path) -> None:
    async def client(rig: Rig) -> None:
        assert (await rig.status()).state == "starting"
        rig.assistant.on_processed(16_000)
        status = await rig.status()
        assert (status.state, status.frames, status.starts) == ("listening", 100, 1)
        assert status.queues_s == {"wake word": 0.25}
        assert status.recordings == "/turns"
        assert status.workers_s == {"wake": 0.0, "sound": 0.0}
        assert [use.engine for use in status.models] == ["hibari"]
        assert "edgevoice_frames_total 100\n" in str((await rig.ask("metrics")).metrics)

    attended(tmp_path, client)


def test_talk_begins_a_turn_unless_nothing_would_be_heard(tmp_path: Path) -> None:
    async def client(rig: Rig) -> None:
        with pytest.raises(DaemonError, match="it is starting"):
            await rig.ask("talk")
        rig.attendant.talk_now()
        rig.assistant.emit(events.Listening(at=0))
        assert "speak now" in (await rig.ask("talk")).told
        rig.attendant.talk_now()
        rig.assistant.emit(events.Deaf(at=0, cause="device", why="unplugged"))
        rig.attendant.talk_now()
        with pytest.raises(DaemonError, match=r"deaf.*unplugged"):
            await rig.ask("talk")
        assert rig.assistant.asked == ["talk", "talk"]

    attended(tmp_path, client)


def test_mute_and_unmute_by_command_and_by_signal(tmp_path: Path) -> None:
    async def client(rig: Rig) -> None:
        await rig.ask("mute")
        assert (await rig.status()).state == "muted"
        await rig.ask("unmute")
        rig.attendant.toggle_mute()
        rig.attendant.toggle_mute()  # as fast as a finger can be, and yet one after the other
        rig.attendant.toggle_mute()
        assert (await rig.status()).state == "muted"
        assert rig.assistant.asked == ["mute", "unmute", "mute", "unmute", "mute"]

    attended(tmp_path, client)


def test_what_the_user_says_about_a_wake_reaches_it(tmp_path: Path) -> None:
    async def client(rig: Rig) -> None:
        assert (await rig.ask("wrong")).told == "marked as wrong: alexa"
        assert (await rig.ask("missed")).path == "/wakes/1-missed.json"
        assert rig.assistant.asked == ["wrong", "missed"]

    attended(tmp_path, client)


def test_what_cannot_be_done_is_answered_or_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def client(rig: Rig) -> None:
        rig.assistant.failure = DeviceError("a recording cannot be muted", place="mute")
        with pytest.raises(DaemonError, match="a recording cannot be muted"):
            await rig.ask("mute")
        assert caplog.text == ""
        rig.attendant.toggle_mute()
        assert (await rig.status()).state == "starting"
        assert "a recording cannot be muted" in caplog.text
        rig.assistant.failure = None

    attended(tmp_path, client)


def test_a_reload_is_announced_and_answered(tmp_path: Path) -> None:
    async def client(rig: Rig) -> None:
        rig.assistant.on_processed(160)
        assert rig.told() == ["READY=1"]
        assert (await rig.ask("reload")).told == "in force: tts.engine"
        assert rig.told() == ["RELOADING=1", "READY=1"]
        status = await rig.status()
        assert (status.reloads, status.models[0].version) == (1, "1")  # those of the new configuration
        rig.assistant.rejected = "edgevoice.yaml:3: wake.refractory: below 0"
        with pytest.raises(DaemonError, match="nothing has changed: edgevoice"):
            await rig.ask("reload")
        assert (await rig.status()).reloads_rejected == 1

    attended(tmp_path, client)


def test_a_storm_of_reloads_is_one_for_systemd(tmp_path: Path) -> None:
    async def client(rig: Rig) -> None:
        rig.assistant.on_processed(160)
        rig.told()
        rig.assistant.go_on.clear()
        for _ in range(50):
            rig.attendant.reload_now()
        await rig.status()
        assert rig.told() == ["RELOADING=1"]
        rig.assistant.go_on.set()
        await rig.status()
        assert rig.told() == ["READY=1"]

    attended(tmp_path, client)


def test_late_commands_are_a_step_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(governor, "LOOK_SECONDS", 0.0)

    async def client(rig: Rig) -> None:
        stepped = asyncio.Event()
        show = rig.assistant.emit

        def emit(event: Event) -> None:
            show(event)
            stepped.set()

        rig.assistant.emit = emit
        rig.assistant.on_processed(16_000)
        for _ in range(2):
            rig.attendant.observe(events.Transcript(at=0, text="stop", confidence=None), [Step("recognition", 3.0)])
        await stepped.wait()
        status = await rig.status()
        assert (status.state, status.level) == ("degraded", 1)
        assert "recognised 3.0 s late" in status.cause

    attended(tmp_path, client)


def test_a_defect_in_what_a_signal_asks_for_ends_the_daemon(tmp_path: Path) -> None:
    async def go() -> None:
        rig = Rig(tmp_path)
        running = asyncio.ensure_future(rig.attendant.run())
        await rig.assistant.running.wait()
        rig.assistant.failure = ZeroDivisionError("a defect")
        rig.attendant.toggle_mute()
        with pytest.raises(ZeroDivisionError, match="a defect"):
            await running
        await rig.assistant.worker.close()

    asyncio.run(go())
    assert b'"running":true' in (tmp_path / "state/starts.json").read_bytes()  # the next start follows a crash


@pytest.mark.parametrize("how", ["end", "error", "stop"])
def test_an_end_in_order_is_told_and_kept(tmp_path: Path, how: str) -> None:
    async def go() -> None:
        rig = Rig(tmp_path)
        running = asyncio.ensure_future(rig.attendant.run())
        await rig.assistant.running.wait()
        if how == "error":
            rig.assistant.failure = DeviceError("it has gone")
        if how == "stop":
            rig.attendant.stopping()
            running.cancel()
        else:
            rig.assistant.end.set()
        (result,) = await asyncio.gather(running, return_exceptions=True)
        expected: dict[str, Any] = {"end": type(None), "error": DeviceError, "stop": asyncio.CancelledError}
        assert isinstance(result, expected[how])
        assert rig.told() == ["STOPPING=1"]
        await rig.assistant.worker.close()
        assert not rig.path.exists()

    asyncio.run(go())
    assert b'"running":false' in (tmp_path / "state/starts.json").read_bytes()


def test_a_second_daemon_disturbs_nothing(tmp_path: Path) -> None:
    async def client(rig: Rig) -> None:
        second = Rig(tmp_path)
        with pytest.raises(DaemonError, match="already running"):
            await second.attendant.run()
        await second.assistant.worker.close()
        assert second.assistant.asked == []
        assert (await rig.status()).starts == 1

    attended(tmp_path, client)
    assert b'"starts":1,' in (tmp_path / "state/starts.json").read_bytes()


def test_a_thread_that_hangs_in_the_sound_library_is_busy_until_it_ends() -> None:
    now = [100.0]
    hanging, go_on = Hanging(lambda: now[0]), threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    assert hanging.busy() == 0
    hanging.leave(thread)
    now[0] += 40
    assert hanging.busy() == 40
    go_on.set()
    thread.join()
    assert hanging.busy() == 0
