import errno
import fcntl
import os
import shutil
import sys
import threading
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import modelsamples as samples
import pytest

from edgevoice import modeldownload, modelstore
from edgevoice.errors import ModelError, OutputError
from edgevoice.modelcatalog import Catalog
from edgevoice.modelfolder import MANIFEST
from edgevoice.modelstore import ModelStore, default_root

FILES = samples.FILES


@pytest.fixture
def here(tmp_path: Path) -> Catalog:
    """A catalog of one model that lies on this machine."""
    samples.write_files(tmp_path / "origin")
    return samples.catalog(tmp_path, sample=samples.entry({"path": {"folder": "origin"}}))


@pytest.fixture
def installed(here: Catalog, tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path / "store", here)
    store.pull(["sample"])
    return ModelStore(tmp_path / "store", here)


@pytest.fixture
def server() -> Iterator[samples.Server]:
    with samples.serving(dict(FILES)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modeldownload, "PAUSES", (0.0, 0.0))


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which pip takes wheels, through the user's own settings, and from nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def nothing_half(root: Path) -> bool:
    """Whether the store holds neither a model nor remains of one."""
    staging = root / ".staging"
    return not list(root.glob("*@*")) and (not staging.exists() or not list(staging.iterdir()))


def url_store(tmp_path: Path, server: samples.Server, **changes: Any) -> ModelStore:
    source = {"url": {"base": server.base}}
    return ModelStore(tmp_path / "store", samples.catalog(tmp_path, sample=samples.entry(source, **changes)))


# Installing and using


def test_a_model_is_installed_whole_and_found_again(installed: ModelStore) -> None:
    assert contents(installed.path("sample")) == FILES
    assert [(found.name, found.source) for found in installed.installed()] == [("sample", "path origin")]
    assert installed.verify(["sample"]) == []
    assert installed.pull(["sample"]) == []


def test_what_is_not_installed_or_unknown_is_refused(here: Catalog, tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "store", here)
    with pytest.raises(ModelError, match="not installed; repair it with: edgevoice models pull sample"):
        store.path("sample")
    for attempt in (store.path, lambda name: store.pull([name]), lambda name: store.remove([name])):
        with pytest.raises(ModelError, match="did you mean 'sample'"):
            attempt("sampel")
    assert not (tmp_path / "store").exists()


def test_a_name_with_a_slash_is_a_path(installed: ModelStore, tmp_path: Path) -> None:
    assert installed.path(str(tmp_path / "origin")) == tmp_path / "origin"
    with pytest.raises(ModelError, match="no such file"):
        installed.path("./none.onnx")


def test_a_model_is_removed(installed: ModelStore) -> None:
    assert installed.remove(["sample"]) == ["sample"]
    assert installed.remove(["sample"]) == []
    assert nothing_half(installed.root)
    with pytest.raises(ModelError, match="not installed"):
        installed.path("sample")


def test_the_store_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("EDGEVOICE_MODELS", "STATE_DIRECTORY", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert default_root() == Path("/home/someone/.local/share/edgevoice/models")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_root() == Path("/data/edgevoice/models")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edgevoice:/var/lib/other")
    assert default_root() == Path("/var/lib/edgevoice/models")
    monkeypatch.setenv("EDGEVOICE_MODELS", str(tmp_path))
    assert default_root() == tmp_path


# Damage


def flip(path: Path) -> None:
    """Change one bit in the middle, and leave size and time as they were."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_truncated_file_is_named_and_refused(installed: ModelStore) -> None:
    path = next(installed.root.glob("*@*/model.bin"))
    os.truncate(path, 1000)
    with pytest.raises(ModelError, match="it has 1000 bytes and must have 102400") as caught:
        installed.path("sample")
    assert caught.value.place == str(path)
    assert caught.value.remedy == "repair it with: edgevoice models pull sample"


def test_a_changed_file_of_the_same_size_is_named_and_refused(installed: ModelStore) -> None:
    path = next(installed.root.glob("*@*/model.bin"))
    path.write_bytes(bytes(102400))
    with pytest.raises(ModelError, match=r"its SHA-256 is [0-9a-f]{64} and must be [0-9a-f]{64}") as caught:
        installed.path("sample")
    assert caught.value.place == str(path)


def test_damage_that_comes_after_a_look_is_noticed_at_the_next(installed: ModelStore) -> None:
    folder = installed.path("sample")
    assert installed.path("sample") == folder
    with (folder / "model.bin").open("r+b") as model:
        model.write(b"another")
    with pytest.raises(ModelError, match="SHA-256"):
        installed.path("sample")
    installed.pull(["sample"])
    assert installed.path("sample") == folder


def test_verify_finds_a_bit_that_went_bad_in_place(installed: ModelStore) -> None:
    path = next(installed.root.glob("*@*/model.bin"))
    flip(path)
    assert [found.path for found in installed.verify(["sample"])] == [path]


def test_a_missing_file_or_manifest_is_named(installed: ModelStore) -> None:
    folder = installed.path("sample")
    (folder / "sub/words.txt").unlink()
    assert [(found.path, found.cause) for found in installed.verify(["sample"])] == [
        (folder / "sub/words.txt", "the file is missing")
    ]
    (folder / MANIFEST).write_text("{", encoding="utf-8")
    assert installed.broken() == ["sample"]
    with pytest.raises(ModelError, match=r"manifest\.json: it is missing or damaged"):
        ModelStore(installed.root, installed.catalog).path("sample")


def test_a_pull_repairs_damage(installed: ModelStore) -> None:
    os.truncate(next(installed.root.glob("*@*/model.bin")), 0)
    assert installed.pull(["sample"]) == ["sample"]
    assert contents(installed.path("sample")) == FILES


def test_a_changed_manifest_does_not_excuse_a_changed_file(installed: ModelStore) -> None:
    folder = next(installed.root.glob("*@*"))
    old, new = samples.spec(FILES["sub/words.txt"]), samples.spec(b"ONE\ntwo\n")
    (folder / "sub/words.txt").write_bytes(b"ONE\ntwo\n")
    manifest = (folder / MANIFEST).read_text(encoding="utf-8")
    assert old["sha256"] in manifest
    (folder / MANIFEST).write_text(manifest.replace(old["sha256"], new["sha256"]), encoding="utf-8")
    with pytest.raises(ModelError, match="SHA-256"):
        installed.path("sample")


def test_another_version_is_not_taken_for_the_catalogs(installed: ModelStore, tmp_path: Path) -> None:
    newer = {**FILES, "sub/words.txt": b"one\ntwo\nthree\n"}
    old = next(installed.root.glob("*@*"))
    catalog = samples.catalog(tmp_path, sample=samples.entry({"path": {"folder": "origin"}}, files=newer))
    store = ModelStore(installed.root, catalog)
    assert store.outdated() == ["sample"]
    with pytest.raises(ModelError, match="only another version"):
        store.path("sample")
    with pytest.raises(ModelError):  # The origin is still the old one: nothing is lost by trying.
        store.pull(["sample"])
    assert old.is_dir()
    samples.write_files(tmp_path / "origin", newer)
    store.pull(["sample"])
    assert (store.path("sample") / "sub/words.txt").read_bytes() == newer["sub/words.txt"]
    assert not old.exists()


def test_what_is_replaced_can_be_kept_until_it_is_pruned(installed: ModelStore, tmp_path: Path) -> None:
    old = next(installed.root.glob("*@*"))
    newer = {**FILES, "sub/words.txt": b"one\ntwo\nthree\n"}
    samples.write_files(tmp_path / "origin", newer)
    catalog = samples.catalog(tmp_path, sample=samples.entry({"path": {"folder": "origin"}}, files=newer))
    store = ModelStore(installed.root, catalog)
    assert store.prune() == []  # It is all that there is.
    store.pull(["sample"], keep_outdated=True)
    assert store.path("sample") != old
    assert contents(installed.path("sample")) == FILES
    assert store.prune() == [old.name]
    assert not old.exists()
    assert contents(store.path("sample")) == newer
    assert store.prune() == []


# Interruptions


def test_an_interrupted_pull_leaves_nothing_half(
    here: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(tmp_path / "store", here)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(modelstore, "sync_tree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.pull(["sample"])
    assert nothing_half(store.root)
    assert store.pull(["sample"]) == ["sample"]


def test_what_a_killed_pull_left_behind_is_cleaned_up(here: Catalog, tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "store", here)
    samples.write_files(store.root / ".staging" / "0123" / "model")
    old_part = samples.write_files(store.root / ".downloads", {"part": b"x"}) / "part"
    os.utime(old_part, (0, 0))
    store.pull(["sample"])
    assert list((store.root / ".staging").iterdir()) == []
    assert not old_part.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing_half(
    here: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = ModelStore(tmp_path / "store", here)

    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full; make room"):
        store.pull(["sample"])
    assert nothing_half(store.root)


def test_too_little_room_is_said_before_anything_is_fetched(
    here: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=3_000_000))
    store = ModelStore(tmp_path / "store", here)
    with pytest.raises(OutputError, match="has 3 MB left and sample needs 16 MB"):
        store.pull(["sample"])
    assert nothing_half(store.root)


def test_a_store_that_cannot_be_made_is_named(here: Catalog, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        ModelStore(tmp_path / "file" / "store", here).pull(["sample"])


def test_a_second_pull_waits_for_the_first_and_says_so(
    here: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(tmp_path / "store", here)
    store.root.mkdir()
    waiting = threading.Event()
    notes = samples.Notes(lambda text: waiting.set() if text.startswith("waiting") else None)
    pulled: list[str] = []
    asked: list[int] = []
    real = fcntl.flock

    def flock(file: int, operation: int) -> None:
        asked.append(operation)
        real(file, operation)

    with (store.root / ".lock").open("wb") as other:
        real(other, fcntl.LOCK_EX)
        monkeypatch.setattr(fcntl, "flock", flock)
        thread = threading.Thread(target=lambda: pulled.extend(store.pull(["sample"], notes)))
        thread.start()
        assert waiting.wait(30)
    thread.join(30)
    assert asked == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX]
    assert pulled == ["sample"]


# Addresses


def test_files_come_from_an_address(tmp_path: Path, server: samples.Server) -> None:
    notes = samples.Notes()
    store = url_store(tmp_path, server)
    store.pull(["sample"], notes)
    assert contents(store.path("sample")) == FILES
    assert notes.advances[-1][0] == notes.advances[-1][1]
    assert list((store.root / ".downloads").iterdir()) == []


def test_a_lost_connection_is_taken_up_where_it_stopped(tmp_path: Path, server: samples.Server) -> None:
    server.cuts = [40_000, 20_000]
    store = url_store(tmp_path, server)
    store.pull(["sample"])
    assert contents(store.path("sample")) == FILES
    asked = [wanted for path, wanted in server.requests if path == "/model.bin"]
    assert asked == [None, "bytes=40000-", "bytes=60000-"]


def test_a_download_that_was_given_up_goes_on_next_time(tmp_path: Path, server: samples.Server) -> None:
    server.cuts = [40_000, 0, 0, 0]
    store = url_store(tmp_path, server)
    with pytest.raises(ModelError, match="what has arrived is kept"):
        store.pull(["sample"])
    assert nothing_half(store.root)
    server.requests.clear()
    store.pull(["sample"])
    assert server.requests[0] == ("/model.bin", "bytes=40000-")
    assert contents(store.path("sample")) == FILES


def test_a_server_that_cannot_resume_starts_over(tmp_path: Path, server: samples.Server) -> None:
    server.ranges = False
    server.cuts = [40_000]
    store = url_store(tmp_path, server)
    store.pull(["sample"])
    assert contents(store.path("sample")) == FILES


@pytest.mark.parametrize("kept", [b"another file's beginning", bytes(102_399)])
def test_a_kept_part_of_another_file_does_no_harm(tmp_path: Path, server: samples.Server, kept: bytes) -> None:
    store = url_store(tmp_path, server)
    part = samples.spec(FILES["model.bin"])["sha256"]
    samples.write_files(store.root / ".downloads", {part: kept})
    store.pull(["sample"])
    assert contents(store.path("sample")) == FILES


def test_a_server_with_troubles_is_asked_again(tmp_path: Path, server: samples.Server) -> None:
    server.statuses = [503, 500]
    store = url_store(tmp_path, server)
    store.pull(["sample"])
    assert contents(store.path("sample")) == FILES


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda server: server.files.pop("model.bin"), "404"),
        (lambda server: server.statuses.extend([503] * 9), "503"),
        (lambda server: server.files.update({"model.bin": bytes(102_400)}), "SHA-256"),
        (lambda server: server.files.update({"model.bin": FILES["model.bin"] + b"more"}), "must have 102400"),
        (lambda server: server.files.update({"model.bin": FILES["model.bin"][:-1]}), "102399"),
    ],
    ids=["missing", "down", "changed", "longer", "shorter"],
)
def test_a_bad_download_is_refused(tmp_path: Path, spoil: Callable[[samples.Server], object], cause: str) -> None:
    with samples.serving(dict(FILES)) as server:
        spoil(server)
        store = url_store(tmp_path, server)
        with pytest.raises(ModelError, match=cause) as caught:
            store.pull(["sample"])
    assert f"{server.base}model.bin" in str(caught.value)
    assert nothing_half(store.root)


def test_no_server_at_all(tmp_path: Path) -> None:
    with samples.serving({}) as gone:
        pass
    with pytest.raises(ModelError, match="connection failed"):
        url_store(tmp_path, gone).pull(["sample"])


def test_the_next_source_is_tried_and_all_failures_are_told(tmp_path: Path, server: samples.Server) -> None:
    sources = [{"path": {"folder": "nowhere"}}, {"url": {"base": f"{server.base}wrong/"}}]
    catalog = samples.catalog(tmp_path, sample=samples.entry(*sources))
    with pytest.raises(ModelError, match=r"nowhere/model\.bin.*404"):
        ModelStore(tmp_path / "store", catalog).pull(["sample"])
    catalog = samples.catalog(tmp_path, sample=samples.entry(*sources, {"url": {"base": server.base}}))
    store = ModelStore(tmp_path / "store", catalog)
    store.pull(["sample"])
    assert store.installed()[0].source == f"url {server.base}"


# Archives


def archive_store(tmp_path: Path, server: samples.Server, **changes: Any) -> ModelStore:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("beside.txt", b"not this")
        for name, data in changes.pop("members", {f"top/{name}": data for name, data in FILES.items()}).items():
            archive.writestr(name, data)
    data = (tmp_path / "a.zip").read_bytes()
    server.files["a.zip"] = data
    source = {"url": f"{server.base}a.zip", "strip": "top", "unpacked": 200_000, **samples.spec(data), **changes}
    catalog = samples.catalog(tmp_path, sample=samples.entry({"archive": source}, files=None))
    return ModelStore(tmp_path / "store", catalog)


def test_an_archive_is_unpacked_without_its_folder(tmp_path: Path, server: samples.Server) -> None:
    store = archive_store(tmp_path, server)
    store.pull(["sample"])
    folder = store.path("sample")
    assert contents(folder) == FILES
    assert not (folder / "beside.txt").exists()
    assert store.verify(["sample"]) == []
    flip(folder / "model.bin")
    assert len(store.verify(["sample"])) == 1


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"members": {"../evil": b"x"}}, "outside the model"),
        ({"members": {"top/../../evil": b"x"}}, "outside the model"),
        ({"members": {"/evil": b"x"}}, "outside the model"),
        ({"members": {"top\\..\\evil": b"x"}}, "outside the model"),
        ({"members": {link("top/link"): b"/etc/passwd"}}, "outside the model"),
        ({"unpacked": 1000}, "more than 1000 bytes"),
        ({"strip": "other"}, "nothing in the folder 'other'"),
        ({"sha256": "ab" * 32}, "SHA-256"),
        ({"size": 10}, "must have 10"),
    ],
)
def test_a_bad_archive_is_refused(tmp_path: Path, server: samples.Server, changes: dict[str, Any], cause: str) -> None:
    store = archive_store(tmp_path, server, **changes)
    with pytest.raises(ModelError, match=cause):
        store.pull(["sample"])
    assert nothing_half(store.root)
    assert not (tmp_path / "evil").exists()


def test_an_archive_that_is_none_is_refused(tmp_path: Path, server: samples.Server) -> None:
    server.files["a.zip"] = b"<html>Please log in to this network</html>"
    source = {"url": f"{server.base}a.zip", "unpacked": 9, **samples.spec(server.files["a.zip"])}
    catalog = samples.catalog(tmp_path, sample=samples.entry({"archive": source}, files=None))
    with pytest.raises(ModelError, match="cannot be unpacked"):
        ModelStore(tmp_path / "store", catalog).pull(["sample"])


# Wheels and packages


def wheel_store(tmp_path: Path, **changes: Any) -> ModelStore:
    source = {"package": "sample-models", "version": "1.0", "size": 103_000, "folder": "sample_models/data", **changes}
    return ModelStore(tmp_path / "store", samples.catalog(tmp_path, sample=samples.entry({"wheel": source})))


def test_members_of_a_wheel_are_fetched_with_the_users_pip(tmp_path: Path, wheels: Path) -> None:
    samples.write_wheel(wheels, "sample_models")
    store = wheel_store(tmp_path)
    store.pull(["sample"])
    assert contents(store.path("sample")) == FILES
    assert store.installed()[0].source == "wheel sample-models 1.0"


def test_the_wheel_of_another_platform_is_taken_where_there_is_none(tmp_path: Path, wheels: Path) -> None:
    samples.write_wheel(wheels, "sample_models", tag="py3-none-manylinux_2_35_s390x")
    with pytest.raises(ModelError, match=r"wheel sample-models 1\.0: pip could not fetch it: "):
        wheel_store(tmp_path).pull(["sample"])
    store = wheel_store(tmp_path, platform="manylinux_2_35_s390x")
    store.pull(["sample"])
    assert contents(store.path("sample")) == FILES


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ({"model.bin": FILES["model.bin"]}, "no member sample_models/data/sub/words.txt"),
        ({**FILES, "model.bin": bytes(102_400)}, "sample_models/data/model.bin: its SHA-256 is"),
        ({**FILES, "model.bin": b""}, "it has 0 bytes and must have 102400"),
        ({**FILES, "model.bin": bytes(102_401)}, "it has more than the 102400 bytes"),
    ],
)
def test_a_wheel_with_other_contents_is_refused(
    tmp_path: Path, wheels: Path, files: dict[str, bytes], cause: str
) -> None:
    samples.write_wheel(wheels, "sample_models", files=files)
    store = wheel_store(tmp_path)
    with pytest.raises(ModelError, match=cause):
        store.pull(["sample"])
    assert nothing_half(store.root)


def test_pip_without_a_network_is_told_as_that(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with samples.serving({}) as gone:
        pass
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", gone.base)
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ModelError, match="it cannot reach the package index; is there a network"):
        wheel_store(tmp_path).pull(["sample"])


def test_files_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.write_files(tmp_path / "site" / "somevoice" / "assets", FILES)
    (tmp_path / "site" / "somevoice" / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    source = {"package": {"package": "somevoice", "folder": "assets"}}
    store = ModelStore(tmp_path / "store", samples.catalog(tmp_path, sample=samples.entry(source)))
    with pytest.raises(ModelError, match="package somevoice: it is not installed"):
        store.pull(["sample"])
    monkeypatch.syspath_prepend(tmp_path / "site")
    store.pull(["sample"])
    assert contents(store.path("sample")) == FILES


# Building


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module that builds by joining the files of the source."""
    module = types.ModuleType("edgevoice.export.sample")

    def build(source: Path, target: Path, progress: Callable[[str, float], None]) -> None:
        progress("joining", 0.5)
        (target / "joined.bin").write_bytes(b"".join((source / name).read_bytes() for name in FILES))

    module.build = build  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edgevoice.export.sample", module)
    return module


def build_store(tmp_path: Path, revision: int = 1) -> ModelStore:
    samples.write_files(tmp_path / "origin")
    build = {"from": "base", "with": "edgevoice.export.sample:build", "revision": revision, "size": 102_408}
    base = samples.entry({"path": {"folder": "origin"}})
    catalog = samples.catalog(tmp_path, built=samples.entry({"build": build}, files=None), base=base)
    return ModelStore(tmp_path / "store", catalog)


def test_a_model_is_built_and_its_source_not_kept(tmp_path: Path, builder: types.ModuleType) -> None:
    store = build_store(tmp_path)
    notes = samples.Notes()
    store.pull(["built"], notes)
    assert (store.path("built") / "joined.bin").read_bytes() == b"".join(FILES.values())
    assert [found.name for found in store.installed()] == ["built"]
    assert "built: building from base" in notes.steps
    assert notes.advances == [(51_204, 102_408)]
    manifest = (store.path("built") / MANIFEST).read_text(encoding="utf-8")
    assert all(samples.spec(data)["sha256"] in manifest for data in FILES.values())


def test_a_source_that_is_installed_is_used_and_kept(tmp_path: Path, builder: types.ModuleType) -> None:
    store = build_store(tmp_path)
    store.pull(["base"])
    shutil.rmtree(tmp_path / "origin")
    store.pull(["built"])
    assert [found.name for found in store.installed()] == ["built", "base"]


def test_damage_of_a_built_model_is_found(tmp_path: Path, builder: types.ModuleType) -> None:
    store = build_store(tmp_path)
    store.pull(["built"])
    flip(store.path("built") / "joined.bin")
    assert [found.path.name for found in store.verify(["built"])] == ["joined.bin"]


def test_a_new_revision_is_built_anew(tmp_path: Path, builder: types.ModuleType) -> None:
    build_store(tmp_path).pull(["built"])
    store = build_store(tmp_path, revision=2)
    with pytest.raises(ModelError, match="only another version"):
        store.path("built")
    assert store.pull(["built"]) == ["built"]
    assert len(list(store.root.glob("built@*"))) == 1


def test_a_build_that_fails_leaves_nothing_half(
    tmp_path: Path, builder: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, target: Path, progress: object) -> None:
        (target / "half").touch()
        raise ModelError("no Whisper model", place=str(source))

    monkeypatch.setattr(builder, "build", fail)
    store = build_store(tmp_path)
    with pytest.raises(ModelError, match="no Whisper model"):
        store.pull(["built"])
    monkeypatch.setattr(builder, "build", lambda *_: None)
    with pytest.raises(ModelError, match="it gave no files"):
        store.pull(["built"])
    assert nothing_half(store.root)


# Bundles


def copy_plainly(source: Path, target: Path) -> None:
    """As a copy over a memory stick does it: names and contents, nothing else."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)


def test_a_bundle_is_made_from_the_store_and_works_where_it_is_copied_to(
    tmp_path: Path, builder: types.ModuleType
) -> None:
    store = build_store(tmp_path)
    store.pull(["built"])
    shutil.rmtree(tmp_path / "origin")  # From now on nothing can be fetched.
    bundle = ModelStore(tmp_path / "bundle", store.catalog)
    assert bundle.pull(["built"], near=store) == ["built"]
    copy_plainly(tmp_path / "bundle", tmp_path / "board" / "models")
    board = ModelStore(tmp_path / "board" / "models", store.catalog)
    assert board.verify(["built"]) == []
    assert (board.path("built") / "joined.bin").read_bytes() == b"".join(FILES.values())
    assert board.pull(["built"]) == []


def test_a_damaged_copy_of_a_bundle_is_refused(installed: ModelStore, tmp_path: Path) -> None:
    copy_plainly(installed.root, tmp_path / "copy")
    next((tmp_path / "copy").glob("*@*/model.bin")).write_bytes(bytes(102_400))
    with pytest.raises(ModelError, match="SHA-256"):
        ModelStore(tmp_path / "copy", installed.catalog).path("sample")


def test_damage_is_not_copied_into_a_bundle(installed: ModelStore, tmp_path: Path) -> None:
    flip(next(installed.root.glob("*@*/model.bin")))
    bundle = ModelStore(tmp_path / "bundle", installed.catalog)
    with pytest.raises(ModelError, match=r"store/.*model\.bin: the file is damaged"):
        bundle.pull(["sample"], near=installed)
    assert nothing_half(bundle.root)


def test_a_store_that_cannot_be_written_is_read(installed: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(next(installed.root.glob("*@*/model.bin")), (1, 1))

    def readonly(self: Path, data: bytes) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "write_bytes", readonly)
    assert installed.path("sample").is_dir()


# The real models


def test_the_models_that_tests_and_defaults_use_are_good(store: ModelStore) -> None:
    names = ["okay_nabu", "hey_jarvis", "hey_mycroft", "alexa", "silero-vad", "whisper-tiny.en-int8", "hibari-heart"]
    for name in names:
        assert store.path(name).is_dir()
    assert store.verify(names) == []
