"""What a published version says of where it comes from, and what the command makes of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import modelsamples as samples
import msgspec
import pytest

from edgevoice import modelcatalog
from edgevoice.__main__ import main
from edgevoice.errors import GateError, ModelError
from edgevoice.modelstore import ModelStore
from edgevoice.quantize import provenance
from edgevoice.quantize.gate import Measurement, Verdict, judge
from edgevoice.quantize.metric import Parts, SampleSet, metric
from edgevoice.quantize.provenance import MEASURED, PROVENANCE
from edgevoice.quantize.publish import publish, source_model

SMALL = {"model.bin": bytes(1000), "sub/words.txt": b"one\ntwo\n"}
SAMPLES = SampleSet(name="dev.jsonl", n=2, sha256="ab" * 32)


def measured(wrong: float, *, rss: float = 100.0) -> Measurement:
    parts = Parts(counts=(wrong, 0.0), weights=(50.0, 50.0))
    return Measurement(
        task="vad",
        engine="silero",
        metrics=(metric("frame_error", parts),),
        parts={"frame_error": parts},
        samples=SAMPLES,
        size=1000,
        load_ms=rss / 7,
        rss_mb=rss,
        latency_of="32 ms of audio",
        latency_p50_ms=rss / 100,
        latency_p95_ms=rss / 50,
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """A store with a model, which the command uses too."""
    samples.write_files(tmp_path / "origin")
    entry = samples.entry({"path": {"folder": "origin"}})
    catalog = samples.write_catalog(tmp_path / "catalog.yaml", {"sample": entry})
    monkeypatch.setattr(modelcatalog, "find_catalog", lambda: catalog)
    monkeypatch.setenv("EDGEVOICE_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("HOME", str(tmp_path))
    store = ModelStore()
    store.pull(["sample"])
    return store


def published(store: ModelStore, version: str = "int8", *, verdict: Verdict | None = None, **changes: Any) -> Path:
    folder = samples.write_files(store.root.parent / f"made-{version}", SMALL)
    _, source = source_model(store, changes.pop("source", "sample"))
    before, after = changes.pop("before", measured(1)), changes.pop("after", measured(2))
    given: dict[str, Any] = {
        "name": "sample",
        "recipe": {"kind": "dynamic", "bits": 8},
        "calibration": SAMPLES,
        "kept_float": ["conv1", "conv2"],
    }
    return publish(
        store,
        folder,
        source,
        version=version,
        before=before,
        after=after,
        verdict=verdict or judge(before, after, 0.02),
        **(given | changes),
    )


def test_it_says_all_that_made_the_bytes(store: ModelStore) -> None:
    folder = published(store)
    found = provenance.read(folder)
    assert (found.source.name, found.source.version) == ("sample", "catalog")
    assert found.source.files["model.bin"].sha256 == samples.spec(samples.FILES["model.bin"])["sha256"]
    assert found.files["model.bin"].sha256 == samples.spec(SMALL["model.bin"])["sha256"]
    assert set(found.files) == set(SMALL)
    assert (found.recipe, found.kept_float) == ({"kind": "dynamic", "bits": 8}, ("conv1", "conv2"))
    assert (found.calibration, found.samples) == (SAMPLES, SAMPLES)
    assert [each.value for each in (*found.before, *found.after)] == [0.01, 0.02]
    assert found.allowed == {"frame_error": 0.02}
    assert {"python", "numpy", "onnxruntime"} <= set(found.tools)
    assert provenance.faults(folder) == []


def test_the_same_inputs_give_the_same_bytes_but_for_what_was_measured(store: ModelStore) -> None:
    one = published(store, "one")
    other = published(store, "other", before=measured(1, rss=200.0), after=measured(2, rss=300.0))
    assert (one / PROVENANCE).read_bytes() == (other / PROVENANCE).read_bytes()
    assert (one / MEASURED).read_bytes() != (other / MEASURED).read_bytes()
    assert json.loads((other / MEASURED).read_bytes())["after"]["rss_mb"] == 300.0
    third = published(store, "third", recipe={"bits": 8, "kind": "dynamic"})  # In another order.
    assert (one / PROVENANCE).read_bytes() == (third / PROVENANCE).read_bytes()
    fourth = published(store, "fourth", recipe={"bits": 4, "kind": "dynamic"})
    assert (one / PROVENANCE).read_bytes() != (fourth / PROVENANCE).read_bytes()


def test_what_was_made_from_a_version_names_that_version(store: ModelStore) -> None:
    published(store, "int8", use=True)
    folder = published(store, "int4", source="sample")
    assert provenance.read(folder).source.version == "int8"
    assert store.version("sample@int4").source == "quantized from sample@int8"
    _, source = source_model(store, str(store.root.parent / "made-int8"))
    assert (source.name, source.version, set(source.files)) == ("made-int8", None, set(SMALL))


def test_what_lost_too_much_is_not_published(store: ModelStore) -> None:
    before, after = measured(1), measured(9)
    with pytest.raises(GateError, match=r"sample@int8: it lost too much and was not published: frame_error from 0.01"):
        published(store, before=before, after=after)
    assert [str(version) for version in store.versions("sample")] == ["sample@catalog"]
    assert not (store.root.parent / "made-int8" / PROVENANCE).exists()


def test_without_a_metric_nothing_is_published(store: ModelStore) -> None:
    nothing = msgspec.structs.replace(measured(1), metrics=(), parts={})
    with pytest.raises(GateError):
        published(store, after=nothing, verdict=Verdict(changes=(), layers=()))
    with pytest.raises(GateError, match="no metric was measured"):
        published(store, after=nothing, verdict=judge(measured(1), measured(1)))
    assert [str(version) for version in store.versions("sample")] == ["sample@catalog"]


# Checking


def change(folder: Path, **changes: Any) -> None:
    """Change the provenance, as somebody would who knows the format."""
    known = msgspec.structs.replace(provenance.read(folder), **changes)
    (folder / PROVENANCE).write_bytes(provenance.encode(known))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"after": (metric("frame_error", Parts(counts=(9.0,), weights=(100.0,))),)}, "worse by more than the 0.02"),
        ({"before": (), "after": ()}, "names no metric"),
        ({"after": ()}, "'frame_error' was not measured afterwards"),
        ({"allowed": {}}, "nothing says how much it may drop"),
        ({"files": {}}, "its provenance does not know it"),
        ({"files": {"x": modelcatalog.FileSpec(size=1, sha256="ab" * 32)}}, "the file is missing, and the provenance"),
    ],
)
def test_a_provenance_that_does_not_add_up_is_found(store: ModelStore, changes: dict[str, Any], cause: str) -> None:
    folder = published(store)
    change(folder, **changes)
    assert any(cause in found for _, found in provenance.faults(folder))


def test_a_missing_or_damaged_provenance_is_found(store: ModelStore) -> None:
    folder = published(store)
    (folder / PROVENANCE).write_text('{"format": 1}', encoding="utf-8")
    with pytest.raises(ModelError, match="it cannot be read: Object missing required field"):
        provenance.read(folder)
    (folder / PROVENANCE).unlink()
    assert provenance.faults(folder) == [(folder / PROVENANCE, "there is no provenance beside the model")]


# The command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def models(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["models", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_versions_are_listed_used_and_left_again(store: ModelStore, models: Run) -> None:
    published(store)
    assert "versions: catalog (0.1 MB, in use), int8 (0.0 MB)" in models("list")[1]
    code, out, _ = models("use", "sample@int8")
    assert (code, out.startswith("sample is now sample@int8")) == (0, True)
    (entry,) = json.loads(models("list", "--json")[1])["models"]
    assert [(version["name"], version["in_use"]) for version in entry["versions"]] == [
        ("catalog", False),
        ("int8", True),
    ]
    assert (entry["state"], entry["source"]) == ("installed", "quantized from sample@catalog")
    code, out, _ = models("rollback", "sample", "--json")
    assert (code, json.loads(out)["in_use"]) == (0, "catalog")
    code, _, err = models("rollback", "sample")
    assert (code, "there is no version before this one" in err) == (4, True)
    code, _, err = models("use", "sample")
    assert (code, "give NAME@VERSION; there are: catalog, int8" in err) == (4, True)
    assert models("remove", "sample@int8")[1] == "sample@int8: removed\n"


def test_a_model_of_ones_own_is_listed_too(store: ModelStore, models: Run) -> None:
    published(store, "v1", name="mine")
    code, out, _ = models("list", "mine")
    assert code == 0
    assert "A model of your own" in out
    assert "versions: v1 (0.0 MB, in use)" in out
    assert "sample  " not in out


def test_verify_hashes_every_version_and_checks_its_provenance(store: ModelStore, models: Run) -> None:
    folder = published(store)
    published(store, "v1", name="mine")
    assert models("verify", "--quiet")[:2] == (0, "sample: good\nsample@int8: good\nmine@v1: good\n")
    store.use("sample@int8")
    assert "sample@catalog: good\nsample@int8: good\n" in models("verify", "--quiet")[1]
    (folder / PROVENANCE).write_text("{}", encoding="utf-8")
    code, out, err = models("verify", "--quiet")
    assert (code, "sample@int8: good" in out) == (4, False)
    assert f"{folder / PROVENANCE}: the file is damaged" in err


def test_verify_finds_what_was_changed_with_its_manifest(store: ModelStore, models: Run) -> None:
    folder = published(store)
    (folder / "model.bin").write_bytes(b"other")
    path = folder / "edgevoice-manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"]["model.bin"] = samples.spec(b"other")
    path.write_text(json.dumps(manifest), encoding="utf-8")
    code, out, err = models("verify", "sample@int8", "--json")
    assert code == 4
    (fault,) = json.loads(out)["damage"]
    assert (fault["model"], fault["path"]) == ("sample@int8", str(folder / "model.bin"))
    assert "in the provenance" in fault["cause"]
    _, _, err = models("verify", "sample@int8")
    assert "make it again, or remove it with: edgevoice models remove sample@int8" in err


def test_verify_checks_a_folder_outside_of_the_store(store: ModelStore, models: Run, tmp_path: Path) -> None:
    published(store)
    folder = tmp_path / "made-int8"
    assert models("verify", str(folder))[:2] == (0, f"{folder}: good\n")
    (folder / "model.bin").write_bytes(b"other")
    code, _, err = models("verify", str(folder))
    assert (code, "in the provenance" in err) == (4, True)
    code, _, err = models("verify", str(tmp_path / "nowhere"))
    assert (code, "there is no provenance beside the model" in err) == (4, True)


def test_verify_finds_another_source(store: ModelStore, models: Run) -> None:
    folder = published(store)
    path = folder / "edgevoice-manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["built_from"] = {"model.bin": "cd" * 32}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    code, _, err = models("verify", "sample@int8")
    assert (code, "it names another source than edgevoice-manifest.json" in err) == (4, True)
