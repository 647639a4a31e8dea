"""The catalog of models: what there is, what it must look like, and where it may come from.

The catalog is ``models/catalog.yaml`` in a checkout and ``edgevoice/data/catalog.yaml`` in an installed package. It is
read strictly: an unknown key, a wrong type or a path that leaves its folder is refused with file and line.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec

from edgevoice import yamlfile, yamlstruct
from edgevoice.errors import ConfigError, ModelError
from edgevoice.problems import Problems, Value
from edgevoice.suggest import closest

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$", description="SHA-256, 64 lower-case hex digits")]
Size = Annotated[int, msgspec.Meta(ge=0, description="bytes")]
Text = Annotated[str, msgspec.Meta(min_length=1)]
WebAddress = Annotated[str, msgspec.Meta(pattern=r"^https?://[^/\s]+/", description="http or https address")]


class FileSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file of a model must look like."""

    size: Size
    sha256: Sha256


class WheelSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Members of a wheel, fetched with pip."""

    package: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9][A-Za-z0-9.+!_-]*$")]
    size: Size
    """Of the wheel: what is downloaded."""
    folder: str = ""
    """Where the model's files lie in the wheel, under their own names."""
    members: dict[str, str] = {}
    """Model file -> its path in the wheel, for those that lie elsewhere or are named differently."""
    platform: str | None = None
    """A platform tag whose wheel may be taken on hosts that have none of their own."""


class UrlSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One address per file."""

    base: WebAddress | None = None
    """Address of the folder that holds the model's files under their own names."""
    files: dict[str, WebAddress] = {}
    """Model file -> its address, for those that lie elsewhere or are named differently."""


class ArchiveSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A zip file at an address. The archive's own hash vouches for what is in it."""

    url: WebAddress
    size: Size
    sha256: Sha256
    strip: str = ""
    """Only what lies in this folder is installed, without the folder's name."""
    unpacked: Size
    """More than this many bytes are not unpacked."""


class PackageSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files of a Python package that is installed beside edgevoice; it is found, not imported."""

    package: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_]\w*$")]
    folder: str = ""
    members: dict[str, str] = {}


class PathSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder of this machine; ``~`` is the home directory, and a relative one counts from the catalog."""

    folder: Text
    members: dict[str, str] = {}


class BuildSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from", "with_": "with"}
):
    """Made by edgevoice out of another model of the catalog.

    The same versions of the libraries give the same bytes, other versions may give others. So the hashes of the
    result are recorded when it is built, beside those of what it was built from.
    """

    source: Text
    with_: Annotated[str, msgspec.Meta(pattern=r"^edgevoice(\.\w+)+:\w+$")]
    """``module:function``, called as ``function(source_folder, target_folder, progress)``."""
    revision: Annotated[int, msgspec.Meta(ge=1)] = 1
    size: Size
    """About how large the result is."""


Source = WheelSource | UrlSource | ArchiveSource | PackageSource | PathSource | BuildSource

_KINDS: dict[str, type[Source]] = {
    "wheel": WheelSource,
    "url": UrlSource,
    "archive": ArchiveSource,
    "package": PackageSource,
    "path": PathSource,
    "build": BuildSource,
}

Task = Literal["wake", "vad", "asr", "tts"]


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal[1]
    models: dict[str, Any]


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as the catalog writes it; files and sources are read one by one, to know their lines."""

    task: Task
    description: Text
    licence: Text
    author: Text
    origin: WebAddress
    files: dict[str, Any] = {}
    sources: Annotated[list[Any], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalog."""

    name: str
    task: Task
    description: str
    licence: str
    author: str
    origin: str
    files: Mapping[str, FileSpec]
    """Path in the model's folder -> what it must look like. Empty when an archive's hash vouches for the files, or when
    they are built here."""
    sources: tuple[Source, ...]
    """In the order in which they are tried."""

    @property
    def size(self) -> int:
        """Bytes when installed; about so many where the files are not listed."""
        if self.files:
            return sum(spec.size for spec in self.files.values())
        first = self.sources[0]
        if isinstance(first, BuildSource):
            return first.size
        return first.unpacked if isinstance(first, ArchiveSource) else 0


@dataclass(frozen=True, slots=True)
class Catalog:
    place: Path
    """The file it was read from."""
    models: Mapping[str, Model]

    def __getitem__(self, name: str) -> Model:
        """The model of that name.

        Raises:
            ModelError: there is none; the remedy names what comes close.
        """
        try:
            return self.models[name]
        except KeyError:
            pass
        near = closest(name, self.models)
        near = near or next((known for known in self.models if name.lower() in known.lower()), None)
        remedy = f"did you mean '{near}'?" if near else "see: edgevoice models list"
        raise ModelError("there is no model of that name in the catalog", place=f"model {name}", remedy=remedy)

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models.values())

    def identity(self, name: str) -> str:
        """A digest of what is installed under the name. Another one means that an installed model is out of date."""
        model = self[name]
        if model.files:
            lines = [f"{path} {spec.size} {spec.sha256}" for path, spec in sorted(model.files.items())]
        else:
            lines = []
            for source in model.sources:
                if isinstance(source, BuildSource):
                    lines.append(f"build {source.with_} {source.revision} {self.identity(source.source)}")
                elif isinstance(source, ArchiveSource):
                    lines.append(f"archive {source.sha256} {source.strip}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def find_catalog() -> Path:
    """Where the catalog is: in this checkout, or in the installed package."""
    package = Path(__file__).resolve().parent
    packaged = package / "data" / "catalog.yaml"
    return packaged if packaged.is_file() else package.parent / "models" / "catalog.yaml"


def read_catalog(path: Path | None = None) -> Catalog:
    """Read and check the catalog.

    Raises:
        ConfigError: it cannot be read, or with everything in it that is wrong; the places are ``file:line: key``.
    """
    path = path or find_catalog()
    problems = Problems()
    root = yamlfile.read(path, ConfigError)
    if yamlfile.is_null(root):
        raise ConfigError("it is empty", place=str(path))
    models: dict[str, Model] = {}
    if yamlstruct.struct(root, _Head, "", problems):
        _, listed = yamlstruct.entries(root, "", problems)["models"]
        for name, (_, value) in yamlstruct.entries(listed, "models", problems).items():
            if model := _model(name, value, problems):
                models[name] = model
        for model in models.values():
            _check_build(model, models, listed, problems)
    problems.raise_any(ConfigError, "mistakes in the catalog")
    return Catalog(path, models)


def _model(name: str, value: Value, problems: Problems) -> Model | None:
    where = f"models.{name}"

    def wrong(at: Value, key: str, cause: str) -> None:
        problems.add(at, cause, key=key)

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        wrong(value, where, "a model's name is made of letters, digits, '.', '_' and '-'")
    before = len(problems.found)
    entry: _Entry | None = yamlstruct.struct(value, _Entry, where, problems)
    if entry is None:
        return None
    parts = yamlstruct.entries(value, where, problems)
    files: dict[str, FileSpec] = {}
    if "files" in parts:
        for path, (key_node, spec) in yamlstruct.entries(parts["files"][1], f"{where}.files", problems).items():
            files[path] = yamlstruct.convert(spec, FileSpec, f"{where}.files.{path}", problems)
            if not is_inside(path):
                wrong(key_node, f"{where}.files", f"'{path}' is not a plain path inside the folder")
    sources: list[Source] = []
    for index, item in enumerate(yamlfile.children(parts["sources"][1])):
        place = f"{where}.sources[{index}]"
        found = yamlstruct.entries(item, place, problems)
        kind = next(iter(found), "")
        if len(found) != 1 or kind not in _KINDS:
            wrong(item, place, f"a source is exactly one of: {', '.join(_KINDS)}")
            continue
        source = yamlstruct.convert(found[kind][1], _KINDS[kind], f"{place}.{kind}", problems)
        if source is not None:
            for cause in _faults(source, files):
                wrong(item, f"{place}.{kind}", cause)
            sources.append(source)
    if len(problems.found) > before:
        return None
    return Model(
        name=name,
        task=entry.task,
        description=entry.description,
        licence=entry.licence,
        author=entry.author,
        origin=entry.origin,
        files=files,
        sources=tuple(sources),
    )


def _faults(source: Source, files: Mapping[str, FileSpec]) -> Iterator[str]:
    """What is wrong with a source beside its types."""
    paths: list[str] = []
    match source:
        case BuildSource():
            return
        case ArchiveSource():
            paths = [source.strip] if source.strip else []
            members: Mapping[str, str] = {}
        case UrlSource():
            members = source.files
            if source.base is None and members.keys() != files.keys():
                yield "without 'base' every file needs an address"
        case PathSource():
            members = source.members
            paths = list(members.values())
        case WheelSource() | PackageSource():
            members = source.members
            paths = [*members.values(), *([source.folder] if source.folder else [])]
    if not files and not isinstance(source, ArchiveSource):
        yield "the model's 'files', with size and sha256 each, are missing"
    yield from (f"'{name}' is not one of the model's files" for name in members if name not in files)
    yield from (f"'{path}' is not a plain path inside the folder" for path in paths if not is_inside(path))


def _check_build(model: Model, models: Mapping[str, Model], listed: Value, problems: Problems) -> None:
    """What a model is built from must be there, and nothing is built from itself."""
    seen = [model.name]
    while build := next((s for s in models[seen[-1]].sources if isinstance(s, BuildSource)), None):
        if build.source not in models or build.source in seen:
            cause = "it is built from itself" if build.source in seen else f"there is no model '{build.source}'"
            _, value = yamlstruct.entries(listed, "models", problems)[model.name]
            problems.add(value, cause, key=f"models.{model.name}.sources")
            return
        seen.append(build.source)


def is_inside(path: str) -> bool:
    """Whether a path with forward slashes names something inside its folder, by parts that mean what they say."""
    parts = path.split("/")
    plain = not any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts)
    return plain and not PurePosixPath(path).is_absolute()
