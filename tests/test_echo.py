"""The echo of what is played is taken out of what is heard."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from edgevoice.audio.pcm import RATE, Audio, Float32, concatenate, from_float32
from edgevoice.audio.played import Played, Reference
from edgevoice.listen.echo import BEHIND, BLOCK, CAUGHT_UP, LENGTH, LOUDER, REMEMBERED, WAIT, Canceller, Echoless
from edgevoice.listen.own import EXPLAINED

PIECE = RATE // 50
"""Of microphone and loudspeaker."""


def talk(seconds: float, seed: int) -> Float32:
    """As loud and as coloured as speech, with its pauses."""
    random = np.random.default_rng(seed)
    size = int(seconds * RATE)
    samples = random.normal(0, 0.1, size)
    for at in range(1, 4):
        samples[at:] += 0.5 * samples[:-at]
    syllables = np.repeat(random.uniform(0, 1, size // 3200 + 1) > 0.3, 3200)[:size]
    result: Float32 = (0.3 * samples * syllables).astype(np.float32)
    return result


def echo_of(played: Float32, delay: int, gain: float = 0.5) -> Float32:
    """Through a room of three reflections."""
    result = np.zeros(len(played) + delay + 800, np.float32)
    for after, share in ((0, 1.0), (170, -0.5), (790, 0.3)):
        result[delay + after : delay + after + len(played)] += gain * share * played
    return result[: len(played)]


def level(samples: Float32) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples)) + 1e-12))


def cancel(canceller: Canceller, heard: Float32, played: Float32) -> Float32:
    size = len(heard) // BLOCK * BLOCK
    return np.concatenate(
        [canceller.push(heard[at : at + BLOCK], played[at : at + BLOCK])[0] for at in range(0, size, BLOCK)]
    )


def test_the_path_is_learned() -> None:
    played = talk(6, 0)
    heard = echo_of(played, 1500) + np.random.default_rng(1).normal(0, 1e-3, len(played)).astype(np.float32)
    left = cancel(Canceller(), heard, played)
    assert level(left[4 * RATE :]) < level(heard[4 * RATE :]) - 20


def test_a_person_is_left_and_does_not_spoil_what_was_learned() -> None:
    played, person = talk(8, 0), np.zeros(8 * RATE, np.float32)
    person[4 * RATE : 5 * RATE] = talk(1, 2)
    heard = echo_of(played, 1500) + np.random.default_rng(1).normal(0, 1e-3, len(played)).astype(np.float32)
    left = cancel(Canceller(), heard + person, played)
    spoken = slice(4 * RATE, 5 * RATE)
    assert level(left[spoken] - person[spoken]) < level(person[spoken]) - 6
    after = slice(5 * RATE + RATE // 2, 8 * RATE)
    assert level(left[after]) < level(heard[after]) - 15


def test_nothing_is_known_of_a_path_before_anything_was_heard() -> None:
    fresh = Canceller()
    fresh.shift()
    played = talk(1, 0)
    heard = echo_of(played, 1500)
    assert np.array_equal(cancel(fresh, heard, played), cancel(Canceller(), heard, played))


def test_after_a_silence_nothing_echoes_any_more() -> None:
    canceller, played = Canceller(), talk(3, 0)
    cancel(canceller, echo_of(played, 1500), played)
    canceller.silence()
    heard = talk(1, 3)
    left = cancel(canceller, heard, np.zeros_like(heard))
    assert np.array_equal(left, heard)


class Room:
    """What plays ``said`` from some moment on and hears its echo."""

    def __init__(self, said: Float32, path: Callable[[Float32], Float32], seconds: float, begin: int = RATE) -> None:
        self.now = 0
        self._device = Played(clock=lambda: self.now / RATE)
        self.reference = Reference(self._device)
        self.echoless = Echoless(self.reference)
        self.played = np.zeros(int(seconds * RATE), np.float32)
        self.played[begin : begin + len(said)] = said
        self._begin = begin
        noise = np.random.default_rng(9).normal(0, 1e-3, len(self.played))
        self.heard = (path(self.played) + noise).astype(np.float32)
        self._at = 0

    def pieces(self, until: float, *, device: bool = True) -> list[Audio]:
        """What is left of what is heard from now on."""
        result = []
        while self._at < until * RATE:
            start, self._at = self._at, self._at + PIECE
            self.now = self._at
            if device and self._at > self._begin:  # it takes what it plays next
                data = from_float32(self.played[self._at : self._at + PIECE], RATE).samples
                self._device.add(data.tobytes(), PIECE, 1, RATE, first=start <= self._begin < self._at)
            result.append(self.echoless.clean(from_float32(self.heard[start : self._at], RATE, start)))
        return result

    def level(self, audio: Audio) -> float:
        """How many dB are left of what was heard."""
        return level(audio.float32()) - level(self.heard[audio.start : audio.end])


def test_between_replies_nothing_is_changed() -> None:
    room = Room(talk(1, 0), lambda played: echo_of(played, 900), 8)
    before = concatenate(room.pieces(0.9))
    room.pieces(6)
    after = concatenate(room.pieces(8))
    assert np.array_equal(before.samples, from_float32(room.heard[: before.end], RATE).samples)
    assert np.array_equal(after.samples, from_float32(room.heard[after.start : after.end], RATE).samples)


def test_a_reply_is_taken_out_and_all_that_is_heard_comes_in_order() -> None:
    room = Room(talk(5, 0), lambda played: echo_of(played, 900), 8)
    pieces = room.pieces(8)
    assert all(one.end == other.start for one, other in itertools.pairwise(pieces))
    assert pieces[0].start == 0
    assert pieces[-1].end == 8 * RATE
    assert room.level(concatenate(pieces).since(4 * RATE).until(6 * RATE)) < -12


def test_over_a_reply_and_for_the_time_of_its_echo() -> None:
    room = Room(np.full(RATE, 0.1, np.float32), lambda played: echo_of(played, 900), 6)
    room.pieces(5)
    over = [at for at in range(0, 5 * RATE, PIECE) if room.echoless.over_reply(at)]
    assert over[0] == pytest.approx(RATE, abs=2 * PIECE)
    assert over[-1] == pytest.approx(room.reference.sounding + LENGTH, abs=PIECE)
    assert room.reference.sounding == pytest.approx(2 * RATE, abs=RATE // 10)


def test_what_is_heard_waits_until_it_is_known_what_was_played() -> None:
    room = Room(talk(3, 0), lambda played: echo_of(played, 900), 6)
    room.pieces(2)
    known, behind = room.reference.end, []
    for end in range(2 * RATE + PIECE, 2 * RATE + 10 * PIECE + 1, PIECE):
        (piece,) = room.pieces(end / RATE, device=False)
        waits = min(end - min(known, end), WAIT)
        assert waits <= end - piece.end < waits + BLOCK
        behind.append(end - piece.end)
    assert behind[0] < WAIT <= behind[-1], "but not for ever: a device may have stopped"


def test_what_waited_comes_when_it_is_known() -> None:
    room = Room(talk(3, 0), lambda played: echo_of(played, 900), 6)
    room.pieces(2)
    held = concatenate(room.pieces(2.06, device=False))
    following = room.pieces(2.2)
    assert following[0].start == held.end
    assert following[-1].end > room.now - PIECE - BLOCK


def test_it_is_never_louder_than_what_was_heard() -> None:
    def path(played: Float32) -> Float32:
        heard = echo_of(played, 900)
        heard[3 * RATE :] *= -1
        return heard

    room = Room(talk(5, 0), path, 8)
    left = concatenate(room.pieces(7)).float32()
    for at in range(3 * RATE, 5 * RATE, PIECE):
        heard = room.heard[at - BLOCK : at + PIECE + BLOCK]
        assert np.square(left[at : at + PIECE]).sum() <= np.square(heard).sum() + 1e-3


@pytest.mark.parametrize(("lasting", "shifted"), [(LOUDER - 1, False), (LOUDER, True)])
def test_a_path_that_only_makes_it_louder_is_learned_anew(
    lasting: int, shifted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(talk(5, 0), lambda played: echo_of(played, 900), 8)
    room.pieces(2)
    shifts, steps = [], 0

    def push(_: Canceller, heard: Float32, _played: Float32) -> tuple[Float32, float]:
        nonlocal steps
        steps += 1
        return (2 if steps <= lasting else np.float32(0.5)) * heard, 1.0

    monkeypatch.setattr(Canceller, "push", push)
    monkeypatch.setattr(Canceller, "shift", lambda _: shifts.append(steps))
    left = concatenate(room.pieces(3)).float32()
    assert shifts == ([LOUDER] if shifted else [])
    heard = room.heard[2 * RATE : 2 * RATE + len(left)]
    assert np.square(left).sum() <= np.square(heard).sum()


def test_a_new_start_of_the_device_shifts_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(talk(5, 0), lambda played: echo_of(played, 900), 8)
    room.pieces(2)
    shifts: list[int] = []
    monkeypatch.setattr(Canceller, "shift", lambda _: shifts.append(1))
    room.pieces(2.5)
    assert not shifts
    room.reference.begun += 1
    room.pieces(3)
    assert len(shifts) == 1


def test_more_is_heard_than_the_echo_explains_where_a_person_speaks() -> None:
    person = np.zeros(8 * RATE, np.float32)
    person[4 * RATE : 5 * RATE] = talk(1, 2)
    room = Room(talk(6, 0), lambda played: echo_of(played, 900) + person, 8)
    room.pieces(5)
    assert room.echoless.unexplained(4 * RATE, 5 * RATE) > 3 * room.echoless.unexplained(3 * RATE, 4 * RATE) > 0
    assert room.echoless.unexplained(5 * RATE - REMEMBERED - RATE, 5 * RATE - REMEMBERED - 1) == 0, "long ago"


def test_an_echo_that_was_mistaken_is_no_person() -> None:
    def path(played: Float32) -> Float32:
        heard = echo_of(played, 900)
        heard[4 * RATE :] = np.roll(heard, 200)[4 * RATE :]
        return heard

    room = Room(talk(6, 0), path, 8)
    room.pieces(4.25)
    assert 0 < room.echoless.unexplained(4 * RATE, 4 * RATE + RATE // 16) < EXPLAINED


def test_an_echo_that_became_louder_is_no_person() -> None:
    def path(played: Float32) -> Float32:
        heard = echo_of(played, 900, 0.2)
        heard[4 * RATE :] *= 3
        return heard

    room = Room(talk(6, 0), path, 8)
    room.pieces(4.25)
    assert 0 < room.echoless.unexplained(4 * RATE, 4 * RATE + RATE // 16) < EXPLAINED


def test_without_cancelling_it_is_known_what_was_played() -> None:
    room = Room(talk(3, 0), lambda played: echo_of(played, 900), 6)
    room.echoless.cancel = False
    pieces = concatenate(room.pieces(3))
    assert np.array_equal(pieces.samples, from_float32(room.heard[: 3 * RATE], RATE).samples)
    assert room.echoless.over_reply(2 * RATE)
    said = room.echoless.played(2 * RATE, 3 * RATE).float32()
    assert np.abs(np.correlate(said[: RATE // 2], room.played[2 * RATE : 2 * RATE + RATE // 2], "full")).max() > 1


def test_where_listening_is_behind_the_echo_stays_in_until_it_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(talk(7, 0), lambda played: echo_of(played, 900), 9)
    room.pieces(4)
    clean = room.echoless.clean

    def heard_late(until: float, by: float) -> bool:
        """Whether the echo is left in, up to then, where each piece comes so many seconds late."""
        start = room.now

        def later(audio: Audio) -> Audio:
            with monkeypatch.context() as patch:
                patch.setattr(room, "now", room.now + int(by * RATE))
                return clean(audio)

        with monkeypatch.context() as patch:
            patch.setattr(room.echoless, "clean", later)
            late = concatenate(room.pieces(until)).since(start)
        return np.array_equal(late.samples, from_float32(room.heard[late.start : late.end], RATE).samples)

    assert heard_late(5.0, 1.1 * BEHIND)
    assert heard_late(5.5, 1.5 * CAUGHT_UP)
    assert not heard_late(6.0, 0.5 * CAUGHT_UP)
    assert room.level(concatenate(room.pieces(7.5)).since(int(6.5 * RATE))) < -6


def test_a_gap_in_what_is_heard_begins_a_new_step() -> None:
    room = Room(talk(5, 0), lambda played: echo_of(played, 900), 8)
    room.pieces(2)
    room._at += RATE // 2
    first = room.pieces(2.6)[0]
    assert first.start >= 2.5 * RATE
