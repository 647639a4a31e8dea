"""One utterance after the other out of a stream, for people who record their own wake word."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from edgevoice.audio.deafness import Detectors
from edgevoice.audio.pcm import RATE, Audio
from edgevoice.audio.source import AudioSource
from edgevoice.engines.protocols import VadEngine
from edgevoice.listen.endpoint import Ended, Endpoint, Options, Started
from edgevoice.listen.spot import Recent

LEAD = 0.4
"""Seconds before the speech that are kept: the VAD is late for a soft beginning."""
TAIL = 0.3
"""And behind it."""
SILENCE = 0.6
"""Seconds of silence that end an utterance: longer than a pause between the words of a phrase."""
LONGEST = 6.0
"""Seconds; nobody says a wake word for so long."""
PATIENCE = 10.0
"""Seconds without speech after which the user is reminded."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Somebody has said something."""

    audio: Audio


@dataclass(frozen=True, slots=True)
class Trouble:
    """Nothing has been said, or it had no end."""

    why: str
    """In words, with what can be done."""


async def utterances(
    source: AudioSource, vad: VadEngine, endpoint: Options, *, gated: bool = False
) -> AsyncGenerator[Spoken | Trouble, None]:
    """What is said, until the source ends. While an utterance is looked at, a microphone loses nothing for two seconds.

    Args:
        endpoint: whose speech probabilities count.
        gated: the microphone is silent while nobody speaks.

    Raises:
        AudioError: the source failed.
    """
    options = Options(
        threshold=endpoint.threshold,
        release=endpoint.release,
        minimum=endpoint.minimum,
        silence=SILENCE,
        no_speech=PATIENCE,
        maximum=PATIENCE + LONGEST + SILENCE,
    )
    session, recent = vad.open(), Recent()
    deaf = None if source.lossless else Detectors(gated=gated)
    recent.kept = int((LONGEST + LEAD + SILENCE + 1.0) * RATE)
    begun: int | None = None
    state, told = Endpoint(options, 0), ""
    try:
        async with aclosing(source.blocks()) as blocks:
            async for audio in blocks:
                recent.push(audio)
                finding = None if deaf is None else deaf.push(audio)
                if finding is not None and finding.cause != told:
                    yield Trouble(finding.why)
                told = "" if finding is None else finding.cause
                for score in session.feed(audio):
                    for change in state.push(score):
                        if isinstance(change, Started):
                            begun = change.at
                        elif isinstance(change, Ended):
                            if not told:
                                yield _found(change, recent, begun)
                            state, begun = Endpoint(options, change.at), None
        if begun is not None:
            yield Spoken(recent.span(begun - int(LEAD * RATE), recent.end))
    finally:
        session.close()


def _found(ended: Ended, recent: Recent, begun: int | None) -> Spoken | Trouble:
    if begun is None:
        return Trouble("nothing is heard that sounds like speech: speak up, or come nearer")
    if ended.reason == "too_long" or ended.end - begun > LONGEST * RATE:
        return Trouble("it goes on and on: say the phrase alone, where nobody else speaks")
    return Spoken(recent.span(begun - int(LEAD * RATE), ended.end + int(TAIL * RATE)))
