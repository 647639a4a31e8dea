"""The lines on the control socket: one JSON object a line each way."""

from typing import Any, Literal, get_args

import msgspec

Verb = Literal["status", "metrics", "talk", "mute", "unmute", "reload", "wrong", "missed"]
VERBS: tuple[Verb, ...] = get_args(Verb)

LONGEST = 4096
"""Bytes of a request's line; the longest real one has twenty."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    do: Verb


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    ok: bool
    error: str = ""
    """Place, cause and remedy, when it is not ``ok``."""
    status: dict[str, Any] | None = None
    """Of ``status``: the fields of ``edgevoice.health.status.Status``."""
    metrics: str | None = None
    """Of ``metrics``: Prometheus text."""
    path: str = ""
    """Of ``missed``: where it is kept."""
    told: str = ""
    """What has come of it, in words."""
