"""What an intent does: a program, a web service, a Python function or a built-in, described by a mapping in YAML.

    {command: [argv, ...], timeout: 5, name: "the light"}
    {http: {url: ..., method: POST, headers: {...}}, timeout: 5, name: "the light"}
    {python: "module:function", timeout: 5, name: "the light"}
    {builtin: NAME, ...}

See docs/actions.md.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from edgevoice.errors import GrammarError
from edgevoice.events import SlotValue
from edgevoice.suggest import did_you_mean
from edgevoice.think.actions_base import (
    Action,
    ActionContext,
    ActionResult,
    HomeState,
    SetVolume,
    Template,
    WrongWake,
)
from edgevoice.think.actions_builtin import BUILTINS, BuiltinAction
from edgevoice.think.actions_command import CommandAction
from edgevoice.think.actions_http import HttpAction
from edgevoice.think.actions_python import PythonAction

__all__ = [
    "Action",
    "ActionContext",
    "ActionResult",
    "HomeState",
    "SetVolume",
    "SlotValue",
    "WrongWake",
    "parse_action",
    "perform",
]

_Spec = TypeVar("_Spec", bound=msgspec.Struct)

KINDS = ("command", "http", "python", "builtin")

_Timeout = Annotated[
    float, msgspec.Meta(ge=0.05, le=300, description="Seconds until the action is given up and the failure is said.")
]
_Name = Annotated[
    str, msgspec.Meta(min_length=1, description="What to call it when it fails: 'The light did not answer in time.'")
]
DEFAULT_TIMEOUT = 5.0
"""Longer than a healthy device needs, short enough that nobody asks again meanwhile."""


class CommandSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    command: Annotated[
        tuple[Annotated[str | int | float, msgspec.Meta(description="One argument; {slot} is filled in.")], ...],
        msgspec.Meta(min_length=1, description="The program and its arguments."),
    ]
    timeout: _Timeout = DEFAULT_TIMEOUT
    name: _Name = "the command"


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[str, msgspec.Meta(min_length=1, description="http:// or https://; {slot} is filled in, quoted.")]
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        msgspec.Meta(description="All but GET send the slots as JSON."),
    ] = "POST"
    headers: Annotated[dict[str, str], msgspec.Meta(description="More headers; {slot} is filled in.")] = {}


class HttpSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    http: Annotated[HttpRequest, msgspec.Meta(description="The request.")]
    timeout: _Timeout = DEFAULT_TIMEOUT
    name: _Name = "the service"


class PythonSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    python: Annotated[str, msgspec.Meta(description="module:function, called with an ActionContext.")]
    timeout: _Timeout = DEFAULT_TIMEOUT
    name: _Name = "the action"


def parse_action(mapping: Mapping[str, Any], place: str) -> Action:
    """The action that a mapping from an intent's YAML describes.

    Args:
        place: the file and line, for errors.

    Raises:
        GrammarError: it describes none; the message names the key and what is wrong.
    """
    if not isinstance(mapping, Mapping):
        raise GrammarError(
            f"an action is a mapping, not {_kind_of(mapping)}", place=place, remedy="for example: {builtin: time}"
        )
    kinds = [kind for kind in KINDS if kind in mapping]
    if len(kinds) != 1:
        given = " and ".join(f"'{kind}'" for kind in kinds) or ", ".join(f"'{key}'" for key in mapping) or "nothing"
        raise GrammarError(
            f"an action has one of the keys {', '.join(KINDS)}; here is {given}",
            place=place,
            remedy=did_you_mean(map(str, mapping), KINDS) if not kinds else "keep one of them",
        )
    match kinds[0]:
        case "command":
            return _command(_convert(mapping, CommandSpec, place), place)
        case "http":
            return _http(mapping, place)
        case "python":
            return _python(_convert(mapping, PythonSpec, place), place)
        case _:
            return _builtin(mapping, place)


async def perform(action: Action, context: ActionContext) -> ActionResult:
    """Do it. Cancelling this ends what the action started, save for a Python function in a thread.

    Raises:
        ActionError: it failed; ``spoken`` says so to the user.
    """
    return await action.perform(context)


def _command(spec: CommandSpec, place: str) -> Action:
    arguments = tuple(
        Template(str(argument), f"{place}: command[{index}]") for index, argument in enumerate(spec.command)
    )
    if arguments[0].begins_with_slot:
        raise GrammarError(
            "the program itself is a slot", place=arguments[0].place, remedy="name the program; slots are for arguments"
        )
    return CommandAction(arguments, spec.timeout, Template(spec.name, f"{place}: name"), place)


def _http(mapping: Mapping[str, Any], place: str) -> Action:
    inner = mapping["http"]
    if isinstance(inner, Mapping):
        _check_keys(inner, HttpRequest, f"{place}: http")
    spec = _convert(mapping, HttpSpec, place)
    url = Template(spec.http.url, f"{place}: http.url")
    try:
        parts = urlsplit(url.source)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise GrammarError(f"'{url.source}' is no http:// or https:// address", place=url.place)
    if "{" in parts.netloc:
        raise GrammarError(
            "the host is a slot: what is said must not choose where it is sent",
            place=url.place,
            remedy="put slots into the path or the query",
        )
    headers = tuple((key, Template(value, f"{place}: http.headers.{key}")) for key, value in spec.http.headers.items())
    return HttpAction(url, spec.http.method, headers, spec.timeout, Template(spec.name, f"{place}: name"), place)


def _python(spec: PythonSpec, place: str) -> Action:
    found = re.fullmatch(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)", spec.python)
    if not found:
        raise GrammarError(
            f"'{spec.python}' names no function", place=f"{place}: python", remedy="write module:function"
        )
    return PythonAction(found[1], found[2], spec.timeout, Template(spec.name, f"{place}: name"), place)


def _builtin(mapping: Mapping[str, Any], place: str) -> Action:
    name = mapping["builtin"]
    if not isinstance(name, str) or name not in BUILTINS:
        raise GrammarError(
            f"there is no built-in '{name}'", place=f"{place}: builtin", remedy=did_you_mean(str(name), BUILTINS)
        )
    arguments = {key: value for key, value in mapping.items() if key != "builtin"}
    action = BuiltinAction(name, _convert(arguments, BUILTINS[name], place), place)
    _ = action.placeholders  # an ill-formed template is refused now, not when it is used
    return action


def _convert(mapping: Mapping[str, Any], spec: type[_Spec], place: str) -> _Spec:
    _check_keys(mapping, spec, place)
    try:
        return msgspec.convert(dict(mapping), spec)
    except msgspec.ValidationError as error:
        cause, _, where = str(error).partition(" - at `$.")
        key = f"{place}: {where.rstrip('`')}" if where else place
        raise GrammarError(cause[:1].lower() + cause[1:], place=key, remedy="see docs/actions.md") from None


def _check_keys(mapping: Mapping[str, Any], spec: type[msgspec.Struct], place: str) -> None:
    known = spec.__struct_fields__
    for key in mapping:
        if key not in known:
            remedy = did_you_mean(str(key), known) if known else "this built-in takes no arguments"
            raise GrammarError(f"unknown key '{key}'", place=place, remedy=remedy)


def _kind_of(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.60}"
