"""Boards are recognised by what their kernels tell, and what they do not tell is unknown."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from boards import JETSON, JETSON_AGX, JETSON_NANO, PI4, VOLTAGE_ALONE, X86, plant

from edgevoice.bench import board, energy
from edgevoice.bench.schema import Throttling


def silent(_: Sequence[str]) -> str | None:
    return None


def test_a_raspberry_pi(tmp_path: Path) -> None:
    found = board.describe(plant(tmp_path, PI4), command=silent, architecture="aarch64", usable=4)
    assert (found.kind, found.model, found.processor) == (
        "raspberry-pi",
        "Raspberry Pi 4 Model B Rev 1.4",
        "Cortex-A72",
    )
    assert found.features == ()  # neither dotprod nor half floats
    assert (found.cores, found.usable_cores, found.virtual) == (4, 4, False)
    assert (found.governor, found.frequency_mhz, found.max_frequency_mhz) == ("ondemand", 900.0, 1800.0)
    assert (found.memory_mb, found.swap_mb) == (3793.3, 200.0)
    assert found.temperature_c == 48.686
    assert found.throttling == Throttling(now=("under-voltage", "throttled"), since_boot=("under-voltage", "throttled"))
    assert (found.kernel, found.system) == ("6.6.31+rpt-rpi-v8", "Debian GNU/Linux 12 (bookworm)")
    assert found.energy == ()


def test_a_raspberry_pi_whose_kernel_does_not_tell_is_asked_with_vcgencmd(tmp_path: Path) -> None:
    files = {name: text for name, text in PI4.items() if "throttled" not in name}
    root = plant(tmp_path, files)

    def command(arguments: Sequence[str]) -> str | None:
        return "throttled=0x80002\n" if arguments == ["vcgencmd", "get_throttled"] else None

    assert board.throttling(root, command=command) == Throttling(
        now=("frequency capped",), since_boot=("soft temperature limit",)
    )
    assert board.throttling(root, command=lambda _: "VCHI initialization failed\n") is None


def test_the_firmware_is_believed_before_the_kernel(tmp_path: Path) -> None:
    root = plant(tmp_path, PI4)
    found = board.throttling(root, command=lambda _: "throttled=0x50000\n")
    assert found == Throttling(now=(), since_boot=("under-voltage", "throttled"))


def test_a_raspberry_pi_with_a_kernel_that_is_not_its_own_tells_of_its_voltage(tmp_path: Path) -> None:
    root = plant(tmp_path, VOLTAGE_ALONE)
    assert board.throttling(root, command=silent) == Throttling(now=("under-voltage",), since_boot=("under-voltage",))
    (root / "sys/class/hwmon/hwmon1/in0_lcrit_alarm").write_text("0\n")
    assert board.throttling(root, command=silent) == Throttling(now=(), since_boot=())


def test_a_jetson_with_an_old_kernel(tmp_path: Path) -> None:
    found = board.describe(plant(tmp_path, JETSON_NANO), command=silent, architecture="aarch64", usable=4)
    assert (found.kind, found.temperature_c) == ("jetson", 35.5)
    assert found.throttling == Throttling(now=(), since_boot=())
    assert found.energy == ("INA3221 POM_5V_IN",)  # which feeds the other two
    now = [0.0]
    (counter,) = energy.counters(tmp_path, lambda: now[0])
    now[0] = 2.0
    assert counter.joules() == pytest.approx(4.8)


def test_parts_of_a_board_are_not_taken_for_the_whole(tmp_path: Path) -> None:
    assert board.describe(plant(tmp_path, JETSON_AGX), command=silent).energy == ()


def test_a_jetson(tmp_path: Path) -> None:
    found = board.describe(plant(tmp_path, JETSON), command=silent, architecture="aarch64", usable=6)
    assert (found.kind, found.model, found.processor, found.cores) == (
        "jetson",
        "NVIDIA Jetson Orin Nano Developer Kit",
        "Cortex-A78AE",
        6,
    )
    assert found.features == ("dotprod", "fp16")
    assert found.temperature_c == 47.5  # the processor's, not the hotter one of the GPU
    assert found.throttling == Throttling(now=("throttled",), since_boot=("throttled",))
    assert (found.governor, found.frequency_mhz, found.available_mb, found.system) == (None, None, None, None)
    assert found.energy == ("INA3221 VDD_IN",)


def test_a_fan_is_no_throttling(tmp_path: Path) -> None:
    root = plant(tmp_path, JETSON | {"sys/class/thermal/cooling_device0/cur_state": "0"})
    assert board.throttling(root, command=silent) == Throttling(now=(), since_boot=())


def test_a_jetson_without_zones_is_asked_with_tegrastats(tmp_path: Path) -> None:
    line = "RAM 2448/7620MB CPU [3%@729,off] EMC_FREQ 0% cpu@46.218C soc2@45.3C tj@46.2C VDD_IN 4992mW/4992mW\n"
    assert board.temperature(tmp_path, command=lambda _: line) == 46.218
    tx2 = "RAM 1059/7846MB CPU [4%@345,off,off,2%@345] BCPU@32C MCPU@33.5C GPU@31C Tboard@29C CV0@-256C\n"
    assert board.temperature(tmp_path, command=lambda _: tx2) == 33.5
    assert board.temperature(tmp_path, command=lambda _: "CPU [off,off] CPU@-256C\n") is None


def test_an_x86(tmp_path: Path) -> None:
    found = board.describe(plant(tmp_path, X86), command=silent, architecture="x86_64", usable=1)
    assert (found.kind, found.model) == ("x86", "LENOVO 21CB")
    assert found.processor == "12th Gen Intel(R) Core(TM) i5-1240P"
    assert found.features == ("avx2", "fma", "avx_vnni")  # what only some of its cores have does not count
    assert (found.cores, found.usable_cores, found.virtual) == (2, 1, False)
    assert found.frequency_mhz == pytest.approx(1800.05)
    assert found.temperature_c == 55.0
    assert found.throttling == Throttling(now=(), since_boot=("throttled",))
    assert board.throttle_count(tmp_path) == 7
    assert found.energy == ("RAPL package-0",)


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    found = board.describe(tmp_path, command=silent, architecture="riscv64", usable=1)
    unknown = (
        found.model, found.processor, found.features, found.virtual, found.governor, found.frequency_mhz,
        found.memory_mb, found.temperature_c, found.throttling, found.system,
    )  # fmt: skip
    assert unknown == (None,) * len(unknown)
    assert found.kind == "other"
    assert found.kernel


def test_this_machine() -> None:
    found = board.describe()
    assert found.memory_mb
    assert found.versions["numpy"]
    assert 1 <= found.usable_cores <= found.cores


def test_an_unknown_core_is_told_by_its_numbers(tmp_path: Path) -> None:
    root = plant(tmp_path, {"proc/cpuinfo": "processor : 0\nCPU implementer : 0x61\nCPU part : 0x022\n"})
    assert board.describe(root, command=silent).processor == "Arm core 0x022 of 0x61"


def test_rapl_counts_across_its_end(tmp_path: Path) -> None:
    root = plant(tmp_path, X86)
    counted = energy.Energy(root)
    path = root / "sys/class/powercap/intel-rapl:0/energy_uj"
    path.write_text("950000\n")
    assert counted.joules() == pytest.approx(0.05)
    path.write_text("100000\n")
    assert counted.joules() == pytest.approx(0.2)
    path.unlink()
    assert counted.joules() is None


def test_memory_beside_the_processor_is_counted_with_it(tmp_path: Path) -> None:
    dram = {name.replace(":0:0", ":0:2"): text for name, text in X86.items() if ":0:0" in name}
    root = plant(tmp_path, X86 | dram | {"sys/class/powercap/intel-rapl:0:2/name": "dram\n"})
    assert [counter.name for counter in energy.counters(root)] == ["RAPL package-0", "RAPL dram"]


def test_ina_adds_power_up(tmp_path: Path) -> None:
    now = [0.0]
    (counter,) = energy.counters(plant(tmp_path, JETSON), lambda: now[0])
    now[0] = 2.0
    assert counter.joules() == pytest.approx(12.0)
    next(tmp_path.rglob("curr1_input")).write_text("2400\n")
    now[0] = 3.0
    assert counter.joules() == pytest.approx(12.0 + 9.0)


def test_without_a_counter_there_is_no_energy(tmp_path: Path) -> None:
    assert energy.Energy(tmp_path).joules() is None
