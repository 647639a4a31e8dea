"""Axes: where a value lies, in percent of the length, and which values are written."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

WIDE = 12.0
"""Largest by smallest value from which an axis is logarithmic."""
_MARGIN = 0.04
"""Part of the length that is left free beyond the values."""


@dataclass(frozen=True)
class Scale:
    low: float
    high: float
    log: bool = False

    @classmethod
    def of(cls, values: Iterable[float], *, zero: bool = False, logarithmic: bool | None = None) -> "Scale":
        """An axis that all values lie on.

        Args:
            zero: it begins at 0.
            logarithmic: None decides by the values.
        """
        found = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(found), max(found)
        log = (low > 0 and high / low > WIDE and not zero) if logarithmic is None else logarithmic and low > 0
        if log:
            low, high = math.log10(low), math.log10(high)
        if zero:
            low = min(low, 0.0)
        span = (high - low) or abs(high) or 1.0
        below = 0.0 if zero and low == 0.0 else _MARGIN * span
        low, high = low - below, high + _MARGIN * span
        return cls(10**low, 10**high, True) if log else cls(low, high)

    def at(self, value: float) -> float:
        """Percent of the length."""
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return 100 * min(max(share, 0.0), 1.0)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values, about so many."""
        if self.log:
            return self._log_ticks(most)
        rough = 0.8 * (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]

    def _log_ticks(self, most: int) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [factor * 10.0**power for power in powers for factor in factors]
            inside = [value for value in found if self.low <= value <= self.high]
            if len(inside) <= most + 1:
                return inside
        return inside[:: -(-len(inside) // most)]


def written(value: float) -> str:
    """As short as an axis can have it."""
    return f"{value:.10f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:g}"
