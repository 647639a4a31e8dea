"""The control socket of a running daemon: its owner asks how it is and tells it what to do."""

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from edgevoice.errors import DaemonError, EdgeVoiceError
from edgevoice.health.place import make_private
from edgevoice.health.protocol import LONGEST, VERBS, Answer, Request, Verb

log = logging.getLogger(__name__)

CLIENTS = 8
"""At once. More is a client that does not close; each costs a file descriptor and a buffer. For another one, the client
that has been silent for longest is shown out."""

PATIENCE = 30.0
"""Seconds that a client may say nothing, or not read its answer, before it is shown out."""

_BACKLOG = 4
_PEER = struct.Struct("3i")
"""Process, user and group of the one on the other end (unix(7), SO_PEERCRED)."""

Do = Callable[[], Awaitable[Answer]]


@asynccontextmanager
async def serve(path: Path, commands: Mapping[Verb, Do], *, patience: float = PATIENCE) -> AsyncIterator[None]:
    """Answer on the socket until the block ends.

    Args:
        commands: what is done; what it raises as EdgeVoiceError is the answer's error.

    Raises:
        DaemonError: another daemon answers there, or the socket cannot be made.
    """
    make_private(path.parent)
    with _only_one(path), _listening(path) as listening:
        desk = _Desk(commands, patience)
        server = await asyncio.start_unix_server(desk.receive, sock=listening, limit=LONGEST)
        try:
            yield
        finally:
            server.close()
            await desk.close()


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """A lock that ends with the process, however it ends: what tells a living daemon from what a dead one has left."""
    lock = path.with_suffix(".lock")
    try:
        number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise DaemonError(f"it cannot be opened: {error.strerror or error}", place=str(lock)) from error
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(number, 20, 0).decode("ascii", errors="replace").strip()
            raise DaemonError(
                f"edgevoice is already running{f' as process {owner}' if owner else ''}",
                place=str(path),
                remedy="stop that one first, or ask it: edgevoice status",
            ) from None
        os.ftruncate(number, 0)
        os.pwrite(number, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(number)


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """The socket, for its owner only from the first moment; one that a dead daemon has left is replaced."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as listening:
        try:
            if os.path.lexists(path) and not stat.S_ISSOCK(path.lstat().st_mode):
                raise DaemonError("there is something else in the socket's place", place=str(path), remedy="remove it")
            path.unlink(missing_ok=True)
            os.fchmod(listening.fileno(), 0o600)  # before it has a name; Linux gives it these rights
            listening.bind(str(path))
            listening.listen(_BACKLOG)
        except OSError as error:
            raise DaemonError(f"the socket cannot be made: {error.strerror or error}", place=str(path)) from error
        try:
            yield listening
        finally:
            path.unlink(missing_ok=True)


class _Desk:
    """Serves the clients, each in a task of its own."""

    def __init__(self, commands: Mapping[Verb, Do], patience: float) -> None:
        self._commands = commands
        self._patience = patience
        self._clients: set[asyncio.Task[None]] = set()
        self._admitted: set[asyncio.StreamWriter] = set()
        self._awaited: dict[asyncio.StreamWriter, None] = {}
        """Those of them who are to say something, or to read their answer; who has been for longest, comes first."""

    def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="control")
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def close(self) -> None:
        """Show everybody out."""
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if refusal := self._refusal(writer):
                await self._say(writer, Answer(ok=False, error=refusal))
                writer.write_eof()
                await self._ignore(reader)
                return
            self._admitted.add(writer)
            while line := await self._line(reader, writer):
                await self._say(writer, await self._do(line))
        except (ConnectionError, TimeoutError):
            return  # gone, or asleep
        finally:
            self._admitted.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(self._patience):
                    await writer.wait_closed()

    @asynccontextmanager
    async def _patiently(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        """Wait for a client, but not for ever, and only while there is room."""
        self._awaited[writer] = None
        try:
            async with asyncio.timeout(self._patience):
                yield
        finally:
            self._awaited.pop(writer, None)

    def _make_room(self) -> bool:
        """Show out the client that has been waited for longest; False when each is being served."""
        for writer in self._awaited:
            if writer in self._admitted:
                self._admitted.discard(writer)
                writer.transport.abort()  # its task ends by that
                return True
        return False

    async def _ignore(self, reader: asyncio.StreamReader) -> None:
        """Take what is still being sent: closed before, the kernel would drop our answer together with it."""
        async with asyncio.timeout(self._patience):
            while await reader.read(LONGEST):
                pass

    def _refusal(self, writer: asyncio.StreamWriter) -> str:
        connection: socket.socket = writer.get_extra_info("socket")
        _, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if user not in (0, os.getuid()):
            return f"user {user} may not ask; only user {os.getuid()} and root may"
        if len(self._admitted) >= CLIENTS and not self._make_room():
            return f"{CLIENTS} others are being served; try again"
        return ""

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """The next request; empty at the end."""
        try:
            async with self._patiently(writer):
                return await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial
        except asyncio.LimitOverrunError:
            await self._say(writer, Answer(ok=False, error=f"a request has at most {LONGEST} bytes"))
            return b""

    async def _do(self, line: bytes) -> Answer:
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.DecodeError as error:
            usage = f'one JSON object a line, such as {{"do": "status"}}; what can be done: {", ".join(VERBS)}'
            return Answer(ok=False, error=f"that is no request: {error}; {usage}")
        if request.do not in self._commands:
            return Answer(ok=False, error=f"'{request.do}' is nothing that can be done here")
        try:
            return await self._commands[request.do]()
        except EdgeVoiceError as error:
            return Answer(ok=False, error=str(error))

    async def _say(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        writer.write(msgspec.json.encode(answer) + b"\n")
        async with self._patiently(writer):
            await writer.drain()
