"""The daemon as a process of its own, and its events as they come: for tests and benchmarks from outside."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds after which a silent daemon is a failure: far beyond what a loaded machine takes, so no matter of speed."""


class Daemon:
    """A running ``edgevoice run --json``, with a control socket and a state of its own."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edgevoice-daemon-")
        self.socket = Path(self._folder.name) / "control.sock"
        own = {"RUNTIME_DIRECTORY": self._folder.name, "XDG_STATE_HOME": self._folder.name}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgevoice", "run", "--json", *arguments],
            env={**os.environ, **own, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, Any]] = []
        self.came: list[float] = []
        """When each of them came, by ``time.monotonic``."""
        self.complaints = ""
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=self._read_events), threading.Thread(target=self._read_complaints)]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.came.append(time.monotonic())
                self.events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _read_complaints(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.complaints += line

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        """The count-th event of that name, as soon as it has come.

        Raises:
            AssertionError: it has not; with everything that was printed.
        """

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event["event"] == name]

        with self._changed:
            came = self._changed.wait_for(
                lambda: len(found()) >= count or self.process.poll() is not None, timeout=PATIENCE
            )
            if not came or len(found()) < count:
                raise AssertionError(f"no {name} came; events: {self.events}\n{self.complaints}")
            return found()[count - 1]

    def count(self, name: str) -> int:
        """So many events of that name have come."""
        with self._changed:
            return sum(event["event"] == name for event in self.events)

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.wait()

    def wait(self) -> int:
        """Until it has ended, for its exit code."""
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join()
        return code

    def kill(self) -> None:
        """End it, if it has not ended, and give its pipes back."""
        self.process.kill()
        self.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        self._folder.cleanup()
