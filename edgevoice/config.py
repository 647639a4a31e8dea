"""The configuration: one YAML file, strictly validated. Every default stands here or in an engine's ``Options``.

Order of precedence: command line (``--set wake.refractory=2``), environment (``EDGEVOICE_WAKE__REFRACTORY=2``), file,
default. The file is ``--config``, else ``$EDGEVOICE_CONFIG``, else ``~/.config/edgevoice/edgevoice.yaml``, else
``/etc/edgevoice/edgevoice.yaml``, else none: everything has a default.
"""

import functools
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from edgevoice import yamlfile, yamlstruct
from edgevoice.audio.source import InputOptions, OutputOptions
from edgevoice.engines import registry
from edgevoice.engines.protocols import BELIEVED
from edgevoice.errors import ConfigError
from edgevoice.governor import LIGHTER_MODEL
from edgevoice.governor import Options as OverloadOptions
from edgevoice.listen.endpoint import Options as EndpointOptions
from edgevoice.listen.wake import Options as WakeOptions
from edgevoice.logs.options import Options as LoggingOptions
from edgevoice.problems import Problems, Source, Value
from edgevoice.recordings import Options as RecordingOptions

PREFIX = "EDGEVOICE_"
RESERVED = frozenset(
    {
        *("EDGEVOICE_CONFIG", "EDGEVOICE_MODELS", "EDGEVOICE_DATA"),
        *("EDGEVOICE_INTENT", "EDGEVOICE_TEXT", "EDGEVOICE_SLOTS"),  # what an action is told, which may call us again
        *("EDGEVOICE_BROWSER", "EDGEVOICE_SYSTEM_TESTS"),  # of the tests
    }
)
"""Environment variables of ours that are no configuration keys."""
COLUMNS = 100
"""Width of the comments in a written file: what a terminal, an editor and a web page show without scrolling."""
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
            description="Files or folders with your own intents. They come after the default pack and override it "
            "by name. Relative paths start at this file's folder; typed with --set, where you are."
        ),
    ] = ()
    default_pack: Annotated[
        bool, msgspec.Meta(description="Use the pack of commands for a home that comes with edgevoice.")
    ] = True
    by_sound: Annotated[
        bool,
        msgspec.Meta(
            description="Match what is no sentence word for word by its sound: 'light rose ice mocha' is taken for "
            "'light roast iced mocha'. For English."
        ),
    ] = True
    min_confidence: Annotated[
        float,
        msgspec.Meta(
            ge=0.0,
            le=1.0,
            description="Confidence below which what was said is taken for no command. Higher refuses more talk that "
            "is none, and more commands.",
        ),
    ] = BELIEVED


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


class Debug(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    recordings: Annotated[
        RecordingOptions, msgspec.Meta(description="Recordings of every turn, for a look at what goes wrong.")
    ] = RecordingOptions()


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
    overload: Annotated[
        OverloadOptions, msgspec.Meta(description="What is done when the machine is overloaded or too hot.")
    ]
    logging: Annotated[LoggingOptions, msgspec.Meta(description="What is logged, and how.")]
    debug: Annotated[Debug, msgspec.Meta(description="What helps to find a fault.")]

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
    layers = [yamlfile.read(path, ConfigError)] if path is not None else []
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX) and name not in RESERVED:
            keys = name[len(PREFIX) :].lower().split("__")
            if len(keys) == 1:
                raise ConfigError(
                    "it is no key of the configuration, and nothing else that is known",
                    place=f"environment {name}",
                    remedy=f"between keys stand two underscores, as in {PREFIX}OUTPUT__VOLUME; or call it otherwise",
                )
            layers.append(_nested(keys, text, f"environment {name}"))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(
                f"'{override}' is no key=value", place="option --set", remedy="for example: --set output.volume=50"
            )
        layers.append(_nested(key.split("."), text, f"option --set {key}"))
    problems = Problems()
    config = _build(layers, path.parent if path else Path(), problems)
    problems.raise_any(ConfigError, "mistakes in the configuration")
    assert config is not None
    return config


def model_names(config: Config) -> list[str]:
    """The models the configured engines need: the values of their options ``model`` and ``models`` that are names in
    the catalog, not paths."""
    names: list[str] = []
    for name in models(config):
        if "/" not in name and name not in names:
            names.append(name)
    return names


def models(config: Config) -> tuple[str, ...]:
    """The models that a configuration may use: names in the catalog, or paths."""
    lighter = config.overload.model
    used = [name for task in TASKS for name in models_of(getattr(config, task))]
    return (*used, *([] if lighter is None else [lighter]))


def lightened(config: Config, level: int) -> Config:
    """The configuration that is in force when so many steps down have been taken."""
    model = config.overload.model
    if level < LIGHTER_MODEL or model is None:
        return config
    options = msgspec.structs.replace(config.asr.chosen, model=model)
    asr = Chosen(engine=config.asr.engine, options={**config.asr.options, config.asr.engine: options})
    return msgspec.structs.replace(config, asr=asr)


def models_of(chosen: Chosen) -> tuple[str, ...]:
    """The models that an engine is told to use: names in the catalog, or paths."""
    options = chosen.chosen
    voice = getattr(options, "voice", "")  # of hibari, whose voices have names of their own
    named = [options.model] if hasattr(options, "model") else []
    return (*getattr(options, "models", ()), *named, *([voice] if "/" in voice else []))


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
        comment = f"{indent}# "
        meaning = _description(field.type) + _range(field.type)
        yield from textwrap.wrap(meaning, COLUMNS, initial_indent=comment, subsequent_indent=comment)
        value = getattr(options, field.name)
        if isinstance(value, msgspec.Struct):
            yield f"{indent}{field.name}:"
            yield from _document(value, indent + "  ")
        else:
            yield f"{indent}{field.name}: {msgspec.json.encode(value).decode()}"  # JSON is YAML, too


def _metas(type_: Any) -> Iterator[msgspec.Meta]:
    if get_origin(type_) is not None:
        yield from (meta for meta in getattr(type_, "__metadata__", ()) if isinstance(meta, msgspec.Meta))


def _description(type_: Any) -> str:
    return next((meta.description for meta in _metas(type_) if meta.description), "")


def _range(type_: Any) -> str:
    """The values it takes, in brackets; empty when the type says all."""
    found = list(_ranges(type_))
    return f" [{', '.join(found)}]" if found else ""


def _ranges(type_: Any) -> Iterator[str]:
    for meta in _metas(type_):
        if meta.ge is not None and meta.le is not None:
            yield f"{meta.ge} .. {meta.le}"
        elif meta.ge is not None:
            yield f"at least {meta.ge}"
        elif meta.gt is not None and meta.lt is not None:
            yield f"between {meta.gt} and {meta.lt}"
    if get_origin(type_) is Literal:
        yield from map(str, get_args(type_))
    elif hasattr(type_, "__metadata__"):
        yield from _ranges(get_args(type_)[0])
    else:
        for inner in get_args(type_):
            yield from _ranges(inner)


def _nested(keys: Sequence[str], text: str, origin: str) -> Value:
    return yamlfile.nested(keys, yamlfile.parse(Source(origin, text, numbered=False), ConfigError))


def _build(layers: Sequence[Value], folder: Path, problems: Problems) -> Config | None:
    """The configuration that the layers give; in a conflict the last one wins."""
    sections: yamlfile.Entries = {}
    if layers:
        root = functools.reduce(lambda below, layer: layer.over(below), layers)
        sections = yamlstruct.entries(root, "", problems)
    fields = {field.name: field for field in msgspec.structs.fields(Config)}
    for name, (key, _) in sections.items():
        if name not in fields:
            yamlstruct.unknown(key, name, fields, problems)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        section = sections[name][1] if name in sections else None
        type_ = get_args(field.type)[0]
        if type_ is Chosen:
            values[name] = _chosen(section, name, problems)
        else:
            values[name] = type_() if section is None else yamlstruct.struct(section, type_, name, problems)
    if problems.found:
        return None
    limits: EndpointOptions = values["endpoint"]
    if limits.release > limits.threshold:
        cause = f"{limits.release} is above endpoint.threshold ({limits.threshold})"
        problems.add(sections["endpoint"][1], cause, key="endpoint.release")
    intents: Intents = values["intents"]
    if intents.packs:
        packs = yamlstruct.entries(sections["intents"][1], "intents", problems)["packs"][1]
        start = folder if packs.source.numbered else Path()  # of a file, or typed by somebody who is somewhere else
        values["intents"] = msgspec.structs.replace(intents, packs=tuple(str(start / pack) for pack in intents.packs))
    return Config(**values)


def _chosen(section: Value | None, task: str, problems: Problems) -> Chosen:
    known = registry.names(task)
    engine, options = known[0], {}
    for name, (name_value, value) in (yamlstruct.entries(section, task, problems) if section else {}).items():
        key = f"{task}.{name}"
        if name == "engine":
            engine = yamlstruct.convert(value, str, key, problems) or engine
            if engine not in known:
                problems.add(value, f"unknown engine '{engine}'", f"choose one of: {', '.join(known)}", key=key)
        elif name not in known:
            yamlstruct.unknown(name_value, key, ["engine", *known], problems)
        else:
            options[name] = yamlstruct.struct(value, registry.options_type(task, name), key, problems)
    defaults = {name: registry.options_type(task, name)() for name in known if name not in options}
    return Chosen(engine=engine, options={name: (defaults | options)[name] for name in known})
