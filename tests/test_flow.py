"""Channel, worker and hub."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator

import numpy as np
import pytest

from edgevoice.audio.pcm import RATE, Audio
from edgevoice.errors import AudioError
from edgevoice.flow.channel import Channel
from edgevoice.flow.hub import TURN, Hub
from edgevoice.flow.worker import Worker


class Blocks:
    """A source of numbered blocks of 100 samples."""

    def __init__(self, count: int, *, lossless: bool, missing: frozenset[int] = frozenset()) -> None:
        self.lossless = lossless
        self.eager = True
        self.given = 0
        self.pause = not lossless
        """Like a device that has no more at hand."""
        self._numbers = [number for number in range(count) if number not in missing]

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        for number in self._numbers:
            self.given += 1
            yield Audio(np.full(100, number, np.int16), start=number * 100)
            if self.pause:
                await asyncio.sleep(0)

    async def close(self) -> None:
        pass


def no_gap(lost: int, at: int) -> None:
    raise AssertionError(f"{lost} samples lost at {at}")


def test_channel_gives_what_is_in_it_and_then_ends() -> None:
    async def go() -> list[int]:
        channel: Channel[int] = Channel(3)
        assert [channel.offer(item) for item in (1, 2, 3, 4)] == [None, None, None, 1]
        channel.close()
        assert channel.offer(5) is None
        return [item async for item in channel]

    assert asyncio.run(go()) == [2, 3, 4]


def test_channel_send_waits_for_room() -> None:
    async def go() -> None:
        channel: Channel[int] = Channel(1)
        await channel.send(1)
        second = asyncio.ensure_future(channel.send(2))
        await asyncio.sleep(0)
        assert not second.done()
        assert await anext(channel) == 1
        await second
        assert await anext(channel) == 2

    asyncio.run(go())


def test_channel_raises_its_error_after_its_items() -> None:
    async def go() -> None:
        channel: Channel[int] = Channel(2)
        channel.offer(1)
        channel.close(AudioError("gone"))
        assert await anext(channel) == 1
        with pytest.raises(AudioError, match="gone"):
            await anext(channel)

    asyncio.run(go())


def test_cancelled_call_returns_at_once_and_posted_close_runs_before_the_next_call() -> None:
    done: list[str] = []
    began, may_end = threading.Event(), threading.Event()

    def step() -> None:
        began.set()
        assert may_end.wait(10)
        done.append("step")

    async def go() -> None:
        worker = Worker("test")
        call = asyncio.ensure_future(worker.call(step))
        await asyncio.get_running_loop().run_in_executor(None, began.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert done == []  # the step is still in flight
        worker.post(done.append, "close")
        following = asyncio.ensure_future(worker.call(done.append, "next"))
        may_end.set()
        await following
        await worker.close()

    asyncio.run(go())
    assert done == ["step", "close", "next"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test")]


def test_failure_of_posted_work_is_not_lost() -> None:
    def fail() -> None:
        raise OSError("broken")

    async def go() -> None:
        worker = Worker("test")
        worker.post(fail)
        with pytest.raises(OSError, match="broken"):
            await worker.close()
        await worker.close()

    asyncio.run(go())


def test_iterator_is_closed_in_the_thread_when_the_consumer_stops() -> None:
    ended: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            ended.append(threading.current_thread().name)

    async def go() -> None:
        worker = Worker("numbers")
        stream = worker.iterate(numbers)
        assert await anext(stream) == 0
        await stream.aclose()
        await worker.close()

    asyncio.run(go())
    assert ended == ["numbers_0"]


def test_recording_waits_for_everybody() -> None:
    """No block is read ahead of the slowest listener by more than the one that is being offered."""

    async def go() -> None:
        source = Blocks(20, lossless=True)
        hub = Hub(source, preroll=1000, on_gap=no_gap)
        log: list[tuple[str, int]] = []

        async def listen(name: str, pauses: int) -> None:
            with hub.tap() as tap:
                async for audio in tap:
                    for _ in range(pauses):
                        await asyncio.sleep(0)
                    log.append((name, audio.start))
            hub.release()

        hub.hold()
        hub.hold()
        async with asyncio.TaskGroup() as group:
            group.create_task(listen("quick", 0))
            group.create_task(listen("slow", 7))
            await asyncio.sleep(0)  # both listen now
            group.create_task(hub.run())
        assert sorted(log, key=lambda entry: entry[1]) == log
        assert len(log) == 40

    asyncio.run(go())


def test_time_passes_only_while_everybody_waits() -> None:
    async def go() -> None:
        source = Blocks(10, lossless=True)
        hub = Hub(source, preroll=100, on_gap=no_gap)
        hub.hold()
        pump = asyncio.ensure_future(hub.run())
        for _ in range(50):
            await asyncio.sleep(0)
        assert hub.position == 0
        await hub.wait_until(250)
        assert hub.position == 300
        for _ in range(50):
            await asyncio.sleep(0)
        assert hub.position == 300
        waiting = asyncio.ensure_future(hub.wait_until(10_000))
        await pump
        await waiting  # the end of the source ends every wait
        assert hub.position == 1000

    asyncio.run(go())


def test_a_cancelled_wait_still_holds_the_clock() -> None:
    async def go() -> None:
        hub = Hub(Blocks(10, lossless=True), preroll=100, on_gap=no_gap)
        hub.hold()  # a first participant, which works all the time
        hub.hold()
        waiting = asyncio.ensure_future(hub.wait_until(500))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        pump = asyncio.ensure_future(hub.run())
        hub.release()
        for _ in range(20):
            await asyncio.sleep(0)
        assert hub.position == 0
        hub.release()
        await pump
        assert hub.position == 1000

    asyncio.run(go())


def test_tap_begins_in_the_preroll() -> None:
    async def go() -> None:
        hub = Hub(Blocks(10, lossless=True), preroll=300, on_gap=no_gap)
        await hub.run()
        tap = hub.tap(start=850)
        heard = [audio async for audio in tap]
        assert heard[0].start == 850
        assert heard[-1].end == 1000
        assert (await anext(hub.tap(start=0))).start == 700  # as far back as it reaches

    asyncio.run(go())


def test_preroll_does_not_grow() -> None:
    async def go() -> None:
        hub = Hub(Blocks(5000, lossless=True), preroll=300, on_gap=no_gap)
        await hub.run()
        assert sum(len(audio) for audio in hub._preroll) == 300

    asyncio.run(go())


def test_live_tap_drops_the_oldest_and_says_so() -> None:
    async def go() -> None:
        dropped: list[int] = []
        hub = Hub(Blocks(10, lossless=False), preroll=100, on_gap=no_gap)
        tap = hub.tap(capacity=300 / 16_000, on_drop=lambda audio: dropped.append(audio.start))
        await hub.run()
        assert [(audio.start, audio.end) async for audio in tap] == [(700, 1000)]
        assert dropped == [0, 100, 200, 300, 400, 500, 600]

    asyncio.run(go())


def test_a_device_with_a_backlog_leaves_the_others_their_turn() -> None:
    async def go() -> None:
        source = Blocks(200, lossless=False)
        source.pause = False
        hub = Hub(source, preroll=100, on_gap=no_gap)
        dropped: list[Audio] = []
        tap = hub.tap(capacity=2 * TURN / RATE, on_drop=dropped.append)
        pump = asyncio.ensure_future(hub.run())
        assert sum([len(audio) async for audio in tap]) == 200 * 100
        assert not dropped
        await pump

    asyncio.run(go())


def test_live_tap_without_a_way_to_drop_fails_loudly() -> None:
    async def go() -> None:
        hub = Hub(Blocks(10, lossless=False), preroll=100, on_gap=no_gap)
        tap = hub.tap(capacity=300 / 16_000)
        await hub.run()
        with pytest.raises(AudioError, match="too slow"):
            async for _ in tap:
                pass

    asyncio.run(go())


def test_what_waits_is_given_in_one_piece_up_to_a_gap() -> None:
    async def go() -> None:
        source = Blocks(10, lossless=False, missing=frozenset({3, 4}))
        hub = Hub(source, preroll=100, on_gap=lambda lost, at: None)
        tap = hub.tap()
        await hub.run()
        pieces = [audio async for audio in tap]
        assert [(audio.start, audio.end) for audio in pieces] == [(0, 300), (500, 1000)]
        assert pieces[1].samples[0] == 5

    asyncio.run(go())


def test_the_source_is_eager_only_while_somebody_wants_every_block() -> None:
    async def go() -> None:
        source = Blocks(10, lossless=False)
        hub = Hub(source, preroll=100, on_gap=no_gap)
        idle = hub.tap(eager=False)
        assert not source.eager
        with hub.tap():
            assert source.eager
        assert not source.eager
        idle.eager = True
        assert source.eager

    asyncio.run(go())


def test_gap_in_the_source_is_reported() -> None:
    async def go() -> list[tuple[int, int]]:
        gaps: list[tuple[int, int]] = []
        source = Blocks(10, lossless=False, missing=frozenset({3, 4}))
        hub = Hub(source, preroll=100, on_gap=lambda lost, at: gaps.append((lost, at)))
        await hub.run()
        return gaps

    assert asyncio.run(go()) == [(200, 500)]


@pytest.mark.parametrize("posted", [False, True])
def test_a_worker_tells_how_long_its_step_has_been_running(posted: bool) -> None:
    now = [100.0]
    begun, go_on = threading.Event(), threading.Event()

    def step() -> None:
        begun.set()
        go_on.wait()

    async def go() -> None:
        worker = Worker("asr", clock=lambda: now[0])
        assert (worker.name, worker.busy()) == ("asr", 0)
        if posted:
            worker.post(step)
        else:
            called = asyncio.ensure_future(worker.call(step))
        await asyncio.to_thread(begun.wait)
        now[0] += 7
        assert worker.busy() == 7
        go_on.set()
        if not posted:
            await called
        await worker.call(lambda: None)
        assert worker.busy() == 0
        await worker.close()

    asyncio.run(go())


def test_the_hub_tells_how_much_audio_waits_for_whom() -> None:
    async def go() -> None:
        hub = Hub(Blocks(16, lossless=False), preroll=1000, on_gap=no_gap)
        early = hub.tap(name="wake word")
        await hub.run()
        late = hub.tap(start=800)
        assert (early.waiting, late.waiting) == (0.1, 0.05)
        assert hub.waiting() == {}  # the source has ended, nobody listens any more

    asyncio.run(go())


def test_open_taps_are_told_by_name() -> None:
    async def go() -> dict[str, float]:
        hub = Hub(Blocks(16, lossless=False), preroll=1000, on_gap=no_gap)
        hub.tap(name="wake word")
        hub.tap()
        pump = asyncio.ensure_future(hub.run())
        await asyncio.sleep(0)
        waiting = hub.waiting()
        await pump
        return waiting

    assert asyncio.run(go()) == {"wake word": 100 / 16_000, "turn": 100 / 16_000}


def test_who_cannot_bear_a_gap_is_told_that_no_sound_comes() -> None:
    """The turn; the wake loop waits on."""

    async def go() -> None:
        hub = Hub(Blocks(3, lossless=False), preroll=1000, on_gap=no_gap)
        wake = hub.tap(on_drop=lambda _: None)
        for _ in range(3):  # their clocks' holds
            hub.hold()
        turn = hub.tap()
        waiting = asyncio.ensure_future(anext(turn))
        await asyncio.sleep(0)
        hub.break_off(AudioError("deaf"))
        with pytest.raises(AudioError, match="deaf"):
            await waiting
        with pytest.raises(AudioError, match="deaf"):
            await anext(hub.tap())
        hub.mend()
        after = hub.tap()
        await hub.run()
        assert (await anext(after)).end == 300
        assert (await anext(wake)).end == 300
        assert wake.taken == 300

    asyncio.run(go())


def test_what_is_forgotten_cannot_be_heard() -> None:
    async def go() -> None:
        hub = Hub(Blocks(0, lossless=False), preroll=1000, on_gap=no_gap)
        tap = hub.tap(on_drop=lambda _: None)
        hub._publish(Audio(np.zeros(100, np.int16)))
        assert tap.waiting
        assert hub.past(0)
        hub.forget()
        assert not tap.waiting
        assert hub.past(0) == []
        hub._publish(Audio(np.zeros(100, np.int16), start=500))
        assert (await anext(tap)).start == 500

    asyncio.run(go())
