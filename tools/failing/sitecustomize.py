"""Engines that fail when told to: with this folder on PYTHONPATH, each engine of the daemon looks for a file of its
task's name in the folder ``FAULTS_FOLDER`` before each step, and raises once what stands in it. For tools.faults; the
daemon itself has nothing of the kind."""

import builtins
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgevoice import errors
from edgevoice.engines import registry

_load = registry.load


class _Failing:
    """Stands before an engine or its session."""

    def __init__(self, inner: Any, trigger: Path) -> None:
        self._inner = inner
        self._trigger = trigger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open(self, *arguments: Any) -> "_Failing":
        return _Failing(self._inner.open(*arguments), self._trigger)

    def feed(self, audio: Any) -> Any:
        self._fail()
        return self._inner.feed(audio)

    def synthesize(self, text: str) -> Iterator[Any]:
        self._fail()
        yield from self._inner.synthesize(text)

    def _fail(self) -> None:
        try:
            name = self._trigger.read_text()
            self._trigger.unlink()
        except FileNotFoundError:
            return
        kind = getattr(errors, name, None) or getattr(builtins, name)
        raise kind("injected")


def _failing(task: str, name: str, options: Any, store: Any) -> Any:
    return _Failing(_load(task, name, options, store), Path(os.environ["FAULTS_FOLDER"]) / task)


registry.load = _failing
