"""The configuration: one YAML file, strictly validated. Every default stands here or in an engine's ``Options``.

Order of precedence: command line (``--set wake.refractory=2``), environment (``EDGEVOICE_WAKE__REFRACTORY=2``), file,
default. The file is ``--config``, else ``$EDGEVOICE_CONFIG``, else ``~/.config/edgevoice/edgevoice.yaml``, else
``/etc/edgevoice/edgevoice.yaml``, else none: everything has a default.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import yaml

from edgevoice import yamlfile
from edgevoice.audio.source import InputOptions, OutputOptions
from edgevoice.engines import registry
from edgevoice.errors import ConfigError
from edgevoice.listen.endpoint import Options as EndpointOptions
from edgevoice.listen.wake import Options as WakeOptions
from edgevoice.yamlfile import Problem

PREFIX = "EDGEVOICE_"
RESERVED = frozenset({"EDGEVOICE_CONFIG", "EDGEVOICE_MODELS", "EDGEVOICE_DATA"})
"""Environment variables of ours that are no configuration keys."""
TASKS = ("wake", "vad", "asr", "tts")


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which engine does a task, and the options of all engines for it."""

    engine: str
    options: Mapping[str, msgspec.Struct]

    @property
    def chosen(self) -> msgspec.Struct:
        """The options of the engine that is used."""
        return self.options[self.engine]


class Intents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    packs: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="Files or folders with your own intents; relative paths start at this file's folder. They "
            "come after the default pack and override it by name."
        ),
    ] = ()
    default_pack: Annotated[
        bool, msgspec.Meta(description="Use the pack of commands for a home that comes with edgevoice.")
    ] = True


class Assistant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    earcons: Annotated[bool, msgspec.Meta(description="Short sounds when it wakes and when it did not understand.")] = (
        True
    )
    overlap: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=1.5,
            description="Seconds before the wake at which the command's audio begins: a wake is only certain a moment "
            "after its word has ended, and a command spoken in one breath has begun by then.",
        ),
    ] = 0.15
    apology: Annotated[str, msgspec.Meta(description="Said when something failed and there is no better sentence.")] = (
        "Sorry, something went wrong."
    )
    not_understood: Annotated[str, msgspec.Meta(description="Said when no intent matched.")] = (
        "Sorry, I didn't understand that."
    )
    stop_deadline: Annotated[
        float, msgspec.Meta(ge=0.5, le=60.0, description="Seconds a stop may take before it is forced.")
    ] = 5.0


class Config(msgspec.Struct, frozen=True, kw_only=True):
    input: Annotated[InputOptions, msgspec.Meta(description="The microphone.")]
    output: Annotated[OutputOptions, msgspec.Meta(description="The speaker.")]
    wake: Annotated[Chosen, msgspec.Meta(description="Wake words.")]
    detection: Annotated[WakeOptions, msgspec.Meta(description="When a score becomes a wake.")]
    vad: Annotated[Chosen, msgspec.Meta(description="Voice activity detection.")]
    endpoint: Annotated[EndpointOptions, msgspec.Meta(description="Where an utterance begins and ends.")]
    asr: Annotated[Chosen, msgspec.Meta(description="Speech recognition.")]
    intents: Annotated[Intents, msgspec.Meta(description="What can be said.")]
    tts: Annotated[Chosen, msgspec.Meta(description="The voice.")]
    assistant: Annotated[Assistant, msgspec.Meta(description="The conversation.")]

    def packs(self) -> list[Path]:
        """The intent packs to load, in order, the default one first."""
        from edgevoice.think.grammar import default_pack

        own = [Path(pack) for pack in self.intents.packs]
        return [default_pack("en"), *own] if self.intents.default_pack else own


def find() -> Path | None:
    """The configuration file used when none is named, or None."""
    if named := os.environ.get("EDGEVOICE_CONFIG"):
        return Path(named)
    return next((path for path in (user_file(), Path("/etc/edgevoice/edgevoice.yaml")) if path.is_file()), None)


def user_file() -> Path:
    """Where a user's own configuration stands."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "edgevoice/edgevoice.yaml"


def load(path: Path | None = None, *, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check the configuration.

    Args:
        path: the file; None finds it (see ``find``).
        overrides: ``key=value`` pairs with dotted keys, values in YAML.

    Raises:
        ConfigError: with every mistake, each with its place and a suggestion.
    """
    path = path or find()
    root = yamlfile.read(path) if path is not None else None
    trees = [] if root is None else [root]
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX) and name not in RESERVED and "__" in name:
            trees.append(_nested(name[len(PREFIX) :].lower().split("__"), text, f"environment {name}"))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(
                f"'{override}' is no key=value", place="option --set", remedy="for example: --set output.volume=50"
            )
        trees.append(_nested(key.split("."), text, f"option --set {key}"))
    problems: list[Problem] = []
    merged = _merge(trees, "", problems)
    config = _build(merged, path.parent if path else Path(), problems)
    yamlfile.raise_problems(problems)
    assert config is not None
    return config


def model_names(config: Config) -> list[str]:
    """The models the configured engines need: the values of their options ``model`` and ``models`` that are names in
    the catalog, not paths."""
    names: list[str] = []
    for task in TASKS:
        options = getattr(config, task).chosen
        found = (*getattr(options, "models", ()), *([options.model] if hasattr(options, "model") else []))
        names += [name for name in found if "/" not in name and name not in names]
    return names


def document(config: Config | None = None) -> str:
    """A YAML file with every key, its meaning and its value: the defaults, or those of ``config``."""
    config = config or load(Path(os.devnull), environ={})
    lines = ["# edgevoice configuration. Every key may be left out; what stands here is its value.", ""]
    for field in msgspec.structs.fields(Config):
        section = getattr(config, field.name)
        lines += [f"# {_description(field.type)}", f"{field.name}:"]
        if isinstance(section, Chosen):
            known = ", ".join(registry.names(field.name))
            lines += [f"  # One of: {known}.", f"  engine: {section.engine}"]
            for name, options in section.options.items():
                lines += [f"  {name}:", *_document(options, "    ")]
        else:
            lines += _document(section, "  ")
        lines.append("")
    return "\n".join(lines)


def _document(options: msgspec.Struct, indent: str) -> Iterator[str]:
    for field in msgspec.structs.fields(options):
        yield f"{indent}# {_description(field.type)}{_range(field.type)}"
        value = msgspec.json.encode(getattr(options, field.name)).decode()  # JSON is YAML, too
        yield f"{indent}{field.name}: {value}"


def _metas(type_: Any) -> Iterator[msgspec.Meta]:
    if get_origin(type_) is not None:
        yield from (meta for meta in getattr(type_, "__metadata__", ()) if isinstance(meta, msgspec.Meta))


def _description(type_: Any) -> str:
    return next((meta.description for meta in _metas(type_) if meta.description), "")


def _range(type_: Any) -> str:
    for meta in _metas(type_):
        low = meta.ge if meta.ge is not None else meta.gt
        high = meta.le if meta.le is not None else meta.lt
        if low is not None and high is not None:
            return f" [{low} .. {high}]"
    inner = get_args(type_)[0] if hasattr(type_, "__metadata__") else type_
    if get_origin(inner) is Literal:
        return f" [{', '.join(map(str, get_args(inner)))}]"
    return ""


def _nested(keys: Sequence[str], text: str, place: str) -> yaml.Node:
    """The node of ``{key: {key: ... text}}``."""
    node = yamlfile.compose(text, place) or yamlfile.compose("null", place)
    assert node is not None
    for key in reversed(keys):
        name = yaml.ScalarNode("tag:yaml.org,2002:str", key, node.start_mark, node.end_mark)
        node = yaml.MappingNode("tag:yaml.org,2002:map", [(name, node)], node.start_mark, node.end_mark)
    return node


def _merge(trees: Sequence[yaml.Node], key: str, problems: list[Problem]) -> yaml.Node | None:
    """One tree out of several; in a conflict the last one wins."""
    mappings = [tree for tree in trees if isinstance(tree, yaml.MappingNode)]
    if not mappings or not isinstance(trees[-1], yaml.MappingNode):
        return trees[-1] if trees else None
    found: dict[str, tuple[yaml.Node, list[yaml.Node]]] = {}
    for tree in mappings:
        for name, (name_node, value) in yamlfile.entries(tree, key, problems).items():
            found.setdefault(name, (name_node, []))[1].append(value)
    merged = [
        (name_node, _merge(values, yamlfile.join(key, name), problems)) for name, (name_node, values) in found.items()
    ]
    return yaml.MappingNode("tag:yaml.org,2002:map", merged, mappings[0].start_mark, mappings[0].end_mark)


def _build(root: yaml.Node | None, folder: Path, problems: list[Problem]) -> Config | None:
    sections = yamlfile.entries(root, "", problems) if root is not None else {}
    fields = {field.name: field for field in msgspec.structs.fields(Config)}
    problems += [
        yamlfile.unknown(node, name, list(fields)) for name, (node, _) in sections.items() if name not in fields
    ]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        node = sections[name][1] if name in sections else None
        type_ = get_args(field.type)[0]
        if type_ is Chosen:
            values[name] = _chosen(node, name, problems)
        else:
            values[name] = type_() if node is None else yamlfile.struct(node, type_, name, problems)
    if problems:
        return None
    limits: EndpointOptions = values["endpoint"]
    if limits.release > limits.threshold:
        at = yamlfile.line(sections["endpoint"][1])
        problems.append(
            Problem(f"{at}: endpoint.release", f"{limits.release} is above endpoint.threshold ({limits.threshold})")
        )
    intents: Intents = values["intents"]
    values["intents"] = msgspec.structs.replace(intents, packs=tuple(str(folder / pack) for pack in intents.packs))
    return Config(**values)


def _chosen(node: yaml.Node | None, task: str, problems: list[Problem]) -> Chosen:
    known = registry.names(task)
    engine, options = known[0], {}
    for name, (name_node, value) in (yamlfile.entries(node, task, problems) if node is not None else {}).items():
        key = f"{task}.{name}"
        if name == "engine":
            engine = yamlfile.value(value, str, key, problems) or engine
            if engine not in known:
                problems.append(
                    Problem(
                        f"{yamlfile.line(value)}: {key}",
                        f"unknown engine '{engine}'",
                        f"choose one of: {', '.join(known)}",
                    )
                )
        elif name not in known:
            problems.append(yamlfile.unknown(name_node, key, ["engine", *known]))
        else:
            options[name] = yamlfile.struct(value, registry.options_type(task, name), key, problems)
    defaults = {name: registry.options_type(task, name)() for name in known if name not in options}
    return Chosen(engine=engine, options={name: (defaults | options)[name] for name in known})
