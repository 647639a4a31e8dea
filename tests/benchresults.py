"""Results of benchmarks as a board would give them, made of random values with a seed."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from test_bench_schema import BOARD

from edgevoice.bench import stats
from edgevoice.bench.schema import Absent, Accuracy, Counted, Flag, Interval, Metric, Point, Result, Series, Usage

PI = msgspec.structs.replace(
    BOARD,
    kind="raspberry-pi",
    model="Raspberry Pi 4 Model B Rev 1.4",
    processor="Cortex-A72",
    features=("neon",),
    governor="ondemand",
    frequency_mhz=1500.0,
    max_frequency_mhz=1800.0,
    memory_mb=3792.0,
    temperature_c=48.3,
    versions={"onnxruntime": "1.20.0"},
)
USAGE = Usage(
    wall_s=10.0,
    cpu_user_s=9.0,
    cpu_system_s=0.5,
    minor_faults=1000,
    major_faults=2,
    voluntary_switches=50,
    involuntary_switches=7,
    bare_mb=40.0,
    loaded_mb=150.0,
    peak_mb=220.0,
    unshared_mb=130.0,
    threads=3,
    energy_j=None,
)


def metric(
    name: str, middle: float, *, count: int = 40, spread: float = 0.05, seed: int = 0, inputs: int = 0
) -> Metric:
    values = (middle * np.random.default_rng(seed).lognormal(0.0, spread, count)).tolist()
    return stats.metric(name, values, [at % inputs for at in range(count)] if inputs else ())


def happened(name: str, times: int, of: int) -> Metric:
    """A share."""
    return stats.metric(name, [100.0] * times + [0.0] * (of - times))


def engine(task: Any = "asr", name: str = "whisper", **changes: Any) -> Series:
    made = Series(
        kind="engine",
        task=task,
        engine=name,
        model="tiny",
        variant="plain" if task == "asr" else "",
        threads=1,
        state="measured",
        group=0,
        inputs=("a.wav", "b.wav"),
        metrics={"rtf": metric("rtf", 0.2), "latency_ms": metric("latency_ms", 400.0, inputs=2)},
        usage=USAGE,
    )
    return msgspec.structs.replace(made, **changes)


def accuracy(wrong: Sequence[int], of: Sequence[int], name: str = "whisper", *, known: bool = True) -> Accuracy:
    each = tuple(
        Counted(name=f"{at}.wav", wrong=one, of=all_) for at, (one, all_) in enumerate(zip(wrong, of, strict=True))
    )
    value = sum(wrong) / sum(of)
    return Accuracy(
        task="asr",
        engine=name,
        model="tiny",
        variant="plain",
        metric="wer",
        better="lower",
        value=value,
        interval=Interval(low=max(value - 0.03, 0.0), high=value + 0.03),
        n=sum(of),
        each=each if known else (),
    )


def result(*series: Series, **changes: Any) -> Result:
    made = Result(
        created="2026-11-22T10:00:00+00:00",
        seconds=120.0,
        partial=False,
        commit="abc",
        board=PI,
        options={"typed": {"seconds": 4.0}, "asr": {"engine": "whisper"}},
        series=series,
    )
    return msgspec.structs.replace(made, **changes)


def everything() -> Result:
    """All that a page can show."""
    turns = {
        f"{step}_ms": metric(f"{step}_ms", middle, seed=at)
        for at, (step, middle) in enumerate(
            {"silence": 180, "recognition": 60, "intent": 2, "action": 5, "first_audio": 90, "answer": 157}.items()
        )
    }
    points = tuple(
        Point(
            seconds=30.0 * at,
            temperature_c=48.0 + at,
            frequency_mhz=1800.0 - 20 * at,
            throttled=at > 15,
            latency_ms=150.0 + at,
            latency_p95_ms=190.0 + 2 * at,
            cpu_percent=120.0,
            rss_mb=250.0,
            power_w=None,
        )
        for at in range(1, 21)
    )
    random = np.random.default_rng(5)
    said = [12] * 30
    return result(
        engine(name="whisper"),
        engine(name="whisper", threads=2, metrics={"rtf": metric("rtf", 0.12)}),
        engine(name="vosk", peer=True, metrics={"rtf": metric("rtf", 0.4), "latency_ms": metric("latency_ms", 700.0)}),
        engine(name="broken", state="failed", why="it ran out of memory", metrics={}, usage=None),
        engine("tts", "piper", metrics={"rtf": metric("rtf", 0.1), "first_ms": metric("first_ms", 80.0)}),
        engine("wake", "micro", metrics={"rtf": metric("rtf", 0.01), "chunk_ms": metric("chunk_ms", 0.4, count=900)}),
        engine(
            "turn",
            "whisper",
            kind="turn",
            variant="",
            metrics=turns | {"unanswered_percent": happened("unanswered_percent", 1, 40)},
        ),
        engine("turn", "whisper", kind="soak", variant="", metrics=turns, points=points),
        engine(
            "idle",
            "whisper",
            kind="idle",
            variant="pipe",
            metrics={"cpu_percent": metric("cpu_percent", 4.0)},
            points=points,
        ),
        engine(
            "wake",
            "micro",
            kind="contention",
            variant="busy 4",
            metrics={"chunk_ms": metric("chunk_ms", 3.0), "missed_percent": happened("missed_percent", 3, 100)},
        ),
        accuracy=(
            accuracy(random.integers(0, 3, 30).tolist(), said),
            msgspec.structs.replace(accuracy(random.integers(0, 2, 30).tolist(), said, "vosk"), peer=True),
        ),
        absent=(Absent(task="asr", engine="sherpa-onnx", peer=True, why="it is not installed", remedy="install it"),),
        flags=(Flag(kind="governor", text="the governor is 'ondemand'"),),
    )
