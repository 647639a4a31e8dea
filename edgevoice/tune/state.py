"""What was measured, in a file, so that nothing is measured twice: an interrupted run goes on where it was, and other
budgets are answered from what is there.

The file is written anew and then put in place, so there is always a whole one. It belongs to one machine, one set of
versions, one configuration and one set of recordings; with another it is refused, never mixed.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from edgevoice import wholefile
from edgevoice.errors import ConfigError, EdgeVoiceError
from edgevoice.tune.trial import Failed, Loaded, Measurer, Outcome, Trial

FORMAT = 2


class OutOfTimeError(EdgeVoiceError):
    """The time limit came before the end."""


class Record(msgspec.Struct, kw_only=True):
    """What is known of a trial."""

    trial: Trial
    loaded: Loaded | None = None
    outcomes: dict[int, Outcome] = {}
    """By input."""
    failure: str = ""
    """Why it does not work here; empty when it does."""

    @property
    def peak_mb(self) -> float:
        """Most memory of the process so far."""
        loading = 0.0 if self.loaded is None else self.loaded.peak_mb
        return max([loading, *(outcome.peak_mb for outcome in self.outcomes.values())])

    def first(self, count: int) -> "Record":
        """What is known after so many inputs."""
        known = {number: outcome for number, outcome in self.outcomes.items() if number < count}
        return msgspec.structs.replace(self, outcomes=known)

    def lacks(self, inputs: Sequence[int]) -> list[int]:
        return [number for number in inputs if number not in self.outcomes]


class _File(msgspec.Struct, kw_only=True):
    format: int = FORMAT
    key: dict[str, str]
    notes: list[str] = []
    records: list[Record]


class Ledger:
    """Measures what is not known yet.

    Args:
        path: the file; None keeps everything in memory.
        key: what must be the same for figures to go together, by name: machine, versions, recordings ... A name that
            only one of two runs has, such as that of a model which has come since, does not part them.
        expired: whether the time is up.
        on_outcome: called after every input that was measured, with the trial.
    """

    def __init__(
        self,
        measurer: Measurer,
        *,
        path: Path | None = None,
        key: Mapping[str, str] | None = None,
        expired: Callable[[], bool] = lambda: False,
        on_outcome: Callable[[Trial], None] = lambda trial: None,
    ) -> None:
        self._measurer = measurer
        self._path = path
        self._key = dict(key or {})
        self._expired = expired
        self._on_outcome = on_outcome
        self._records: dict[Trial, Record] = {}
        self.measured = 0
        """Outcomes that this run has measured."""
        self.notes: list[str] = []
        """What makes the figures less trustworthy, of earlier runs, too."""

    def note(self, text: str) -> None:
        """Keep a note beside the figures.

        Raises:
            OutputError: the file cannot be written.
        """
        if text not in self.notes:
            self.notes.append(text)
            self.save()

    def restore(self) -> int:
        """Read what an earlier run left; how many outcomes those are, 0 without a file. What did not work is forgotten:
        perhaps it has been mended.

        Raises:
            ConfigError: it is no such file, or of another machine, other versions ...
        """
        if self._path is None or not self._path.exists():
            return 0
        again = "name another with --state, or begin anew with --fresh"
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except OSError as error:
            raise ConfigError(f"it cannot be read: {error.strerror}", place=str(self._path)) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"it is no state of a tuning: {error}", place=str(self._path), remedy=again) from error
        if found.format != FORMAT:
            raise ConfigError(
                f"it has format {found.format}, this version reads {FORMAT}", place=str(self._path), remedy=again
            )
        other = [
            f"{name} is '{self._key[name]}' and was '{found.key[name]}'"
            for name in sorted(found.key.keys() & self._key.keys())
            if found.key[name] != self._key[name]
        ]
        if other:
            cause = "it was measured under other conditions: " + "; ".join(other)
            raise ConfigError(cause, place=str(self._path), remedy=again)
        self._key = found.key | self._key
        self.notes = list(found.notes)
        self._records = {record.trial: record for record in found.records if not record.failure}
        return sum(len(record.outcomes) for record in self._records.values())

    def record(self, trial: Trial) -> Record:
        """What is known of a trial."""
        return self._records.setdefault(trial, Record(trial=trial))

    def records(self) -> list[Record]:
        return list(self._records.values())

    def measure(
        self,
        trial: Trial,
        inputs: Sequence[int],
        enough: Callable[[Record], bool] = lambda record: False,
        *,
        limited: bool = True,
    ) -> Record:
        """Know the outcomes of these inputs, or so many of them that it is enough, or why it does not work.

        Args:
            limited: whether the time limit counts.

        Raises:
            OutOfTimeError: the time is up. What was measured until then is kept, as with Ctrl-C.
            OutputError: the file cannot be written.
        """
        record = self.record(trial)
        missing = record.lacks(inputs)
        if record.failure or not missing or (record.loaded is not None and enough(record)):
            return record
        if limited and self._expired():
            raise OutOfTimeError("the time is up")
        pieces = self._measurer.measure(trial, missing)
        try:
            with contextlib.closing(pieces):
                for piece in pieces:
                    match piece:
                        case Loaded():
                            record.loaded = record.loaded or piece
                        case Outcome():
                            record.outcomes[piece.input] = piece
                            self.measured += 1
                            self._on_outcome(trial)
                        case Failed():
                            record.failure = piece.why
                    if enough(record):
                        break
                    if limited and self._expired() and record.lacks(inputs):
                        raise OutOfTimeError("the time is up")
        finally:
            self.save()
        return record

    def save(self) -> None:
        """
        Raises:
            OutputError: the file cannot be written.
        """
        if self._path is None:
            return
        content = msgspec.json.encode(_File(key=self._key, notes=self.notes, records=self.records()))
        wholefile.write(self._path, content, remedy="make room, or name another file with --state")
