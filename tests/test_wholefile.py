"""Files that are there whole after a power cut: what is put on the disk, and in which order."""

import errno
import os
from pathlib import Path

import pytest

from edgevoice import wholefile
from edgevoice.errors import OutputError
from edgevoice.mute import MuteMemory

Synced = list[tuple[str, list[str]]]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Synced:
    """What is put on the disk, each with what the folder holds at that moment."""
    seen: Synced = []
    sync = os.fsync

    def spy(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        seen.append((str(path.relative_to(tmp_path)), sorted(each.name for each in tmp_path.iterdir())))
        sync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    return seen


def test_content_and_name_are_on_the_disk_when_it_is_done(synced: Synced, tmp_path: Path) -> None:
    wholefile.write(tmp_path / "state", b"new")
    assert synced == [(".state.part", [".state.part"]), (".", ["state"])]
    assert (tmp_path / "state").read_bytes() == b"new"


def test_a_mute_that_ended_does_not_come_back(synced: Synced, tmp_path: Path) -> None:
    memory = MuteMemory(tmp_path)
    memory.keep(muted=True)
    del synced[:]
    memory.keep(muted=False)
    assert synced == [(".", [])]


def test_a_full_disk_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "state").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        wholefile.write(tmp_path / "state", b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("state", b"old")]
