"""Fixtures for all tests. What belongs to one subject lives in a module of its own beside its tests."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevoice.modelstore import ModelStore

# They boot a system in a folder, which takes root and minutes: make test-system runs them, and make test does not.
collect_ignore = [] if os.environ.get("EDGEVOICE_SYSTEM_TESTS") else ["system"]


@pytest.fixture(scope="session", autouse=True)
def signals_as_usual() -> None:
    """Whoever starts the tests in the background, or with nohup, hands on that signals are ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command that runs inside of a test sends the process's log to where stderr is then."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)


class InstallingStore(ModelStore):
    """Installs a model when a test first asks for it, so that a run of a few tests fetches only what they need."""

    def path(self, name: str) -> Path:
        if "/" not in name:
            self.pull([name])
        return super().path(name)


@pytest.fixture(scope="session")
def store() -> ModelStore:
    """The user's model store. A model that can neither be found there nor installed fails the test that needs it."""
    return InstallingStore()
