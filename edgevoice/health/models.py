"""Which models a configuration uses, and in which version."""

from collections.abc import Iterator

from edgevoice.config import TASKS, Config, models_of
from edgevoice.errors import ModelError
from edgevoice.health.status import ModelInUse
from edgevoice.modelshelf import ModelShelf
from edgevoice.modelversions import CATALOG, IDENTITY_DIGITS


def in_use(config: Config, shelf: ModelShelf) -> tuple[ModelInUse, ...]:
    """Every model of every engine."""
    return tuple(_in_use(config, shelf))


def _in_use(config: Config, shelf: ModelShelf) -> Iterator[ModelInUse]:
    for task in TASKS:
        chosen = getattr(config, task)
        for model in models_of(chosen):
            yield ModelInUse(task=task, engine=chosen.engine, model=model, version=_version(model, shelf))


def _version(model: str, shelf: ModelShelf) -> str:
    """The name a version was published under, or the beginning of the catalog's digest; empty for a file of one's own
    and for what has been removed meanwhile."""
    if "/" in model:
        return ""
    try:
        version = shelf.version(model)
    except ModelError:
        return ""
    return version.name if version.name != CATALOG else shelf.catalog.identity(version.model)[:IDENTITY_DIGITS]
