"""How the service is, by what systemd knows."""

import msgspec

from edgevoice.errors import ServiceError
from edgevoice.service.changes import Run, run
from edgevoice.service.places import UNIT, Places

_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Result",
    "StatusText",
    "MainPID",
    "NRestarts",
    "MemoryCurrent",
    "ExecMainStartTimestamp",
)


class State(msgspec.Struct, frozen=True):
    """Of the service."""

    active: str
    """``active``, ``activating``, ``reloading``, ``inactive`` or ``failed``."""
    detail: str
    """Such as ``running``, ``auto-restart``, ``stop-watchdog``."""
    enabled: str
    """Whether it starts with the system: ``enabled`` or ``disabled``."""
    result: str
    """How it ended the last time: ``success``, ``exit-code``, ``watchdog``, ``signal``, ``oom-kill``, ..."""
    says: str
    """In its own words."""
    pid: int | None
    restarts: int
    """By systemd itself, since it was last started or stopped by hand."""
    memory_mb: float | None
    """None where it is not counted."""
    since: int | None
    """Seconds since 1970 at which its process was started."""


def ask(places: Places, run: Run = run) -> State | None:
    """How it is, or None where there is no such service.

    Raises:
        ServiceError: systemd does not answer.
    """
    words = [f"--property={name}" for name in _PROPERTIES]
    answer = run(["systemctl", *places.scope, "show", "--timestamp=unix", *words, UNIT])
    if answer.returncode:
        raise ServiceError(" ".join(answer.stderr.split()) or "it does not answer", place="systemd")
    shown = dict(line.partition("=")[::2] for line in answer.stdout.splitlines())
    if shown.get("LoadState") == "not-found":
        return None
    number = {name: int(text.lstrip("@")) for name, text in shown.items() if text.lstrip("@").isdigit()}
    return State(
        active=shown.get("ActiveState", ""),
        detail=shown.get("SubState", ""),
        enabled=shown.get("UnitFileState", ""),
        result=shown.get("Result", ""),
        says=shown.get("StatusText", ""),
        pid=number.get("MainPID") or None,
        restarts=number.get("NRestarts", 0),
        memory_mb=round(number["MemoryCurrent"] / 1e6, 1) if number.get("MemoryCurrent", 2**64) < 2**62 else None,
        since=number.get("ExecMainStartTimestamp"),
    )
