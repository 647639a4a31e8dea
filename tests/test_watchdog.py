"""sd_notify, and when systemd is told that the assistant lives."""

import asyncio
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevoice import events
from edgevoice.flow.worker import Worker
from edgevoice.health.model import HANG_SECONDS, Health
from edgevoice.health.notify import Notifier
from edgevoice.health.watchdog import START_SECONDS, Watchdog
from edgevoice.observe import Step

WITHIN = 30.0
DEAF = events.Deaf(at=0, cause="device", why="no microphone")
STALLED = events.Deaf(at=0, cause="stalled", why="nothing takes the audio")
MUTED = events.Muted(at=0)
HEARING = events.Hearing(at=0, device="microphone", lost=0)


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def told(self) -> list[str]:
        """All messages since this was last asked."""
        found = []
        try:
            while True:
                found.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[Manager]:
    with tempfile.TemporaryDirectory() as folder:
        name = f"@edgevoice-test-{os.getpid()}" if request.param == "abstract" else f"{folder}/notify"
        manager = Manager(name)
        yield manager
        manager.close()


class Rig:
    """A watchdog, its clock, and a wake thread that hangs on demand."""

    def __init__(self, manager: Manager) -> None:
        self.now = 100.0
        self.health = Health(clock=lambda: self.now)
        self.probes = 0
        self.hanging = False
        notifier = Notifier(manager.address, WITHIN)
        self.watchdog = Watchdog(notifier, self.health, self._probe, clock=lambda: self.now)
        self._manager = manager

    async def _probe(self) -> None:
        self.probes += 1
        if self.hanging:
            await asyncio.Event().wait()

    def happen(self, *what: events.Event) -> None:
        for event in what:
            self.health.observe(event, [])
            self.watchdog.tell()

    def hear(self) -> None:
        self.watchdog.processed(4000)

    def look(self) -> bool:
        """Whether the look came to an end."""

        async def go() -> bool:
            task = asyncio.ensure_future(self.watchdog.look())
            for _ in range(10):
                await asyncio.sleep(0)
            ended = task.done()
            task.cancel()
            await asyncio.wait([task])
            return ended

        return asyncio.run(go())

    def told(self) -> list[str]:
        """Without the status lines."""
        return [message for message in self._manager.told() if not message.startswith("STATUS=")]

    def said(self) -> list[str]:
        return [message[7:] for message in self._manager.told() if message.startswith("STATUS=")]


@pytest.fixture
def rig(manager: Manager) -> Rig:
    return Rig(manager)


def test_it_is_ready_when_audio_was_processed_and_not_before(rig: Rig) -> None:
    rig.happen(events.Listening(at=0))
    rig.look()
    assert rig.told() == []
    rig.hear()
    assert rig.told() == ["READY=1", "WATCHDOG=1"]
    rig.hear()
    assert rig.told() == []


def test_processed_audio_feeds_it_three_times_in_the_time_it_has(rig: Rig) -> None:
    rig.hear()
    fed = len(rig.told()) - 1
    for _ in range(4 * 30):
        rig.now += 0.25
        rig.hear()
        fed += len(rig.told())
    assert fed == 1 + 3


def test_without_audio_nothing_feeds_it(rig: Rig) -> None:
    rig.hear()
    rig.told()
    for _ in range(10):
        rig.now += 10
        assert rig.look()
    assert rig.told() == []
    assert rig.probes == 0


@pytest.mark.parametrize("event", [MUTED, DEAF])
def test_a_round_trip_feeds_it_while_there_is_no_audio(rig: Rig, event: events.Event) -> None:
    rig.hear()
    rig.happen(event)
    rig.told()
    rig.now += 10
    assert rig.look()
    assert rig.told() == ["WATCHDOG=1"]
    rig.now += 10
    rig.hanging = True
    assert not rig.look()
    assert rig.told() == []
    rig.happen(HEARING)
    rig.hear()
    assert rig.told() == ["WATCHDOG=1"]


def test_audio_that_nobody_takes_is_a_hang(rig: Rig) -> None:
    rig.hear()
    rig.happen(STALLED)
    rig.told()
    rig.now += 10
    assert rig.look()
    assert (rig.told(), rig.probes) == ([], 0)


def test_a_start_while_muted_is_ready_after_a_round_trip(rig: Rig) -> None:
    rig.happen(MUTED)
    rig.hanging = True
    assert not rig.look()
    assert rig.told() == []
    rig.hanging = False
    assert rig.look()
    assert rig.told() == ["READY=1", "WATCHDOG=1"]


def test_a_start_without_a_microphone_asks_for_time_and_is_not_ready(rig: Rig) -> None:
    rig.happen(DEAF)
    rig.look()
    assert rig.told() == [f"EXTEND_TIMEOUT_USEC={START_SECONDS * 1e6:.0f}", "WATCHDOG=1"]
    rig.happen(HEARING)
    rig.hear()
    assert rig.told() == ["READY=1"]


def test_an_engine_that_hangs_stops_the_signs_though_audio_is_processed(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def recognise() -> None:
        begun.set()
        go_on.wait()

    worker = Worker("asr", clock=lambda: rig.now)
    rig.health.workers = lambda: [worker]
    rig.hear()
    worker.post(recognise)
    begun.wait()
    rig.now += HANG_SECONDS
    rig.hear()
    assert rig.told() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    for event in (None, MUTED, DEAF):
        if event is not None:
            rig.happen(event)
        for _ in range(3):
            rig.now += 10
            rig.hear()
            rig.look()
    assert rig.told() == []
    assert caplog.text.count("asr: its step has not ended for 30 s") == 1
    go_on.set()
    asyncio.run(worker.call(lambda: None))  # it has ended after all
    rig.now += 10
    rig.hear()
    assert rig.told() == ["WATCHDOG=1"]


def test_a_reload_is_told_from_its_begin_to_its_end(rig: Rig) -> None:
    rig.watchdog.reloading()
    rig.watchdog.reloaded()
    assert rig.told() == []  # it would pass for being ready
    rig.hear()
    rig.told()
    rig.watchdog.reloading()
    (message,) = rig.told()
    first, second = message.split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0
    rig.watchdog.reloaded()
    assert rig.told() == ["READY=1"]


def test_the_status_line_says_the_state_and_nothing_that_was_said(rig: Rig) -> None:
    rig.hear()
    rig.happen(events.Wake(at=0, by="word", model="okay_nabu", phrase="Okay Nabu", score=0.9))
    rig.happen(events.Transcript(at=0, text="a secret", confidence=1.0))
    rig.health.observe(events.TurnEnded(at=0, outcome="not_understood"), [Step("answer", 0.251)])
    rig.watchdog.tell()
    rig.happen(DEAF)
    rig.watchdog.stopping()
    assert rig.said() == [
        "Listening",
        "Turn",
        "Listening. Last turn: not understood after 0.25 s",
        "Deaf: device: no microphone. Last turn: not understood after 0.25 s",
        "Stopping. Last turn: not understood after 0.25 s",
    ]


def test_it_says_that_it_stops(rig: Rig) -> None:
    rig.watchdog.stopping()
    assert rig.told() == ["STOPPING=1"]


def test_a_status_is_one_line(manager: Manager) -> None:
    Notifier(manager.address).status("bad\nREADY=1")
    assert manager.told() == ["STATUS=bad READY=1"]


def test_without_a_watchdog_only_the_rest_is_told(manager: Manager) -> None:
    health = Health()
    watchdog = Watchdog(Notifier(manager.address), health, Rig(manager)._probe)
    watchdog.processed(160)
    assert manager.told() == ["READY=1", "STATUS=Listening"]


def test_what_the_environment_asks_for() -> None:
    mine = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier.from_environment(mine).watchdog == 20
    assert Notifier.from_environment(mine).listens
    for change in ({"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"NOTIFY_SOCKET": ""}):
        assert Notifier.from_environment({**mine, **change}).watchdog is None
    assert not Notifier.from_environment({}).listens


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody-listens-here"])
def test_nobody_who_listens_is_nothing_to_stop_for(address: str, tmp_path: Path) -> None:
    Notifier(address, 1.0).ready()
