"""What of the wakes is kept, and for how long."""

from typing import Annotated

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    folder: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[/~]")] | None,
        msgspec.Meta(
            description="Where to keep the last seconds before every wake, and before what was doubtful and refused, "
            "for 'edgevoice wake tune'; a whole path. null: nothing is kept."
        ),
    ] = None
    max_megabytes: Annotated[
        int, msgspec.Meta(ge=1, le=100_000, description="The oldest are deleted when there would be more.")
    ] = 50
    max_days: Annotated[int, msgspec.Meta(ge=1, le=365, description="Older ones are deleted.")] = 60
