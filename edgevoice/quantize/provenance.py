"""Where a changed model comes from: two JSON files beside its own.

``edgevoice-provenance.json`` holds what follows from the inputs: the same source, recipe, calibration set and versions
of the libraries give the same bytes. What depends on the machine and the moment (times, memory) stands in
``edgevoice-measured.json``.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgevoice.errors import GateError, ModelError
from edgevoice.evaluate.machine import Machine, machine
from edgevoice.modelcatalog import FileSpec
from edgevoice.modelfiles import NOTES, model_files, versions_of
from edgevoice.modelfolder import MANIFEST, Manifest
from edgevoice.quantize.gate import Verdict
from edgevoice.quantize.metric import Cost, Measurement, Metric, SampleSet, Task

PROVENANCE = f"{NOTES}provenance.json"
MEASURED = f"{NOTES}measured.json"
TOOLS = ("edgevoice", "numpy", "onnx", "onnxruntime", "ai-edge-quantizer", "ai-edge-litert")
"""Packages whose versions may change the bytes of a result."""


class SourceModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that was changed."""

    name: str
    """In the catalog or the store; of a folder its name."""
    version: str | None
    """Of the store: ``catalog``, or the name of a published version; null for a folder."""
    licence: str
    origin: str
    files: dict[str, FileSpec]


class Provenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal[1] = 1
    task: Task
    engine: str
    source: SourceModel
    recipe: dict[str, Any]
    """As whoever made the model describes it."""
    kept_float: tuple[str, ...]
    """Layers that were left as they were."""
    calibration: SampleSet | None
    samples: SampleSet
    """What the metrics were measured on."""
    before: tuple[Metric, ...]
    after: tuple[Metric, ...]
    allowed: dict[str, float]
    """By metric, how much worse it might have got."""
    tools: dict[str, str]
    """Versions of Python and of the packages that decide about the bytes."""
    files: dict[str, FileSpec]
    """The result."""


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it costs on the machine where it was made."""

    format: Literal[1] = 1
    machine: Machine
    before: Cost
    after: Cost


def describe(
    folder: Path,
    source: SourceModel,
    *,
    recipe: Mapping[str, Any],
    calibration: SampleSet | None,
    kept_float: Sequence[str],
    before: Measurement,
    after: Measurement,
    verdict: Verdict,
) -> tuple[Provenance, Measured]:
    """What is to be known of a result, the reproducible and the measured part.

    Args:
        folder: the result, a whole model.

    Raises:
        GateError: it has no metric. ModelError: there is no file in the folder.
    """
    if not after.metrics or not verdict.changes:
        raise GateError("no metric was measured, so nothing can be published", place=str(folder))
    provenance = Provenance(
        task=after.task,
        engine=after.engine,
        source=source,
        recipe=dict(recipe),
        kept_float=tuple(kept_float),
        calibration=calibration,
        samples=after.samples,
        before=before.metrics,
        after=after.metrics,
        allowed={change.before.name: change.allowed for change in verdict.changes},
        tools=versions_of(*TOOLS),
        files=model_files(folder),
    )
    return provenance, Measured(machine=machine(), before=before.cost(), after=after.cost())


def write(folder: Path, provenance: Provenance, measured: Measured) -> None:
    """Put both beside the model's files."""
    (folder / PROVENANCE).write_bytes(encode(provenance))
    (folder / MEASURED).write_bytes(encode(measured))


def read(folder: Path) -> Provenance:
    """
    Raises:
        ModelError: it is missing, or damaged.
    """
    path = folder / PROVENANCE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Provenance)
    except FileNotFoundError:
        raise ModelError("there is no provenance beside the model", place=str(path)) from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"it cannot be read: {error}", place=str(path)) from error


def faults(folder: Path, manifest: Manifest | None = None) -> list[tuple[Path, str]]:
    """What is wrong with a model's provenance: file and cause.

    Args:
        manifest: of an installed version, whose files were just compared with it; without it they are hashed here.
    """
    path = folder / PROVENANCE
    try:
        found = read(folder)
        files = _listed(manifest) if manifest else model_files(folder)
    except ModelError as error:
        return [(path, error.cause)]
    wrong = [(folder / name, "its provenance does not know it") for name in files.keys() - found.files.keys()]
    for name, spec in found.files.items():
        if name not in files:
            wrong.append((folder / name, "the file is missing, and the provenance names it"))
        elif files[name] != spec:
            wrong.append((folder / name, f"its SHA-256 is {files[name].sha256}, in the provenance {spec.sha256}"))
    if manifest and manifest.built_from != {name: spec.sha256 for name, spec in found.source.files.items()}:
        wrong.append((path, f"it names another source than {MANIFEST}"))
    after = {metric.name: metric for metric in found.after}
    if not found.before:
        wrong.append((path, "it names no metric"))
    for old in found.before:
        new, allowed = after.get(old.name), found.allowed.get(old.name)
        if new is None or allowed is None:
            wrong.append((path, f"'{old.name}' was not measured afterwards, or nothing says how much it may drop"))
        elif (new.value - old.value) * (1 if old.lower_is_better else -1) > allowed + 1e-6:
            wrong.append((path, f"'{old.name}' is worse by more than the {allowed:g} that were allowed"))
    return wrong


def identity(provenance: Provenance) -> str:
    """A digest of all that is reproducible."""
    return hashlib.sha256(encode(provenance)).hexdigest()


def encode(value: Provenance | Measured) -> bytes:
    """Bytes that depend on nothing but the value: keys in order, figures as they are."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic")) + b"\n"


def _listed(manifest: Manifest) -> dict[str, FileSpec]:
    return {name: spec for name, spec in manifest.files.items() if not Path(name).name.startswith(NOTES)}
