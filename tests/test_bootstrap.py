"""Intervals by drawing: of shares and of their change, over recordings."""

import numpy as np
import pytest

from edgevoice import bootstrap


def test_a_share_that_is_the_same_everywhere_is_sure() -> None:
    assert bootstrap.share([1, 2, 3], [2, 4, 6]) == (0.5, 0.5)


def test_the_interval_is_as_wide_as_the_spread_makes_it() -> None:
    counts = np.array([0, 1] * 200)
    found = bootstrap.share(counts, np.ones(400))
    assert found is not None
    width = 1.96 * (0.25 / 400) ** 0.5  # the normal approximation
    assert found == pytest.approx((0.5 - width, 0.5 + width), abs=0.01)
    assert bootstrap.share(counts, np.ones(400)) == found  # draws are fixed
    assert bootstrap.share(np.arange(9), np.ones(9)) != bootstrap.share(np.arange(9), np.ones(9), seed=2)


def test_what_weighs_nothing_has_no_share() -> None:
    assert bootstrap.share([0, 0], [0, 0]) is None
    assert bootstrap.share([1, 0], [1, 0]) == (1.0, 1.0)  # draws of the second alone do not count
    assert bootstrap.change(([0], [0]), ([1], [1])) is None


def test_a_change_is_taken_recording_by_recording() -> None:
    hard = ([0, 5, 10, 0, 5, 10], [10] * 6)
    easier = ([count - 1 for count in hard[0]], [10] * 6)
    assert bootstrap.change(hard, hard) == (0.0, 0.0)
    assert bootstrap.change(hard, easier) == pytest.approx((-0.1, -0.1))  # whatever else differs between recordings
