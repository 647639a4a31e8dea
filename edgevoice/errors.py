"""The error tree. Every error a user can cause or meet derives from EdgeVoiceError.

    EdgeVoiceError                 1   anything below; ends a turn with a Fault, a command with its exit code
     |- ConfigError                3   the configuration file, an environment override, a command's option
     |- ModelError                 4   a model is not there, is damaged, or could not be fetched or built
     |- AudioError                 5   a device or an audio file
     |   |- DeviceError                no such device, two of that name, busy, gone
     |   |- AudioFormatError           a file that is no audio we can read, or a stream of the wrong kind
     |- EngineError                6   an engine could not be loaded or failed while it ran
     |   |- EngineMissingError         its package is not installed
     |   |- EngineBrokenError          its package is installed and does not import
     |- GrammarError               7   an intent template, list, rule or response
     |- ActionError                8   an action failed, timed out or is not there
     |- TextError                  9   a text that cannot be spoken
     |- OutputError               10   a file could not be written (disk full, no permission)
     |- GateError                 11   a model is worse than it may be, or nothing shows that it is not
     |- BudgetError               12   nothing here keeps the budgets, or nothing was found in time
     |- ServiceError              13   the service could not be installed, asked or removed
     |- DaemonError               14   no running daemon answers, it refuses, or one is already running

The number is the exit code of a command that ends with that error; 0 is success, 2 wrong usage of the command line
(argparse), 130 an interrupt from the keyboard, 143 SIGTERM before there was a daemon to stop (which ends with 0). Any
other exception is a defect in edgevoice: it is shown whole and exits with 70.
"""

from typing import ClassVar


class EdgeVoiceError(Exception):
    """An error that names its place, its cause and the remedy.

    Args:
        cause: what is wrong, without a full stop.
        place: where, for example ``edgevoice.yaml:12: wake.threshold`` or a file's path; may be empty.
        remedy: what the user can do about it; may be empty.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, cause: str, *, place: str = "", remedy: str = "") -> None:
        self.cause = cause
        self.place = place
        self.remedy = remedy
        super().__init__(cause)

    def __str__(self) -> str:
        text = f"{self.place}: {self.cause}" if self.place else self.cause
        return f"{text}; {self.remedy}" if self.remedy else text


class ConfigError(EdgeVoiceError):
    exit_code = 3


class ModelError(EdgeVoiceError):
    exit_code = 4


class AudioError(EdgeVoiceError):
    exit_code = 5


class DeviceError(AudioError):
    pass


class AudioFormatError(AudioError):
    pass


class EngineError(EdgeVoiceError):
    exit_code = 6


class EngineMissingError(EngineError):
    pass


class EngineBrokenError(EngineError):
    pass


class GrammarError(EdgeVoiceError):
    exit_code = 7


class ActionError(EdgeVoiceError):
    """``spoken`` is a sentence that tells the user, fit to be said."""

    exit_code = 8

    def __init__(
        self, cause: str, *, place: str = "", remedy: str = "", spoken: str = "Sorry, that did not work."
    ) -> None:
        super().__init__(cause, place=place, remedy=remedy)
        self.spoken = spoken


class TextError(EdgeVoiceError):
    exit_code = 9


class OutputError(EdgeVoiceError):
    exit_code = 10


class GateError(EdgeVoiceError):
    exit_code = 11


class BudgetError(EdgeVoiceError):
    exit_code = 12


class ServiceError(EdgeVoiceError):
    exit_code = 13


class DaemonError(EdgeVoiceError):
    exit_code = 14
