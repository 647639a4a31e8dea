"""What a changed configuration changes, and many requests for a reload taken as one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from edgevoice.config import TASKS, Config
from edgevoice.parts import Parts

AT_START = ("input.gated", "assistant.stop_deadline", "logging.format")
"""Keys that are read when the process starts; a change of theirs waits for the next start, and a warning says so."""

T = TypeVar("T")
R = TypeVar("R")


class Devices(Protocol):
    """How a changed configuration reaches the sound devices."""

    async def change(self, before: Config, after: Config) -> None:
        """Use them from now on.

        Raises:
            AudioError: that was not possible; the ones from before are in use.
        """


class Latest(Generic[T, R]):
    """Does one job at a time. Of the requests that come while it is being done, the last one is done next, and its
    result is the result of all of them.

    Args:
        start: starts a task.
    """

    def __init__(self, job: Callable[[T], Awaitable[R]], start: Callable[..., asyncio.Task[R]]) -> None:
        self._job = job
        self._start = start
        self._running: asyncio.Task[R] | None = None
        self._next: asyncio.Task[R] | None = None
        self._wanted: T

    async def request(self, wanted: T) -> R:
        """What came of this request, or of a later one that took its place."""
        self._wanted = wanted
        if self._next is None:
            self._next = self._start(self._run(self._running), name="reload")
        return await asyncio.shield(self._next)

    async def _run(self, before: asyncio.Task[R] | None) -> R:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        return await self._job(self._wanted)


def changed_keys(before: Config, after: Config, parts: Parts, fresh: Parts) -> tuple[str, ...]:
    """The keys that have another value, and those whose files say something else than they did."""
    old, new = dict(_flat("", before)), dict(_flat("", after))
    found = [key for key in (*new, *(key for key in old if key not in new)) if old.get(key) != new.get(key)]
    for name in ("intents", *TASKS):
        key = "intents.packs" if name == "intents" else f"{name}.{getattr(after, name).engine}"
        if parts.made_of.get(name) != fresh.made_of.get(name) and not any(other.startswith(name) for other in found):
            found.append(key)
    return tuple(found)


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value."""
    if isinstance(value, msgspec.Struct):
        # The engines' options are keys of the task's section, beside ``engine``.
        entries = {name: getattr(value, name) for name in value.__struct_fields__}
        entries |= entries.pop("options", {}) if "options" in entries else {}
        for name, inner in entries.items():
            yield from _flat(f"{key}.{name}" if key else name, inner)
    else:
        yield key, value
