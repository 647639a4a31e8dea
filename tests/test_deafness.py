"""What samples tell of a microphone that hears nothing."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.audio.deafness import FOUND_SECONDS, Detectors, Finding
from edgevoice.audio.pcm import RATE, Audio, Int16

SIZES = st.sampled_from([128, 512, 1000, 4096])


def noise(seconds: float, seed: int = 0, level: int = 30) -> Int16:
    return np.random.default_rng(seed).integers(-level, level, round(seconds * RATE), dtype=np.int16)


def value(seconds: float, what: int) -> Int16:
    return np.full(round(seconds * RATE), what, np.int16)


def findings(detectors: Detectors, samples: Int16, *, start: int = 0, block: int = 512) -> list[tuple[int, Finding]]:
    """Each change to another finding, with the position after the block that brought it."""
    changes: list[tuple[int, Finding]] = []
    last: Finding | None = None
    for at in range(0, len(samples), block):
        audio = Audio(samples[at : at + block], start=start + at)
        found = detectors.push(audio)
        if found is not None and (last is None or found.cause != last.cause):
            changes.append((audio.end, found))
        last = found
    return changes


def loop(seconds: float, length: int) -> Int16:
    return np.tile(noise(1, level=3_000)[:length], -(-round(seconds * RATE) // length))[: round(seconds * RATE)]


FAULTS: dict[str, tuple[str, Callable[[float], Int16]]] = {
    "digital silence": ("silence", lambda seconds: value(seconds, 0)),
    "silence whose last bit flickers": ("silence", lambda seconds: noise(seconds, level=1) // 1),
    "a DC offset": ("stuck", lambda seconds: value(seconds, 700)),
    "a broken cable": ("stuck", lambda seconds: value(seconds, -32_768)),
    "a square wave": ("clipped", lambda seconds: np.where(noise(seconds) > 0, 32_767, -32_768).astype(np.int16)),
    "a block over and over": ("stuck", lambda seconds: loop(seconds, 512)),
    "a ring buffer over and over": ("stuck", lambda seconds: loop(seconds, 5_461)),
}


@pytest.mark.parametrize("fault", FAULTS)
@given(block=SIZES, before=st.floats(0.0, 3.0))
@settings(max_examples=8, deadline=None)
def test_each_fault_is_found_in_five_seconds_and_over_with_the_first_second_of_sound(
    fault: str, block: int, before: float
) -> None:
    cause, make = FAULTS[fault]
    detectors = Detectors()
    began = round(before * RATE)
    changes = findings(detectors, np.concatenate([noise(before), make(6)]), block=block)
    assert [finding.cause for _, finding in changes] == [cause]
    assert began + (FOUND_SECONDS - 1) * RATE <= changes[0][0] <= began + 5 * RATE
    assert changes[0][1].why
    findings(detectors, noise(2.0, seed=7), start=began + 6 * RATE, block=block)
    assert detectors.push(Audio(noise(0.1, seed=8), start=began + 8 * RATE)) is None


@given(
    block=SIZES,
    pauses=st.lists(st.floats(0.1, 4.2), max_size=6),
    level=st.integers(2, 20_000),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_sound_with_pauses_is_no_fault(block: int, pauses: list[float], level: int, seed: int) -> None:
    pieces = [piece for pause in pauses for piece in (noise(0.4, seed, level), value(pause, 0))]
    assert findings(Detectors(), np.concatenate([noise(0.2, seed, level), *pieces]), block=block) == []


def test_speech_that_is_now_and_then_too_loud_is_no_fault() -> None:
    shout = np.where(noise(0.6) > 0, 32_767, -32_768).astype(np.int16)
    assert findings(Detectors(), np.concatenate([shout, noise(1.2)] * 6)) == []


def test_a_gate_is_allowed_to_be_silent_and_nothing_else() -> None:
    assert findings(Detectors(gated=True), value(20, 0)) == []
    assert [found.cause for _, found in findings(Detectors(gated=True), value(20, 300))] == ["stuck"]


def test_a_fault_goes_on_over_a_gap() -> None:
    """A device that was opened again and is as silent as before has not become well in between."""
    detectors = Detectors()
    assert findings(detectors, value(5, 0))
    for position in (10, 100, 1_000):
        assert detectors.push(Audio(value(0.032, 0), start=position * RATE)) is not None
    detectors = Detectors()
    stuck = loop(20, 1_024)
    assert findings(detectors, stuck[: 6 * RATE])
    after = [detectors.push(Audio(stuck[at : at + 512], start=10 * RATE + at)) for at in range(0, 10 * RATE, 512)]
    assert None not in after
