"""Keeping chatty libraries off standard error."""

import os
import re

import pytest

from edgevoice.noise import give_up, without_noise

NOISE = re.compile(rb"INFO: ")


def test_only_noise_is_kept_away(capfd: pytest.CaptureFixture[str]) -> None:
    with without_noise(NOISE):
        os.write(2, b"INFO: made a delegate\nsomething else\n")
    os.write(2, b"INFO: afterwards\n")
    assert capfd.readouterr().err == "something else\nINFO: afterwards\n"


def test_it_can_be_given_up_while_the_library_hangs(capfd: pytest.CaptureFixture[str]) -> None:
    with without_noise(NOISE):
        os.write(2, b"INFO: hidden\n")
        give_up()
        os.write(2, b"the error\n")
        assert capfd.readouterr().err == "the error\n"
    assert capfd.readouterr().err == ""
