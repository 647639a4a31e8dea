"""Energy and power, where the machine counts them; nothing is estimated.

RAPL counts what a processor's package took, and on some what the memory beside it took (Intel SDM volume 3, "Platform
Specific Power Management Support"; Linux Documentation/power/powercap/powercap.rst; AMD has packages alone). An INA3221
measures the power of a Jetson's module and carrier at the input; its energy is the sum of power times time between two
readings. Linux has its channels as Documentation/hwmon/ina3221.rst says, NVIDIA's Linux 4.9 (Jetson Linux 32) as an
industrial I/O device with milliwatts. None of this was seen on a board of ours.
"""

import contextlib
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

COUNTED = r"package-|dram$"
"""Names of the zones that are added up. ``core`` and ``uncore`` are parts of a package; ``psys`` is the whole platform,
with the packages in it."""
INPUTS = ("VDD_IN", "POM_5V_IN")
"""Labels of the channel that all else is fed from: of Orin Nano and NX, Xavier NX and TX2, and of Nano and TX1 (Linux
arch/arm64/boot/dts/nvidia/tegra234-p3767.dtsi; NVIDIA's Jetson Linux Developer Guide). The AGX modules have none, but
several rails (tegra194-p2888.dtsi, tegra234-p3701.dtsi) of which none is all: there is no counter then."""


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
    """The input rail of a Jetson. Read it several times a second.

    Args:
        factors: files whose product is the power: millivolts and milliamperes, or milliwatts alone.
    """

    def __init__(self, factors: Sequence[Path], label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = f"INA3221 {label}"
        self._factors = factors
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
            return math.prod(int(path.read_text("ascii")) / 1000 for path in self._factors)
        except (OSError, ValueError):
            return None


def counters(root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> list[Counter]:
    """Those that can be read: RAPL of every package and its memory (often for root alone), or the input rail of a
    Jetson."""
    return [*_rapl(root), *_ina(root, clock)]


def _rapl(root: Path) -> Iterator[Rapl]:
    for folder in sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*")):
        try:
            if re.match(COUNTED, (folder / "name").read_text("ascii").strip()):
                yield Rapl(folder)
        except (OSError, ValueError):  # there, and not for us to read
            continue


def _ina(root: Path, clock: Callable[[], float]) -> Iterator[Ina]:
    for chip in sorted(root.glob("sys/bus/i2c/drivers/ina3221*/*")):
        for label in (*chip.glob("hwmon/hwmon*/in[123]_label"), *chip.glob("iio[:_]device*/rail_name_[012]")):
            with contextlib.suppress(OSError):
                if (name := label.read_text("utf-8").strip()) in INPUTS:
                    yield Ina(_channel(label), name, clock)


def _channel(label: Path) -> Sequence[Path]:
    """What is to be multiplied for the power of the channel with this label."""
    if label.name.startswith("rail"):
        return [label.with_name(f"in_power{label.name[-1]}_input")]
    return [label.with_name(f"{what}{label.name[2]}_input") for what in ("in", "curr")]


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
