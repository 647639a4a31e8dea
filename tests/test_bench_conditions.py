"""What makes figures doubtful is said, and nothing else."""

from pathlib import Path

import msgspec
import pytest
from boards import PI4, X86, plant
from test_bench_schema import BOARD

from edgevoice.bench import conditions
from edgevoice.bench.conditions import Conditions
from edgevoice.bench.schema import Flag


def stat(root: Path, *, busy: int = 0, idle: int = 0, stolen: int = 0, swapped: int = 0) -> None:
    """Two cores, in hundredths of a second."""
    line = f"{busy} 0 0 {idle} 0 0 0 {stolen}"
    plant(root, {"proc/stat": f"cpu  {line} 0 0\ncpu0 1\ncpu1 1\n", "proc/vmstat": f"pswpin {swapped}\n"})


def watch(root: Path) -> Conditions:
    return Conditions(root, command=lambda _: None, ticks=100)


def kinds(flags: tuple[Flag, ...]) -> list[str]:
    return [flag.kind for flag in flags]


def test_a_quiet_machine(tmp_path: Path) -> None:
    stat(tmp_path)
    watched = watch(tmp_path)
    stat(tmp_path, busy=1000, idle=1000)  # ten seconds of two cores, ten of them busy with our own work
    assert watched.flags(own_s=9.5) == ()


def test_other_programs(tmp_path: Path) -> None:
    stat(tmp_path)
    watched = watch(tmp_path)
    stat(tmp_path, busy=1000, idle=1000)
    (flag,) = watched.flags(own_s=5.0)
    assert flag == Flag(kind="background_load", text="other programs took 0.5 of 2 cores meanwhile")


def test_a_hypervisor_that_takes_time_away(tmp_path: Path) -> None:
    stat(tmp_path)
    watched = watch(tmp_path)
    stat(tmp_path, busy=900, idle=1000, stolen=100)
    (flag,) = watched.flags(own_s=9.0)
    assert flag.text == "the hypervisor gave 5% of the time to others"


def test_swapping(tmp_path: Path) -> None:
    stat(tmp_path, swapped=3)
    watched = watch(tmp_path)
    assert watched.flags(0.0) == ()
    stat(tmp_path, idle=10, swapped=4)
    assert kinds(watched.flags(0.0)) == ["swapping"]


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("0", "50005", "the board limits its speed: under-voltage, throttled"),
        ("50005", "50000", None),  # it did so before, too
        ("40000", "60000", "the board has limited its speed meanwhile: frequency capped"),
        ("0", "0", None),
    ],
)
def test_a_raspberry_pi_that_is_throttled(tmp_path: Path, before: str, after: str, text: str | None) -> None:
    path = "sys/devices/platform/soc/soc:firmware/get_throttled"
    plant(tmp_path, PI4 | {path: before})
    watched = watch(tmp_path)
    plant(tmp_path, {path: after})
    assert [flag.text for flag in watched.flags(0.0)] == ([text] if text else [])


def test_an_x86_that_slows_itself_down(tmp_path: Path) -> None:
    plant(tmp_path, X86)
    watched = watch(tmp_path)
    assert watched.flags(0.0) == ()
    plant(tmp_path, {"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "5"})
    assert [flag.text for flag in watched.flags(0.0)] == ["the processor slowed itself down 5 times"]


def test_a_frequency_that_falls(tmp_path: Path) -> None:
    plant(tmp_path, X86)
    watched = watch(tmp_path)
    watched.sample()
    plant(tmp_path, {"proc/cpuinfo": "cpu MHz : 1200.0\n"})
    watched.sample()
    (flag,) = watched.flags(0.0)
    assert (flag.kind, flag.text) == ("unsteady", "the frequency lay between 1200 and 1800 MHz")
    watched.begin()
    watched.sample()
    assert watched.flags(0.0) == ()


def test_the_board_itself() -> None:
    assert conditions.of_board(BOARD) == []
    doubtful = msgspec.structs.replace(BOARD, governor="ondemand", virtual=True)
    assert [flag.kind for flag in conditions.of_board(doubtful)] == ["governor", "virtual"]
    assert conditions.of_board(msgspec.structs.replace(BOARD, governor="performance", virtual=False)) == []
