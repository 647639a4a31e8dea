"""``edgevoice service``: the service of systemd."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevoice.service.changes import Change
    from edgevoice.service.places import Places

HELP = "install, remove and look after the service that listens from the start of the system on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from edgevoice.service import files

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    install = actions.add_parser("install", help="install it or bring it up to date, and start it")
    install.add_argument(
        "--board",
        choices=files.names("boards"),
        help="whose limits it has; default: those of this board, if it is known",
    )
    install.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=files.names("allow"),
        help="open something to it; see docs/service.md",
    )
    install.add_argument("--no-start", action="store_true", help="only from the next start of the system on")
    uninstall = actions.add_parser("uninstall", help="stop it, and remove all of it but the configuration")
    status = actions.add_parser("status", help="how it is; exit code 1 unless it is active")
    logs = actions.add_parser("logs", help="what it wrote into the journal")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what it writes next")
    logs.add_argument("-n", "--lines", type=int, metavar="N", help="the last N lines (default: 100)")
    for action in (install, uninstall, status, logs):
        action.add_argument("--user", action="store_true", help="your own service, for a desktop with a sound server")
        action.add_argument("--json", action="store_true", help="the result as JSON")
    for action in (install, uninstall):
        action.add_argument("--dry-run", action="store_true", help="change nothing, and say what would be changed")


def run(args: argparse.Namespace) -> int:
    from edgevoice.service import places

    where = places.user() if args.user else places.system()
    match args.action:
        case "install":
            return _install(args, where)
        case "uninstall":
            return _uninstall(args, where)
        case "status":
            return _status(args, where)
        case _:
            return _logs(args, where)


def _install(args: argparse.Namespace, where: "Places") -> int:
    import msgspec

    from edgevoice.service.changes import Changes
    from edgevoice.service.install import Wishes, install
    from edgevoice.service.places import program

    chosen = os.environ.get("EDGEVOICE_MODELS")
    models = Path(chosen).absolute() if chosen and Path(chosen).absolute() != where.models else None
    changes = Changes(_tell(args), dry_run=args.dry_run)
    wishes = Wishes(board=args.board, allow=args.allow, start=not args.no_start)
    installed = install(where, program(), wishes, changes, models)
    if args.json:
        problem = str(installed.problem) if installed.problem else None
        result = {"changes": changes.made, "started": installed.started and not args.dry_run, "problem": problem}
        print(msgspec.json.format(msgspec.json.encode(result)).decode())
    elif not changes.made:
        print("nothing had to be changed")
    if installed.problem is not None:
        print(f"edgevoice: installed, and not started: {installed.problem}", file=sys.stderr)
        return installed.problem.exit_code
    return 0


def _uninstall(args: argparse.Namespace, where: "Places") -> int:
    import msgspec

    from edgevoice.service.changes import Changes
    from edgevoice.service.install import uninstall

    changes = Changes(_tell(args), dry_run=args.dry_run)
    left = [str(path) for path in uninstall(where, changes)]
    if args.json:
        print(msgspec.json.format(msgspec.json.encode({"changes": changes.made, "left": left})).decode())
        return 0
    if not changes.made:
        print("there was nothing to remove")
    for path in left:
        print(f"left for you: {path}")
    return 0


def _status(args: argparse.Namespace, where: "Places") -> int:
    import msgspec

    from edgevoice.errors import ServiceError
    from edgevoice.service.state import ask

    state = ask(where)
    if state is None:
        whose = " --user" if where.user else ""
        raise ServiceError(
            "it is not installed",
            place="the service",
            remedy=f"type: {'' if whose else 'sudo '}edgevoice service install{whose}",
        )
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(state)).decode())
    else:
        print(f"{state.active} ({state.detail}), {state.enabled}")
        if state.says:
            print(f"says       {state.says}")
        if state.pid is not None:
            print(f"process    {state.pid}")
        if state.memory_mb is not None:
            print(f"memory     {state.memory_mb:g} MB")
        print(f"restarts   {state.restarts}")
        if state.result != "success":
            print(f"last end   {state.result}; see: edgevoice service logs")
    return 0 if state.active in ("active", "reloading") else 1


def _logs(args: argparse.Namespace, where: "Places") -> int:
    import shutil

    from edgevoice.errors import ServiceError
    from edgevoice.service.places import UNIT

    program = shutil.which("journalctl")
    if program is None:
        raise ServiceError(
            "it is not installed", place="journalctl", remedy="the service writes into systemd's journal"
        )
    unit = [f"--user-unit={UNIT}"] if where.user else [f"--unit={UNIT}"]
    words = ["--no-pager", f"--lines={100 if args.lines is None else args.lines}", *unit]
    words += ["--follow"] if args.follow else []
    words += ["--output=json"] if args.json else []
    sys.stdout.flush()
    os.execv(program, [program, *words])


def _tell(args: argparse.Namespace) -> "Callable[[Change], None]":
    def tell(change: "Change") -> None:
        words = {"write": "wrote", "remove": "removed", "run": "ran"} if change.done else {}
        print(f"{words.get(change.kind, 'would ' + change.kind):7} {change.what}", flush=True)

    def say_nothing(_change: "Change") -> None:
        pass

    return say_nothing if args.json else tell
