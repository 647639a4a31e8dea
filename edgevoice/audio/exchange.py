"""The sound devices of a running assistant, which a changed configuration exchanges."""

from collections.abc import Awaitable, Callable

from edgevoice.audio import portaudio
from edgevoice.audio.ear import Ear
from edgevoice.audio.microphone import reopen_microphone
from edgevoice.audio.pcm import Audio
from edgevoice.audio.played import Played
from edgevoice.audio.source import AudioSink, AudioSource, InputOptions, OutputOptions
from edgevoice.audio.speaker import Speaker
from edgevoice.config import Config


async def another_speaker(options: OutputOptions) -> AudioSink:
    """The speaker, opened in a thread.

    Raises:
        DeviceError: it is not there, or cannot be opened.
    """
    return await portaudio.open_in_thread(lambda: Speaker(options), lambda late: late.let_go(needed=True))


class Mouth:
    """A speaker that can be another one from some moment on."""

    def __init__(self, sink: AudioSink) -> None:
        self.played = Played()
        """What it is given."""
        self._sink = self._observed(sink)

    @property
    def volume(self) -> int:
        return self._sink.volume

    @volume.setter
    def volume(self, percent: int) -> None:
        self._sink.volume = percent

    @property
    def lossless(self) -> bool:
        return self._sink.lossless

    async def play(self, audio: Audio) -> None:
        await self._sink.play(audio)

    async def drain(self) -> None:
        await self._sink.drain()

    def flush(self) -> None:
        self._sink.flush()

    async def close(self) -> None:
        await self._sink.close()

    def exchange(self, sink: AudioSink) -> AudioSink:
        """Use another speaker, as loud as this one; gives the one from before, which is still open."""
        before, self._sink = self._sink, self._observed(sink)
        sink.volume = before.volume
        return before

    def _observed(self, sink: AudioSink) -> AudioSink:
        if isinstance(sink, Speaker):
            sink.played = self.played
        return sink


class MicrophoneOpener:
    """Opens the configured microphone for an ``Ear``.

    Args:
        open_source: opens a device.
    """

    def __init__(
        self, options: InputOptions, open_source: Callable[[InputOptions], Awaitable[AudioSource]] = reopen_microphone
    ) -> None:
        self.options = options
        self._open = open_source
        self._ready: AudioSource | None = None

    async def __call__(self) -> AudioSource:
        if self._ready is not None:
            ready, self._ready = self._ready, None
            return ready
        return await self._open(self.options)

    async def choose(self, options: InputOptions) -> None:
        """Open another device, which is given out next.

        Raises:
            AudioError: it cannot be opened; nothing has changed.
        """
        self._ready = await self._open(options)
        self.options = options


class LiveDevices:
    """``edgevoice.reload.Devices`` for a microphone and a speaker.

    Args:
        mouth: None when replies go to a file.
        open_sink: opens a speaker.
    """

    def __init__(
        self,
        ear: Ear,
        opener: MicrophoneOpener,
        mouth: Mouth | None,
        open_sink: Callable[[OutputOptions], Awaitable[AudioSink]] = another_speaker,
    ) -> None:
        self._ear = ear
        self._opener = opener
        self._mouth = mouth
        self._open_sink = open_sink

    async def change(self, before: Config, after: Config) -> None:
        """The speaker first: where it cannot be opened, the microphone need not be closed. A card has one microphone,
        which can only be opened when it is closed, so what is said in that moment is lost; ``hearing`` tells how much.

        Raises:
            AudioError: a device cannot be opened. Those from before are in use again.
        """
        new, old = after.output, before.output
        speaker = None
        if self._mouth is not None and (new.device, new.rate) != (old.device, old.rate):
            speaker = await self._open_sink(new)
        try:
            if after.input != before.input:
                await self._change_microphone(after.input)
        except BaseException:
            if speaker is not None:
                await speaker.close()
            raise
        if speaker is not None and self._mouth is not None:
            await self._mouth.exchange(speaker).close()
        if self._mouth is not None and new.volume != old.volume:  # what was asked for by voice stays otherwise
            self._mouth.volume = new.volume

    async def _change_microphone(self, options: InputOptions) -> None:
        if self._ear.muted:  # it is opened, and may fail, when it is heard again
            self._opener.options = options
            return
        await self._ear.mute()
        try:
            await self._opener.choose(options)
        finally:
            self._ear.unmute()
