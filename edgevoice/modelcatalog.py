"""The catalog of models: what there is, what it must look like, and where it may come from.

The catalog is ``models/catalog.yaml`` in a checkout and ``edgevoice/data/catalog.yaml`` in an installed package. It is
read strictly: an unknown key, a wrong type or a path that leaves its folder is refused with file and line.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
import yaml

from edgevoice.errors import ModelError

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


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as the catalog writes it; files and sources are read one by one, to know their lines."""

    task: Task
    description: Text
    licence: Text
    author: Text
    origin: WebAddress
    files: dict[str, Any] = {}
    sources: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]


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
        close = get_close_matches(name, self.models, n=1)
        remedy = f"did you mean '{close[0]}'?" if close else "see: edgevoice models list"
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
        ModelError: it cannot be read, or something in it is wrong; the place is ``file:line: key``.
    """
    path = path or find_catalog()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"the catalog cannot be read: {error.strerror}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise ModelError("the catalog is not UTF-8 text", place=str(path)) from error
    return _Reader(path).read(text)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, text: str) -> Catalog:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            data = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ModelError(f"it is not valid YAML: {error.problem}", place=f"{self.path}:{line}") from error
        if not isinstance(root, yaml.MappingNode):
            raise ModelError("it must be a mapping with 'format' and 'models'", place=f"{self.path}:1")
        self._no_doubles(root)
        unknown = set(data) - {"format", "models"}
        if unknown:
            raise self._error(f"unknown key '{sorted(map(str, unknown))[0]}'", root, "")
        if data.get("format") != 1:
            raise self._error("this version of edgevoice reads format 1", root, "format")
        entries = data.get("models")
        node = _child(root, "models")
        if not isinstance(entries, dict) or node is None:
            raise self._error("it must be a mapping of names to models", root, "models")
        models = {str(name): self._model(str(name), entry, _child(node, str(name)) or node)
                  for name, entry in entries.items()}  # fmt: skip
        for model in models.values():
            self._check_builds(model, models, node)
        return Catalog(self.path, models)

    def _model(self, name: str, data: object, node: yaml.Node) -> Model:
        where = f"models.{name}"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise self._error("a model's name is made of letters, digits, '.', '_' and '-'", node, where)
        entry = self._convert(data, _Entry, node, where)
        files = {
            path: self._convert(spec, FileSpec, _descend(node, ["files", path]), f"{where}.files.{path}")
            for path, spec in entry.files.items()
        }
        for path in files:
            self._inside(path, _descend(node, ["files", path]), f"{where}.files")
        sources = []
        for index, item in enumerate(entry.sources):
            at = _descend(node, ["sources", index])
            place = f"{where}.sources[{index}]"
            if len(item) != 1 or next(iter(item)) not in _KINDS:
                raise self._error(f"a source is exactly one of: {', '.join(_KINDS)}", at, place)
            kind = next(iter(item))
            source = self._convert(item[kind], _KINDS[kind], _child(at, kind) or at, f"{place}.{kind}")
            self._check_source(source, files, at, f"{place}.{kind}")
            sources.append(source)
        return Model(
            name=name, task=entry.task, description=entry.description, licence=entry.licence, author=entry.author,
            origin=entry.origin, files=files, sources=tuple(sources),
        )  # fmt: skip

    def _check_source(self, source: Source, files: Mapping[str, FileSpec], node: yaml.Node, place: str) -> None:
        if isinstance(source, BuildSource | ArchiveSource):
            if isinstance(source, ArchiveSource) and source.strip:
                self._inside(source.strip, node, f"{place}.strip")
            return
        if not files:
            raise self._error("the model's 'files' with size and sha256 are missing", node, place)
        members = source.files if isinstance(source, UrlSource) else source.members
        for name in members:
            if name not in files:
                raise self._error(f"'{name}' is not one of the model's files", node, place)
        if isinstance(source, UrlSource):
            if source.base is None and set(members) != set(files):
                raise self._error("without 'base' every file needs an address", node, place)
            return
        for member in members.values():
            self._inside(member, node, place)
        if not isinstance(source, PathSource) and source.folder:
            self._inside(source.folder, node, f"{place}.folder")

    def _check_builds(self, model: Model, models: Mapping[str, Model], node: yaml.Node) -> None:
        """What a model is built from must be there, and nothing is built from itself."""
        seen = [model.name]
        while True:
            build = next((s for s in models[seen[-1]].sources if isinstance(s, BuildSource)), None)
            if build is None:
                return
            if build.source not in models or build.source in seen:
                cause = "is built from itself" if build.source in seen else "there is no such model"
                raise self._error(f"'{build.source}': {cause}", _descend(node, [seen[-1]]), f"models.{seen[-1]}")
            seen.append(build.source)

    def _inside(self, path: str, node: yaml.Node, place: str) -> None:
        if not is_inside(path):
            raise self._error(f"'{path}' is not a plain path inside the folder", node, place)

    def _convert(self, data: object, kind: type[Any], node: yaml.Node, where: str) -> Any:
        try:
            return msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            cause, _, tail = str(error).partition(" - at `$")
            keys = re.findall(r"\.([^.\[`]+)|\[(\d+)\]", tail)
            steps: list[str | int] = [name or int(index) for name, index in keys]
            key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
            unknown = re.search(r"unknown field `(.+)`", cause)
            at = _descend(node, [*steps, unknown[1]] if unknown else steps)
            raise self._error(cause.replace("`", "'"), at, where + key) from None

    def _no_doubles(self, node: yaml.Node) -> None:
        """A key that is written twice would silently hide the first."""
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    raise self._error(f"the key '{key.value}' is written twice", key, "")
                seen.add(key.value)
                self._no_doubles(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self._no_doubles(item)

    def _error(self, cause: str, node: yaml.Node, key: str) -> ModelError:
        place = f"{self.path}:{node.start_mark.line + 1}"
        return ModelError(cause, place=f"{place}: {key}" if key else place)


def is_inside(path: str) -> bool:
    """Whether a path with forward slashes names something inside its folder, by parts that mean what they say."""
    parts = path.split("/")
    plain = not any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts)
    return plain and not PurePosixPath(path).is_absolute()


def _child(node: yaml.Node, key: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == str(key)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        item: yaml.Node = node.value[key]
        return item
    return None


def _descend(node: yaml.Node, keys: Sequence[str | int]) -> yaml.Node:
    """The node that the keys lead to, or the last one on the way that is there."""
    for key in keys:
        below = _child(node, key)
        if below is None:
            break
        node = below
    return node
