"""Energy and power, where the machine counts them; nothing is estimated.

RAPL counts what a processor's package took (Intel SDM volume 3, 15.10; AMD alike). The INA3221 of a Jetson measures the
power of the whole board; its energy is the sum of power times time between two readings.
"""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Counter(Protocol):
    @property
    def name(self) -> str: ...

    def joules(self) -> float | None:
        """Since any fixed moment, so that differences tell; None when it cannot be read (any more)."""


class Rapl:
    """A package's counter; it begins anew at ``max_energy_range_uj``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = f"RAPL {(folder / 'name').read_text('ascii').strip()}"
        self._range = int((folder / "max_energy_range_uj").read_text("ascii"))
        self._last = int((folder / "energy_uj").read_text("ascii"))
        self._total = 0

    def joules(self) -> float | None:
        try:
            now = int((self._folder / "energy_uj").read_text("ascii"))
        except (OSError, ValueError):
            return None
        self._total += (now - self._last) % self._range
        self._last = now
        return self._total / 1e6


class Ina:
    """The input rail of a Jetson: millivolts and milliamperes of one channel. Read it several times a second."""

    def __init__(self, voltage: Path, current: Path, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = f"INA3221 {label}"
        self._voltage = voltage
        self._current = current
        self._clock = clock
        self._at = clock()
        self._power = self._watts()
        self._total = 0.0

    def joules(self) -> float | None:
        now, power = self._clock(), self._watts()
        if power is None or self._power is None:
            return None
        self._total += (now - self._at) * (power + self._power) / 2
        self._at, self._power = now, power
        return self._total

    def _watts(self) -> float | None:
        try:
            return int(self._voltage.read_text("ascii")) * int(self._current.read_text("ascii")) / 1e6
        except (OSError, ValueError):
            return None


def counters(root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> list[Counter]:
    """Those that can be read: RAPL of every package (often for root alone), or the input rail of a Jetson."""
    found: list[Counter] = []
    for folder in sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*")):
        if folder.name.count(":") > 1:  # a part of a package, counted with it
            continue
        try:
            found.append(Rapl(folder))
        except (OSError, ValueError):  # there, and not for us to read
            continue
    for label in sorted(root.glob("sys/bus/i2c/drivers/ina3221*/*/hwmon/hwmon*/in*_label")):
        name = label.read_text("utf-8").strip()
        if re.search(r"VDD_IN|POM_5V_IN|SYS_5V|VIN_SYS", name):
            number = label.name[2:].partition("_")[0]
            voltage, current = label.with_name(f"in{number}_input"), label.with_name(f"curr{number}_input")
            if voltage.exists() and current.exists():
                found.append(Ina(voltage, current, name, clock))
    return found


class Energy:
    """All counters together."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._counters = counters(root)
        self._lock = threading.Lock()

    @property
    def of_power(self) -> bool:
        """Whether it must be read often, since power is measured and not energy."""
        return any(isinstance(counter, Ina) for counter in self._counters)

    def joules(self) -> float | None:
        """Since it was made; None when there is no counter, or one failed."""
        with self._lock:
            values = [counter.joules() for counter in self._counters]
        known = [value for value in values if value is not None]
        return sum(known) if known and len(known) == len(values) else None
