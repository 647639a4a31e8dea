"""Actions that run a program. Never a shell: the arguments are given as they are."""

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import dataclass
from typing import cast

from edgevoice.errors import ActionError
from edgevoice.think.actions_base import (
    KEPT_BYTES,
    ActionContext,
    ActionResult,
    Template,
    payload,
    read_answer,
    too_slow,
)

PIPES_CLOSE_S = 0.5
"""How long to wait, after a program has ended and its group was killed, for its pipes to close. They stay open only
when something it started has left the group on purpose and holds them."""


@dataclass(frozen=True)
class CommandAction:
    arguments: tuple[Template, ...]
    timeout: float
    name: Template
    place: str

    @property
    def label(self) -> str:
        return f"command {self.arguments[0].source}"

    @property
    def placeholders(self) -> frozenset[str]:
        return self.name.placeholders.union(*(argument.placeholders for argument in self.arguments))

    async def perform(self, context: ActionContext) -> ActionResult:
        """Run the program and read its answer.

        The whole process group is killed when the time is over, when this is cancelled, and when the program has
        ended but left something behind.

        Raises:
            ActionError: it is not there, cannot be run, failed, or took too long.
        """
        argv = self._argv(context)
        name = self.name.fill(context.slots)
        run = _Run()
        told = json.dumps(payload(context))
        environment = os.environ | {
            "EDGEVOICE_INTENT": context.intent,
            "EDGEVOICE_SLOTS": json.dumps(dict(context.slots)),
            "EDGEVOICE_TEXT": context.text,
        }
        try:
            transport, _ = await asyncio.get_running_loop().subprocess_exec(
                lambda: run, *argv, env=environment, start_new_session=True
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
            raise ActionError(
                _why_not_started(argv[0], error),
                place=self.place,
                remedy="give the full path of a program that this user may run",
                spoken=f"{_capital(name)} could not be started.",
            ) from error
        try:
            run.tell(told.encode())
            async with asyncio.timeout(self.timeout):
                await run.exited
        except TimeoutError:
            raise too_slow(self.label, self.place, name, self.timeout) from None
        finally:
            await _end(transport, run)
        code = transport.get_returncode()
        if code:
            raise ActionError(
                f"{self.label} {_how_it_ended(code)}{run.last_complaint()}",
                place=self.place,
                spoken=f"{_capital(name)} reported an error.",
            )
        return read_answer(bytes(run.kept[1]))

    def _argv(self, context: ActionContext) -> list[str]:
        argv: list[str] = []
        for template in self.arguments:
            argument = template.fill(context.slots)
            if template.begins_with_slot and "--" not in argv and argument.startswith("-") and not _is_number(argument):
                raise ActionError(
                    f"the words '{argument}' would become an option of {self.arguments[0].source}",
                    place=template.place,
                    remedy="put an argument '--' before it, if the program knows that",
                )
            argv.append(argument)
        return argv


class _Run(asyncio.SubprocessProtocol):
    """Keeps the beginning of what a program writes and reads away the rest."""

    def __init__(self) -> None:
        self.exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.kept = {1: bytearray(), 2: bytearray()}
        self._stdin: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        process = cast(asyncio.SubprocessTransport, transport)
        self._stdin = cast(asyncio.WriteTransport, process.get_pipe_transport(0))

    def tell(self, data: bytes) -> None:
        assert self._stdin is not None
        self._stdin.write(data)
        self._stdin.write_eof()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        room = KEPT_BYTES - len(self.kept[fd])
        self.kept[fd] += data[:room]

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def last_complaint(self) -> str:
        lines = self.kept[2].decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f": {said[-1][:300]}" if said else ""


async def _end(transport: asyncio.SubprocessTransport, run: _Run) -> None:
    """Leave no process behind. The group keeps the program's number as long as anything lives in it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    try:
        await asyncio.wait([run.exited, run.closed], timeout=PIPES_CLOSE_S, return_when=asyncio.ALL_COMPLETED)
    finally:
        transport.close()


def _why_not_started(program: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no program '{program}'"
    if isinstance(error, PermissionError):
        return f"'{program}' is not executable"
    return f"'{program}' could not be started: {error}"


def _how_it_ended(code: int) -> str:
    if code > 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
