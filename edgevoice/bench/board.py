"""What machine this is, as far as its kernel tells. What cannot be read is None: unknown.

Everything is read below a root directory, so that the files of another board can be looked at.
"""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from edgevoice.bench.schema import Board, BoardKind, Throttling
from edgevoice.evaluate.machine import versions

ROOT: Final = Path("/")

PACKAGES = (
    "edgevoice",
    "numpy",
    "onnxruntime",
    "ai-edge-litert",
    "pymicro-features",
    "hibari-tts",
    "soxr",
    "vosk",
    "piper-tts",
    "faster-whisper",
    "ctranslate2",
    "sherpa-onnx",
    "pocketsphinx",
    "openwakeword",
)
"""Whose versions decide about speed and results."""

FEATURES = {
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "asimdhp": "fp16",
    "bf16": "bf16",
    "sve": "sve",
    "avx2": "avx2",
    "fma": "fma",
    "avx512f": "avx512f",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
    "avx512_bf16": "avx512_bf16",
    "amx_int8": "amx_int8",
}
"""The kernel's names of what makes neural networks faster -> ours. dotprod, i8mm and VNNI multiply 8-bit integers;
without any of them (Raspberry Pi 3 and 4) int8 models gain little but space."""

CORES = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd04"): "Cortex-A35",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd09"): "Cortex-A73",
    ("0x41", "0xd0a"): "Cortex-A75",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd41"): "Cortex-A78",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x4e", "0x003"): "Denver 2",
    ("0x4e", "0x004"): "Carmel",
}
"""Implementer and part number in /proc/cpuinfo -> the core's name (Arm's and NVIDIA's registers MIDR_EL1)."""

THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
"""Bits of a Raspberry Pi's get_throttled; 16 higher, that it happened since the start."""

_PROCESSOR_ZONES = re.compile(r"cpu|soc|x86_pkg|mcpu|bcpu", re.IGNORECASE)
_PROCESSOR_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
_SENSIBLE = (-40.0, 150.0)
"""Degrees between which a sensor is believed."""

Command = Callable[[Sequence[str]], str | None]
"""Runs a program and gives what it prints; None when it is not there or fails."""


def run(arguments: Sequence[str]) -> str | None:
    """What a program prints within two seconds, or its first line when it goes on printing."""
    if shutil.which(arguments[0]) is None:
        return None
    try:
        with subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True
        ) as process:
            try:
                return process.communicate(timeout=2.0)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                return process.communicate()[0] or None
    except OSError:
        return None


def describe(
    root: Path = ROOT, *, command: Command = run, architecture: str | None = None, usable: int | None = None
) -> Board:
    """The machine, now.

    Args:
        root: where /proc, /sys and /etc lie.
        command: how vcgencmd and tegrastats are asked.
        architecture, usable: instead of this machine's, where ``root`` is another's.
    """
    cpuinfo = _text(root / "proc/cpuinfo") or ""
    model = _model(root)
    kind = _kind(root, model, architecture or platform.machine())
    memory = _meminfo(root)
    return Board(
        kind=kind,
        model=model,
        processor=_processor(cpuinfo),
        architecture=architecture or platform.machine(),
        features=_features(cpuinfo),
        virtual=_virtual(root, cpuinfo, model, kind),
        cores=_cores(root, cpuinfo),
        usable_cores=len(os.sched_getaffinity(0)) if usable is None else usable,
        governor=_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        frequency_mhz=frequency(root),
        max_frequency_mhz=_kilohertz(root, "cpuinfo_max_freq"),
        memory_mb=memory.get("MemTotal"),
        available_mb=memory.get("MemAvailable"),
        swap_mb=memory.get("SwapTotal"),
        temperature_c=temperature(root, command=command),
        throttling=throttling(root, command=command),
        energy=_energy(root),
        kernel=_text(root / "proc/sys/kernel/osrelease") or platform.release(),
        system=_system(root),
        python=platform.python_version(),
        versions=versions(PACKAGES),
    )


def frequency(root: Path = ROOT) -> float | None:
    """In MHz, the mean over the cores."""
    found = _kilohertz(root, "scaling_cur_freq")
    if found is not None:
        return found
    lines = [line for line in (_text(root / "proc/cpuinfo") or "").splitlines() if line.startswith("cpu MHz")]
    values = [float(line.partition(":")[2]) for line in lines]
    return sum(values) / len(values) if values else None


def temperature(root: Path = ROOT, *, command: Command = run) -> float | None:
    """Of the hottest sensor of the processor in degrees Celsius; of all sensors where none is called so."""
    own: list[float] = []
    others: list[float] = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = _number(zone / "temp")
        if value is not None and _SENSIBLE[0] < value / 1000 < _SENSIBLE[1]:
            of_processor = _PROCESSOR_ZONES.search(_text(zone / "type") or "")
            (own if of_processor else others).append(value / 1000)
    for sensor in (root / "sys/class/hwmon").glob("hwmon*"):
        if _text(sensor / "name") in _PROCESSOR_SENSORS:
            found = (_number(path) for path in sensor.glob("temp*_input"))
            own += [value / 1000 for value in found if value is not None]
    if own or others:
        return max(own or others)
    printed = command(["tegrastats", "--interval", "500"])
    values = re.findall(r"\b[BM]?CPU@(-?[\d.]+)C", printed or "", re.IGNORECASE)  # a TX2 has two kinds of cores
    return max((value for value in map(float, values) if _SENSIBLE[0] < value < _SENSIBLE[1]), default=None)


def throttling(root: Path = ROOT, *, command: Command = run) -> Throttling | None:
    """What slows the processor down; None when nothing tells.

    A Raspberry Pi's firmware is asked with vcgencmd (raspberrypi.com/documentation/computers/os.html). What its kernel
    tells comes second: of what has happened, get_throttled forgets what the driver of the voltage has seen (Linux
    drivers/hwmon/raspberrypi-hwmon.c), and a Raspberry Pi 5 has no such file. A kernel that is not the Raspberry Pi's
    own knows of the voltage alone.
    """
    printed = command(["vcgencmd", "get_throttled"])
    match = re.fullmatch(r"throttled=(0x[0-9a-fA-F]+)\s*", printed or "")
    files = root.glob("sys/devices/platform/soc*/soc*firmware/get_throttled")
    bits = match[1] if match else next((text for path in files if (text := _text(path)) is not None), None)
    if bits is not None:
        word = int(bits, 16)
        return Throttling(
            now=tuple(name for bit, name in THROTTLED.items() if word >> bit & 1),
            since_boot=tuple(name for bit, name in THROTTLED.items() if word >> bit >> 16 & 1),
        )
    for sensor in (root / "sys/class/hwmon").glob("hwmon*"):
        if _text(sensor / "name") == "rpi_volt" and (low := _number(sensor / "in0_lcrit_alarm")) is not None:
            return Throttling(now=(THROTTLED[0],) if low else (), since_boot=(THROTTLED[0],) if low else ())
    cooling = list(_cooling(root))
    counts = [_number(path) for path in root.glob("sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count")]
    known = [count for count in counts if count is not None]
    if not cooling and not known:
        return None
    return Throttling(
        now=("throttled",) if any(cooling) else (), since_boot=("throttled",) if sum(known) + sum(cooling) else ()
    )


def throttle_count(root: Path = ROOT) -> float | None:
    """How often an x86 processor has slowed itself down since the start; None on others."""
    paths = root.glob("sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count")
    known = [count for path in paths if (count := _number(path)) is not None]
    return sum(known) if known else None


def _cooling(root: Path) -> Iterator[float]:
    """The states of what cools the processor by slowing it down; 0 is full speed."""
    for device in (root / "sys/class/thermal").glob("cooling_device*"):
        if re.search(r"cpufreq|cpu-|^processor$", _text(device / "type") or "", re.IGNORECASE):
            state = _number(device / "cur_state")
            if state is not None:
                yield state


def _model(root: Path) -> str | None:
    tree = _text(root / "proc/device-tree/model")
    if tree:
        return tree
    parts = [_text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name")]
    return " ".join(part for part in parts if part) or None


def _kind(root: Path, model: str | None, architecture: str) -> BoardKind:
    if model is not None and model.startswith("Raspberry Pi"):
        return "raspberry-pi"
    if "nvidia,tegra" in (_text(root / "proc/device-tree/compatible") or ""):
        return "jetson"
    if re.fullmatch(r"x86_64|i[3-6]86|amd64", architecture, re.IGNORECASE):
        return "x86"
    return "arm" if architecture.lower().startswith(("aarch64", "arm")) else "other"


def _processor(cpuinfo: str) -> str | None:
    names = _values(cpuinfo, "model name")
    if names and not names[0].startswith("ARMv"):  # which 32-bit kernels say, and which names no core
        return names[0]
    parts = zip(_values(cpuinfo, "CPU implementer"), _values(cpuinfo, "CPU part"), strict=False)
    found = dict.fromkeys(CORES.get(part, f"Arm core {part[1]} of {part[0]}") for part in parts)
    return " + ".join(found) or (names[0] if names else None)


def _features(cpuinfo: str) -> tuple[str, ...] | None:
    """Those that every core has."""
    rows = _values(cpuinfo, "Features") or _values(cpuinfo, "flags")
    if not rows:
        return None
    common = set.intersection(*(set(row.split()) for row in rows))
    return tuple(name for kernel, name in FEATURES.items() if kernel in common)


def _virtual(root: Path, cpuinfo: str, model: str | None, kind: BoardKind) -> bool | None:
    if flags := _values(cpuinfo, "flags"):
        return "hypervisor" in flags[0].split()
    if kind in ("raspberry-pi", "jetson"):
        return False
    if model is not None and re.search(r"dummy-virt|QEMU|KVM|Amazon EC2|Virtual", model, re.IGNORECASE):
        return True
    return None


def _cores(root: Path, cpuinfo: str) -> int:
    present = _text(root / "sys/devices/system/cpu/present")
    if present is not None:
        ranges = [part.split("-") for part in present.split(",")]
        return sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges)
    return len(_values(cpuinfo, "processor")) or os.cpu_count() or 1


def _kilohertz(root: Path, name: str) -> float | None:
    """In MHz, the mean over the cores."""
    paths = root.glob(f"sys/devices/system/cpu/cpu[0-9]*/cpufreq/{name}")
    values = [value / 1000 for path in paths if (value := _number(path)) is not None]
    return sum(values) / len(values) if values else None


def _meminfo(root: Path) -> dict[str, float]:
    """In MB."""
    rows = re.findall(r"^(\w+):\s+(\d+) kB$", _text(root / "proc/meminfo") or "", re.MULTILINE)
    return {name: round(int(value) / 1024, 1) for name, value in rows}


def _energy(root: Path) -> tuple[str, ...]:
    from edgevoice.bench.energy import counters

    return tuple(counter.name for counter in counters(root))


def _system(root: Path) -> str | None:
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)"?$', _text(root / "etc/os-release") or "", re.MULTILINE)
    return match[1] if match else None


def _values(cpuinfo: str, key: str) -> list[str]:
    return re.findall(rf"^{key}[ \t]*:[ \t]*(.*?)[ \t]*$", cpuinfo, re.MULTILINE)


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None
