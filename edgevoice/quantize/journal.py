"""Measurements that were made, so that a search that was stopped goes on where it was."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgevoice.errors import OutputError
from edgevoice.modelfiles import model_files, sha256_of, versions_of
from edgevoice.quantize.metric import Measurement, SampleSet
from edgevoice.quantize.provenance import TOOLS


class _Entry(msgspec.Struct, frozen=True):
    key: str
    measurement: Measurement


class Journal:
    """A file of JSON lines, one for each measurement. A line that was cut off by a power cut is passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Measurement] = {}
        if path.is_file():
            for line in path.read_bytes().splitlines():
                try:
                    entry = msgspec.json.decode(line, type=_Entry)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                self._known[entry.key] = entry.measurement

    def get(self, key: str) -> Measurement | None:
        return self._known.get(key)

    def put(self, key: str, measurement: Measurement) -> None:
        """
        Raises:
            OutputError: it cannot be written.
        """
        self._known[key] = measurement
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as out:
                out.write(b"\n" + msgspec.json.encode(_Entry(key, measurement)) + b"\n")
        except OSError as error:
            raise OutputError(f"it cannot be written: {error.strerror}", place=str(self._path)) from error


def key(model: Path, task: str, engine: str, known: SampleSet, beside: Sequence[Path] = ()) -> str:
    """Stands for a model, measured by these versions of an engine and its runtimes on recordings.

    Args:
        beside: what else decides about the figures: grammars, other models.
    """
    files = {name: spec.sha256 for name, spec in model_files(model).items()}
    others = [sha256_of(path) for path in beside]
    about = [files, task, engine, known.sha256, others, versions_of(*TOOLS)]
    return hashlib.sha256(msgspec.json.encode(about, order="deterministic")).hexdigest()
