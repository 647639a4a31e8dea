"""Where the models are on this machine: a folder per version of a model, installed whole or not at all.

Every file is hashed before it is installed. When a model is used, its files' sizes and times are compared with those
of the last hashing, which costs microseconds where hashing 60 MB from an SD card costs seconds; files that look
different are hashed again. ``verify`` hashes always, and so finds bits that went bad in place.

What the catalog describes lies in ``<name>@<identity>``, where the identity is a digest of what the catalog says. So a
new version is put beside the old one and the old one then removed, there is no moment without a whole model, and an old
version is never taken for the new one. Versions that were published here lie in ``<name>@<version>``, beside that one;
see ``edgevoice.modelversions``. The store may be copied: it holds plain files only.
"""

import contextlib
import errno
import fcntl
import importlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevoice import modelversions
from edgevoice.errors import EdgeVoiceError, ModelError, OutputError
from edgevoice.modelcatalog import BuildSource, Catalog, FileSpec, Model, Source, Task, read_catalog
from edgevoice.modelfetch import bytes_to_fetch, describe, fetch
from edgevoice.modelfiles import (
    Progress,
    Silent,
    bytes_under,
    copy_checked,
    difference,
    sha256_of,
    sync_folder,
    sync_tree,
    versions_of,
)
from edgevoice.modelfolder import MANIFEST, STAMP, Damage, Manifest, check_files, read_manifest, write_notes
from edgevoice.modelversions import CATALOG, IDENTITY_DIGITS, Pointer, Version, split

KEPT_SECONDS = 7 * 24 * 3600
"""How long an interrupted download is kept to go on with: a week, then nobody is coming back for it."""
SPARE_BYTES = 16 << 20
"""Left free when a model is installed, for the log and for what else the system writes."""


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


class ModelStore:
    """The models of one folder. Not for use by several threads at once; several processes may."""

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
        self._trusted: set[str] = set()

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
        if str(folder) not in self._trusted:
            damage = self._check_version(model, version, thorough=False, progress=Silent())
            if damage:
                raise damage[0].error()
            self._trusted.add(str(folder))
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

    # Choosing versions

    def use(self, name: str, progress: Progress | None = None) -> Version:
        """Let a model's name stand for another version from now on. Its files are hashed first.

        Args:
            name: ``NAME@VERSION``; the version ``catalog`` is the one that the catalog describes.

        Raises:
            ModelError: it is not installed or damaged, or there is no such model. OutputError: the store cannot be
            written.
        """
        model, version = split(name)
        if version is None:
            raise ModelError(
                "which version is missing",
                place=f"model {name}",
                remedy=f"give NAME@VERSION; there are: {self._names_of_versions(model)}",
            )
        self._resolve(name)
        with self._locked(progress or Silent()):
            self._see_good(model, version, progress)
            self._point(model, version)
        return self.version(model)

    def rollback(self, model: str, progress: Progress | None = None) -> Version:
        """Let a model's name stand again for what it stood for before the last ``use``. Its files are hashed first.

        Raises:
            ModelError: there is nothing to go back to, or it is damaged. OutputError: the store cannot be written.
        """
        if model not in self.own():
            _ = self.catalog[model]
        with self._locked(progress or Silent()):
            pointer = modelversions.read_pointer(self.root, model)
            there = [*self._published(model), *([CATALOG] if model in self.catalog.models else [])]
            back = modelversions.earlier(pointer, there) if pointer else None
            if back is None:
                raise ModelError(
                    "there is no version before this one",
                    place=f"model {model}",
                    remedy=f"choose one with: edgevoice models use {model}@VERSION",
                )
            self._see_good(model, back.active, progress)
            self._write_pointer(model, back)
        return self.version(model)

    # Publishing versions

    def check_free(self, model: str, version: str, task: Task) -> None:
        """See that a version could be published, before hours are spent on making it.

        Raises:
            ModelError: a name is no name, is taken, or is that of a model for another task.
        """
        modelversions.check_names(model, version)
        place = f"{model}@{version}"
        if self._folder_of(model, version).exists():
            raise ModelError(
                "there is a version of that name already",
                place=place,
                remedy=f"choose another name, or remove it with: edgevoice models remove {place}",
            )
        tasks: set[Task] = {found.task for found in self.versions(model)} if model in self.own() else set()
        if model in self.catalog.models:
            tasks = {self.catalog[model].task}
        if tasks and task not in tasks:
            raise ModelError(
                f"it is a model for {task}, and {model} is one for {', '.join(sorted(tasks))}",
                place=place,
                remedy="choose another name",
            )

    def publish(
        self,
        model: str,
        version: str,
        folder: Path,
        *,
        task: Task,
        licence: str,
        origin: str,
        source: str,
        built_from: dict[str, str],
        built_with: dict[str, str],
        use: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Copy a folder into the store as a version of a model: whole, or not at all.

        Args:
            model: of the catalog, or any other name, which makes it a model of the user's own. The first version of
                such a one is in use at once.
            folder: every file in it becomes part of the version, but the store's own notes.
            source: in words, where it comes from.
            use: let the model's name stand for it from now on.

        Raises:
            ModelError: see ``check_free``; or the folder is empty. OutputError: the store cannot be written.
        """
        progress = progress or Silent()
        place = f"{model}@{version}"
        self.check_free(model, version, task)
        with self._locked(progress):
            self.check_free(model, version, task)
            staging = self.root / ".staging" / uuid.uuid4().hex
            target = staging / "model"
            final = self._folder_of(model, version)
            try:
                progress.step(f"{place}: copying")
                files = {
                    path.relative_to(folder).as_posix(): FileSpec(size=path.stat().st_size, sha256=sha256_of(path))
                    for path in sorted(folder.rglob("*"))
                    if path.is_file() and path.name not in (MANIFEST, STAMP)
                }
                if not files:
                    raise ModelError("there is no file in it", place=str(folder))
                self._see_room(sum(spec.size for spec in files.values()), place)
                target.mkdir(parents=True)
                for name, spec in files.items():
                    with (folder / name).open("rb") as stream:
                        copy_checked(stream, target / name, spec, str(folder / name))
                manifest = Manifest(
                    name=model,
                    identity=version,
                    licence=licence,
                    origin=origin,
                    source=source,
                    files=files,
                    built_from=built_from,
                    built_with=built_with,
                    task=task,
                )
                write_notes(target, manifest)
                sync_tree(target)
                first = model not in self.catalog.models and not self._published(model)
                target.rename(final)
                try:
                    sync_folder(self.root)
                    if use or first:
                        self._point(model, version)
                except BaseException:
                    self._discard(final)
                    raise
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return final

    # Bringing models

    def pull(
        self, names: Sequence[str], progress: Progress | None = None, *, near: "ModelStore | None" = None
    ) -> list[str]:
        """Install models that are not there yet, and those that are out of date or damaged.

        Args:
            names: ``NAME``, which is the version in use, or ``NAME@catalog``.
            near: a store to copy from where it has the model, before anything is fetched; which versions are in use is
                taken from it too.

        Returns:
            The names of those that were installed now.

        Raises:
            ModelError: there is no such model, or no source gave it. OutputError: the store cannot be written.
        """
        progress = progress or Silent()
        wanted = [(near or self)._resolve(name) for name in dict.fromkeys(names)]
        pointed = {} if near is None else self._pointers_to_copy(near, names)
        if not pointed and all(not self._check_version(*each, thorough=False, progress=progress) for each in wanted):
            return []
        done = []
        with self._locked(progress):
            for model, version in wanted:
                damage = self._check_version(model, version, thorough=False, progress=progress)
                if not damage:
                    continue
                if version == CATALOG:
                    self._install(self.catalog[model], near, progress)
                elif near is not None:
                    self._copy_version(near, model, version, progress)
                else:
                    raise damage[0].error()  # It was made here: there is nowhere to fetch it from.
                done.append(model)
            for model, pointer in pointed.items():
                self._write_pointer(model, pointer)
        return done

    def remove(self, names: Sequence[str], progress: Progress | None = None) -> list[str]:
        """Remove models, all versions of them, or single versions; the names of those that were there.

        Args:
            names: ``NAME`` or ``NAME@VERSION``.

        Raises:
            ModelError: there is no such model, or the version is the one in use. OutputError: it cannot be removed.
        """
        folders = {name: self._to_remove(name, names) for name in dict.fromkeys(names)}
        with self._locked(progress or Silent()):
            done = []
            for name, found in folders.items():
                for folder in found:
                    if folder.exists():
                        self._discard(folder)
                        self._trusted.discard(str(folder))
                if found:
                    done.append(name)
                if split(name)[1] is None:  # Last: until then it says what the name stood for.
                    modelversions.pointer_path(self.root, name).unlink(missing_ok=True)
            return done

    def _to_remove(self, name: str, names: Sequence[str]) -> list[Path]:
        model, version = split(name)
        folders = self._folders(model)
        if version is None:
            if not folders:
                _ = self.catalog[model]
            return folders
        folder = self._folder_of(*self._resolve(name))
        if folder not in folders:
            return []
        if version == self._active(model) and model not in names and len(folders) > 1:
            raise ModelError(
                "it is the version in use",
                place=f"model {name}",
                remedy=f"first choose another one with: edgevoice models use {model}@VERSION",
            )
        return [folder]

    def _install(self, model: Model, near: "ModelStore | None", progress: Progress) -> None:
        staging = self.root / ".staging" / uuid.uuid4().hex
        target = staging / "model"
        try:
            target.mkdir(parents=True)
            manifest = self._from_store(near, model, target, progress) if near else None
            manifest = manifest or self._from_sources(model, target, staging, progress)
            write_notes(target, manifest)
            sync_tree(target)
            folder = self._folder(model)
            if folder.exists():  # Damaged, or this would not have been called.
                self._discard(folder)
            target.rename(folder)
            sync_folder(self.root)
            for old in self._stale(model.name):
                self._discard(old)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _from_store(self, near: "ModelStore", model: Model, target: Path, progress: Progress) -> Manifest | None:
        folder = near._folder(model)
        manifest = read_manifest(folder)
        if manifest is None:
            return None
        progress.step(f"{model.name}: copying from {near.root}")
        for name, spec in _expected(model, manifest).items():
            path = folder / name
            if wrong := difference(path, spec):
                raise Damage(model.name, path, wrong).error()
            with path.open("rb") as stream:
                copy_checked(stream, target / name, spec, str(path))
        return manifest

    def _from_sources(self, model: Model, target: Path, staging: Path, progress: Progress) -> Manifest:
        problems: list[ModelError] = []
        for source in model.sources:
            shutil.rmtree(target)
            target.mkdir()
            scratch = staging / "scratch"
            scratch.mkdir()
            try:
                self._room_for(model, source)
                if isinstance(source, BuildSource):
                    return self._build(model, source, target, scratch, progress)
                kept = self.root / ".downloads"
                kept.mkdir(exist_ok=True)
                fetch(self.catalog, model, source, target, scratch=scratch, kept=kept, progress=progress)
                return self._describe(model, source, target)
            except ModelError as error:
                problems.append(error)
            finally:
                shutil.rmtree(scratch)
        if len(problems) == 1:
            raise problems[0]
        causes = "; ".join(str(problem) for problem in problems)
        raise ModelError(f"no source could give it: {causes}", place=f"model {model.name}")

    def _build(self, model: Model, source: BuildSource, target: Path, scratch: Path, progress: Progress) -> Manifest:
        base = self.catalog[source.source]
        folder = self._folder(base)
        if self._check(base, thorough=True, progress=progress):
            folder = scratch / "source"  # Only needed now: a board has better use for the space.
            folder.mkdir()
            manifest = self._from_sources(base, folder, scratch, progress)
        else:
            manifest = read_manifest(folder) or self._describe(base, base.sources[0], folder)
        module, _, function = source.with_.partition(":")
        progress.step(f"{model.name}: building from {base.name}")
        build: Callable[[Path, Path, Callable[[str, float], None]], None]
        build = getattr(importlib.import_module(module), function)
        build(folder, target, lambda what, part: progress.advance(round(part * source.size), source.size))
        built_from = {name: spec.sha256 for name, spec in _expected(base, manifest).items()}
        return self._describe(model, source, target, built_from)

    def _describe(
        self, model: Model, source: Source, folder: Path, built_from: dict[str, str] | None = None
    ) -> Manifest:
        files = dict(model.files) or {
            path.relative_to(folder).as_posix(): FileSpec(size=path.stat().st_size, sha256=sha256_of(path))
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        if not files:
            raise ModelError("it gave no files", place=f"model {model.name}: {describe(source)}")
        return Manifest(
            name=model.name,
            identity=self.catalog.identity(model.name),
            licence=model.licence,
            origin=model.origin,
            source=describe(source),
            files=files,
            built_from=built_from or {},
            built_with=versions_of("edgevoice", "onnx", "numpy", "onnxruntime") if built_from else {},
        )

    def _copy_version(self, near: "ModelStore", model: str, version: str, progress: Progress) -> None:
        """Copy a published version out of another store."""
        there, final = near._folder_of(model, version), self._folder_of(model, version)
        manifest = read_manifest(there)
        if manifest is None:
            raise Damage(f"{model}@{version}", there / MANIFEST, "it is missing or damaged").error()
        progress.step(f"{model}@{version}: copying from {near.root}")
        staging = self.root / ".staging" / uuid.uuid4().hex
        target = staging / "model"
        try:
            target.mkdir(parents=True)
            for name, spec in manifest.files.items():
                if wrong := difference(there / name, spec):
                    raise self._made_here(model, version, there / name, wrong).error()
                with (there / name).open("rb") as stream:
                    copy_checked(stream, target / name, spec, str(there / name))
            write_notes(target, manifest)
            sync_tree(target)
            if final.exists():
                self._discard(final)
            target.rename(final)
            sync_folder(self.root)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _pointers_to_copy(self, near: "ModelStore", names: Sequence[str]) -> dict[str, Pointer]:
        """What is to stand in this store for the names of models, where it is something else than there."""
        found = {}
        for model in {name for name in names if split(name)[1] is None}:
            active = near._active(model)
            if active is not None and active != self._active(model):
                found[model] = Pointer(active=active)
        return found

    def _room_for(self, model: Model, source: Source) -> None:
        self._see_room(model.size + bytes_to_fetch(model, source), model.name)

    def _see_room(self, size: int, what: str) -> None:
        need = size + SPARE_BYTES
        free = shutil.disk_usage(self.root).free
        if free < need:
            raise OutputError(
                f"the disk has {free // 1_000_000} MB left and {what} needs {need // 1_000_000} MB",
                place=str(self.root),
                remedy="make room, or choose another place with EDGEVOICE_MODELS",
            )

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
        # What is in use instead must not be what "pull NAME" repairs.
        what = model.name if self._active(model.name) == CATALOG else f"{model.name}@{CATALOG}"
        folder = self._folder(model)
        manifest = read_manifest(folder)
        if manifest is None:
            if folder.exists():
                return [Damage(what, folder / MANIFEST, "it is missing or damaged")]
            old = "only another version of it is installed" if self._stale(model.name) else "it is not installed"
            return [Damage(what, folder, old)]
        expected = _expected(model, manifest)
        wrong = check_files(folder, manifest, expected, model.name, thorough=thorough, progress=progress)
        return [Damage(what, path, cause) for path, cause in wrong]

    def _see_good(self, model: str, version: str, progress: Progress | None) -> None:
        damage = self._check_version(model, version, thorough=True, progress=progress or Silent())
        if damage:
            found = damage[0]
            if version == CATALOG:
                raise found.error()
            remedy = f"make it again, or choose another one; there are: {self._names_of_versions(model)}"
            raise ModelError(found.cause, place=str(found.path), remedy=remedy)

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
        if (version == CATALOG and not known) or "/" in version:
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

    def _point(self, model: str, version: str) -> None:
        """Let the name stand for a version; nothing when it does."""
        try:
            active = self._active(model)
        except ModelError:  # Damaged: it is replaced.
            active = None
        if version != active:
            before = Pointer(active=version) if active is None else self._pointer(model, active).after(version)
            self._write_pointer(model, before)

    def _pointer(self, model: str, active: str) -> Pointer:
        return modelversions.read_pointer(self.root, model) or Pointer(active=active)

    def _write_pointer(self, model: str, pointer: Pointer) -> None:
        modelversions.write_pointer(self.root, model, pointer)
        sync_folder(self.root)

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

    def _discard(self, folder: Path) -> None:
        """Remove a model's folder so that nothing half of it is ever seen under its name."""
        trash = self.root / ".staging" / uuid.uuid4().hex
        trash.parent.mkdir(exist_ok=True)
        folder.rename(trash)
        shutil.rmtree(trash)

    @contextlib.contextmanager
    def _locked(self, progress: Progress) -> Iterator[None]:
        """Alone in the store, with what earlier pulls left half removed. The system lets go of the lock when the
        process ends, however it ends."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with (self.root / ".lock").open("wb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    progress.step(f"waiting for another process that changes {self.root}")
                    fcntl.flock(lock, fcntl.LOCK_EX)
                shutil.rmtree(self.root / ".staging", ignore_errors=True)
                self._forget_downloads()
                yield
        except EdgeVoiceError:
            raise
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise OutputError(
                "the disk is full" if full else f"it cannot be written: {error.strerror or error}",
                place=str(error.filename or self.root),
                remedy="make room, or choose another place with EDGEVOICE_MODELS",
            ) from error

    def _forget_downloads(self) -> None:
        for part in (self.root / ".downloads").glob("*"):
            if time.time() - part.stat().st_mtime > KEPT_SECONDS:
                part.unlink()


def _expected(model: Model, manifest: Manifest) -> dict[str, FileSpec]:
    """The catalog's word counts before the manifest's, which could have been changed along with a file."""
    return dict(model.files) or manifest.files
