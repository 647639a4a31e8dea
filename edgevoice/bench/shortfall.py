"""What a run was to measure and did not."""

from collections.abc import Collection, Iterator

from edgevoice.bench.schema import Result
from edgevoice.errors import EngineError


def shortfall(result: Result, named: Collection[str] = ()) -> EngineError | None:
    """The error that a run ends with, or None when everything was measured.

    What is not installed counts only if it is configured or was named: most machines have few of others' engines.

    Args:
        named: engines that somebody asked for by name.
    """
    lacking = list(dict.fromkeys(_lacking(result, named)))
    if not lacking:
        return None
    what = "nothing was measured" if not result.series else f"{len(lacking)} of what was to be measured could not be"
    return EngineError("\n".join([what, *lacking]), remedy="the result has everything else" * bool(result.series))


def _lacking(result: Result, named: Collection[str]) -> Iterator[str]:
    for series in result.series:
        if series.state != "measured":
            yield f"{series.key}: {series.why or series.state}"
    for absent in result.absent:
        configured = not absent.peer and result.options.get(absent.task, {}).get("engine") == absent.engine
        if configured or absent.engine in named or not result.series:
            yield f"{absent.task} {absent.engine}: {absent.why}; {absent.remedy}"
