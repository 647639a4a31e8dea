"""``edgevoice doctor``: says what is wrong with an installation and its sound, and how to mend it."""

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgevoice.cli.common import add_config_arguments

if TYPE_CHECKING:
    from edgevoice.audio.diagnose import Finding
    from edgevoice.audio.microphone import Microphone
    from edgevoice.audio.pcm import Audio
    from edgevoice.audio.speaker import Speaker
    from edgevoice.config import Config

HELP = "check packages, configuration, models and sound; record and play; say how to mend what is wrong"

PACKAGES = (
    ("onnxruntime", "onnxruntime"),
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ("pymicro_features", "pymicro-features"),
    ("hibari", "hibari-tts"),
    ("soxr", "soxr"),
    ("soundfile", "soundfile"),
    ("pyaudio", "PyAudio"),
)
"""What edgevoice always needs: module, distribution."""

EXTRAS = {("asr", "vosk"): ("vosk", "vosk"), ("tts", "piper"): ("piper", "piper-tts")}
"""What only one engine needs: (task, engine) -> module, distribution. The extra has the engine's name."""

RECORD_SECONDS = 2.0
MARKS = {"ok": "ok     ", "warning": "warning", "fail": "FAIL   "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-sound", action="store_true", help="neither record nor play")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    import msgspec

    findings = []
    for finding in diagnose(args):
        findings.append(finding)
        if not args.json:
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            print(f"{MARKS[finding.state]}  {finding.subject}: {finding.text}{remedy}", flush=True)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(findings)).decode())
    return 1 if any(finding.state == "fail" for finding in findings) else 0


def diagnose(args: argparse.Namespace) -> Iterator["Finding"]:
    """All findings, each as soon as it is known."""
    from edgevoice.audio.diagnose import Finding
    from edgevoice.cli.common import load_config
    from edgevoice.config import find, load
    from edgevoice.errors import ConfigError

    try:
        config = load_config(args)
        used = args.config or find()
        yield Finding("configuration", "ok", str(used) if used else "no file, the defaults")
    except ConfigError as error:
        yield Finding("configuration", "fail", str(error), "see 'edgevoice config check'; going on with the defaults")
        import os
        from pathlib import Path

        config = load(Path(os.devnull), environ={})
    yield from _check_packages(config)
    yield from _check_models(config)
    if not args.no_sound:
        yield from _check_sound(config)


def _check_packages(config: "Config") -> Iterator["Finding"]:
    import importlib.metadata

    from edgevoice.audio.diagnose import Finding
    from edgevoice.engines.registry import require
    from edgevoice.errors import EngineBrokenError, EngineError

    wanted: list[tuple[str, str, str | None]] = [(module, name, None) for module, name in PACKAGES]
    for (task, engine), (module, name) in EXTRAS.items():
        if getattr(config, task).engine == engine:
            wanted.append((module, name, engine))
    for module, name, extra in wanted:
        try:
            require(module, extra=extra, distribution=name)
        except EngineError as error:
            remedy = error.remedy
            if name == "PyAudio":
                remedy = "sudo apt install portaudio19-dev, then: pip install PyAudio --force-reinstall --no-cache-dir"
            elif isinstance(error, EngineBrokenError) and "libatomic" in error.cause:
                remedy = "sudo apt install libatomic1"
            yield Finding(f"package {name}", "fail", error.cause, remedy)
        else:
            yield Finding(f"package {name}", "ok", importlib.metadata.version(name))


def _check_models(config: "Config") -> Iterator["Finding"]:
    from edgevoice.audio.diagnose import Finding
    from edgevoice.cli.progress import ProgressLine
    from edgevoice.config import model_names
    from edgevoice.errors import EdgeVoiceError
    from edgevoice.modelstore import ModelStore

    try:
        store = ModelStore()
    except EdgeVoiceError as error:
        yield Finding("models", "fail", str(error))
        return
    for name in model_names(config):
        try:
            with ProgressLine(sys.stderr) as progress:
                damage = store.verify([name], progress)
        except EdgeVoiceError as error:
            yield Finding(f"model {name}", "fail", error.cause, error.remedy)
            continue
        if damage:
            damaged = damage[0].error()
            yield Finding(f"model {name}", "fail", f"{damaged.place}: {damaged.cause}", damaged.remedy)
        else:
            yield Finding(f"model {name}", "ok", "installed, every file as it should be")


def _check_sound(config: "Config") -> Iterator["Finding"]:
    import asyncio

    from edgevoice.audio.devices import SERVERS, explain_absence, list_devices
    from edgevoice.audio.diagnose import Finding
    from edgevoice.errors import EngineError

    try:
        devices = list_devices()
    except EngineError:
        return  # PyAudio, and said so above
    if not devices:
        yield from _no_devices(explain_absence(record=True), explain_absence(record=False))
        return
    server = next((device.name for device in devices if device.name in SERVERS), None)
    through = f"through the sound server ({server})" if server else "directly through ALSA, no sound server runs"
    yield Finding("sound", "ok", through)
    yield from asyncio.run(_record_and_play(config))


def _no_devices(*errors: Exception) -> Iterator["Finding"]:
    import shutil

    from edgevoice.audio.diagnose import Finding
    from edgevoice.errors import DeviceError

    for error in errors:
        assert isinstance(error, DeviceError)
        yield Finding(error.place, "fail", error.cause, error.remedy)
    for program, start in (
        ("pipewire-pulse", "systemctl --user start pipewire pipewire-pulse wireplumber"),
        ("pulseaudio", "pulseaudio --start"),
    ):
        if shutil.which(program):
            text = f"{program} is installed and cannot be reached"
            yield Finding("sound server", "warning", text, f"start it: {start}")


async def _record_and_play(config: "Config") -> list["Finding"]:
    """Record, and play a chirp meanwhile; each device that fails is a finding and the other is tested all the same."""
    from edgevoice.audio.diagnose import Finding, chirp, judge_loopback, judge_recording
    from edgevoice.audio.microphone import open_microphone
    from edgevoice.audio.speaker import open_speaker
    from edgevoice.errors import AudioError

    findings: list[Finding] = []
    microphone = None
    speaker = None
    print("edgevoice: recording two seconds and playing a rising tone", file=sys.stderr, flush=True)
    try:
        try:
            microphone = open_microphone(config.input)
        except AudioError as error:
            findings.append(Finding(error.place, "fail", error.cause, error.remedy))
        try:
            speaker = open_speaker(config.output)
        except AudioError as error:
            findings.append(Finding(error.place, "fail", error.cause, error.remedy))
        heard, elapsed = await _test(microphone, speaker, chirp(48_000), findings)
        if microphone is not None and heard is not None:
            findings += judge_recording(heard, elapsed=elapsed, overruns=microphone.overruns, name=microphone.name)
        failed = {finding.subject.split()[0] for finding in findings if finding.state == "fail"}
        if speaker is not None and "speaker" not in failed:
            if heard is not None and "microphone" not in failed:
                findings.append(judge_loopback(heard, chirp(), speaker.name))
            else:  # a microphone that hears nothing tells nothing about the speaker
                findings.append(Finding(f"speaker '{speaker.name}'", "ok", "it takes sound; did you hear it?"))
    finally:
        for device in (microphone, speaker):
            if device is not None:
                await device.close()
    return findings


async def _test(
    microphone: "Microphone | None", speaker: "Speaker | None", tone: "Audio", findings: list["Finding"]
) -> tuple["Audio | None", float]:
    """Play the tone as soon as the microphone hears; the recording, and the seconds it took by the clock."""
    import asyncio
    import contextlib
    import time

    from edgevoice.audio.diagnose import Finding
    from edgevoice.audio.pcm import RATE, concatenate
    from edgevoice.errors import AudioError

    async def play() -> None:
        if speaker is None:
            return
        try:
            await speaker.play(tone)
            await speaker.drain()
        except AudioError as error:
            findings.append(Finding(error.place, "fail", error.cause, error.remedy))

    if microphone is None:
        await play()
        return None, 0.0
    pieces: list[Audio] = []
    began = time.monotonic()
    playing: asyncio.Task[None] | None = None
    try:
        async with contextlib.aclosing(microphone.blocks()) as blocks:
            async for block in blocks:
                if playing is None:
                    # The first block holds what was captured before we looked at the clock.
                    began = time.monotonic()
                    playing = asyncio.create_task(play())
                    continue
                pieces.append(block)
                if block.end >= RECORD_SECONDS * RATE and playing.done():
                    break
    except AudioError as error:
        findings.append(Finding(error.place, "fail", error.cause, error.remedy))
        pieces.clear()
    elapsed = time.monotonic() - began
    if playing is not None:
        await playing
    return (concatenate(pieces), elapsed) if pieces else (None, 0.0)
