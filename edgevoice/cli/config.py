"""``edgevoice config``: make, check and show the configuration."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice.cli.common import add_config_arguments, load_config

if TYPE_CHECKING:
    from edgevoice.config import Config
    from edgevoice.errors import EdgeVoiceError

HELP = "make, check or show the configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    init = actions.add_parser("init", help="write a file with every key, its meaning and its default")
    init.add_argument("file", type=Path, nargs="?", help="default: ~/.config/edgevoice/edgevoice.yaml")
    init.add_argument("--force", action="store_true", help="overwrite a file that is there")
    check = actions.add_parser(
        "check", help="check the configuration, and the intents, actions, models and wake words in it"
    )
    add_config_arguments(check)
    show = actions.add_parser("show", help="print the configuration as it is used, every key with its meaning")
    add_config_arguments(show)
    show.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    match args.action:
        case "init":
            return _init(args.file, force=args.force)
        case "check":
            return _check(args)
        case _:
            return _show(args)


def _init(path: Path | None, *, force: bool) -> int:
    from edgevoice.config import document, user_file
    from edgevoice.errors import ConfigError, OutputError

    path = path or user_file()
    if path.exists() and not force:
        raise ConfigError(
            "it is there already", place=str(path), remedy="overwrite it with --force, or name another file"
        )
    there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document(), "utf-8")
    except OSError as error:
        if not there:  # half a configuration would be taken for a whole one
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        raise OutputError(f"it cannot be written: {error.strerror}", place=str(path)) from error
    print(path)
    return 0


def _check(args: argparse.Namespace) -> int:
    from edgevoice.config import find
    from edgevoice.flow.worker import Worker
    from edgevoice.parts import check_commands, load_skills

    config = load_config(args)
    skills = load_skills(config, Worker("think"))
    check_commands(config, skills)
    unseen = _check_models(config)
    source = args.config or find() or "defaults only"
    print(f"{source}: no mistakes; {len(skills.grammar.intents)} intents, {len(skills.actions)} actions")
    if unseen is not None:
        print(f"edgevoice: which wake words there are was not looked at: {unseen}", file=sys.stderr)
    return 0


def _check_models(config: "Config") -> "EdgeVoiceError | None":
    """That every model is known or there, and every wake word that is named.

    Returns:
        Why the wake words could not be looked at: their models or their engine are not installed yet.

    Raises:
        ModelError: there is no such model or path. ConfigError: there is no such wake word.
    """
    from edgevoice.config import models, models_of
    from edgevoice.engines import registry
    from edgevoice.errors import EngineMissingError, ModelError
    from edgevoice.modelshelf import ModelShelf
    from edgevoice.parts import check_words

    shelf = ModelShelf()
    known = {*shelf.catalog.models, *shelf.own()}
    for name in models(config):
        if name not in known:
            shelf.path(name)
    try:
        for name in models_of(config.wake):
            shelf.path(name)
    except ModelError as error:
        return error
    try:
        wake = registry.load("wake", config.wake.engine, config.wake.chosen, shelf)
    except EngineMissingError as error:
        return error
    check_words(config, wake)
    wake.close()
    return None


def _show(args: argparse.Namespace) -> int:
    from edgevoice.config import document

    config = load_config(args)
    if args.json:
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(config)).decode() + "\n")
    else:
        sys.stdout.write(document(config))
    return 0
