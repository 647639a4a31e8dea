"""A real browser, Chromium, spoken to through its DevTools: JSON messages, each ended by a zero byte, over two pipes.

https://chromedevtools.github.io/devtools-protocol/
"""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0
"""Seconds until a browser that does not answer is ended, far beyond what a slow board takes."""


class Browser:
    """One page. ``told`` holds what the page complained about, ``requests`` what it asked for."""

    def __init__(self, program: str, profile: Path) -> None:
        arguments = [
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # it refuses to run as root with one
        ]

        self._log = profile / "stderr.txt"
        # It reads orders from its file 3 and answers through its file 4.
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null', program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._count = 0
        self._session = ""
        self.told: list[str] = []
        self.requests: list[str] = []
        self._events: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        """Call a method of the DevTools and wait for its result."""
        self._count += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._count, "method": method, "params": parameters} | session
        with contextlib.suppress(BrokenPipeError):  # it has ended; reading tells why
            self._to.write(json.dumps(message).encode() + b"\0")
            self._to.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, page: Path) -> None:
        """Show a page and wait until all of it is there."""
        self._events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        while "Page.loadEventFired" not in self._events:
            self._next()

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"])
        return found["result"].get("value")

    def look(self, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Set the size of the window and the theme that the user prefers."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._to.close()  # the end of its orders ends it
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._from.close()

    def _next(self) -> dict[str, Any]:
        raw = bytearray()
        while not raw.endswith(b"\0"):
            one = self._from.read(1)
            if not one:
                raise AssertionError(f"the browser has ended: {self._log.read_text('utf-8', 'replace')[-2000:]}")
            raw += one
        message: dict[str, Any] = json.loads(raw[:-1])
        parameters = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Runtime.consoleAPICalled":
                self.told.append(" ".join(str(one.get("value")) for one in parameters["args"]))
            case "Runtime.exceptionThrown":
                self.told.append(parameters["exceptionDetails"]["text"])
            case "Log.entryAdded":
                self.told.append(parameters["entry"]["text"])
            case str(event):
                self._events.append(event)
            case _:
                pass
        return message


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser for the tests of a module; they are skipped where there is none, unless ``EDGEVOICE_BROWSER`` is
    ``required``, as in continuous integration."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        if os.environ.get("EDGEVOICE_BROWSER") == "required":
            pytest.fail(f"EDGEVOICE_BROWSER is 'required', and there is no {' or '.join(NAMES)}")
        pytest.skip(f"there is no {' or '.join(NAMES)}; install it with: apt-get install chromium")
    made = Browser(program, profile)
    try:
        yield made
    finally:
        made.close()
