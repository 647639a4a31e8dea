"""The sound devices there are, found by names that stay the same when they are plugged in again."""

import os
import re
from pathlib import Path
from typing import Any

import msgspec

from edgevoice.audio import portaudio
from edgevoice.errors import DeviceError
from edgevoice.suggest import closest

DEFAULT = "default"
"""The name that means the system's default device."""

_ALSA_ADDRESS = re.compile(r"\s*\((?:plug)?hw:(\d+),(\d+)\)$")


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A sound device as the system has it now."""

    name: str
    """Stays the same across restarts and plugging: the card's and the device's name without numbers."""
    index: int
    """PortAudio's number for it, valid until the library is initialized anew."""
    host_api: str
    inputs: int
    """Channels it can record; 0 for a speaker."""
    outputs: int
    """Channels it can play; 0 for a microphone."""
    rate: int
    """Its native rate in Hz."""
    default_input: bool
    default_output: bool


def read_devices(library: Any, proc: Path = Path("/proc/asound")) -> list[Device]:
    """The devices that an initialized PortAudio knows."""
    defaults = {
        kind: _default(library, kind) for kind in ("get_default_input_device_info", "get_default_output_device_info")
    }
    found = []
    for index in range(library.get_device_count()):
        info = library.get_device_info_by_index(index)
        found.append(
            Device(
                name=_text(info["name"]),
                index=index,
                host_api=library.get_host_api_info_by_index(info["hostApi"])["name"],
                inputs=info["maxInputChannels"],
                outputs=info["maxOutputChannels"],
                rate=round(info["defaultSampleRate"]),
                default_input=index == defaults["get_default_input_device_info"],
                default_output=index == defaults["get_default_output_device_info"],
            )
        )
    return _with_stable_names(found, proc)


def _default(library: Any, getter: str) -> int:
    try:
        index: int = getattr(library, getter)()["index"]
    except OSError:  # there is none
        return -1
    return index


def _text(name: str | bytes) -> str:
    # PyAudio gives bytes where a name is not UTF-8.
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def _with_stable_names(devices: list[Device], proc: Path) -> list[Device]:
    """Take ALSA's card numbers off the names; where that leaves two alike (two sticks of one kind), ALSA's short name
    of the card tells them apart."""
    plain = [_ALSA_ADDRESS.sub("", device.name) for device in devices]
    result = []
    for device, name in zip(devices, plain, strict=True):
        address = _ALSA_ADDRESS.search(device.name)
        if plain.count(name) > 1 and address:
            identity = proc / f"card{address[1]}" / "id"
            card = identity.read_text().strip() if identity.exists() else address[1]
            name = f"{name} [{card}{',' + address[2] if address[2] != '0' else ''}]"
        result.append(msgspec.structs.replace(device, name=name))
    return result


SERVERS = ("pulse", "pipewire")
"""How ALSA calls the sound servers that take any rate and channel count."""

CARD_CHANNELS = 8
"""More channels than a card has: ALSA's way to say that any number will do."""


def by_server(device: Device, devices: list[Device]) -> bool:
    """Whether a sound server stands behind the device: it mixes and resamples by itself, and better than we could
    after it, for its native rate as PortAudio reports it is made up."""
    runs = any(other.name in SERVERS for other in devices)
    return runs and max(device.inputs, device.outputs) > CARD_CHANNELS


def list_devices() -> list[Device]:
    """All sound devices, in the system's order.

    Raises:
        EngineError: PyAudio is missing or broken.
    """
    library = portaudio.initialize()
    try:
        return read_devices(library)
    finally:
        portaudio.terminate(library)


def has_sound_card(input: bool) -> bool:  # noqa: A002
    """There is a default microphone (``input``) or a default speaker."""
    return any(device.default_input if input else device.default_output for device in list_devices())


def find(devices: list[Device], name: str, *, record: bool) -> Device:
    """The device of a name: the whole name, or a part that no other has; upper and lower case are the same.

    Raises:
        DeviceError: there is none of that name, or more than one, or none at all.
    """
    kind = "microphone" if record else "speaker"
    usable = [device for device in devices if (device.inputs if record else device.outputs)]
    if not usable:
        raise explain_absence(record=record)
    if name == DEFAULT:
        for device in usable:
            if device.default_input if record else device.default_output:
                return device
        # Without a system default there may still be one device, and then it is clear which is meant.
        if len(usable) == 1:
            return usable[0]
        raise DeviceError(
            f"the system has no default {kind}",
            place=f"{kind} '{DEFAULT}'",
            remedy=f"choose one by name: {_names(usable)}",
        )
    wanted = name.casefold().strip()
    exact = [device for device in usable if device.name.casefold() == wanted]
    matches = exact or [device for device in usable if wanted and wanted in device.name.casefold()]
    if len(matches) == 1:
        return matches[0]
    place = f"{kind} '{name}'"
    if matches:
        raise DeviceError(
            f"the name fits {len(matches)} devices: {_names(matches)}", place=place, remedy="write more of the name"
        )
    meant = closest(wanted, [device.name for device in usable], cutoff=0.4)
    hint = f"did you mean '{meant}'? " if meant else ""
    raise DeviceError("there is no such device", place=place, remedy=f"{hint}there are: {_names(usable)}")


def _names(devices: list[Device]) -> str:
    return ", ".join(f"'{device.name}'" for device in devices)


def explain_absence(*, record: bool, proc: Path = Path("/proc/asound"), dev: Path = Path("/dev/snd")) -> DeviceError:
    """Why PortAudio shows no device: it leaves out all that it could not open just now.

    Args:
        record: a microphone is missed, or else a speaker.
        proc, dev: where Linux tells of its sound cards.
    """
    kind = "microphone" if record else "speaker"
    place = f"the {kind}"
    nodes = sorted(dev.glob(f"pcmC*D*{'c' if record else 'p'}"))
    if not nodes:
        return DeviceError(
            "there is none in this machine",
            place=place,
            remedy="plug in a USB sound card, enable the one it has (raspi-config, /boot/firmware/config.txt), "
            "or start PulseAudio or PipeWire; "
            + ("a recording can be used instead" if record else "a file can be written instead, with --output"),
        )
    if not any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        return DeviceError(
            f"this user may not use the sound devices ({nodes[0]}: permission denied)",
            place=place,
            remedy="sudo usermod -aG audio $USER, then log in again",
        )
    for node in nodes:
        card, number = re.fullmatch(r"pcmC(\d+)D(\d+)[cp]", node.name).groups()  # type: ignore[union-attr]
        status = proc / f"card{card}" / f"pcm{number}{node.name[-1]}" / "sub0" / "status"
        text = status.read_text() if status.exists() else "closed"
        if "owner_pid" in text:
            owner = re.search(r"owner_pid\s*:\s*(\d+)", text)
            return DeviceError(
                f"it is busy: process {owner[1] if owner else '?'} uses it",
                place=place,
                remedy="stop that program, or let both use PulseAudio or PipeWire",
            )
    return DeviceError(
        f"it is there ({nodes[0].name}) but cannot be opened",
        place=place,
        remedy="check ~/.asoundrc and /etc/asound.conf, and that PulseAudio or PipeWire runs if they name it",
    )
