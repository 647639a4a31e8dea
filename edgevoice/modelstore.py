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
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgevoice import modelversions
from edgevoice.errors import EdgeVoiceError, ModelError, OutputError
from edgevoice.modelcatalog import BuildSource, FileSpec, Model, Source, Task
from edgevoice.modelfetch import bytes_to_fetch, describe, fetch
from edgevoice.modelfiles import (
    Progress,
    Silent,
    copy_checked,
    difference,
    sha256_of,
    sync_tree,
    versions_of,
)
from edgevoice.modelfolder import MANIFEST, STAMP, Damage, Manifest, read_manifest, write_notes
from edgevoice.modelshelf import ModelShelf, expected_files
from edgevoice.modelshelf import default_root as default_root
from edgevoice.modelversions import CATALOG, Pointer, Version, split
from edgevoice.wholefile import sync_folder

KEPT_SECONDS = 7 * 24 * 3600
"""How long an interrupted download is kept to go on with: a week, then nobody is coming back for it."""
SPARE_BYTES = 16 << 20
"""Left free when a model is installed, for the log and for what else the system writes."""


class ModelStore(ModelShelf):
    """The models of one folder. Not for use by several threads at once; several processes may."""

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
        model, version = self._resolve(name)
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
            modelversions.write_pointer(self.root, model, back)
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
        self,
        names: Sequence[str],
        progress: Progress | None = None,
        *,
        near: "ModelStore | None" = None,
        keep_outdated: bool = False,
    ) -> list[str]:
        """Install models that are not there yet, and those that are out of date or damaged.

        Args:
            names: ``NAME``, which is the version in use, or ``NAME@catalog``.
            near: a store to copy from where it has the model, before anything is fetched; which versions are in use is
                taken from it too.
            keep_outdated: leave what is replaced where it is, for an older edgevoice that is still in use; ``prune``
                removes it.

        Returns:
            The names of those that were installed now.

        Raises:
            ModelError: there is no such model, or no source gave it. OutputError: the store cannot be written.
        """
        progress = progress or Silent()
        wanted = {name: (near or self)._resolve(name) for name in dict.fromkeys(names)}
        pointed = {} if near is None else self._pointers_to_copy(near, names)
        if not pointed and all(
            not self._check_version(*each, thorough=False, progress=progress) for each in wanted.values()
        ):
            return []
        done = []
        with self._locked(progress):
            for name, (model, version) in wanted.items():
                damage = self._check_version(model, version, thorough=False, progress=progress)
                if not damage:
                    continue
                if version == CATALOG:
                    self._install(self.catalog[model], near, progress)
                    if not keep_outdated:
                        self._discard_stale(model)
                elif near is not None:
                    self._copy_version(near, model, version, progress)
                else:
                    raise damage[0].error()  # It was made here: there is nowhere to fetch it from.
                done.append(name)
            for model, pointer in pointed.items():
                modelversions.write_pointer(self.root, model, pointer)
        return done

    def prune(self, progress: Progress | None = None) -> list[str]:
        """Remove what is of earlier catalogs where the present version is installed; the names of the folders.

        Raises:
            OutputError: it cannot be removed.
        """
        superseded = [model for model in self.catalog if self._folder(model).is_dir() and self._stale(model.name)]
        if not superseded:
            return []
        with self._locked(progress or Silent()):
            return [name for model in superseded for name in self._discard_stale(model.name)]

    def _discard_stale(self, model: str) -> list[str]:
        stale = self._stale(model)
        for folder in stale:
            self._discard(folder)
        return [folder.name for folder in stale]

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
                        self._trusted.pop(folder, None)
                if found:
                    done.append(name)
                if not self._folders(model := split(name)[0]):  # Last: until then it says what the name stood for.
                    modelversions.pointer_path(self.root, model).unlink(missing_ok=True)
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
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _from_store(self, near: "ModelStore", model: Model, target: Path, progress: Progress) -> Manifest | None:
        folder = near._folder(model)
        manifest = read_manifest(folder)
        if manifest is None:
            return None
        progress.step(f"{model.name}: copying from {near.root}")
        for name, spec in expected_files(model, manifest).items():
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
        built_from = {name: spec.sha256 for name, spec in expected_files(base, manifest).items()}
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

    def _see_good(self, model: str, version: str, progress: Progress | None) -> None:
        damage = self._check_version(model, version, thorough=True, progress=progress or Silent())
        if damage:
            found = damage[0]
            if version == CATALOG:
                raise found.error()
            remedy = f"make it again, or choose another one; there are: {self._names_of_versions(model)}"
            raise ModelError(found.cause, place=str(found.path), remedy=remedy)

    def _point(self, model: str, version: str) -> None:
        """Let the name stand for a version; nothing when it does."""
        try:
            active = self._active(model)
        except ModelError:  # Damaged: it is replaced.
            active = None
        if version != active:
            before = Pointer(active=version) if active is None else self._pointer(model, active).after(version)
            modelversions.write_pointer(self.root, model, before)

    def _pointer(self, model: str, active: str) -> Pointer:
        return modelversions.read_pointer(self.root, model) or Pointer(active=active)

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
