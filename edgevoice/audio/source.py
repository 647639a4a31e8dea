"""Where audio comes from and where it goes: one interface for devices, files and pipes."""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from edgevoice.audio.pcm import Audio

BLOCK = 512
"""Samples of a block at 16 kHz: 32 ms, a frame of the voice activity detector. Half of a block is how much later, on
average, the end of speech is noticed, and all of it at worst. The listening daemon takes 1.7 % of a core with 512,
1.5 % with 1024 and 1.2 % with 2048, on a two-core x86-64 machine that was busy."""

BATCH = 4096
"""Samples at 16 kHz, a quarter of a second, that a device gathers before it wakes anybody up while it need not be
``eager``."""


class AudioSource(Protocol):
    """Audio as it is captured or read."""

    eager: bool
    """Whether every block is wanted at once. If not, a device may gather ``BATCH`` samples first, which spares the
    processor: while only a wake word is waited for, a quarter of a second does not matter."""

    @property
    def lossless(self) -> bool:
        """True: a file or a pipe, and who takes the blocks sets the pace. False: a device, and audio that is not taken
        within two seconds is lost."""

    def blocks(self) -> AsyncGenerator[Audio, None]:
        """The blocks of mono int16 at 16 kHz; may be called once.

        ``start`` counts from 0 without gaps, unless audio was lost: then it jumps by what is missing. Ends at the end
        of the file. All blocks have the same length but the last of a file or pipe, which may be shorter.

        Raises:
            AudioError: the device has gone or gives nothing, or the file is damaged.
        """

    async def close(self) -> None:
        """Give the device or file back; every thread and stream is gone afterwards. May be called twice."""


class AudioSink(Protocol):
    """Audio as it is played or written."""

    volume: int
    """Loudness in percent, 0..100, from the next ``play`` on. A file keeps the full level."""

    @property
    def lossless(self) -> bool:
        """True: a file, which takes audio as fast as it comes."""

    async def play(self, audio: Audio) -> None:
        """Queue audio of any rate; pieces of one rate follow each other without a seam. Returns when it is queued, and
        waits while more than about 0.3 s is. A ``flush`` meanwhile drops what is left of it.

        Raises:
            DeviceError: the device has gone. OutputError: the file could not be written.
        """

    async def drain(self) -> None:
        """Wait until everything queued has been heard.

        Raises:
            DeviceError, OutputError: as ``play``.
        """

    def flush(self) -> None:
        """Drop what is queued: silence within one block. To be called from the event loop, at any time."""

    async def close(self) -> None:
        """Give the device or file back. May be called twice."""


Rate = Annotated[int, Meta(ge=4_000, le=192_000)]


class InputOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The microphone."""

    device: Annotated[
        str,
        Meta(description="Name of the microphone, or a part of it that no other has; see 'edgevoice devices'."),
    ] = "default"
    rate: Annotated[
        Rate | None,
        Meta(description="Samples per second to ask the device for; null: the device's own. 16 kHz is made of it."),
    ] = None
    channel: Annotated[
        Annotated[int, Meta(ge=0, le=63)] | Literal["mix"],
        Meta(description="The channel to listen to, 0 being the first, or 'mix' for the mean of all."),
    ] = "mix"
    block: Annotated[
        int,
        Meta(description="Samples per block at 16 kHz: fewer react sooner, more cost less.", ge=128, le=8_000),
    ] = BLOCK
    gated: Annotated[
        bool,
        Meta(
            description="The microphone gives digital silence while nobody speaks, as noise gates and some echo "
            "cancellers do: do not take that for deafness."
        ),
    ] = False


class OutputOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The speaker."""

    device: Annotated[
        str,
        Meta(description="Name of the speaker, or a part of it that no other has; see 'edgevoice devices'."),
    ] = "default"
    rate: Annotated[
        Rate | None,
        Meta(description="Samples per second to ask the device for; null: the device's own."),
    ] = None
    volume: Annotated[
        int,
        Meta(description="Loudness in percent, by the cubic scale of mixers: 50 is about half as loud.", ge=0, le=100),
    ] = 100
