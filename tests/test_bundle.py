"""What goes into a bundle, and that the same goes into the same bytes."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tools.bundle import pack
from tools.bundle.__main__ import LOCK, TOOLS_LOCK
from tools.bundle.target import Target, locked


def test_the_lock_file_is_read_for_the_target_and_not_for_this_python() -> None:
    old, new = (locked(LOCK, Target("aarch64", python)) for python in ("3.11", "3.13"))
    assert old["numpy"] != new["numpy"]
    assert old.keys() == new.keys()
    assert {"onnxruntime", "pyaudio", "typing-extensions"} <= new.keys()
    assert not {"colorama", "httpx2-jsfetch", "vosk", "onnx"} & new.keys()  # Windows, browsers, extras.
    assert all(" ; " not in entry and "--hash=sha256:" in entry for entry in new.values())


def test_what_bundles_are_made_with_is_locked() -> None:
    assert {"pip", "hatchling", "ziglang"} <= locked(TOOLS_LOCK, Target("x86_64", "3.11")).keys()


def test_wheels_are_chosen_for_the_target() -> None:
    options = Target("aarch64", "3.13").pip_options
    assert {"--only-binary=:all:", "--python-version=3.13", "--abi=cp313", "--abi=abi3"} <= set(options)
    platforms = [option for option in options if option.startswith("--platform")]
    assert "--platform=manylinux_2_28_aarch64" in platforms
    assert all(platform.endswith("_aarch64") for platform in platforms)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "one" / "edgevoice-1-here"
    (made / "wheels").mkdir(parents=True)
    for name in ("install.sh", "wheels/b.whl", "wheels/a.whl", "wheels/Ä.whl"):
        (made / name).write_text(name)
    return made


def test_sums_are_what_sha256sum_checks(folder: Path) -> None:
    pack.write_sums(folder)
    command = ["sha256sum", "--check", "--strict", "--quiet", pack.SUMS]
    assert subprocess.run(command, cwd=folder, check=False).returncode == 0
    (folder / "wheels/a.whl").write_text("other")
    assert subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 1
    assert len((folder / pack.SUMS).read_text().splitlines()) == 4


def test_the_same_files_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    second = tmp_path / "two" / folder.name
    (second / "wheels").mkdir(parents=True)
    for path in reversed(list(pack.files(folder))):  # In another order, at another time, with other rights.
        copy = second / path.relative_to(folder)
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
        os.utime(copy, (1, 1))
    archives = []
    for each in (folder, second):
        archives.append(each.parent / "bundle.tar.gz")
        pack.write_archive(each, archives[-1], 1_700_000_000)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as archive:
        members = {member.name: member for member in archive}
    assert list(members) == [f"{folder.name}/{path.relative_to(folder)}" for path in pack.files(folder)]
    assert members[f"{folder.name}/install.sh"].mode == 0o755
    assert members[f"{folder.name}/wheels/a.whl"].mode == 0o644
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 1_700_000_000)}
