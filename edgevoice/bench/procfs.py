"""What the kernel tells about a process, of which /proc/PID is the source."""

import os
from collections.abc import Mapping
from pathlib import Path

from edgevoice.bench.schema import Usage


def status(pid: int | str = "self") -> dict[str, float]:
    """The numbers in /proc/PID/status; sizes in MB."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text("ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if words and words[0].isdigit():
            found[name] = round(int(words[0]) / 1024, 1) if words[1:] == ["kB"] else float(words[0])
    return found


def resident(pid: int) -> float | None:
    """Resident memory of a process in MB; None when it has ended."""
    try:
        return status(pid).get("VmRSS")
    except OSError:
        return None


def unshared(pid: int | str = "self") -> float | None:
    """Memory in MB that would be free without this process; None where the kernel does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return None
    return round(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024, 1)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, user and system, of all threads that live.

    In nanoseconds where the kernel tells them (``schedstat``): the usual hundredths of a second would be a percent of a
    core in an interval of a second.

    Raises:
        ProcessLookupError: it has ended.
    """
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text("ascii").split()[0]) for task in tasks) / 1e9
    except (OSError, IndexError, ValueError):
        found = counters(pid)
        return found["cpu_user_s"] + found["cpu_system_s"]


def counters(pid: int) -> dict[str, float]:
    """What has been counted for another process so far.

    Raises:
        ProcessLookupError: it has ended.
    """
    folder = Path(f"/proc/{pid}")
    try:
        fields = (folder / "stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
        threads = [(task / "status").read_text("ascii", errors="replace") for task in (folder / "task").iterdir()]
    except OSError:
        raise ProcessLookupError(f"process {pid} has ended") from None
    lines = [line.split() for text in threads for line in text.splitlines() if "_ctxt_switches" in line]
    ticks = os.sysconf("SC_CLK_TCK")
    return {
        "minor_faults": int(fields[7]),
        "major_faults": int(fields[9]),
        "cpu_user_s": int(fields[11]) / ticks,
        "cpu_system_s": int(fields[12]) / ticks,
        "voluntary_switches": sum(int(value) for name, value in lines if name.startswith("voluntary")),
        "involuntary_switches": sum(int(value) for name, value in lines if name.startswith("nonvoluntary")),
        "threads": int(fields[17]),
    }


def usage(
    before: Mapping[str, float],
    after: Mapping[str, float],
    pid: int,
    loaded_mb: float,
    wall_s: float,
    energy_j: float | None,
) -> Usage:
    """What another process took between two readings of its ``counters``.

    Raises:
        OSError: it has ended.
    """

    def grown(name: str) -> float:
        return round(after[name] - before[name], 3)

    return Usage(
        wall_s=round(wall_s, 3),
        cpu_user_s=grown("cpu_user_s"),
        cpu_system_s=grown("cpu_system_s"),
        minor_faults=int(grown("minor_faults")),
        major_faults=int(grown("major_faults")),
        voluntary_switches=int(grown("voluntary_switches")),
        involuntary_switches=int(grown("involuntary_switches")),
        bare_mb=None,
        loaded_mb=loaded_mb,
        peak_mb=status(pid).get("VmHWM", loaded_mb),
        unshared_mb=unshared(pid),
        threads=int(after["threads"]),
        energy_j=energy_j,
    )
