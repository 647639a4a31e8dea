"""What is wrong in several files, told all at once."""

from types import TracebackType

from edgevoice.errors import ConfigError, EdgeVoiceError, GrammarError


class Mistakes:
    """Goes on behind a mistake in one file, so that those in the next are seen too::

    mistakes = Mistakes()
    with mistakes:
        first = load(...)
    with mistakes:
        second = load(...)
    mistakes.complain()
    """

    def __init__(self) -> None:
        self._found: list[EdgeVoiceError] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        if not isinstance(error, ConfigError | GrammarError):
            return False
        self._found.append(error)
        return True

    def complain(self) -> None:
        """
        Raises:
            ConfigError, GrammarError: there was a mistake: that one. ConfigError: there were several: all of them.
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise ConfigError("\n".join(["there are mistakes in several files", *map(str, self._found)]))
