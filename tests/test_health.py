"""The health model: what it keeps of the events, which state that is, and how it is shown."""

import logging
import threading
from pathlib import Path

import msgspec
import pytest

from edgevoice import events
from edgevoice.cli.status import table
from edgevoice.errors import DaemonError
from edgevoice.events import Event
from edgevoice.flow.worker import Worker
from edgevoice.health import machine, metrics, place
from edgevoice.health.model import HANG_SECONDS, Health
from edgevoice.health.starts import NAME, Starts
from edgevoice.health.status import Machine, ModelInUse, Status
from edgevoice.observe import Step

BOARD = Machine(resident_mb=95.5, temperature_c=61.0, throttled=("under-voltage",), throttled_before=())
MODELS = [ModelInUse(task="asr", engine="whisper", model="tiny", version="catalog")]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    health = Health(read_machine=lambda: BOARD, clock=clock)
    health.models, health.starts = MODELS, (7, 2)
    return health


WAKE = events.Wake(at=0, by="word", model="okay_nabu", phrase="Okay Nabu", score=0.91)
DEAF = events.Deaf(at=0, cause="no_frames", why="the microphone gives nothing")
HEARING = events.Hearing(at=0, device="USB microphone", lost=40_000)
ENDED = events.TurnEnded(at=0, outcome="answered")


def happen(health: Health, *what: Event) -> str:
    for event in what:
        health.observe(event, [])
    return health.state


def test_a_start_without_a_microphone_hears_when_there_is_one(health: Health) -> None:
    happen(health, DEAF)
    assert not health.hears
    happen(health, HEARING)
    assert health.hears


def test_each_state_and_what_leads_out_of_it(health: Health) -> None:
    assert happen(health, events.Listening(at=0)) == "starting"  # until audio was processed
    health.frames(4096)
    assert health.state == "listening"
    assert happen(health, WAKE) == "turn"
    assert happen(health, ENDED) == "listening"
    assert happen(health, DEAF) == "deaf"
    assert health.cause == "no frames: the microphone gives nothing"
    assert happen(health, HEARING) == "listening"
    assert happen(health, events.Muted(at=0)) == "muted"
    assert happen(health, DEAF) == "deaf"  # unmuted, and the device cannot be opened
    assert happen(health, events.Muted(at=0)) == "muted"
    assert happen(health, HEARING) == "listening"
    assert happen(health, events.Degraded(at=0, level=2, why="too hot")) == "degraded"
    assert health.cause == "too hot"
    assert happen(health, WAKE) == "turn"
    assert health.snapshot().level == 2
    assert happen(health, ENDED, events.Degraded(at=0, level=0, why="cool again")) == "listening"
    health.stopping = True
    assert happen(health, WAKE) == "stopping"


def test_a_start_without_a_microphone_or_muted_says_so(health: Health) -> None:
    assert happen(health, DEAF) == "deaf"
    assert happen(health, events.Muted(at=0)) == "muted"
    assert happen(health, HEARING) == "starting"


def test_the_time_in_a_state_begins_with_it(health: Health, clock: Clock) -> None:
    clock.now += 5
    health.frames(160)
    clock.now += 3
    happen(health, events.Listening(at=0))
    assert health.snapshot().in_state_s == 3
    happen(health, DEAF)
    clock.now += 4
    happen(health, events.Overrun(at=0, lost=1, where="capture"))
    status = health.snapshot()
    assert (status.in_state_s, status.uptime_s) == (4, 12)


def test_frames_per_second_are_those_of_the_last_ten_seconds(health: Health, clock: Clock) -> None:
    assert health.snapshot().frames_per_second == 0
    health.frames(160)
    assert health.snapshot().frames_per_second == 0  # over no time at all
    for _ in range(80):
        clock.now += 0.25
        health.frames(4000)
    assert health.snapshot().frames_per_second == 100
    for _ in range(20):
        clock.now += 0.25
        health.frames(2000)
    assert health.snapshot().frames_per_second == 75
    clock.now += 60
    assert health.snapshot().frames_per_second == 0
    assert health.snapshot().frames == 1 + (80 * 4000 + 20 * 2000) // 160
    assert not health._recent  # nothing is kept of what has passed


def test_what_happened_is_counted(health: Health, clock: Clock) -> None:
    health.observe(WAKE, [])
    health.observe(ENDED, [Step("first audio", 0.04), Step("answer", 0.25)])
    clock.now += 10
    health.observe(events.Wake(at=0, by="push", model="", phrase="", score=1.0), [])
    health.observe(events.Transcript(at=0, text="a secret", confidence=1.0), [Step("recognition", 0.5)])
    health.observe(events.TurnEnded(at=0, outcome="failed"), [])
    happen(health, events.Fault(at=0, error="ActionError", message="it failed"))
    happen(health, events.Overrun(at=0, lost=8000, where="capture"), events.Overrun(at=0, lost=8000, where="wake word"))
    happen(health, DEAF, HEARING, events.Muted(at=0), HEARING)
    happen(health, events.Reloaded(at=0, changed=()), events.ReloadRejected(at=0, why="no"))
    clock.now += 2
    status = health.snapshot()
    assert status.wakes == {"word": 1, "push": 1}
    assert status.turns == {"answered": 1, "failed": 1}
    assert status.last_turn is not None and status.last_wake is not None and status.last_fault is not None
    assert (status.last_turn.ago_s, status.last_turn.took_ms) == (2, {"recognition": 500})
    assert (status.last_wake.ago_s, status.last_wake.by) == (2, "push")
    assert status.last_fault.message == "it failed"
    assert status.spent["answer"].seconds == 0.25
    assert status.overruns == {"capture": 1, "wake word": 1}
    assert status.lost_s == 1
    assert (status.deaf, status.reopened) == ({"no_frames": 1}, 1)  # a mute's end is no repair
    assert (status.reloads, status.reloads_rejected) == (1, 1)
    assert (status.starts, status.unclean_starts) == (7, 2)
    assert "secret" not in str(status)


def test_a_step_that_cannot_take_so_long_hangs(clock: Clock) -> None:
    health = Health(clock=clock)
    begun, go_on = threading.Event(), threading.Event()

    def step() -> None:
        begun.set()
        go_on.wait()

    worker = Worker("asr", clock)
    health.workers = lambda: [worker]
    worker.post(step)
    begun.wait()
    clock.now += HANG_SECONDS
    assert health.hung() == ()
    clock.now += 0.1
    assert health.hung() == ("asr",)
    assert health.snapshot().workers_s == {"asr": 30.1}
    go_on.set()


def full(health: Health, clock: Clock) -> Status:
    health.queues = lambda: {"wake word": 0.128}
    for event in (events.Listening(at=0), HEARING, DEAF, HEARING, events.Overrun(at=0, lost=800, where="capture")):
        health.observe(event, [])
    health.frames(160)
    health.observe(WAKE, [])
    health.observe(ENDED, [Step("answer", 0.25), Step("first audio", 0.04)])
    health.observe(events.Fault(at=0, error="ActionError", message="\x1b[31mred"), [])
    clock.now += 90_000
    return health.snapshot()


def test_the_table_says_it_in_words_and_harms_no_terminal(health: Health, clock: Clock) -> None:
    text = "\n".join(table(full(health, clock)))
    for part in (
        "listening for 1 d 1 h",
        "USB microphone, 0 frames a second",
        "capture 1, 0.05 s in all",
        "no frames 1; heard again: once",
        "wake word 0.13 s",
        "okay_nabu (0.91)",
        "answered: answer 250 ms | first audio 40 ms",
        "7 times, of these 2 after a crash",
        "asr whisper tiny (catalog)",
        "95.5 MB, 61 °C, slowed down: under-voltage",
    ):
        assert part in text
    assert text.replace("\n", "").isprintable()


def test_the_table_of_a_daemon_that_has_just_begun_has_no_empty_lines(clock: Clock) -> None:
    lines = table(Health(clock=clock, read_machine=Machine).snapshot())
    assert [line.split()[0] for line in lines] == ["state", "up", "hears"]


def test_the_status_survives_json(health: Health, clock: Clock) -> None:
    status = full(health, clock)
    assert msgspec.json.decode(msgspec.json.encode(status), type=Status) == status


def test_metrics_are_what_prometheus_reads(health: Health, clock: Clock) -> None:
    text = metrics.text(full(health, clock))
    lines = text.splitlines()
    for line in (
        'edgevoice_state{state="listening"} 1',
        'edgevoice_state{state="deaf"} 0',
        'edgevoice_model_info{task="asr",engine="whisper",model="tiny",version="catalog"} 1',
        'edgevoice_turns_total{outcome="answered"} 1',
        'edgevoice_step_seconds_sum{step="answer"} 0.25',
        'edgevoice_queue_seconds{queue="wake word"} 0.128',
        "edgevoice_resident_bytes 100139008",
        "edgevoice_throttled 1",
        "edgevoice_unclean_starts_total 2",
    ):
        assert line in lines
    named = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    given = {line.partition("{")[0].split()[0] for line in lines if not line.startswith("#")}
    assert named == given
    assert text.endswith("\n")


def test_metrics_leave_out_what_is_not_known_and_escape_what_is_odd(clock: Clock) -> None:
    odd = [ModelInUse(task="tts", engine="piper", model='a"b\\c\nd', version="")]
    health = Health(clock=clock, read_machine=Machine)
    health.models = odd
    text = metrics.text(health.snapshot())
    assert r'model="a\"b\\c\nd"' in text
    for name in ("temperature", "resident", "starts_total", "throttled"):
        assert name not in text


def test_metrics_count_far_without_losing_any(clock: Clock) -> None:
    health = Health(clock=clock, read_machine=Machine)
    health.frames(160 * 1_234_567_891)
    assert "edgevoice_frames_total 1234567891\n" in metrics.text(health.snapshot())


def test_the_board_is_read_from_files(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("51234\n")
    (zone / "type").write_text("cpu-thermal\n")
    firmware = tmp_path / "sys/devices/platform/soc/soc:firmware"
    firmware.mkdir(parents=True)
    (firmware / "get_throttled").write_text("50005\n")
    found = machine.read(tmp_path)
    assert found.temperature_c == pytest.approx(51.234)
    assert found.throttled == ("under-voltage", "throttled")
    assert found.resident_mb is not None and found.resident_mb > 1


def test_starts_are_counted_and_so_are_those_after_a_crash(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "state"
    first = Starts(folder)
    assert first.begin() == (1, 0)
    first.end()
    assert Starts(folder).begin() == (2, 0)
    assert caplog.text == ""
    assert Starts(folder).begin() == (3, 1)  # the second one never came to its end
    assert "did not end by itself" in caplog.text
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_a_damaged_record_begins_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / NAME).write_bytes(b"\0\0\0")
    assert Starts(tmp_path).begin() == (1, 0)
    assert "cannot be read" in caplog.text


def test_a_state_folder_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    starts = Starts(in_the_way / "state")
    assert starts.begin() is None
    assert "starts are not counted" in caplog.text
    caplog.clear()
    starts.end()
    assert caplog.text == ""


def test_where_the_socket_and_the_state_are(tmp_path: Path) -> None:
    service = {"RUNTIME_DIRECTORY": "/run/edgevoice:/run/other", "STATE_DIRECTORY": "/var/lib/edgevoice"}
    user = {"XDG_RUNTIME_DIR": "/run/user/7", "XDG_STATE_HOME": "/home/u/state"}
    assert place.sockets(service) == [Path("/run/edgevoice/control.sock")]
    assert place.sockets(user) == [Path("/run/user/7/edgevoice/control.sock"), Path("/run/edgevoice/control.sock")]
    assert place.state_folder(service) == Path("/var/lib/edgevoice")
    assert place.state_folder(user) == Path("/home/u/state/edgevoice")
    assert "edgevoice-" in place.runtime_folder({}).name
    assert place.state_folder({}) == Path.home() / ".local/state/edgevoice"


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    place.make_private(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    (tmp_path / "new").chmod(0o777)
    with pytest.raises(DaemonError, match="only you can write"):
        place.make_private(tmp_path / "new")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(DaemonError, match="only you can write"):
        place.make_private(tmp_path / "link")
