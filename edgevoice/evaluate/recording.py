"""A recording as a microphone would have heard it, and where in it the speech ends."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np

from edgevoice.audio.convert import Channel
from edgevoice.audio.pcm import RATE, Audio, Float32, Int16, concatenate
from edgevoice.audio.wavefile import open_file

FRAME = RATE // 50
"""Samples of a frame of energy: 20 ms."""
DEPTH = 30.0
"""A frame is speech when its energy is at most so many dB below that of the loudest twentieth of all frames ..."""
ABOVE_FLOOR = 10.0
"""... and at least so many above the tenth percentile, the noise of the room."""
RUN = 3
"""Frames of speech in a row; a click, such as that of the key that ends the recording, has fewer.

With 30 dB and three frames, the end of 206 coffee orders lay 0.03 to 0.25 s before that of the last frame which
Silero takes for speech (half of them between 0.06 and 0.09 s, which is how much later Silero lets go). 25 dB cuts soft
endings, 35 dB lets breath and clicks up to 4 s later count as speech."""
APART = RATE // FRAME
"""Frames of silence, 1 s, behind which a sound counts only when it is ``LONG`` ..."""
LONG = 15
"""... frames, 0.3 s: something falls, a door shuts. One of the 206 orders has that, 5.5 s after its last word."""
_SILENCE = 1e-12


def speech_end(samples: Float32) -> int:
    """Where the speech of a clean recording ends by its energy: the index of the sample after it; 0 when there is none.

    It is the end of the last run of ``RUN`` frames that are speech, noises apart that stand alone.
    """
    count = len(samples) // FRAME
    if count < RUN:
        return 0
    energy = np.square(samples[: count * FRAME].reshape(count, FRAME), dtype=np.float64).mean(axis=1)
    level = 10 * np.log10(energy + _SILENCE)
    loud = float(np.sort(level)[-max(count // 20, 1) :].mean())
    speech = level >= max(loud - DEPTH, float(np.percentile(level, 10)) + ABOVE_FLOOR)
    runs = np.flatnonzero(np.convolve(speech, np.ones(RUN, np.int64), "valid") == RUN)
    if not len(runs):
        return 0
    stretches = np.split(runs, np.flatnonzero(np.diff(runs) > APART + RUN) + 1)
    last = next((each for each in reversed(stretches) if len(each) + RUN - 1 >= LONG), stretches[-1])
    return int(last[-1] + RUN) * FRAME


def read(path: Path, channel: Channel = "mix") -> Audio:
    """A whole file at 16 kHz.

    Raises:
        AudioFormatError: there is no such file, or it is no audio.
    """

    async def everything() -> Audio:
        source = open_file(path, channel)
        try:
            return concatenate([block async for block in source.blocks()])
        finally:
            await source.close()

    return asyncio.run(everything())


class Paced:
    """Audio that arrives as from a microphone: a block when its last sample has been spoken, by the loop's clock.

    Args:
        lossless: see ``AudioSource``. A simulation sets it, so that what is heard does not depend on how fast this
            machine is; on the machine's own clock it is False, as with a microphone.
    """

    def __init__(self, samples: Int16, block: int, *, lossless: bool) -> None:
        self.eager = True
        self.began = 0.0
        """The loop's time when the first sample was spoken."""
        self._audio = Audio(samples)
        self._block = block
        self._lossless = lossless

    @property
    def lossless(self) -> bool:
        return self._lossless

    async def blocks(self) -> AsyncGenerator[Audio, None]:
        loop = asyncio.get_running_loop()
        self.began = loop.time()
        for at in range(0, len(self._audio), self._block):
            block = Audio(self._audio.samples[at : at + self._block], start=at)
            await asyncio.sleep(max(self.began + block.end / RATE - loop.time(), 0.0))
            yield block

    async def close(self) -> None:
        pass
