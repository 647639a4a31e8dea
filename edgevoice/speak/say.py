"""A reply to the speaker: clause by clause, synthesised ahead while the last one is heard."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

from edgevoice.audio.pcm import Audio
from edgevoice.audio.source import AudioSink
from edgevoice.engines.protocols import TtsEngine
from edgevoice.flow.channel import Channel
from edgevoice.flow.worker import Worker
from edgevoice.speak.phrases import clauses

AHEAD = 2
"""Pieces synthesised ahead of the one that plays: enough that a clause is ready when the one before ends, little
enough that an interrupted reply has wasted almost nothing."""
PIECE = 0.1
"""Seconds handed to the sink at a time: how exactly a recording's clock knows where an interruption fell."""


async def say(
    text: str,
    *,
    tts: tuple[Worker, TtsEngine],
    sink: AudioSink,
    elapse: Callable[[float], Awaitable[None]],
    on_first_audio: Callable[[], None],
) -> None:
    """Speak a text; returns when it has been heard. Cancelling it leaves what is queued to the caller's ``flush``.

    Args:
        elapse: lets so many seconds of capture time pass where a recording is the clock; nothing with a real device.
        on_first_audio: called when the first audio has been handed to the sink.

    Raises:
        TextError: nothing in the text can be spoken. EngineError, AudioError, OutputError: synthesis or playback.
    """
    channel: Channel[Audio] = Channel(AHEAD)
    synthesis = asyncio.get_running_loop().create_task(_synthesise(text, tts, channel), name="synthesis")
    try:
        first = True
        async for audio in channel:
            step = max(int(PIECE * audio.rate), 1)
            for at in range(0, len(audio), step):
                piece = Audio(audio.samples[at : at + step], audio.rate)
                await sink.play(piece)
                if first:
                    first = False
                    on_first_audio()
                await elapse(piece.seconds)
        await sink.drain()
    finally:
        synthesis.cancel()
        await asyncio.gather(synthesis, return_exceptions=True)


async def _synthesise(text: str, tts: tuple[Worker, TtsEngine], channel: Channel[Audio]) -> None:
    worker, engine = tts
    try:
        for clause in clauses(text, language=engine.language):
            async with aclosing(worker.iterate(partial(engine.synthesize, clause))) as pieces:
                async for audio in pieces:
                    await channel.send(audio)
    except Exception as error:  # noqa: BLE001 - the consumer raises it
        channel.close(error)
    else:
        channel.close()
