"""What lies where in a model store, which version is in use, and whether it is still what was installed.

Nothing is changed here; see ``edgevoice.modelstore`` for that.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevoice import modelversions
from edgevoice.errors import ModelError
from edgevoice.modelcatalog import Catalog, FileSpec, Model, read_catalog
from edgevoice.modelfiles import Progress, Silent, bytes_under, marks
from edgevoice.modelfolder import MANIFEST, Damage, Manifest, check_files, read_manifest
from edgevoice.modelversions import CATALOG, IDENTITY_DIGITS, Version, split


@dataclass(frozen=True, slots=True)
class Installed:
    """A model of the catalog that is installed in its present version; its files are not checked."""

    name: str
    path: Path
    size: int
    """Bytes on the disk."""
    source: str


def default_root() -> Path:
    """``$EDGEVOICE_MODELS``; in a system service its state folder, which is /var/lib/edgevoice/models; else the
    user's data folder."""
    if chosen := os.environ.get("EDGEVOICE_MODELS"):
        return Path(chosen).expanduser()
    if state := os.environ.get("STATE_DIRECTORY"):  # systemd's StateDirectory=; several are joined by colons.
        return Path(state.split(":")[0]) / "models"
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "edgevoice" / "models"


class ModelShelf:
    """The models of one folder, to look at."""

    def __init__(self, root: Path | None = None, catalog: Catalog | None = None) -> None:
        """
        Args:
            root: the folder; ``default_root()`` when None. It is made when something is pulled.
            catalog: what there is; that of edgevoice when None.

        Raises:
            ConfigError: something in the catalog is wrong.
        """
        self.root = (root or default_root()).absolute()
        self.catalog = catalog or read_catalog()
        self._trusted: dict[Path, object] = {}
        """Folder -> what marked its files when they were checked."""

    # Using models

    def path(self, name: str) -> Path:
        """The folder of a model, its files checked: of the version in use, or of the one that is named with it; or what
        ``name`` is a path of, when it has a ``/`` in it.

        Args:
            name: ``NAME``, ``NAME@VERSION``, or a path.

        Raises:
            ModelError: it is not installed, is out of date or damaged, or there is no such model or path.
        """
        if "/" in name:
            path = Path(name).expanduser()
            if not path.exists():
                raise ModelError("there is no such file or folder", place=name)
            return path
        model, version = self._resolve(name)
        folder = self._folder_of(model, version)
        now = marks(folder)
        if self._trusted.get(folder) != now:
            damage = self._check_version(model, version, thorough=False, progress=Silent())
            if damage:
                raise damage[0].error()
            self._trusted[folder] = now
        return folder

    def version(self, name: str) -> Version:
        """What is installed of a ``NAME`` (the version in use) or a ``NAME@VERSION``; its files are not checked.

        Raises:
            ModelError: it is not installed, or there is no such model.
        """
        model, version = self._resolve(name)
        for found in self.versions(model):
            if found.name == version:
                return found
        raise self._check_version(model, version, thorough=False, progress=Silent())[0].error()

    def versions(self, model: str) -> list[Version]:
        """The installed versions of a model, that of the catalog first; those whose manifest is damaged are left out.

        Raises:
            ModelError: what says which one is in use is damaged.
        """
        active = self._active(model)
        labels = [*([CATALOG] if model in self.catalog.models else []), *self._published(model)]
        found = []
        for label in labels:
            folder = self._folder_of(model, label)
            manifest = read_manifest(folder)
            task = self.catalog[model].task if model in self.catalog.models else manifest and manifest.task
            if manifest and task:
                version = Version(
                    model=model,
                    name=label,
                    path=folder,
                    size=bytes_under(folder),
                    active=label == active,
                    task=task,
                    source=manifest.source,
                    licence=manifest.licence,
                    origin=manifest.origin,
                )
                found.append(version)
        return found

    def own(self) -> list[str]:
        """The models of which versions are installed and that the catalog does not know."""
        names = {path.name.partition("@")[0] for path in self.root.glob("*@*") if self._is_published(path)}
        return sorted(names - self.catalog.models.keys())

    def installed(self) -> list[Installed]:
        """The models that are installed, in the order of the catalog."""
        found = []
        for model in self.catalog:
            folder = self._folder(model)
            manifest = read_manifest(folder)
            if manifest:
                found.append(Installed(model.name, folder, bytes_under(folder), manifest.source))
        return found

    def outdated(self) -> list[str]:
        """The models of which only another version of the catalog's than the present one is installed."""
        return [m.name for m in self.catalog if not self._folder(m).is_dir() and self._stale(m.name)]

    def broken(self) -> list[str]:
        """The models, or ``NAME@VERSION``, whose folder is there without a manifest that can be read."""
        found = [m.name for m in self.catalog if self._folder(m).is_dir() and read_manifest(self._folder(m)) is None]
        published = [path for path in sorted(self.root.glob("*@*")) if self._is_published(path)]
        return [*found, *(path.name for path in published if read_manifest(path) is None)]

    def verify(self, names: Sequence[str], progress: Progress | None = None) -> list[Damage]:
        """Hash every file of models; what is wrong with them, nothing if all is well.

        Args:
            names: ``NAME``, which is the version in use, or ``NAME@VERSION``.

        Raises:
            ModelError: there is no such model.
        """
        versions = [self._resolve(name) for name in names]
        progress = progress or Silent()
        return [found for each in versions for found in self._check_version(*each, thorough=True, progress=progress)]

    # Checking

    def _check_version(self, model: str, version: str, *, thorough: bool, progress: Progress) -> list[Damage]:
        if version == CATALOG:
            return self._check(self.catalog[model], thorough=thorough, progress=progress)
        folder = self._folder_of(model, version)
        manifest = read_manifest(folder)
        if manifest is None:
            cause = "it is missing or damaged" if folder.exists() else "this version is not installed"
            return [self._made_here(model, version, folder / MANIFEST if folder.exists() else folder, cause)]
        what = f"{model}@{version}"
        wrong = check_files(folder, manifest, manifest.files, what, thorough=thorough, progress=progress)
        return [self._made_here(model, version, path, cause) for path, cause in wrong]

    def _made_here(self, model: str, version: str, path: Path, cause: str) -> Damage:
        return Damage(
            f"{model}@{version}",
            path,
            cause,
            f"go back with: edgevoice models rollback {model}; or choose another version with: edgevoice models use; "
            f"there are: {self._names_of_versions(model)}",
        )

    def _check(self, model: Model, *, thorough: bool, progress: Progress) -> list[Damage]:
        """Of the catalog's version."""
        folder = self._folder(model)
        manifest = read_manifest(folder)
        if manifest is None and folder.exists():
            wrong = [(folder / MANIFEST, "it is missing or damaged")]
        elif manifest is None:
            stale = self._stale(model.name)
            wrong = [(folder, "only another version of it is installed" if stale else "it is not installed")]
        else:
            expected = expected_files(model, manifest)
            wrong = check_files(folder, manifest, expected, model.name, thorough=thorough, progress=progress)
        if not wrong:
            return []
        # "pull NAME" would repair what is in use, which may be another version.
        what = model.name if self._active(model.name) == CATALOG else f"{model.name}@{CATALOG}"
        return [Damage(what, path, cause) for path, cause in wrong]

    # Versions

    def _resolve(self, name: str) -> tuple[str, str]:
        """Model and version of a ``NAME`` or ``NAME@VERSION``.

        Raises:
            ModelError: there is no such model, or no version of it is in use.
        """
        model, version = split(name)
        known = model in self.catalog.models
        if not known and model not in self.own():
            _ = self.catalog[model]
        version = version or self._active(model)
        if version is None:
            raise ModelError(
                "no version of it is in use",
                place=f"model {model}",
                remedy=f"choose one with: edgevoice models use {model}@VERSION; "
                f"there are: {self._names_of_versions(model)}",
            )
        if known and version == self._folder(self.catalog[model]).name.partition("@")[2]:
            version = CATALOG
        if (version == CATALOG and not known) or "/" in version or modelversions.is_identity(version):
            raise ModelError(
                "there is no such version of it",
                place=f"model {name}",
                remedy=f"there are: {self._names_of_versions(model)}",
            )
        return model, version

    def _active(self, model: str) -> str | None:
        """What the name stands for; None for a model of the user's own of which nothing is in use."""
        pointer = modelversions.read_pointer(self.root, model)
        if pointer is not None:
            return pointer.active
        return CATALOG if model in self.catalog.models else None

    def _names_of_versions(self, model: str) -> str:
        known = [CATALOG] if model in self.catalog.models and self._folder(self.catalog[model]).exists() else []
        return ", ".join([*known, *self._published(model)]) or "none"

    # The folder

    def _folder(self, model: Model) -> Path:
        """Of the catalog's version."""
        return self.root / f"{model.name}@{self.catalog.identity(model.name)[:IDENTITY_DIGITS]}"

    def _folder_of(self, model: str, version: str) -> Path:
        return self._folder(self.catalog[model]) if version == CATALOG else self.root / f"{model}@{version}"

    def _folders(self, model: str) -> list[Path]:
        """All versions, also of earlier catalogs."""
        return sorted(path for path in self.root.glob("*@*") if path.is_dir() and split(path.name)[0] == model)

    def _published(self, model: str) -> list[str]:
        return [split(path.name)[1] or "" for path in self._folders(model) if self._is_published(path)]

    def _stale(self, model: str) -> list[Path]:
        """Of earlier catalogs."""
        now = self._folder(self.catalog[model])
        return [path for path in self._folders(model) if path != now and not self._is_published(path)]

    def _is_published(self, folder: Path) -> bool:
        return not modelversions.is_identity(split(folder.name)[1] or "")


def expected_files(model: Model, manifest: Manifest) -> dict[str, FileSpec]:
    """The catalog's word counts before the manifest's, which could have been changed along with a file."""
    return dict(model.files) or manifest.files
