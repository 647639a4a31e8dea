"""How often the daemon was started, and how often after an end that it did not choose.

The record is written at the start and at an orderly end, never in between: SD cards wear, and power goes at any time.
"""

import logging
from pathlib import Path

import msgspec

from edgevoice import wholefile
from edgevoice.errors import OutputError

log = logging.getLogger(__name__)

NAME = "starts.json"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    starts: int = 0
    unclean: int = 0
    """Starts that followed a crash, a kill or a power cut."""
    running: bool = False
    """Left True by an end that nobody chose."""


class Starts:
    """The record of one state folder. Where it cannot be kept, that is said once and nothing else suffers."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._record: Record | None = None

    def begin(self) -> tuple[int, int] | None:
        """The daemon starts. Gives how often it has, and how often after an unclean end; None when that is not kept."""
        before = self._read()
        record = Record(starts=before.starts + 1, unclean=before.unclean + before.running, running=True)
        if before.running:
            log.warning("the last run did not end by itself (a crash, a kill or a power cut)")
        if not self._write(record):
            return None
        self._record = record
        return record.starts, record.unclean

    def end(self) -> None:
        """The daemon ends in order."""
        if self._record is not None:
            self._write(msgspec.structs.replace(self._record, running=False))

    def _read(self) -> Record:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Record)
        except FileNotFoundError:
            return Record()
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s: it cannot be read (%s); counting begins anew", self._path, error)
            return Record()

    def _write(self, record: Record) -> bool:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            wholefile.write(self._path, msgspec.json.encode(record))
        except OSError as error:
            log.warning("%s: it cannot be made (%s); starts are not counted", self._path.parent, error.strerror)
            return False
        except OutputError as error:
            log.warning("%s; starts are not counted", error)
            return False
        return True
