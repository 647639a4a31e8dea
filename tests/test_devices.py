import argparse
import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from soundcard import SoundCard

from edgevoice.audio import devices as module
from edgevoice.audio import portaudio
from edgevoice.audio.convert import measure
from edgevoice.audio.devices import Device, by_server, explain_absence, find, read_devices
from edgevoice.cli import devices as command
from edgevoice.errors import DeviceError

pytest_plugins = ("soundcard",)


def device(name: str, index: int = 0, **fields: int | bool) -> Device:
    values: dict[str, object] = {"inputs": 1, "outputs": 0, "default_input": False, "default_output": False, **fields}
    return msgspec.convert({"name": name, "index": index, "host_api": "ALSA", "rate": 48_000, **values}, Device)


class Library:
    """PortAudio with sound cards of a test's choice."""

    def __init__(self, *names: str | bytes, default: int | None = 0) -> None:
        self._names = names
        self._default = default

    def get_device_count(self) -> int:
        return len(self._names)

    def get_device_info_by_index(self, index: int) -> dict[str, object]:
        return {
            "name": self._names[index],
            "index": index,
            "hostApi": 0,
            "maxInputChannels": 1,
            "maxOutputChannels": 2,
            "defaultSampleRate": 44_100.0,
        }

    def get_host_api_info_by_index(self, index: int) -> dict[str, object]:
        return {"name": "ALSA"}

    def get_default_input_device_info(self) -> dict[str, object]:
        if self._default is None:
            raise OSError("No Default Input Device Available")
        return {"index": self._default}

    get_default_output_device_info = get_default_input_device_info

    def terminate(self) -> None: ...


def test_names_are_without_the_numbers_that_change() -> None:
    found = read_devices(Library("USB PnP Sound Device: Audio (hw:1,0)", "HDMI: 0 (plughw:2,3)", "pulse", b"M\xfcller"))
    assert [entry.name for entry in found] == ["USB PnP Sound Device: Audio", "HDMI: 0", "pulse", "M\ufffdller"]
    assert [entry.default_input for entry in found] == [True, False, False, False]
    assert found[0].rate == 44_100


def test_two_cards_of_one_kind_are_told_apart_by_their_short_names(tmp_path: Path) -> None:
    (tmp_path / "card1").mkdir()
    (tmp_path / "card1" / "id").write_text("Device\n")
    found = read_devices(Library("Stick: Audio (hw:1,0)", "Stick: Audio (hw:2,1)", "Other: Audio (hw:3,0)"), tmp_path)
    assert [entry.name for entry in found] == ["Stick: Audio [Device]", "Stick: Audio [2,1]", "Other: Audio"]


CARDS = [
    device("USB PnP Sound Device: Audio", 0),
    device("USB Camera: Audio", 1),
    device("Array", 2, default_input=True),
    device("Array Pro", 3),
    device("HDMI", 4, inputs=0, outputs=2),
]


@pytest.mark.parametrize(
    ("name", "index"),
    [("USB PnP Sound Device: Audio", 0), ("camera", 1), ("  pnp ", 0), ("array", 2), ("Array Pro", 3), ("default", 2)],
)
def test_a_whole_name_or_a_part_that_no_other_has_finds_a_device(name: str, index: int) -> None:
    assert find(CARDS, name, record=True).index == index


@pytest.mark.parametrize("name", ["usb", "arr", "HDMI", "1", "hw:0,0", "", "kamera"])
def test_anything_else_finds_none(name: str) -> None:
    with pytest.raises(DeviceError) as caught:
        find(CARDS, name, record=True)
    assert caught.value.place == f"microphone '{name}'"
    assert "'USB Camera: Audio'" in str(caught.value) or name == "arr"


def test_a_name_that_fits_two_lists_both_and_one_that_fits_none_lists_all() -> None:
    with pytest.raises(DeviceError, match="fits 2 devices: 'USB PnP Sound Device: Audio', 'USB Camera: Audio'; write"):
        find(CARDS, "usb", record=True)
    with pytest.raises(DeviceError, match=r"did you mean 'Array Pro'.*there are: .*'USB Camera: Audio', 'Array'"):
        find(CARDS, "Aray Pro", record=True)
    with pytest.raises(DeviceError, match=r"no such device.*there are: 'HDMI'"):
        find(CARDS, "camera", record=False)


def test_without_a_system_default_the_only_device_is_it_and_of_several_none() -> None:
    one = device("Only")
    assert find([one], "default", record=True) is one
    with pytest.raises(DeviceError, match="no default microphone; choose one by name: 'Only', 'Other'"):
        find([one, device("Other")], "default", record=True)
    assert not any(entry.default_input for entry in read_devices(Library("a", default=None)))


def test_a_sound_server_is_known_by_its_name_and_its_many_channels() -> None:
    default, pulse, card = device("default", inputs=32), device("pulse", inputs=32), device("USB", inputs=1)
    assert by_server(default, [default, pulse, card])
    assert not by_server(card, [default, pulse, card])
    assert not by_server(default, [default, card])  # plain ALSA, whose own resampler is worse than ours


# Why there is none ---------------------------------------------------------------------------------------------


def test_a_machine_without_a_sound_card(tmp_path: Path) -> None:
    (tmp_path / "pcmC0D0p").touch()  # HDMI: it plays and does not record
    assert "the microphone: there is none in this machine; plug in" in str(explain_absence(record=True, dev=tmp_path))
    assert "there is none" not in str(explain_absence(record=False, dev=tmp_path))


def test_a_user_who_may_not_use_the_sound_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pcmC0D0c").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    error = explain_absence(record=True, dev=tmp_path)
    assert "permission denied" in error.cause
    assert "audio" in error.remedy


def test_a_busy_sound_card(tmp_path: Path) -> None:
    (tmp_path / "pcmC1D0c").touch()
    status = tmp_path / "card1" / "pcm0c" / "sub0" / "status"
    status.parent.mkdir(parents=True)
    status.write_text("state: RUNNING\nowner_pid   : 4711\n")
    assert "busy: process 4711" in explain_absence(record=True, dev=tmp_path, proc=tmp_path).cause
    status.write_text("closed\n")
    assert "cannot be opened" in explain_absence(record=True, dev=tmp_path, proc=tmp_path).cause


@pytest.mark.parametrize(
    ("number", "cause"), [(-9985, "busy or was unplugged"), (-9999, "cannot be opened: Unanticipated")]
)
def test_a_device_that_cannot_be_opened_says_why(number: int, cause: str) -> None:
    class Refusing:
        def open(self, **_: object) -> None:
            raise OSError(number, "Unanticipated host error")

    with pytest.raises(DeviceError, match=cause) as caught:
        portaudio.open_stream(
            Refusing(),
            index=0,
            name="USB",
            record=False,
            rates=[48_000],
            channels=[1],
            frames=lambda rate: 10,
            callback=print,
        )
    assert caught.value.place == "speaker 'USB'"
    assert caught.value.remedy


def test_rates_and_channels_are_tried_in_turn() -> None:
    tried = []

    class Picky:
        def open(self, *, rate: int, channels: int, **_: object) -> str:
            tried.append((rate, channels))
            if channels < 2:
                raise OSError(-9998, "Invalid number of channels")
            if rate != 44_100:
                raise OSError(-9997, "Invalid sample rate")
            return "stream"

    def attempt(rates: list[int]) -> tuple[object, int, int]:
        return portaudio.open_stream(
            Picky(),
            index=0,
            name="USB",
            record=True,
            rates=rates,
            channels=[1, 2],
            frames=lambda rate: rate // 100,
            callback=print,
        )

    assert attempt([16_000, 44_100, 16_000]) == ("stream", 44_100, 2)
    assert tried == [(16_000, 1), (44_100, 1), (16_000, 2), (44_100, 2)]
    with pytest.raises(DeviceError, match="none of the rates 16000, 8000 Hz with 1 or 2 channels"):
        attempt([16_000, 8_000])


# The command ---------------------------------------------------------------------------------------------------


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def test_the_list(sound_card: SoundCard, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    microphones, speakers = capsys.readouterr().out.split("Speakers")
    assert "  * default " in microphones and "  * default " in speakers
    assert "    edgevoice_mic " in microphones
    assert run("--json") == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["default"]["default_input"] is True
    assert entries["edgevoice_speaker"].keys() == {
        *("name", "host_api", "inputs", "outputs", "rate", "default_input", "default_output")
    }


def test_the_list_of_a_machine_without_sound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "list_devices", list)
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    with pytest.raises(DeviceError):
        run()


def test_the_meter_shows_what_the_microphone_hears(sound_card: SoundCard, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--meter", "0.3", "--json", "--device", "edgevoice_mic") == 0
    readings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [reading["at"] for reading in readings] == [0.1, 0.2, 0.3]
    assert all(reading["silent"] for reading in readings)
    assert run("--meter", "1.2") == 0
    assert capsys.readouterr().out.count("silent") == 2  # after a second, and at the end
    with pytest.raises(SystemExit):
        run("--meter", "0")


def test_the_bar() -> None:
    loud = np.full(100, 32_767, np.int16) * np.tile([1, -1], 50).astype(np.int16)
    assert command._draw(measure(loud)) == f"[{'=' * 40}]    0.0 dBFS, peak    0.0  CLIPPED"
    quiet = measure((loud // 1_000).astype(np.int16))
    assert command._draw(quiet) == f"[{' ' * 40}]  -60.1 dBFS, peak  -59.9"
