"""The JSON of a benchmark: what is written is read again, and what is no result is refused."""

import os
from pathlib import Path

import msgspec
import pytest

from edgevoice.bench.schema import (
    Board,
    Interval,
    Metric,
    Result,
    Series,
    Summary,
    read,
    write,
)
from edgevoice.errors import ConfigError, OutputError

BOARD = Board(
    kind="arm",
    model=None,
    processor=None,
    architecture="aarch64",
    features=None,
    virtual=None,
    cores=4,
    usable_cores=4,
    governor=None,
    frequency_mhz=None,
    max_frequency_mhz=None,
    memory_mb=None,
    available_mb=None,
    swap_mb=None,
    temperature_c=None,
    throttling=None,
    energy=(),
    kernel="6.6",
    system=None,
    python="3.11",
    versions={},
)
METRIC = Metric(
    unit="ms",
    better="lower",
    samples=(1.0, 3.0),
    inputs=(0, 1),
    summary=Summary(n=2, median=2.0, interval=Interval(low=1.0, high=3.0), p95=2.9, p99=3.0, low=1.0, high=3.0),
)
SERIES = Series(
    kind="engine",
    task="asr",
    engine="whisper",
    model="/models/tiny",
    variant="stream",
    threads=2,
    state="measured",
    group=0,
    inputs=("a.wav", "b.wav"),
    metrics={"latency_ms": METRIC},
)
RESULT = Result(
    created="2026-11-22T00:00:00Z", seconds=1.0, partial=False, commit=None, board=BOARD, options={}, series=(SERIES,)
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write(RESULT, tmp_path / "r.json")
    again = read(tmp_path / "r.json")
    assert again == RESULT
    assert list(again.by_key()) == ["engine/asr/whisper/tiny/stream/t2"]


def test_a_newer_field_is_let_be(tmp_path: Path) -> None:
    content = msgspec.to_builtins(RESULT) | {"mood": "good"}
    (tmp_path / "r.json").write_bytes(msgspec.json.encode(content))
    assert read(tmp_path / "r.json") == RESULT


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "no result of a benchmark"),
        (b"\xff", "no result of a benchmark"),
        (b"[1]", "no result of a benchmark"),
        (b'{"format": 1}', "no result of a benchmark"),
        (b'{"format": 9, "board": {}}', "it has format 9"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, content: bytes, cause: str) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(ConfigError, match=cause) as caught:
        read(tmp_path / "r.json")
    assert "edgevoice bench run" in str(caught.value)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "none.json")
    with pytest.raises(OutputError, match="cannot be written"):
        write(RESULT, tmp_path / "none" / "r.json")


def test_a_result_that_cannot_be_written_leaves_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.json"
    path.write_text("before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write(RESULT, path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("r.json", "before")]
