"""Makes a result that passed the gate a version of a model in the store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgevoice.modelfiles import Progress, model_files
from edgevoice.modelstore import ModelStore
from edgevoice.quantize import provenance
from edgevoice.quantize.gate import Verdict
from edgevoice.quantize.metric import Measurement, SampleSet
from edgevoice.quantize.provenance import SourceModel


def source_model(store: ModelStore, name: str) -> tuple[Path, SourceModel]:
    """The model of a name, a ``NAME@VERSION`` or a path: its folder (or file), and what provenance says of it.

    Raises:
        ModelError: it is not installed or damaged, or there is no such model or path.
    """
    folder = store.path(name)
    files = model_files(folder)
    if "/" in name:
        return folder, SourceModel(name=folder.name, version=None, licence="unknown", origin="unknown", files=files)
    version = store.version(name)
    return folder, SourceModel(
        name=version.model, version=version.name, licence=version.licence, origin=version.origin, files=files
    )


def publish(
    store: ModelStore,
    folder: Path,
    source: SourceModel,
    *,
    name: str,
    version: str,
    recipe: Mapping[str, Any],
    calibration: SampleSet | None,
    kept_float: Sequence[str],
    before: Measurement,
    after: Measurement,
    verdict: Verdict,
    use: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Put a result into the store as ``name@version``, beside all other versions of that model, or not at all.

    Args:
        folder: the result, a whole model; it stays as it is, but that the provenance is written beside it.
        name: of a model of the catalog, or another one, which makes it a model of the user's own.
        use: make it the version that ``name`` stands for.

    Returns:
        The version's folder in the store.

    Raises:
        GateError: it did not pass, or has no metric. ModelError: there is another version of that name, or the name
        is none. OutputError: the store, or the folder, cannot be written.
    """
    verdict.raise_unless_passed(f"{name}@{version}")
    known, measured = provenance.describe(
        folder,
        source,
        recipe=recipe,
        calibration=calibration,
        kept_float=kept_float,
        before=before,
        after=after,
        verdict=verdict,
    )
    provenance.write(folder, known, measured)
    return store.publish(
        name,
        version,
        folder,
        task="asr" if known.task == "intents" else known.task,
        licence=source.licence,
        origin=source.origin,
        source=f"quantized from {source.name}" + (f"@{source.version}" if source.version else ""),
        built_from={path: spec.sha256 for path, spec in source.files.items()},
        built_with=known.tools,
        use=use,
        progress=progress,
    )
