"""How far an echo's path was shifted."""

import numpy as np
import pytest

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.listen.echo import BLOCK, Canceller
from edgevoice.listen.shifted import EVERY, LONGEST, MOST, Search, lag, moved


def talk(seconds: float, seed: int) -> Float32:
    """As coloured as speech."""
    samples = np.random.default_rng(seed).normal(0, 0.03, int(seconds * RATE))
    for at in range(1, 4):
        samples[at:] += 0.5 * samples[:-at]
    return samples.astype(np.float32)


def echo_of(played: Float32, delay: int) -> Float32:
    """Through a room whose sound dies away in 0.4 s, and with the noise of a microphone."""
    random = np.random.default_rng(7)
    size = len(played) + RATE
    room = random.normal(0, 0.05, RATE // 4) * 10 ** (-3 * np.arange(RATE // 4) / (0.4 * RATE))
    room[0] = 0.5
    heard = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(np.concatenate([np.zeros(delay), room]), size), size)
    result: Float32 = (heard[: len(played)] + random.normal(0, 1e-4, len(played))).astype(np.float32)
    return result


def level(samples: Float32) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples)) + 1e-12))


def cancel(canceller: Canceller, heard: Float32, played: Float32) -> Float32:
    size = len(heard) // BLOCK * BLOCK
    return np.concatenate(
        [canceller.push(heard[at : at + BLOCK], played[at : at + BLOCK])[0] for at in range(0, size, BLOCK)]
    )


@pytest.mark.parametrize("by", [0, 1, -3, 250, -250, MOST - 1, 1 - MOST])
def test_the_lag_is_found(by: int) -> None:
    samples = talk(1, 0)
    start = RATE // 4
    expected, heard = samples[start : start + 8192], samples[start - by : start - by + 8192]
    assert lag(heard, expected) == pytest.approx(by, abs=0.1)


def test_the_lag_is_found_below_a_person_who_is_as_loud() -> None:
    samples, person = talk(1, 0), talk(1, 1)
    heard = samples[4000 - 100 : 8096 - 100] + person[:4096]
    assert lag(heard, samples[4000:8096]) == pytest.approx(100, abs=0.5)


def test_a_lag_between_two_samples() -> None:
    samples = talk(1, 0)
    assert lag(moved(samples, 20.5)[4000:8096], samples[4000:8096]) == pytest.approx(20.5, abs=0.2)


@pytest.mark.parametrize("by", [7, -7, 0])
def test_moved_by_whole_samples(by: int) -> None:
    samples = talk(0.1, 0)
    inner = slice(10, -10)
    assert np.allclose(moved(samples, by)[inner], np.roll(samples, by)[inner], atol=1e-5)


def test_what_leaves_it_does_not_come_in_at_the_other_end() -> None:
    samples = np.zeros(4096, np.float32)
    samples[-5] = samples[5] = 1.0
    assert np.abs(moved(samples, 20)[:20]).max() < 1e-4
    assert np.abs(moved(samples, -20)[-20:]).max() < 1e-4


@pytest.mark.parametrize("by", [40, -40, 700])
def test_a_canceller_knows_a_shifted_path_at_once(by: int) -> None:
    played = talk(8, 0)
    known, unknown = Canceller(), Canceller()
    cancel(known, echo_of(played, 1500), played)
    known.silence()
    known.shift()
    heard = echo_of(played, 1500 + by)
    soon = slice(1500 + abs(by) + (EVERY + 2) * BLOCK, 1500 + abs(by) + RATE // 4)
    left = level(cancel(known, heard, played)[soon])
    assert left < level(heard[soon]) - 12
    assert left < level(cancel(unknown, heard, played)[soon]) - 3


def test_a_person_who_speaks_at_once_does_not_hide_it() -> None:
    played, person = talk(8, 0), 0.5 * talk(8, 2)
    canceller = Canceller()
    cancel(canceller, echo_of(played, 1500), played)
    canceller.silence()
    canceller.shift()
    left = cancel(canceller, echo_of(played, 1540) + person, played)[RATE // 2 : RATE]
    spoken = person[RATE // 2 : RATE]
    assert level(left - spoken) < level(spoken) - 5


def test_another_path_is_learned_as_any() -> None:
    played, other = talk(6, 0), talk(6, 5)
    canceller = Canceller()
    cancel(canceller, echo_of(other, 300), played)  # it has learned nonsense
    canceller.silence()
    canceller.shift()
    heard = echo_of(played, 1500)
    late = slice(3 * RATE, 5 * RATE)
    assert level(cancel(canceller, heard, played)[late]) < level(heard[late]) - 15


def test_a_search_ends() -> None:
    canceller = Canceller()
    played = talk(3, 0)
    cancel(canceller, echo_of(played, 1500), played)
    search = Search(canceller._path.copy(), BLOCK)
    random = np.random.default_rng(3)
    for step in range(1, LONGEST + 1):
        heard = random.normal(0, 0.1, BLOCK).astype(np.float32)
        assert search.push(canceller._spectra, heard, heard) is None
        assert search.over == (step == LONGEST)


def test_nothing_is_looked_for_while_nothing_is_played() -> None:
    canceller = Canceller()
    played = talk(3, 0)
    cancel(canceller, echo_of(played, 1500), played)
    search = Search(canceller._path.copy(), BLOCK)
    silence = np.zeros_like(canceller._spectra)
    for _ in range(2 * LONGEST):
        assert search.push(silence, np.zeros(BLOCK, np.float32), np.zeros(BLOCK, np.float32)) is None
    assert not search.over
