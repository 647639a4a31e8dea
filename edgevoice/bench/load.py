"""Results as they are read to be compared and shown: several files, and all that is wrong with them at once."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgevoice.bench import schema
from edgevoice.bench.schema import Metric, Result
from edgevoice.errors import ConfigError

REMEDY = "make one with: edgevoice bench run --json FILE"


def results(paths: Sequence[Path]) -> list[Result]:
    """
    Raises:
        ConfigError: with everything that is wrong with any of them.
    """
    found, wrong = [], []
    for path in paths:
        try:
            result = schema.read(path)
        except ConfigError as error:
            wrong.append(error)
            continue
        faults = list(_faults(result))
        if faults:
            wrong.append(ConfigError("; ".join(faults), place=str(path), remedy=REMEDY))
        found.append(result)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise ConfigError("\n".join([f"{len(wrong)} files cannot be used", *map(str, wrong)]))
    return found


def _faults(result: Result) -> Iterator[str]:
    """What no benchmark writes, but an editor or a cut copy may leave."""
    if not any(one.metrics for one in result.series) and not result.accuracy:
        yield "nothing was measured in it"
    keys = [one.key for one in result.series]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"it has {key} {keys.count(key)} times"
    for one in result.series:
        for name, metric in one.metrics.items():
            fault = _fault(metric)
            if fault:
                yield f"{one.key}: {name}: {fault}"


def _fault(metric: Metric) -> str:
    if not metric.samples:
        return "it has no samples"
    if metric.inputs and len(metric.inputs) != len(metric.samples):
        return f"it has {len(metric.samples)} samples and {len(metric.inputs)} inputs"
    return ""
