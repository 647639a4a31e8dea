"""What somebody may have meant who wrote a name that is not there."""

import difflib
from collections.abc import Iterable

_SHOWN = 12
"""Names that a remedy lists before it only says that there are more; a line or two on a terminal."""


def closest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that is most like ``name``, in either case of letters; None when none is.

    Args:
        cutoff: the least similarity, difflib's ratio. At 0.6 two letters of five may be wrong.
    """
    names = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=cutoff)
    return names[close[0]] if close else None


def did_you_mean(written: str | Iterable[str], known: Iterable[str]) -> str:
    """A remedy for a name that is not there: the one that is meant, or else what there is; may be empty.

    Args:
        written: the name; or several, of which one is meant to be a known one.
    """
    names = sorted(known)
    for name in [written] if isinstance(written, str) else written:
        if (near := closest(name, names)) is not None:
            return f"did you mean '{near}'?"
    if not names:
        return ""
    return f"there are: {', '.join(names[:_SHOWN])}" + (", ..." if len(names) > _SHOWN else "")
