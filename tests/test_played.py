"""What was played, by the microphone's clock."""

import numpy as np

from edgevoice.audio.pcm import RATE, Audio, Int16
from edgevoice.audio.played import KEPT, LATE, SOONER, Played, Reference

BLOCK = RATE // 50
"""Of the microphone."""
PIECE = RATE // 100
"""Of the loudspeaker."""
EARLY = round(SOONER * RATE)


class Room:
    """A microphone and a loudspeaker whose moments the test says, in samples."""

    def __init__(self) -> None:
        self.now = 0
        self.played = Played(clock=lambda: self.now / RATE)
        self.reference = Reference(self.played)
        self._heard = 0

    def hear(self, until: int, late: int = 0) -> None:
        """The microphone gives what it heard until then, block by block, each a little late."""
        for end in range(self._heard + BLOCK, until + 1, BLOCK):
            self.now = max(end + late, self.now)
            self.reference.heard(Audio(np.zeros(BLOCK, np.int16), start=end - BLOCK))
            self._heard = end

    def skip(self, samples: int) -> None:
        """Some of what it hears is lost."""
        self._heard += samples

    def take(self, at: int, samples: Int16, *, first: bool = False, frames: int = PIECE) -> None:
        """The device takes the next piece at that moment."""
        self.now = at
        self.played.add(samples.tobytes(), frames, 1, RATE, first=first)

    def stands(self, level: int, until: int) -> tuple[int, int]:
        """From where to where a level is in what was played."""
        at = np.flatnonzero(np.rint(self.reference.span(0, until) * 32_768) == level)
        return int(at[0]), int(at[-1]) + 1


def tone(level: int, size: int = PIECE) -> Int16:
    return np.full(size, level, np.int16)


def test_stands_a_little_before_where_the_microphone_was() -> None:
    room = Room()
    room.hear(RATE)
    room.take(RATE, tone(1000), first=True)
    room.hear(RATE + 2 * BLOCK)

    assert room.stands(1000, 2 * RATE) == (RATE - EARLY, RATE - EARLY + PIECE)
    assert room.reference.end == RATE - EARLY + PIECE
    assert room.reference.sounding == room.reference.end


def test_what_a_device_takes_ahead_of_time_follows_what_it_took_before() -> None:
    room = Room()
    room.hear(RATE)
    for number in range(4):  # it fills its buffer
        room.take(RATE, tone(1000 + number), first=number == 0)
    room.hear(RATE + 5 * BLOCK)

    for number in range(4):
        start = RATE - EARLY + number * PIECE
        assert room.stands(1000 + number, 2 * RATE) == (start, start + PIECE)
    assert room.reference.begun == 2  # the microphone, and the device


def test_a_piece_that_is_a_little_late_follows_what_was_before() -> None:
    room = Room()
    room.hear(RATE)
    room.take(RATE, tone(1000), first=True)
    room.take(RATE + PIECE + LATE, tone(1001))
    room.hear(RATE + 6 * BLOCK)

    assert room.stands(1001, 2 * RATE)[0] == RATE - EARLY + PIECE
    assert room.reference.begun == 2


def test_a_device_that_had_nothing_to_play_begins_anew() -> None:
    room = Room()
    room.hear(RATE)
    room.take(RATE, tone(1000), first=True)
    late = RATE + PIECE + LATE + 1
    room.take(late, tone(1001))
    room.take(late + PIECE, tone(1002))
    room.hear(RATE + 6 * BLOCK)

    assert room.stands(1000, 2 * RATE)[0] == RATE - EARLY, "what came before is still where it was"
    assert room.stands(1001, 2 * RATE)[0] == late - EARLY
    assert room.stands(1002, 2 * RATE)[0] == late - EARLY + PIECE, "what follows in time follows it"
    assert room.reference.begun == 3


def test_a_piece_that_ran_ahead_may_be_followed_by_a_pause_of_as_much() -> None:
    room = Room()
    room.hear(RATE)
    for number in range(20):
        room.take(RATE, tone(1000), first=number == 0)
    room.take(RATE + 20 * PIECE, tone(1001))
    room.hear(RATE + 12 * BLOCK)

    assert room.stands(1001, 2 * RATE)[0] == RATE - EARLY + 20 * PIECE
    assert room.reference.begun == 2


def test_a_second_start_stands_where_it_was_taken() -> None:
    room = Room()
    room.hear(RATE)
    room.take(RATE, tone(1000), first=True)
    room.hear(3 * RATE // 2)
    room.take(3 * RATE // 2, tone(1001), first=True)
    room.hear(2 * RATE)

    assert room.stands(1000, 2 * RATE) == (RATE - EARLY, RATE - EARLY + PIECE)
    assert room.stands(1001, 2 * RATE)[0] == 3 * RATE // 2 - EARLY
    assert room.reference.begun == 3


def test_a_microphone_that_gives_a_block_late_shifts_nothing() -> None:
    room = Room()
    room.hear(RATE)
    room.hear(RATE + BLOCK, late=RATE // 4)
    at = room.now
    room.take(at, tone(1000), first=True)
    room.hear(at // BLOCK * BLOCK + 2 * BLOCK)

    start = room.stands(1000, 2 * RATE)[0]
    assert abs(start - (at - EARLY)) <= 2, "but for the drift that clocks are allowed"


def test_a_gap_in_the_microphone_begins_anew() -> None:
    room = Room()
    room.hear(RATE)
    begun = room.reference.begun
    room.skip(RATE)
    room.hear(3 * RATE)
    room.take(3 * RATE, tone(1000))
    room.hear(3 * RATE + BLOCK)

    assert room.stands(1000, 4 * RATE)[0] == 3 * RATE - EARLY
    assert room.reference.begun == begun + 2


def test_a_piece_that_ends_early_ends_in_silence() -> None:
    room = Room()
    room.hear(RATE)
    room.take(RATE, tone(1000, PIECE // 2), first=True)
    room.take(RATE, tone(0, 0))
    room.hear(RATE + 2 * BLOCK)

    assert room.stands(1000, 2 * RATE) == (RATE - EARLY, RATE - EARLY + PIECE // 2)
    assert room.reference.end == RATE - EARLY + 2 * PIECE
    assert room.reference.sounding == RATE - EARLY + PIECE


def test_only_the_last_seconds_are_remembered() -> None:
    room = Room()
    room.hear(RATE)
    for number in range(5 * RATE // PIECE):
        room.take(RATE + number * PIECE, tone(1000), first=number == 0)
    room.hear(6 * RATE)

    start, end = room.stands(1000, 7 * RATE)
    assert end == 6 * RATE - EARLY
    assert end - start == KEPT


def test_a_card_of_two_channels_and_another_rate() -> None:
    room = Room()
    room.hear(RATE)
    room.now = RATE
    frames = 480
    for number in range(100):
        data = np.full(2 * frames, 1000, np.int16).tobytes()
        room.played.add(data, frames, 2, 48_000, first=number == 0)
    room.hear(RATE + BLOCK)

    end = room.reference.end
    assert 0 <= 2 * RATE - EARLY - end < 3 * PIECE, "a second of it, but for what the resampler holds"
    inner = room.reference.span(RATE, end - PIECE)
    assert np.allclose(inner * 32_768, 1000, atol=2)
