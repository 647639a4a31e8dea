"""Versions of a model, side by side in the store."""

import os
import shutil
from pathlib import Path
from typing import Any

import modelsamples as samples
import pytest

from edgevoice.errors import ModelError, OutputError
from edgevoice.modelcatalog import Catalog
from edgevoice.modelfolder import MANIFEST, STAMP
from edgevoice.modelstore import ModelStore
from edgevoice.modelversions import HISTORY, Pointer, earlier, pointer_path, read_pointer

SMALL = {"model.bin": bytes(1000), "sub/words.txt": b"one\ntwo\n"}


def publish(store: ModelStore, version: str, files: dict[str, bytes] = SMALL, **changes: Any) -> Path:
    folder = samples.write_files(store.root.parent / f"made-{version}", files)
    given: dict[str, Any] = {
        "task": "vad",
        "licence": "CC0-1.0",
        "origin": "https://example.org/sample",
        "source": "quantized from sample",
        "built_from": {"model.bin": "ab" * 32},
        "built_with": {"python": "3.11"},
    }
    return store.publish(changes.pop("model", "sample"), version, folder, **(given | changes))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    samples.write_files(tmp_path / "origin")
    return samples.catalog(tmp_path, sample=samples.entry({"path": {"folder": "origin"}}))


@pytest.fixture
def store(catalog: Catalog, tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path / "store", catalog)
    store.pull(["sample"])
    return ModelStore(tmp_path / "store", catalog)


def size_of(store: ModelStore, name: str = "sample") -> int:
    """Of the model that is in use: 102400 is the catalog's."""
    return (ModelStore(store.root, store.catalog).path(name) / "model.bin").stat().st_size


def labels(store: ModelStore, model: str = "sample") -> list[str]:
    return [version.name + (" *" if version.active else "") for version in store.versions(model)]


# Side by side


def test_a_published_version_lies_beside_the_catalogs_and_is_not_in_use(store: ModelStore) -> None:
    folder = publish(store, "int8")
    assert labels(store) == ["catalog *", "int8"]
    assert size_of(store) == 102400
    assert store.path("sample@int8") == folder
    assert (folder / "model.bin").read_bytes() == SMALL["model.bin"]
    assert store.verify(["sample", "sample@int8", "sample@catalog"]) == []
    assert store.pull(["sample"]) == []
    found = store.version("sample@int8")
    assert (str(found), found.licence, found.source) == ("sample@int8", "CC0-1.0", "quantized from sample")


def test_the_notes_of_the_store_it_was_copied_from_do_not_come_along(store: ModelStore) -> None:
    folder = publish(store, "int8", {**SMALL, MANIFEST: b"{}", STAMP: b"{}"})
    assert store.verify(["sample@int8"]) == []
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, STAMP, "model.bin", "sub"]


def test_use_and_rollback_switch(store: ModelStore) -> None:
    publish(store, "int8")
    publish(store, "int4", {"model.bin": bytes(500)})
    assert str(store.use("sample@int8")) == "sample@int8"
    assert size_of(store) == 1000
    store.use("sample@int4")
    store.use("sample@int4")  # Once more changes nothing: not what one goes back to either.
    assert size_of(store) == 500
    assert str(store.rollback("sample")) == "sample@int8"
    assert size_of(store) == 1000
    assert str(store.rollback("sample")) == "sample@catalog"
    assert size_of(store) == 102400
    with pytest.raises(ModelError, match="no version before this one"):
        store.rollback("sample")


def test_a_version_may_be_used_as_soon_as_it_is_published(store: ModelStore) -> None:
    publish(store, "int8", use=True)
    assert labels(store) == ["catalog", "int8 *"]
    assert store.rollback("sample").name == "catalog"


def test_the_catalogs_version_is_called_so_and_by_its_digest(store: ModelStore) -> None:
    publish(store, "int8", use=True)
    digest = store.path("sample@catalog").name.partition("@")[2]
    assert store.use(f"sample@{digest}").name == "catalog"
    assert store.use("sample@int8").name == "int8"
    assert size_of(store, f"sample@{digest}") == 102400


def test_a_new_catalog_replaces_its_own_version_alone(store: ModelStore, tmp_path: Path) -> None:
    publish(store, "int8", use=True)
    newer = {**samples.FILES, "sub/words.txt": b"three\n"}
    samples.write_files(tmp_path / "origin", newer)
    catalog = samples.catalog(tmp_path, sample=samples.entry({"path": {"folder": "origin"}}, files=newer))
    fresh = ModelStore(store.root, catalog)
    assert fresh.outdated() == ["sample"]
    assert fresh.pull(["sample"]) == []  # What is in use is good.
    with pytest.raises(ModelError, match=r"only another version .*; repair it with: edgevoice models pull sample@cata"):
        fresh.use("sample@catalog")
    assert fresh.pull(["sample@catalog"]) == ["sample@catalog"]
    assert labels(fresh) == ["catalog", "int8 *"]
    assert (fresh.path("sample@catalog") / "sub/words.txt").read_bytes() == b"three\n"
    assert len(list(fresh.root.glob("sample@*"))) == 2


def test_a_model_of_ones_own_needs_no_catalog(store: ModelStore) -> None:
    publish(store, "v1", model="mine")
    publish(store, "v2", {"model.bin": bytes(7)}, model="mine")
    assert (store.own(), labels(store, "mine")) == (["mine"], ["v1 *", "v2"])
    store.use("mine@v2")
    assert size_of(store, "mine") == 7
    assert store.rollback("mine").name == "v1"
    assert store.pull(["mine"]) == []
    with pytest.raises(ModelError, match=r"no such version of it; there are: v1, v2"):
        store.path("mine@catalog")


def test_damage_of_a_version_is_named_with_what_can_be_done(store: ModelStore) -> None:
    folder = publish(store, "int8", use=True)
    (folder / "model.bin").write_bytes(bytes(999))
    fresh = ModelStore(store.root, store.catalog)
    with pytest.raises(ModelError, match=r"999 bytes.*rollback sample; .*there are: catalog, int8") as caught:
        fresh.path("sample")
    assert "models pull" not in caught.value.remedy
    assert [found.model for found in fresh.verify(["sample"])] == ["sample@int8"]
    assert fresh.verify(["sample@catalog"]) == []
    with pytest.raises(ModelError, match="999 bytes"):
        fresh.pull(["sample"])
    assert fresh.rollback("sample").name == "catalog"
    with pytest.raises(ModelError, match="999 bytes and must have 1000; make it again"):
        fresh.use("sample@int8")
    assert size_of(fresh) == 102400
    (folder / MANIFEST).unlink()
    assert fresh.broken() == ["sample@int8"]


# Refusals


@pytest.mark.parametrize(
    ("version", "model", "cause"),
    [
        ("catalog", "sample", "the catalog's own version"),
        ("0123456789ab", "sample", "the catalog's own version"),
        ("../x", "sample", "cannot be a version's name"),
        ("", "sample", "cannot be a version's name"),
        ("v1", "a@b", "cannot be a model's name"),
        ("v1", "../x", "cannot be a model's name"),
    ],
)
def test_names_that_would_mean_something_else_are_refused(
    store: ModelStore, version: str, model: str, cause: str
) -> None:
    with pytest.raises(ModelError, match=cause):
        store.check_free(model, version, "vad")


def test_a_version_is_never_replaced_and_its_task_never_changed(store: ModelStore) -> None:
    publish(store, "int8")
    with pytest.raises(ModelError, match=r"a version of that name already; .* models remove sample@int8"):
        publish(store, "int8", {"model.bin": b"other"})
    assert (store.path("sample@int8") / "model.bin").read_bytes() == SMALL["model.bin"]
    with pytest.raises(ModelError, match="it is a model for asr, and sample is one for vad"):
        publish(store, "int4", task="asr")
    publish(store, "v1", model="mine", task="asr")
    with pytest.raises(ModelError, match="for vad, and mine is one for asr"):
        publish(store, "v2", model="mine")
    (empty := store.root.parent / "empty").mkdir()
    with pytest.raises(ModelError, match="no file in it"):
        store.publish("sample", "x", empty, task="vad", licence="", origin="", source="", built_from={}, built_with={})
    assert labels(store) == ["catalog *", "int8"]


def test_what_is_not_there_cannot_be_used(store: ModelStore) -> None:
    publish(store, "int8")
    for name, cause in [
        ("sample", r"which version is missing; .*catalog, int8"),
        ("sample@int4", r"this version is not installed; .*there are: catalog, int8"),
        ("sample@0123456789ab", "no such version of it; there are: catalog, int8"),
        ("sampel@int8", "did you mean 'sample'"),
    ]:
        with pytest.raises(ModelError, match=cause):
            store.use(name)
    with pytest.raises(ModelError, match="did you mean 'sample'"):
        store.rollback("sampel")
    assert not pointer_path(store.root, "sample").exists()


def test_a_damaged_pointer_is_named_and_mended_by_use(store: ModelStore) -> None:
    publish(store, "int8", use=True)
    pointer_path(store.root, "sample").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"sample\.active\.json: it cannot be read.*models use sample@VERSION"):
        store.path("sample")
    assert store.use("sample@catalog").name == "catalog"
    assert size_of(store) == 102400


# Removing


def test_single_versions_are_removed_but_not_the_one_in_use(store: ModelStore) -> None:
    publish(store, "int8", use=True)
    publish(store, "int4")
    with pytest.raises(ModelError, match="it is the version in use; first choose another one"):
        store.remove(["sample@int4", "sample@int8"])
    assert labels(store) == ["catalog", "int4", "int8 *"]
    assert store.remove(["sample@int4", "sample@catalog"]) == ["sample@int4", "sample@catalog"]
    assert store.remove(["sample@int4"]) == []
    assert labels(store) == ["int8 *"]
    with pytest.raises(ModelError, match="it is not installed; repair it with: edgevoice models pull sample@catalog"):
        store.rollback("sample")


def test_going_back_passes_over_what_was_removed(store: ModelStore) -> None:
    for version in ("a", "b", "c"):
        publish(store, version, use=True)
    store.remove(["sample@b"])
    assert store.rollback("sample").name == "a"


def test_removing_a_model_removes_every_version_and_what_said_which_is_in_use(store: ModelStore) -> None:
    publish(store, "int8", use=True)
    publish(store, "v1", model="mine")
    assert store.remove(["sample", "mine"]) == ["sample", "mine"]
    assert not list(store.root.glob("*@*")) and not list(store.root.glob("*.json"))
    assert store.own() == []
    store.pull(["sample"])
    assert size_of(store) == 102400


def test_removing_the_last_version_leaves_no_pointer_behind(store: ModelStore) -> None:
    publish(store, "v1", model="mine")
    assert store.remove(["mine@v1"]) == ["mine@v1"]
    assert not pointer_path(store.root, "mine").exists()


# Bundles


def test_a_bundle_takes_what_is_in_use_along(store: ModelStore, tmp_path: Path) -> None:
    publish(store, "int8", use=True)
    publish(store, "v1", model="mine")
    bundle = ModelStore(tmp_path / "bundle", store.catalog)
    assert bundle.pull(["sample", "mine"], near=store) == ["sample", "mine"]
    shutil.copytree(bundle.root, tmp_path / "board", copy_function=shutil.copyfile)
    board = ModelStore(tmp_path / "board", store.catalog)
    assert (labels(board), labels(board, "mine")) == (["int8 *"], ["v1 *"])
    assert board.verify(["sample", "mine"]) == []
    store.use("sample@catalog")
    assert bundle.pull(["sample"], near=store) == ["sample"]
    assert labels(bundle) == ["catalog *", "int8"]
    assert bundle.pull(["sample"], near=store) == []


def test_damage_of_a_version_is_not_copied_into_a_bundle(store: ModelStore, tmp_path: Path) -> None:
    os.truncate(publish(store, "int8", use=True) / "model.bin", 5)
    bundle = ModelStore(tmp_path / "bundle", store.catalog)
    with pytest.raises(ModelError, match=r"store/sample@int8/model\.bin: the file is damaged"):
        bundle.pull(["sample"], near=store)
    assert not list(bundle.root.glob("*@*")) and not list(bundle.root.glob("*.json"))


# The pointer


def test_the_history_has_an_end() -> None:
    pointer = Pointer(active="v0")
    for number in range(1, HISTORY + 10):
        pointer = pointer.after(f"v{number}")
    assert len(pointer.before) == HISTORY
    assert pointer.before[-1] == f"v{HISTORY + 8}"


def test_going_back_skips_what_is_gone_and_what_is_in_use() -> None:
    pointer = Pointer(active="a", before=("x", "a", "gone", "a"))
    assert earlier(pointer, ["a", "x"]) == Pointer(active="x", before=())
    assert earlier(pointer, ["a"]) is None


def test_too_little_room_is_said_before_anything_is_copied(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage())
    with pytest.raises(OutputError, match=r"3 MB left and sample@int8 needs 16 MB"):
        publish(store, "int8")
    assert labels(store) == ["catalog *"]
    assert read_pointer(store.root, "sample") is None


class _Usage:
    free = 3_000_000
