"""Accounting for a soak: what was said against what happened."""

from collections.abc import Mapping
from typing import Any

import pytest

from edgevoice.audio.pcm import RATE
from tools.soak import Said, account, course, drift, slope

SAID = [Said(10 * RATE, 12 * RATE, "Time"), Said(40 * RATE, 42 * RATE, "Date")]
HEARD = 60 * RATE


def wake(second: float) -> dict[str, Any]:
    return {"event": "wake", "at": round(second * RATE)}


def intent(second: float, name: str) -> dict[str, Any]:
    return {"event": "intentmatched", "at": round(second * RATE), "intent": name, "text": name}


GOOD = [wake(11), intent(13, "Time"), wake(41), intent(43, "Date")]


def counts(events: list[dict[str, Any]], offset: int = 0, heard: int = HEARD) -> dict[str, int]:
    found: Mapping[str, list[Any]] = account(events, SAID, offset, heard)
    return {name: len(items) for name, items in found.items() if items}


def test_all_answered() -> None:
    assert counts(GOOD) == {}
    shifted = [{**event, "at": event["at"] + 5 * RATE} for event in GOOD]
    assert counts(shifted, 5 * RATE) == {}


@pytest.mark.parametrize(
    ("events", "found"),
    [
        (GOOD[:2], {"missed": 1}),
        ([*GOOD[:3], intent(43, "Time")], {"wrong": 1}),
        ([*GOOD, intent(44, "Time")], {"wrong": 1}),
        ([*GOOD, wake(30)], {"invented": 1}),
        ([*GOOD, {"event": "overrun", "at": 0}], {"faults": 1}),
    ],
)
def test_what_is_not_as_it_should_be(events: list[dict[str, Any]], found: dict[str, int]) -> None:
    assert counts(events) == found


def test_a_command_at_the_very_end_does_not_count() -> None:
    assert counts(GOOD[:2], heard=45 * RATE) == {}


def test_growth_is_counted_when_caches_are_full() -> None:
    looks = [{"heard_s": 10.0 * number, "rss_mb": 100.0 + (50 if number > 3 else 0)} for number in range(20)]
    assert slope(looks, "rss_mb") == 0.0
    growing = [{"heard_s": 10.0 * number, "rss_mb": 100.0 + number} for number in range(20)]
    assert slope(growing, "rss_mb") == pytest.approx(360.0)
    assert slope(growing[:5], "rss_mb") is None


def test_the_course_of_a_run() -> None:
    looks = [{"heard_s": 3600.0 * number, "rss_mb": 100.0 + number} for number in range(101)]
    assert course(looks, "rss_mb") == [(10.0 * number, 100.0 + 10 * number) for number in range(11)]
    assert course(looks[:1], "rss_mb") == [(0.0, 100.0)] * 11
    assert course([], "rss_mb") == []


def test_drift_of_the_answers() -> None:
    events = [{"event": "speaking", "took_ms": {"answer": float(number)}} for number in range(9)]
    assert drift(events) == {"first_third_ms": 1.0, "last_third_ms": 7.0}
    assert drift(events[:8]) is None
