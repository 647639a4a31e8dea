"""What the machine did besides while something was measured: other programs, heat, the governor, swapping."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgevoice.bench import board
from edgevoice.bench.energy import Energy
from edgevoice.bench.schema import Board, Flag, Throttling

OTHERS = 0.1
"""Cores that other programs may take together before it is said: a tenth of one changes a median by a few percent."""
STOLEN = 0.02
"""Part of the time that a hypervisor may give to others before it is said."""
SLOWER = 0.8
"""Part of the highest frequency seen below which a lower one is said."""
_SAMPLING = 0.1
"""Seconds between two readings of power: a Jetson's INA3221 averages over about as much."""


class Conditions:
    """Watches from ``begin`` on.

    Args:
        root: where /proc and /sys lie.
        command: how the board's own programs are asked.
        ticks: clock ticks per second in /proc/stat.
    """

    def __init__(
        self, root: Path = board.ROOT, *, command: board.Command = board.run, ticks: float | None = None
    ) -> None:
        self._root = root
        self._command = command
        self._ticks = ticks or os.sysconf("SC_CLK_TCK")
        self.energy = Energy(root)
        self.begin()

    def begin(self) -> None:
        self._busy, self._stolen, self._all = self._times()
        self._swapped = self._swap()
        self._throttled = board.throttling(self._root, command=self._command)
        self._count = board.throttle_count(self._root)
        self._frequencies: list[float] = []

    def sample(self) -> None:
        """Look at the frequency; call it right after work, before the processor slows down."""
        if (frequency := board.frequency(self._root)) is not None:
            self._frequencies.append(frequency)

    def flags(self, own_s: float) -> tuple[Flag, ...]:
        """What has made the figures since ``begin`` less trustworthy.

        Args:
            own_s: processor time that what is measured, and who measures, took meanwhile.
        """
        return tuple(self._flags(own_s))

    def _flags(self, own_s: float) -> Iterator[Flag]:
        busy, stolen, everything = self._times()
        cores = self._cores()
        passed = (everything - self._all) / cores
        if passed > 0:
            others = (busy - self._busy - own_s) / passed
            if others > OTHERS:
                yield Flag(kind="background_load", text=f"other programs took {others:.1f} of {cores} cores meanwhile")
            part = (stolen - self._stolen) / (everything - self._all)
            if part > STOLEN:
                yield Flag(kind="background_load", text=f"the hypervisor gave {part:.0%} of the time to others")
        if self._swap() > self._swapped:
            yield Flag(kind="swapping", text="memory was swapped in meanwhile: there is too little of it")
        yield from self._throttling(board.throttling(self._root, command=self._command))
        if self._frequencies and min(self._frequencies) < SLOWER * max(self._frequencies):
            low, high = min(self._frequencies), max(self._frequencies)
            yield Flag(kind="unsteady", text=f"the frequency lay between {low:.0f} and {high:.0f} MHz")

    def _throttling(self, now: Throttling | None) -> Iterator[Flag]:
        before = self._throttled
        if now is not None and now.now:
            yield Flag(kind="throttling", text=f"the board limits its speed: {', '.join(now.now)}")
        elif now is not None and before is not None and set(now.since_boot) - set(before.since_boot):
            new = [what for what in now.since_boot if what not in before.since_boot]
            yield Flag(kind="throttling", text=f"the board has limited its speed meanwhile: {', '.join(new)}")
        count = board.throttle_count(self._root)
        if count is not None and self._count is not None and count > self._count:
            yield Flag(kind="throttling", text=f"the processor slowed itself down {count - self._count:.0f} times")

    def _times(self) -> tuple[float, float, float]:
        """Processor seconds of all cores since the start: busy, stolen by the hypervisor, and all."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            first = (self._root / "proc/stat").read_text("ascii").splitlines()[0].split()
            user, nice, system, idle, wait, interrupts, soft, steal = map(int, first[1:9])
            busy = user + nice + system + interrupts + soft
            return busy / self._ticks, steal / self._ticks, (busy + idle + wait + steal) / self._ticks
        return 0.0, 0.0, 0.0

    def _cores(self) -> int:
        with contextlib.suppress(OSError):
            rows = re.findall(r"^cpu\d+ ", (self._root / "proc/stat").read_text("ascii"), re.MULTILINE)
            return len(rows) or 1
        return 1

    def _swap(self) -> int:
        with contextlib.suppress(OSError):
            found = re.search(r"^pswpin (\d+)$", (self._root / "proc/vmstat").read_text("ascii"), re.MULTILINE)
            return int(found[1]) if found else 0
        return 0

    @contextlib.contextmanager
    def reading_power(self, wait: Callable[[float], object] = time.sleep) -> Iterator[None]:
        """Read the counters often enough for those that give power; a thread does, where there is such a counter."""
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                self.energy.joules()
                wait(_SAMPLING)

        thread = threading.Thread(target=read, daemon=True) if self.energy.of_power else None
        if thread is not None:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            if thread is not None:
                thread.join()


def of_board(found: Board) -> list[Flag]:
    """What about the machine itself makes figures less trustworthy."""
    flags = []
    if found.governor not in (None, "performance"):
        flags.append(
            Flag(
                kind="governor",
                text=f"the governor is '{found.governor}': what follows a pause begins at a low frequency",
            )
        )
    if found.virtual:
        flags.append(Flag(kind="virtual", text="it is a virtual machine: others may share its cores and caches"))
    return flags


def available_mb(root: Path = board.ROOT) -> float | None:
    """Memory that can be had without swapping."""
    with contextlib.suppress(OSError):
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", (root / "proc/meminfo").read_text("ascii"), re.MULTILINE)
        return int(found[1]) / 1024 if found else None
    return None
