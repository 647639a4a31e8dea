"""The result of ``edgevoice bench``, as it is written to JSON. What is null was not, or could not be, measured.

The meaning of a field stands beneath it and never changes within one ``FORMAT``; fields may be added, so readers let
unknown ones be.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgevoice import wholefile
from edgevoice.errors import ConfigError

FORMAT = 1

MOST_SAMPLES = 2_000
"""Values of one metric that are written; of more, as many are drawn by chance. It keeps a result of hundreds of
thousands of blocks below a megabyte, and 2,000 give the 99th percentile from twenty values above it."""

BoardKind = Literal["raspberry-pi", "jetson", "x86", "arm", "other"]
Task = Literal["wake", "vad", "asr", "tts", "turn", "idle"]
Kind = Literal["engine", "turn", "idle", "soak", "contention"]
State = Literal["measured", "partial", "failed"]
FlagKind = Literal["background_load", "throttling", "governor", "unsteady", "few_samples", "swapping", "virtual"]


class Throttling(msgspec.Struct, frozen=True, kw_only=True):
    """What the board says about undervoltage and heat."""

    now: tuple[str, ...]
    """What limits it at this moment: ``under-voltage``, ``frequency capped``, ``throttled``, ``soft temperature
    limit``; empty when nothing does."""
    since_boot: tuple[str, ...]
    """The same, for what happened at any time since it was started."""


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """The machine. Null is unknown: it could not be read."""

    kind: BoardKind
    model: str | None
    """For example ``Raspberry Pi 4 Model B Rev 1.4``; of x86 what its DMI tables say."""
    processor: str | None
    """As the kernel calls it; where it does not, Arm's name of the cores."""
    architecture: str
    """``aarch64``, ``x86_64``, ..."""
    features: tuple[str, ...] | None
    """Those of ``edgevoice.bench.board.FEATURES`` that the processor has."""
    virtual: bool | None
    """It is a virtual machine, whose speed others may share."""
    cores: int
    """Of the machine."""
    usable_cores: int
    """Those this process may use."""
    governor: str | None
    frequency_mhz: float | None
    """At the moment; the mean over the cores."""
    max_frequency_mhz: float | None
    memory_mb: float | None
    """Of 1024 * 1024 bytes, as everywhere here."""
    available_mb: float | None
    swap_mb: float | None
    temperature_c: float | None
    """Of the hottest sensor of the processor."""
    throttling: Throttling | None
    energy: tuple[str, ...]
    """Energy counters that can be read; empty when there are none."""
    kernel: str
    system: str | None
    """The distribution."""
    python: str
    versions: dict[str, str]
    """Of the packages that decide about speed and results, as far as they are installed."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    low: float
    high: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    n: int
    """Values that were measured, be it that fewer are written."""
    median: float
    interval: Interval | None
    """95 % confidence interval of the median (percentile bootstrap); null for fewer than two values."""
    p95: float
    p99: float
    low: float
    """The smallest value."""
    high: float
    """The largest."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One figure, measured again and again."""

    unit: Literal["ms", "s", "x", "percent", "MB", "J", "W"]
    """``x``: a ratio, for example seconds of computing for a second of audio."""
    better: Literal["lower", "higher"]
    samples: tuple[float, ...]
    """Every value in the order of measuring, for those who compute statistics of their own; at most ``MOST_SAMPLES``,
    drawn by chance, where ``summary.n`` is larger."""
    inputs: tuple[int, ...]
    """For each sample the number of its input (in ``Series.inputs``); empty when a sample is not of one input, or when
    samples were left out."""
    summary: Summary


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What the process that was measured took, from the end of loading to the end of measuring."""

    wall_s: float
    cpu_user_s: float
    """All its threads."""
    cpu_system_s: float
    minor_faults: int
    major_faults: int
    """Page faults that had to wait for the disk."""
    voluntary_switches: int
    involuntary_switches: int
    """Context switches because others wanted the core."""
    bare_mb: float | None
    """Resident memory before loading: the interpreter and what every engine here imports; null of the daemon."""
    loaded_mb: float
    """Resident memory after loading."""
    peak_mb: float
    """Most resident memory ever."""
    unshared_mb: float | None
    """Memory that ending the process would give back, at the end of measuring."""
    threads: int
    energy_j: float | None
    """Of the whole machine (or the part its counter is of) while this series was measured alone; null where there is
    no counter, or several series took turns."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of an idle or soak run."""

    seconds: float
    """Since the beginning of the run; the end of the interval that the point is about."""
    temperature_c: float | None
    frequency_mhz: float | None
    throttled: bool | None
    latency_ms: float | None
    """Median of the steps in the interval; null when there was none."""
    latency_p95_ms: float | None
    cpu_percent: float | None
    """Share of one core that the measured process took."""
    rss_mb: float | None
    power_w: float | None


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """Something that makes figures less trustworthy."""

    kind: FlagKind
    text: str
    """A sentence with the figures."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was measured in one process."""

    kind: Kind
    task: Task
    engine: str
    """For ``turn`` and ``idle`` the daemon's recogniser."""
    peer: bool = False
    """It is no engine of edgevoice but another project, measured for comparison."""
    model: str
    """Name in the catalog or of the file; empty where the engine has one of its own."""
    variant: str = ""
    """What else tells this series from others: ``stream``, ``grammar``, ``busy 2``."""
    threads: int
    state: State
    why: str = ""
    """Why it failed, or is partial."""
    group: int
    """Series of one group were measured in turns: sample i of all of them is of the same round (and input), so their
    ratios may be taken in pairs."""
    inputs: tuple[str, ...] = ()
    """What was recognised or spoken, by the numbers of ``Metric.inputs``."""
    audio_s: float = 0.0
    """Length of all inputs together, or of what was spoken."""
    metrics: dict[str, Metric] = {}
    """See docs/bench.md for the names. Empty when it failed."""
    usage: Usage | None = None
    points: tuple[Point, ...] = ()
    flags: tuple[Flag, ...] = ()

    @property
    def key(self) -> str:
        """A name that is the same in other results."""
        kind = "peer" if self.peer else self.kind
        parts = [kind, self.task, self.engine, self.model, self.variant, f"t{self.threads}"]
        return "/".join(part.rpartition("/")[2] for part in parts if part)


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One series beside the first of its group, round by round."""

    series: str
    """Its key."""
    base: str
    """Key of the series it is compared with."""
    metric: str
    ratio: float
    """Median of the rounds' ratios, series / base."""
    interval: Interval | None
    """95 %, bootstrap over rounds."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What one recording adds to a share."""

    name: str
    """Of the recording."""
    wrong: int
    of: int
    """Words that were said, or 1 where a recording is right or wrong as a whole."""


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """How right an engine is, beside how fast."""

    task: Task
    engine: str
    peer: bool = False
    model: str
    variant: str = ""
    metric: str
    """``wer``, ``intent_accuracy``, ``miss_rate``, ..."""
    better: Literal["lower", "higher"]
    value: float
    """A share, 0..1 (a word error rate may exceed 1); ``false_alarms_per_hour`` is what it says."""
    interval: Interval | None
    """95 %."""
    n: int
    """What it was counted over: words for WER, frames for ``frame_error``, else recordings."""
    condition: str = "clean"
    """For example ``kitchen.flac 6 dB``."""
    each: tuple[Counted, ...] = ()
    """By recording, so that two results of the same recordings can be compared in pairs."""


class Absent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was not measured because it is not here."""

    task: Task
    engine: str
    peer: bool = False
    why: str
    """Which package is not installed, or which model."""
    remedy: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    created: str
    """When measuring began; UTC, ISO 8601."""
    seconds: float
    """How long all of it took."""
    partial: bool
    """It was stopped before the end."""
    commit: str | None
    board: Board
    """Before measuring."""
    board_after: Board | None = None
    options: dict[str, Any]
    """What was asked for, and what was the default."""
    series: tuple[Series, ...]
    ratios: tuple[Ratio, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()
    absent: tuple[Absent, ...] = ()
    flags: tuple[Flag, ...] = ()
    """About the whole run."""

    def by_key(self) -> Mapping[str, Series]:
        return {series.key: series for series in self.series}


def write(result: Result, path: Path) -> None:
    """Write it as JSON, to be read with ``read``: whole, or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    wholefile.write(path, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


def read(path: Path) -> Result:
    """
    Raises:
        ConfigError: it cannot be read, is no result of ``edgevoice bench`` or of another format.
    """
    remedy = "make one with: edgevoice bench run --json FILE"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror or error}", place=str(path), remedy=remedy) from error
    try:
        made = msgspec.json.decode(data, type=dict[str, Any])
        if made.get("format") != FORMAT and {"format", "board"} <= made.keys():
            raise ConfigError(
                f"it has format {made['format']}, this version reads {FORMAT}", place=str(path), remedy=remedy
            )
        return msgspec.json.decode(data, type=Result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"it is no result of a benchmark: {error}", place=str(path), remedy=remedy) from error
