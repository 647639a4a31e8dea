"""A mute that outlives the process: who has closed the microphone does not want a crash to open it."""

from pathlib import Path

from edgevoice import wholefile
from edgevoice.errors import OutputError

NAME = "muted"
_TEXT = b"The microphone of edgevoice is closed until 'edgevoice unmute'. This file keeps that over a restart.\n"


class MuteMemory:
    """A file that is there while the microphone is closed. It is written when that changes and at no other time.

    Args:
        folder: where the state is kept; it is made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / NAME

    def muted(self) -> bool:
        """Whether the last run ended muted. A folder that cannot be looked into says nothing."""
        try:
            return self._file.exists()
        except OSError:
            return False

    def keep(self, *, muted: bool) -> None:
        """Remember it from now on; it outlasts a power cut. Blocks while the disk writes.

        Raises:
            OutputError: it will be forgotten.
        """
        remedy = "until it can be written, a restart does not keep whether the microphone is closed"
        try:
            if muted:
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                wholefile.write(self._file, _TEXT, remedy=remedy)
            else:
                self._file.unlink(missing_ok=True)
                if self._file.parent.exists():
                    wholefile.sync_folder(self._file.parent)
        except OSError as error:
            cause = f"it cannot be written: {error.strerror or error}"
            raise OutputError(cause, place=str(self._file), remedy=remedy) from error
