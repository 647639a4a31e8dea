"""Threads in the sound library that hang, and who lets go of it when devices are looked for anew. Without a card."""

import asyncio
import threading
from typing import Any

import pytest

from edgevoice.audio import portaudio
from edgevoice.errors import DeviceError


class Slow:
    """A job that takes until it may end."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.discarded = threading.Event()

    def job(self) -> str:
        self.began.set()
        self.may_end.wait(20)
        return "late"

    def discard(self, result: str) -> None:
        assert result == "late"
        self.discarded.set()


def test_what_opens_too_late_is_closed_and_nothing_else_is_opened_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio.in_thread, "__defaults__", (0.01, lambda result: None))

    async def main() -> None:
        slow = Slow()
        with pytest.raises(DeviceError, match="the sound system does not answer"):
            await portaudio.open_in_thread(slow.job, slow.discard)
        with pytest.raises(DeviceError, match="the sound system does not answer"):
            await portaudio.open_in_thread(lambda: pytest.fail("it was opened all the same"))
        slow.may_end.set()
        slow.discarded.wait(20)
        for _, thread in portaudio.hanging._left:
            thread.join(20)
        monkeypatch.undo()
        assert await portaudio.open_in_thread(lambda: "now") == "now"
        assert portaudio.hanging.busy() == 0

    asyncio.run(main())


def test_what_nobody_waits_for_any_more_is_closed() -> None:
    async def main() -> None:
        slow = Slow()
        opening = asyncio.create_task(portaudio.open_in_thread(slow.job, slow.discard))
        await asyncio.to_thread(slow.began.wait, 20)
        opening.cancel()
        await asyncio.sleep(0)
        slow.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert slow.discarded.is_set()

    before = threading.enumerate()
    asyncio.run(main())
    assert threading.enumerate() == before


def test_an_error_of_the_job_is_the_error() -> None:
    def job() -> None:
        raise DeviceError("no such device")

    with pytest.raises(DeviceError, match="no such device"):
        asyncio.run(portaudio.open_in_thread(job))


class Library:
    """Knows the devices that were plugged in when the first of its instances was made."""

    plugged = "mic"
    users = 0
    listed = ""

    def __init__(self) -> None:
        if Library.users == 0:
            Library.listed = Library.plugged
        Library.users += 1

    def terminate(self) -> None:
        Library.users -= 1


class Guest:
    """Opens a device by name; in use, it lets go only when it must."""

    def __init__(self, *, in_use: bool = False) -> None:
        self.in_use = in_use
        self.library: Any = None
        self.asked: list[bool] = []

    def open(self, name: str) -> None:
        def opened(library: Library) -> "Guest":
            if name not in library.listed:
                raise DeviceError(f"no {name}")
            return self

        self.library, _ = portaudio.open_for(self, opened)

    def let_go(self, *, needed: bool) -> None:
        self.asked.append(needed)
        if needed or not self.in_use:
            library, self.library = self.library, None
            if library is not None:
                portaudio.end(self, library, self)

    def close(self) -> None:
        """As a stream."""


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[Library]:
    class Package:
        PyAudio = Library

    monkeypatch.setattr(portaudio, "require", lambda *_args, **_kwargs: Package)
    monkeypatch.setattr(portaudio, "inventory", lambda: "")
    Library.plugged, Library.users, Library.listed = "mic speaker", 0, ""
    return Library


def test_an_idle_guest_lets_go_for_a_device_that_is_not_found(library: type[Library]) -> None:
    speaker, microphone = Guest(), Guest()
    library.plugged = "speaker"
    speaker.open("speaker")
    with pytest.raises(DeviceError):
        microphone.open("mic")
    assert library.users == 0  # nothing is kept
    speaker.open("speaker")
    library.plugged = "mic speaker"
    microphone.open("mic")
    assert speaker.library is None
    speaker.open("speaker")
    assert library.users == 2
    assert speaker.asked == [False, False]
    for guest in (speaker, microphone):
        guest.let_go(needed=True)
    assert library.users == 0


def test_a_guest_in_use_lets_go_only_when_a_card_came_or_went(
    library: type[Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone, speaker = Guest(in_use=True), Guest()
    library.plugged = "mic"
    microphone.open("mic")
    with pytest.raises(DeviceError):
        speaker.open("speaker")
    assert microphone.library is not None
    library.plugged = "mic speaker"
    monkeypatch.setattr(portaudio, "inventory", lambda: "another card")
    speaker.open("speaker")
    assert microphone.asked == [False, True]
    assert microphone.library is None
    speaker.let_go(needed=True)
    assert library.users == 0


def test_nobody_is_asked_where_the_device_is_found(library: type[Library]) -> None:
    speaker, microphone = Guest(), Guest()
    speaker.open("speaker")
    microphone.open("mic")
    assert speaker.asked == microphone.asked == []
    for guest in (speaker, microphone):
        guest.let_go(needed=True)
