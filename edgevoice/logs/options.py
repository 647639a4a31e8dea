"""What is logged, and how."""

from typing import Annotated, Literal

import msgspec

Format = Literal["text", "json", "journald"]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Annotated[
        Literal["auto", "text", "json", "journald"],
        msgspec.Meta(
            description="text: every event as a line for people. json, journald: a line for every turn and every "
            "change of state, with fields, to standard error or to systemd's journal. auto: journald where standard "
            "error goes there, else text."
        ),
    ] = "auto"
    transcripts: Annotated[
        bool,
        msgspec.Meta(
            description="Whether what was said and answered may stand in the log. false leaves it out of everything "
            "that 'edgevoice run' prints, also of --json; what remains is which intent it was."
        ),
    ] = True
