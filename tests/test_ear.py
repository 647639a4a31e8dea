"""The ear, on devices that fail in every way, in virtual time."""

import asyncio
import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from fakedevice import ENDS, Cupboard, FakeDevice, Plan, constant, noise, run_virtually

from edgevoice.audio.ear import LONGEST_PAUSE, Ear
from edgevoice.audio.pcm import RATE, Audio, Int16
from edgevoice.audio.source import BLOCK
from edgevoice.errors import DeviceError

BUSY = DeviceError("it is busy", place="microphone 'fake'", remedy="close the program that uses it")
GONE = DeviceError("it has gone", place="microphone 'fake'", remedy="plug it in again")


class Log:
    """What an ear said and heard, by the loop's clock."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.said: list[tuple[float, str]] = []
        self.why: list[str] = []
        self.lost: list[float] = []
        """Seconds."""
        self.blocks: list[Audio] = []
        self.when: list[float] = []
        ear.on_deaf = self._deaf
        ear.on_hearing = self._hearing

    def _note(self, what: str) -> None:
        self.said.append((round(asyncio.get_running_loop().time(), 2), what))

    def _deaf(self, cause: str, why: str) -> None:
        self._note(cause)
        self.why.append(why)

    def _hearing(self, device: str, lost: int) -> None:
        self._note(f"hearing {device}")
        self.lost.append(round(lost / RATE, 2))

    @property
    def kinds(self) -> list[str]:
        return [what for _, what in self.said]

    async def listen(self, seconds: float) -> None:
        """Read for so long."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), contextlib.aclosing(self.ear.blocks()) as blocks:
                async for block in blocks:
                    assert len(block) == BLOCK
                    assert block.start >= (self.blocks[-1].end if self.blocks else 0)
                    self.blocks.append(block)
                    self.when.append(loop.time())
        await self.ear.close()

    def gaps(self) -> list[float]:
        pairs = zip(self.blocks, self.blocks[1:], strict=False)
        return [round((after.start - before.end) / RATE, 2) for before, after in pairs if after.start > before.end]


def listen(
    seconds: float, *devices: Callable[[], FakeDevice] | DeviceError, gated: bool = False
) -> tuple[Log, Cupboard]:
    """Listen for so long to the devices, the first of which is already open."""

    async def main() -> tuple[Log, Cupboard]:
        first, *others = devices
        assert not isinstance(first, DeviceError)
        opened = first()
        cupboard = Cupboard(*others) if others else Cupboard(FakeDevice)
        log = Log(Ear(cupboard, first=opened, gated=gated))
        await log.listen(seconds)
        assert opened.closed
        assert all(device.closed for device in cupboard.opened)
        return log, cupboard

    return run_virtually(main())


def test_a_device_that_works_is_left_alone() -> None:
    log, cupboard = listen(120, FakeDevice)
    assert log.said == []
    assert cupboard.tries == []
    assert log.gaps() == []
    assert log.blocks[0].start == 0


@pytest.mark.parametrize("plan", [[(2, noise), (0, GONE)], [(2, noise), (0, ENDS)]])
def test_a_device_that_fails_or_ends_is_opened_again(plan: Plan) -> None:
    log, _ = listen(10, lambda: FakeDevice(plan))
    assert log.kinds == ["device", "hearing fake"]
    assert log.said[0][0] == pytest.approx(2, abs=0.05)
    assert log.said[1][0] < 2.5
    assert "again" in log.why[0]
    assert log.lost == log.gaps()
    assert log.lost[0] < 0.5


def test_a_device_that_opens_and_fails_at_once_is_not_tried_all_the_time() -> None:
    log, cupboard = listen(60, FakeDevice, lambda: FakeDevice([(0.1, noise), (0, GONE)]))
    assert log.said == []
    log, cupboard = listen(60, *[lambda: FakeDevice([(0.1, noise), (0, GONE)])] * 2)
    assert 18 < len(cupboard.tries) < 25


def test_a_device_that_is_away_is_heard_within_five_seconds_of_its_return() -> None:
    """And the tries become no more than one in three seconds."""
    away = [BUSY] * 14
    log, cupboard = listen(50, lambda: FakeDevice([(1, noise), (0, GONE)]), *away, FakeDevice)
    assert log.kinds == ["device", "hearing fake"]
    pauses = np.diff(cupboard.tries)
    assert pauses[:4] == pytest.approx([0.4, 0.8, 1.6, 3.2])
    assert set(np.round(pauses[4:], 3)) == {LONGEST_PAUSE}
    assert log.lost == log.gaps()
    assert log.lost[0] == pytest.approx(cupboard.tries[-1] - 1, abs=0.1)
    positions = [block.end / RATE for block in log.blocks]
    assert positions == pytest.approx(log.when, abs=0.1)  # capture time is the clock's, over the gap too


def test_a_device_that_comes_back_is_not_waited_for() -> None:
    async def main() -> tuple[Log, list[float]]:
        plugged = {"cards": "none"}
        cupboard = Cupboard(*[BUSY] * 5, FakeDevice)
        log = Log(Ear(cupboard, first=FakeDevice([(0, GONE)]), inventory=lambda: plugged["cards"]))
        listening = asyncio.ensure_future(log.listen(20))
        await asyncio.sleep(7.0)  # in the middle of the longest pause
        assert len(cupboard.tries) == 5
        plugged["cards"] = "one"
        await listening
        return log, cupboard.tries

    log, tries = run_virtually(main())
    assert log.kinds == ["device", "hearing fake"]
    assert 7.0 < tries[5] <= 7.6


def test_no_frames_for_five_seconds() -> None:
    log, _ = listen(60, lambda: FakeDevice([(10, noise), (1_000, None)]))
    assert log.kinds == ["no_frames", "hearing fake"]
    assert 14 <= log.said[0][0] <= 15
    assert log.said[1][0] <= 15.2
    assert log.lost == log.gaps()


def test_a_stall_of_ten_seconds_that_no_reopening_ends() -> None:
    frozen = [lambda: FakeDevice([(1_000, None)])]
    log, _ = listen(60, lambda: FakeDevice([(10, noise), (10, None)]), *frozen, FakeDevice)
    assert log.kinds == ["no_frames", "hearing fake"]
    assert log.lost == log.gaps()
    assert log.blocks[-1].end / RATE == pytest.approx(60, abs=0.1)


def test_a_stall_of_the_event_loop_is_no_deafness() -> None:
    """Frames were there all the time; nobody looked."""

    async def main() -> Log:
        loop = asyncio.get_running_loop()
        log = Log(Ear(Cupboard(FakeDevice), first=FakeDevice()))
        listening = asyncio.ensure_future(log.listen(60))
        await asyncio.sleep(5)
        loop._now += 10  # type: ignore[attr-defined]
        await listening
        return log

    assert run_virtually(main()).said == []


@pytest.mark.parametrize(
    ("cause", "make"),
    [
        ("silence", constant(0)),
        ("stuck", constant(900)),
        ("stuck", lambda _start, length: noise(0, length)),
        ("clipped", lambda start, length: np.where(noise(start, length) > 0, 32_767, -32_768).astype(np.int16)),
    ],
)
def test_a_device_without_sound_is_reopened_seldom_and_never_given_up(
    cause: str, make: Callable[[int, int], Int16]
) -> None:
    def broken() -> FakeDevice:
        return FakeDevice([(600, make)])

    log, cupboard = listen(140, lambda: FakeDevice([(10, noise), (600, make)]), broken)
    assert log.kinds == [cause]
    assert 13 < log.said[0][0] <= 15
    assert len(cupboard.tries) == 3  # at once, and after 30 and 60 s
    assert sum(len(block) for block in log.blocks) / RATE == pytest.approx(140, abs=1)  # nothing is dropped meanwhile
    assert log.blocks[-1].end / RATE == pytest.approx(140, abs=0.2)


def test_sound_clears_it_by_itself() -> None:
    log, cupboard = listen(60, FakeDevice, lambda: FakeDevice([(20, constant(0))]))
    assert log.said == []
    log, cupboard = listen(
        60, lambda: FakeDevice([(10, noise), (5, constant(0))]), lambda: FakeDevice([(20, constant(0))])
    )
    assert log.kinds == ["silence", "hearing fake"]
    assert len(cupboard.tries) == 1
    assert log.said[1][0] == pytest.approx(34.5, abs=0.5)
    assert log.lost[0] == pytest.approx(24.5, abs=0.5)


def test_a_gate_does_not_make_it_thrash() -> None:
    """Silence between words: told each time, and the device is left alone after the first."""
    plan = [(20, constant(0)), (1, noise)] * 20
    log, cupboard = listen(150, lambda: FakeDevice(plan), lambda: FakeDevice(plan))
    assert log.kinds[:4] == ["silence", "hearing fake"] * 2
    assert len(cupboard.tries) <= 4
    log, cupboard = listen(150, lambda: FakeDevice(plan), gated=True)
    assert (log.said, cupboard.tries) == ([], [])


@pytest.mark.parametrize("drift", [0.01, -0.01])
def test_a_clock_that_drifts_does_no_harm(drift: float) -> None:
    log, cupboard = listen(100, lambda: FakeDevice(drift=drift))
    assert (log.said, cupboard.tries, log.gaps()) == ([], [], [])
    log, _ = listen(100, lambda: FakeDevice([(50, noise), (0, GONE)], drift=drift), lambda: FakeDevice(drift=drift))
    assert log.kinds == ["device", "hearing fake"]
    assert log.gaps() == log.lost
    assert log.lost[0] < 1.0


def test_another_cause_is_told() -> None:
    log, _ = listen(30, lambda: FakeDevice([(5, noise), (0, GONE)]), BUSY, lambda: FakeDevice([(600, constant(0))]))
    assert log.kinds == ["device", "hearing fake", "silence"]


# Mute -----------------------------------------------------------------------------------------------------------


def test_mute_closes_and_unmute_opens() -> None:
    async def main() -> None:
        cupboard = Cupboard(FakeDevice)
        first = FakeDevice()
        log = Log(ear := Ear(cupboard, first=first))
        listening = asyncio.ensure_future(log.listen(40))
        await asyncio.sleep(10)
        await ear.mute()
        assert first.closed
        assert ear.muted
        heard = len(log.blocks)
        await ear.mute()
        await asyncio.sleep(10)
        assert len(log.blocks) == heard
        assert (log.said, cupboard.tries) == ([], [])
        ear.unmute()
        await listening
        assert log.kinds == ["hearing fake"]
        assert log.said[0][0] < 20.2
        assert log.lost == log.gaps()
        assert log.lost[0] == pytest.approx(10, abs=0.1)
        assert cupboard.opened[0].closed

    run_virtually(main())


def test_a_muted_start_opens_nothing() -> None:
    async def main() -> None:
        cupboard = Cupboard(FakeDevice)
        log = Log(ear := Ear(cupboard, muted=True))
        listening = asyncio.ensure_future(log.listen(20))
        await asyncio.sleep(10)
        assert cupboard.tries == []
        ear.unmute()
        await listening
        assert log.kinds == ["hearing fake"]
        assert log.blocks[0].start / RATE == pytest.approx(10, abs=0.1)

    run_virtually(main())


def test_mute_while_it_is_away_or_being_opened() -> None:
    async def main() -> None:
        opening = asyncio.Event()
        device = FakeDevice()
        tries = 0

        async def slowly() -> FakeDevice:
            nonlocal tries
            tries += 1
            await opening.wait()
            return device

        log = Log(ear := Ear(slowly, first=FakeDevice([(0, GONE)])))
        listening = asyncio.ensure_future(log.listen(60))
        await asyncio.sleep(10)
        muting = asyncio.ensure_future(ear.mute())
        await asyncio.sleep(1)
        opening.set()
        await muting
        assert device.closed
        assert tries == 1
        await asyncio.sleep(10)
        assert tries == 1
        await listening
        assert log.kinds == ["device"]

    run_virtually(main())


def test_mute_and_unmute_as_fast_as_can_be() -> None:
    async def main() -> None:
        log = Log(ear := Ear(Cupboard(FakeDevice), first=FakeDevice()))
        listening = asyncio.ensure_future(log.listen(60))
        for pause in (0.0, 0.01, 0.033, 1.0) * 5:
            await asyncio.sleep(pause)
            await ear.mute()
            ear.unmute()
        await listening
        assert set(log.kinds) == {"hearing fake"}
        assert log.blocks[-1].end / RATE == pytest.approx(60, abs=0.2)

    run_virtually(main())


# Start and end --------------------------------------------------------------------------------------------------


def test_it_may_begin_before_there_is_a_device() -> None:
    async def main() -> None:
        log = Log(Ear(Cupboard(BUSY, BUSY, FakeDevice)))
        await log.listen(10)
        assert log.kinds == ["device", "hearing fake"]
        assert log.blocks[0].start / RATE == pytest.approx(0.6, abs=0.1)

    run_virtually(main())


def test_a_defect_is_not_hidden() -> None:
    async def main() -> None:
        async def broken() -> FakeDevice:
            raise ZeroDivisionError

        log = Log(Ear(broken))
        with pytest.raises(ZeroDivisionError):
            await log.listen(10)

    run_virtually(main())


@pytest.mark.parametrize("moment", [0.0, 0.5, 10.05, 11.0])
def test_closing_ends_the_reading_at_any_moment(moment: float) -> None:
    async def main() -> None:
        ear = Ear(Cupboard(BUSY), first=FakeDevice([(10, noise), (0, GONE)]))

        async def read() -> None:
            async for _ in ear.blocks():
                pass

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(moment)
        await ear.close()
        await ear.close()
        with pytest.raises(DeviceError, match="closed"):
            async with asyncio.timeout(1):
                await reading

    run_virtually(main())
