"""The command line: finds the command, runs it, turns errors into messages and exit codes (``edgevoice.errors``)."""

import argparse
import importlib
import logging
import sys
import traceback
from collections.abc import Sequence

from edgevoice import __version__
from edgevoice.cli import streams
from edgevoice.errors import EdgeVoiceError

COMMANDS = (
    "run",
    "status",
    "talk",
    "mute",
    "unmute",
    "reload",
    "metrics",
    "say",
    "transcribe",
    "intent",
    "intents",
    "eval",
    "bench",
    "quantize",
    "tune",
    "wake",
    "devices",
    "doctor",
    "service",
    "models",
    "config",
)
"""Each is a module of ``edgevoice.cli`` with HELP, add_arguments and run."""

DEFECT = 70
"""Exit code of what should never happen; EX_SOFTWARE of sysexits.h."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="edgevoice", description="A private, offline voice engine for small Linux boards.", allow_abbrev=False
    )
    top.add_argument("--version", action="version", version=f"edgevoice {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"edgevoice.cli.{name}")
        sub = commands.add_parser(name, help=module.HELP, description=module.HELP, allow_abbrev=False)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    streams.prepare()
    logging.basicConfig(level=logging.WARNING, format="edgevoice: %(levelname)s: %(message)s")
    try:
        with streams.quietly_ended():  # the parser loads the modules of all commands
            args = parser().parse_args(argv)
        with streams.terminable():
            code: int = args.run(args)
        sys.stdout.flush()
        return code
    except EdgeVoiceError as error:
        print(f"edgevoice: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as with "| head": no mistake, and nothing left to say.
        return 0
    except Exception:  # noqa: BLE001 - shown whole; only the exit code is ours
        traceback.print_exc()
        print("edgevoice: this is a defect of edgevoice; please report it with the lines above", file=sys.stderr)
        return DEFECT
    finally:
        streams.settle()


if __name__ == "__main__":
    raise SystemExit(main())
