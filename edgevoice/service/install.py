"""Installing, upgrading and removing the service. Each is idempotent: what is as it should be is left alone."""

import grp
import importlib.metadata
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevoice.errors import EdgeVoiceError, ServiceError
from edgevoice.service import files, reach
from edgevoice.service.changes import Changes
from edgevoice.service.places import UNIT, USER, Places

ELSEWHERE = (
    "install edgevoice outside of home folders (sudo python3 -m venv /opt/edgevoice, then pip install there), "
    "or as your own service with --user"
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user may choose."""

    board: str | None
    """A profile of limits; None finds the one of this board."""
    allow: Sequence[str] = ()
    """Drop-ins that open something; those of an earlier installation stay."""
    start: bool = True


@dataclass(frozen=True, slots=True)
class Installed:
    """How it went; ``problem`` says why the service was not started, where it was to be."""

    started: bool
    problem: EdgeVoiceError | None


def install(places: Places, program: Path, wishes: Wishes, changes: Changes, models: Path | None = None) -> Installed:
    """Have the service, enabled and running with this program.

    Args:
        models: the folder of models where it is not the service's own.

    Raises:
        ServiceError: it takes another user, the service could not reach the program, or systemd refused.
        OutputError: a file cannot be written.
    """
    check_rights(places)
    check_manager(places, changes)
    if not places.user:
        check_program(program)
    changed = _write_files(places, program, wishes, changes, models)
    if not places.user:
        _make_user(places, changes)
    if changed:
        changes.command("systemctl", *places.scope, "daemon-reload")
    if changes.ask("systemctl", *places.scope, "is-enabled", "--quiet", UNIT).returncode:
        changes.command("systemctl", *places.scope, "enable", "--quiet", UNIT)
    if not wishes.start:
        return Installed(started=False, problem=None)
    if (problem := _missing(places, models)) is not None:
        return Installed(started=False, problem=problem)
    if changed or not _runs_this(places, changes):
        changes.command("systemctl", *places.scope, "restart", UNIT)
    return Installed(started=True, problem=None)


def uninstall(places: Places, changes: Changes) -> list[Path]:
    """Have no service, no user and no state of it.

    Returns:
        What is left: the configuration, and drop-ins that others wrote.

    Raises:
        ServiceError: it takes another user, or systemd refused.
        OutputError: a file cannot be removed.
    """
    check_rights(places)
    if places.unit.exists():
        changes.command("systemctl", *places.scope, "disable", "--now", "--quiet", UNIT)
    removed = [changes.remove(places.unit)]
    removed += [changes.remove(places.dropins / name) for name in (*_dropin_names("boards"), *_dropin_names("allow"))]
    if places.dropins.is_dir() and not any(places.dropins.iterdir()):
        changes.remove(places.dropins)
    if any(removed):
        changes.command("systemctl", *places.scope, "daemon-reload")
        # What failed once is kept in mind even when its unit is gone. That there is nothing to forget is no error.
        if not changes.dry_run:
            changes.ask("systemctl", *places.scope, "reset-failed", UNIT)
    if not places.user:
        changes.remove(places.sysusers)
        changes.remove(places.tmpfiles)
        if _user_exists():
            changes.command("userdel", USER)
    changes.remove(places.state)
    return [path for path in (places.config.parent, places.dropins) if path.exists()]


def check_rights(places: Places) -> None:
    """
    Raises:
        ServiceError: the service of the system needs root, and that of a user must not be root's.
    """
    if not places.user and os.geteuid() != 0:
        raise ServiceError(
            "this takes root", place="the service of the system", remedy="type it with sudo, or add --user for your own"
        )
    if places.user and os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        raise ServiceError(
            f"with sudo it would be root's service, not {os.environ['SUDO_USER']}'s",
            place="option --user",
            remedy="type it without sudo",
        )


def check_manager(places: Places, changes: Changes) -> None:
    """
    Raises:
        ServiceError: there is no systemd to talk to.
    """
    answer = changes.ask("systemctl", *places.scope, "show", "--property=Version", "--value")
    if answer.returncode or not answer.stdout.strip():
        raise ServiceError(
            " ".join(answer.stderr.split()) or "it does not answer",
            place="systemd",
            remedy="log in as that user, not with su" if places.user else "start 'edgevoice run' by other means",
        )


def check_program(program: Path) -> None:
    """
    Raises:
        ServiceError: the user of the service could not start it.
    """
    found = next(reach.obstacles(reach.program_paths(program), _reader()), None)
    if found is not None:
        raise ServiceError(found.why, place=str(found.path), remedy=ELSEWHERE)


def _dropin_names(kind: str) -> list[str]:
    """File names of our drop-ins; those of boards come first, so that what a user opens has the last word."""
    return [f"10-board-{name}.conf" if kind == "boards" else f"20-allow-{name}.conf" for name in files.names(kind)]


def _write_files(places: Places, program: Path, wishes: Wishes, changes: Changes, models: Path | None) -> bool:
    """Whether systemd has to read its files anew."""
    shipped = "edgevoice-user.service" if places.user else "edgevoice.service"
    changed = changes.write(places.unit, files.unit(shipped, program, models))
    board = wishes.board or files.board(places.root)
    for name, dropin in zip(files.names("boards"), _dropin_names("boards"), strict=True):
        path = places.dropins / dropin
        changed |= changes.write(path, files.text(f"boards/{name}.conf")) if name == board else changes.remove(path)
    for name, dropin in zip(files.names("allow"), _dropin_names("allow"), strict=True):
        path = places.dropins / dropin
        if name in wishes.allow or path.exists():
            _check_group(name)
            changed |= changes.write(path, files.text(f"allow/{name}.conf"))
    if not places.config.exists():
        changes.write(places.config, files.text("edgevoice.yaml"))
    return changed


def _check_group(name: str) -> None:
    if name != "gpio":
        return
    try:
        grp.getgrnam(name)
    except KeyError as error:
        raise ServiceError("this system has no group gpio", place="option --allow") from error


def _make_user(places: Places, changes: Changes) -> None:
    if changes.write(places.sysusers, files.text("sysusers.conf")) or not _user_exists():
        changes.command("systemd-sysusers", str(places.sysusers))
    if changes.write(places.tmpfiles, files.text("tmpfiles.conf")) or not places.models.is_dir():
        changes.command("systemd-tmpfiles", "--create", str(places.tmpfiles))


def _user_exists() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def _reader() -> reach.Reader:
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return reach.Reader(None, frozenset())
    return reach.Reader(entry.pw_uid, frozenset(os.getgrouplist(USER, entry.pw_gid)))


def _missing(places: Places, models: Path | None) -> EdgeVoiceError | None:
    """What the service would fail for at once: its configuration, its models, or its intents, read as it will."""
    from edgevoice import config as configuration
    from edgevoice.modelshelf import ModelShelf, default_root

    shelf_root = models or (default_root() if places.user else places.models)
    try:
        # In a dry run there may be none yet.
        config = configuration.load(places.config if places.config.exists() else Path(os.devnull), environ={})
        shelf = ModelShelf(shelf_root)
        wanted = [shelf.path(name) for name in configuration.models(config)]
    except EdgeVoiceError as error:
        error.remedy = _pull(places, shelf_root) if error.exit_code == 4 else error.remedy
        return error
    if places.user:
        return None
    found = next(reach.obstacles(_existing(*wanted, *config.packs(), places.config), _reader()), None)
    return None if found is None else ServiceError(found.why, place=str(found.path))


def _existing(*paths: Path) -> list[Path]:
    return [path for path in paths if path.exists()]


def _pull(places: Places, root: Path) -> str:
    if places.user:
        return "type: edgevoice models pull, and then: systemctl --user start edgevoice"
    pull = f"sudo EDGEVOICE_MODELS={root} edgevoice models pull --all-for {places.config}"
    return f"type: {pull}, and then: sudo systemctl start edgevoice"


def _runs_this(places: Places, changes: Changes) -> bool:
    """Whether it runs, and was started after this edgevoice was installed."""
    words = ("--property=ActiveState", "--property=ExecMainStartTimestamp", "--timestamp=unix")
    answer = changes.ask("systemctl", *places.scope, "show", *words, UNIT)
    shown = dict(line.partition("=")[::2] for line in answer.stdout.splitlines())
    if shown.get("ActiveState") not in ("active", "reloading"):
        return False
    started = shown.get("ExecMainStartTimestamp", "").lstrip("@")
    record = importlib.metadata.distribution("edgevoice").locate_file(f"edgevoice-{_version()}.dist-info/RECORD")
    path = Path(str(record))
    return started.isdigit() and (not path.is_file() or path.stat().st_mtime < int(started))


def _version() -> str:
    return importlib.metadata.version("edgevoice")
