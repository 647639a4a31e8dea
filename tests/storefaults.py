"""Does one thing with a model store again and again, and lets it fail at the first step, the second, and so on.

    python storefaults.py kill|full publish|use|rollback|remove FOLDER

``FOLDER/before`` is the store as it is before, ``FOLDER/catalog.yaml`` its catalog, ``FOLDER/made`` what is published.
The store after a failure at step N is ``FOLDER/N``; a line per step says how it ended. Steps are all that changes the
file system; the last one is the first that was never reached. A process of its own, since it forks and since the hook
that counts the steps cannot be taken out again.
"""

import errno
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from edgevoice.errors import OutputError
from edgevoice.modelcatalog import read_catalog
from edgevoice.modelstore import ModelStore

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir"}
NEEDS_ROOM = {"open", "os.rename", "os.mkdir", "fsync"}
WRITING = os.O_WRONLY | os.O_RDWR


class Steps:
    """Counts them, and fails at one."""

    def __init__(self, how: str, fatal: int) -> None:
        self.how = how
        self.left = fatal

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES:
            self.step(event)
        elif event == "open" and self.left > 0 and isinstance(arguments[2], int) and arguments[2] & WRITING:
            self.step(event)
            if self.how == "kill" and self.left == 1:  # The next step: it is open, and nothing is written yet.
                self.left = 0
                os.close(os.open(arguments[0], arguments[2] | os.O_CREAT, 0o666))
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= self.how == "kill"

    def step(self, event: str) -> None:
        if self.how == "full" and event not in NEEDS_ROOM:
            return
        self.left -= 1
        if self.left == 0:
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def work(store: ModelStore, what: str, made: Path) -> None:
    match what:
        case "publish":
            store.publish(
                "sample",
                "new",
                made,
                task="vad",
                licence="CC0-1.0",
                origin="https://example.org",
                source="made",
                built_from={},
                built_with={},
                use=True,
            )
        case "use":
            store.use("sample@int4")
        case "rollback":
            store.rollback("sample")
        case "remove":
            store.remove(["sample"])


def attempt(how: str, what: str, folder: Path, number: int) -> str:
    root = folder / str(number)
    shutil.copytree(folder / "before", root)
    store = ModelStore(root, read_catalog(folder / "catalog.yaml"))
    child = os.fork()
    if child == 0:
        steps = Steps(how, number)
        real = os.fsync

        def fsync(handle: int) -> None:
            steps.step("fsync")
            real(handle)

        os.fsync = fsync  # type: ignore[assignment]
        sys.addaudithook(steps.hook)
        try:
            work(store, what, folder / "made")
        except OutputError as error:
            os._exit(10 if error.cause == "the disk is full" else 11)
        except BaseException:  # noqa: BLE001 - it has to end here, whatever it is
            os._exit(12)
        os._exit(0 if steps.left <= 0 else 1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed"
    return {0: "went on", 1: "done", 10: "full"}.get(os.WEXITSTATUS(status), "wrong")


def main() -> None:
    how, what, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    number, ended = 0, ""
    while ended not in ("done", "wrong"):
        number += 1
        ended = attempt(how, what, folder, number)
        print(number, ended)


if __name__ == "__main__":
    main()
