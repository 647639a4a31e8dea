"""The model store when the power goes, or the disk is full, at every single step of what changes it."""

import subprocess
import sys
from pathlib import Path

import modelsamples as samples
import pytest

from edgevoice.modelcatalog import read_catalog
from edgevoice.modelstore import ModelStore
from edgevoice.modelversions import pointer_path

NEW = {"model.bin": bytes(700), "sub/words.txt": b"new\n"}
SIZES = {"catalog": 102400, "int8": 1000, "int4": 500, "new": 700}
BEFORE = {"catalog", "int8", "int4"}
POSSIBLE = [("int8", frozenset[str]()), ("int8", frozenset(["new"])), ("new", frozenset(["new"]))]
"""While ``new`` is published and used: what is in use, and what there is of it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with three versions, of which ``int8`` is in use and ``catalog`` was before."""
    samples.write_files(tmp_path / "origin")
    catalog = samples.catalog(tmp_path, sample=samples.entry({"path": {"folder": "origin"}}))
    store = ModelStore(tmp_path / "before", catalog)
    store.pull(["sample"])
    samples.write_files(tmp_path / "made", NEW)
    for version in ("int8", "int4"):
        made = samples.write_files(tmp_path / version, {"model.bin": bytes(SIZES[version])})
        store.publish(
            "sample",
            version,
            made,
            task="vad",
            licence="CC0-1.0",
            origin="https://example.org",
            source="made",
            built_from={},
            built_with={},
            use=version == "int8",
        )
    return tmp_path


def fail_everywhere(how: str, what: str, folder: Path) -> list[tuple[ModelStore, str]]:
    """The store after a failure at each step, and how that ended; the last one is where nothing failed."""
    script = Path(__file__).with_name("storefaults.py")
    command = [sys.executable, str(script), how, what, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    catalog = read_catalog(folder / "catalog.yaml")
    steps = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert steps[-1][1] == "done"
    return [(ModelStore(folder / number, catalog), ended) for number, ended in steps]


def active(store: ModelStore) -> str:
    """The version in use, whose files are what they must be."""
    size = (store.path("sample") / "model.bin").stat().st_size
    (found,) = [version.name for version in store.versions("sample") if version.active]
    assert SIZES[found] == size
    return found


def present(store: ModelStore) -> set[str]:
    """The versions that are there, each of them whole."""
    versions = store.versions("sample")
    assert store.broken() == []
    assert store.verify([str(version) for version in versions]) == []
    return {version.name for version in versions}


def tree(root: Path) -> dict[str, bytes]:
    """All that counts in a store."""
    files = (path for path in root.rglob("*") if path.is_file())
    names = {path.relative_to(root).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith((".staging", ".lock"))}


def test_a_kill_while_publishing_leaves_whole_versions_and_the_old_one_in_use(folder: Path) -> None:
    steps = fail_everywhere("kill", "publish", folder)
    assert len(steps) > 15
    seen = []
    for store, ended in steps:
        state = (active(store), frozenset(present(store) - BEFORE))
        assert state in POSSIBLE
        assert ended != "done" or state == POSSIBLE[-1]
        seen.append(state)
        store.use("sample@int4")  # What was left half is in nobody's way, and is cleaned up.
        assert list((store.root / ".staging").iterdir()) == []
    assert len(set(seen)) == 3


@pytest.mark.parametrize(("what", "after"), [("use", "int4"), ("rollback", "catalog")])
def test_a_kill_while_switching_leaves_the_old_or_the_new_version_in_use(folder: Path, what: str, after: str) -> None:
    seen = []
    for store, _ in fail_everywhere("kill", what, folder):
        assert present(store) == BEFORE
        seen.append(active(store))
    assert seen == sorted(seen, key=["int8", after].index)
    assert set(seen) == {"int8", after}


def test_a_kill_while_removing_leaves_no_half_version(folder: Path) -> None:
    for store, ended in fail_everywhere("kill", "remove", folder):
        left = present(store)
        # Until nothing is left, the name still stands for what it stood for: never for another version unasked.
        assert pointer_path(store.root, "sample").exists() or not left
        assert ended != "done" or tree(store.root) == {}
        store.remove(["sample"])
        assert tree(store.root) == {}


@pytest.mark.parametrize("what", ["publish", "use", "rollback"])
def test_a_full_disk_leaves_the_store_as_it_was(folder: Path, what: str) -> None:
    steps = fail_everywhere("full", what, folder)
    assert len(steps) > 4
    before = tree(folder / "before")
    for store, ended in steps:
        if ended == "full":
            assert tree(store.root) == before
        else:  # It was a note that may be missing.
            assert active(store) != "int8"
            assert present(store) >= BEFORE
    assert [ended for _, ended in steps].count("full") > len(steps) // 2
