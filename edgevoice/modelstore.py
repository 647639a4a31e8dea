"""Where the models are on this machine: a folder per model, installed whole or not at all.

Every file is hashed before it is installed. When a model is used, its files' sizes and times are compared with those
of the last hashing, which costs microseconds where hashing 60 MB from an SD card costs seconds; files that look
different are hashed again. ``verify`` hashes always, and so finds bits that went bad in place.

A model lies in ``<name>@<identity>``, where the identity is a digest of what the catalog says about it. So a new
version is put beside the old one and the old one then removed, there is no moment without a whole model, and an old
version is never taken for the new one. The store may be copied: it holds plain files only.
"""

import contextlib
import errno
import fcntl
import importlib
import importlib.metadata
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgevoice.errors import EdgeVoiceError, ModelError, OutputError
from edgevoice.modelcatalog import BuildSource, Catalog, FileSpec, Model, Source, read_catalog
from edgevoice.modelfetch import bytes_to_fetch, describe, fetch
from edgevoice.modelfiles import Progress, Silent, bytes_under, copy_checked, difference, sha256_of, sync_tree

MANIFEST = "edgevoice-manifest.json"
STAMP = "edgevoice-stamp.json"
KEPT_SECONDS = 7 * 24 * 3600
"""How long an interrupted download is kept to go on with: a week, then nobody is coming back for it."""
SPARE_BYTES = 16 << 20
"""Left free when a model is installed, for the log and for what else the system writes."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was installed; written beside the model's files."""

    name: str
    identity: str
    licence: str
    origin: str
    source: str
    """In words, where it came from."""
    files: dict[str, FileSpec]
    built_from: dict[str, str] = {}
    """Of a built model: file of the source -> its SHA-256."""
    built_with: dict[str, str] = {}
    """Of a built model: package -> version."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with an installed model."""

    model: str
    path: Path
    cause: str

    def error(self) -> ModelError:
        return ModelError(
            self.cause, place=str(self.path), remedy=f"repair it with: edgevoice models pull {self.model}"
        )


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that is installed in its present version; its files are not checked."""

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
        """The folder of a model, its files checked; or what ``name`` is a path of, when it has a ``/`` in it.

        Raises:
            ModelError: it is not installed, is out of date or damaged, or there is no such model or path.
        """
        if "/" in name:
            path = Path(name).expanduser()
            if not path.exists():
                raise ModelError("there is no such file or folder", place=name)
            return path
        model = self.catalog[name]
        folder = self._folder(model)
        if name not in self._trusted:
            damage = self._check(model, thorough=False, progress=Silent())
            if damage:
                raise damage[0].error()
            self._trusted.add(name)
        return folder

    def installed(self) -> list[Installed]:
        """The models that are installed, in the order of the catalog."""
        found = []
        for model in self.catalog:
            folder = self._folder(model)
            manifest = _manifest(folder)
            if manifest:
                found.append(Installed(model.name, folder, bytes_under(folder), manifest.source))
        return found

    def outdated(self) -> list[str]:
        """The models of which only another version than the catalog's is installed."""
        return [m.name for m in self.catalog if not self._folder(m).is_dir() and self._versions(m.name)]

    def broken(self) -> list[str]:
        """The models whose folder is there without a manifest that can be read."""
        return [m.name for m in self.catalog if self._folder(m).is_dir() and _manifest(self._folder(m)) is None]

    def verify(self, names: Sequence[str], progress: Progress | None = None) -> list[Damage]:
        """Hash every file of the models; what is wrong with them, nothing if all is well.

        Raises:
            ModelError: there is no such model.
        """
        models = [self.catalog[name] for name in names]
        return [found for model in models for found in self._check(model, thorough=True, progress=progress or Silent())]

    # Bringing models

    def pull(
        self, names: Sequence[str], progress: Progress | None = None, *, near: "ModelStore | None" = None
    ) -> list[str]:
        """Install models that are not there yet, and those that are out of date or damaged.

        Args:
            near: a store to copy from where it has the model, before anything is fetched.

        Returns:
            The names of those that were installed now.

        Raises:
            ModelError: there is no such model, or no source gave it. OutputError: the store cannot be written.
        """
        progress = progress or Silent()
        models = [self.catalog[name] for name in dict.fromkeys(names)]
        if all(not self._check(model, thorough=False, progress=progress) for model in models):
            return []
        done = []
        with self._locked(progress):
            for model in models:
                if self._check(model, thorough=False, progress=progress):
                    self._install(model, near, progress)
                    done.append(model.name)
        return done

    def remove(self, names: Sequence[str], progress: Progress | None = None) -> list[str]:
        """Remove models, all versions of them; the names of those that were there.

        Raises:
            ModelError: there is no such model. OutputError: it cannot be removed.
        """
        for name in names:
            if not self._versions(name):
                _ = self.catalog[name]
        with self._locked(progress or Silent()):
            done = []
            for name in dict.fromkeys(names):
                folders = self._versions(name)
                for folder in folders:
                    self._discard(folder)
                if folders:
                    done.append(name)
                self._trusted.discard(name)
            return done

    def _install(self, model: Model, near: "ModelStore | None", progress: Progress) -> None:
        staging = self.root / ".staging" / uuid.uuid4().hex
        target = staging / "model"
        try:
            target.mkdir(parents=True)
            manifest = self._from_store(near, model, target, progress) if near else None
            manifest = manifest or self._from_sources(model, target, staging, progress)
            (target / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            _write_stamp(target, manifest)
            sync_tree(target)
            folder = self._folder(model)
            if folder.exists():  # Damaged, or this would not have been called.
                self._discard(folder)
            target.rename(folder)
            _sync(self.root)
            for old in self._versions(model.name):
                if old != folder:
                    self._discard(old)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _from_store(self, near: "ModelStore", model: Model, target: Path, progress: Progress) -> Manifest | None:
        folder = near._folder(model)
        manifest = _manifest(folder)
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
            manifest = _manifest(folder) or self._describe(base, base.sources[0], folder)
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
            built_with=_versions_of("edgevoice", "onnx", "numpy", "onnxruntime") if built_from else {},
        )

    def _room_for(self, model: Model, source: Source) -> None:
        need = model.size + bytes_to_fetch(model, source) + SPARE_BYTES
        free = shutil.disk_usage(self.root).free
        if free < need:
            raise OutputError(
                f"the disk has {free // 1_000_000} MB left and {model.name} needs {need // 1_000_000} MB",
                place=str(self.root),
                remedy="make room, or choose another place with EDGEVOICE_MODELS",
            )

    # Checking

    def _check(self, model: Model, *, thorough: bool, progress: Progress) -> list[Damage]:
        folder = self._folder(model)
        manifest = _manifest(folder)
        if manifest is None:
            if folder.exists():
                return [Damage(model.name, folder / MANIFEST, "it is missing or damaged")]
            old = "only another version of it is installed" if self._versions(model.name) else "it is not installed"
            return [Damage(model.name, folder, old)]
        expected = _expected(model, manifest)
        stamp = {} if thorough else _read_stamp(folder)
        if expected.keys() == stamp.keys() and all(_looks(folder / name) == stamp[name] for name in expected):
            return []
        if thorough or stamp:
            progress.step(f"{model.name}: checking {len(expected)} files")
        damage = []
        for name, spec in expected.items():
            if wrong := difference(folder / name, spec):
                damage.append(Damage(model.name, folder / name, wrong))
        if not damage:
            with contextlib.suppress(PermissionError, OSError):  # A store that is read-only is hashed at each start.
                _write_stamp(folder, manifest)
        return damage

    # The folder

    def _folder(self, model: Model) -> Path:
        return self.root / f"{model.name}@{self.catalog.identity(model.name)[:12]}"

    def _versions(self, name: str) -> list[Path]:
        return sorted(path for path in self.root.glob("*@*") if path.name.rpartition("@")[0] == name)

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


def _manifest(folder: Path) -> Manifest | None:
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def _looks(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns)


def _read_stamp(folder: Path) -> dict[str, tuple[int, int]]:
    try:
        return msgspec.json.decode((folder / STAMP).read_bytes(), type=dict[str, tuple[int, int]])
    except (OSError, msgspec.DecodeError):
        return {}


def _write_stamp(folder: Path, manifest: Manifest) -> None:
    looks = {name: _looks(folder / name) for name in manifest.files}
    new = folder / f"{STAMP}.{os.getpid()}"
    new.write_bytes(msgspec.json.encode(looks))
    new.rename(folder / STAMP)


def _versions_of(*packages: str) -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
