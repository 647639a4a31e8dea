"""A Debian in a folder, with edgevoice in it, that can be booted: what ``make test-system`` tests the service in.

    python -m tools.system_tree

says why this machine cannot do that, if it cannot.

The base (Debian's packages and the Python packages of the lock file) is made once and kept under ``build/system``; what
a trial changes lies in a layer above it, and is gone at the next one.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "build" / "system"
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "python3",
    "python3-venv",
    "libportaudio2",
    "libasound2-plugins",
    "libpam-systemd",
)
"""A system that boots, what edgevoice needs, ALSA's way to a sound server, and sessions of users."""

BOOT = 90.0
"""Seconds a boot may take; a quiet machine needs five."""


class CannotRunError(Exception):
    """This machine cannot boot a system in a folder; the message says what it lacks."""


def release() -> str:
    """The name of this Debian: the tree is made of the same, so that its Python takes the same packages.

    Raises:
        CannotRunError: it is no Debian.
    """
    lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    entries = dict(line.split("=", 1) for line in lines if "=" in line)
    if entries.get("ID") != "debian":
        raise CannotRunError(f"this is {entries.get('ID', 'unknown')}, not Debian: the tree would have another Python")
    return entries["VERSION_CODENAME"].strip('"')


def check() -> None:
    """
    Raises:
        CannotRunError: something that it takes is missing here.
    """
    release()
    if os.geteuid() != 0:
        raise CannotRunError("it takes root, to make a system and to boot it")
    for program in ("systemd-nspawn", "mmdebstrap", "nsenter"):
        if shutil.which(program) is None:
            raise CannotRunError(f"{program} is missing: apt-get install systemd-container mmdebstrap util-linux")
    if Path("/usr/bin/python3").resolve().name != f"python{sys.version_info.major}.{sys.version_info.minor}":
        raise CannotRunError("this Python is not the one of Debian, whose packages go into the tree")


def _run(*command: str | Path, **more: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise RuntimeError(f"this failed: {' '.join(str(word) for word in command)}\n{last}")


def base() -> Path:
    """The tree without edgevoice; made when what goes into it has changed.

    Raises:
        CannotRunError: Debian or the Python packages cannot be fetched.
    """
    lock = REPOSITORY / "requirements.lock"
    key = hashlib.sha256(repr((release(), PACKAGES, lock.read_bytes())).encode()).hexdigest()[:12]
    tree = FOLDER / f"base-{key}"
    if tree.is_dir():
        return tree
    for old in FOLDER.glob("base-*"):
        shutil.rmtree(old)
    making = FOLDER / f"making-{key}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        _run(
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            release(),
            making,
            *([mirror] if (mirror := _mirror()) else []),
        )
        wheels = making / "wheels"
        _run(sys.executable, "-m", "pip", "wheel", "-q", "--require-hashes", "-r", lock, "-w", wheels)
    except RuntimeError as error:
        shutil.rmtree(making)
        raise CannotRunError(str(error)) from error
    inside = "python3 -m venv /opt/edgevoice && /opt/edgevoice/bin/pip install -q --no-index --no-deps /wheels/*.whl"
    _run("chroot", making, "sh", "-c", inside)
    shutil.rmtree(wheels)
    for archive in (making / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    making.rename(tree)
    return tree


def _mirror() -> str | None:
    """Where this machine gets its own packages."""
    for path in (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources")):
        if path.is_file():
            for word in path.read_text("utf-8").split():
                if word.startswith(("http://", "https://")) and word.rstrip("/").endswith("/debian"):
                    return word
    return None


@contextlib.contextmanager
def layered() -> Iterator[Path]:
    """The tree, to change; what is changed in it is gone with the next one.

    Raises:
        CannotRunError: see ``base``.
    """
    lower = base()
    trial = FOLDER / "trial"
    merged = trial / "tree"
    if os.path.ismount(merged):  # an earlier trial was cut short
        _run("umount", "--recursive", merged)
    shutil.rmtree(trial, ignore_errors=True)
    for name in ("upper", "work", "tree"):
        (trial / name).mkdir(parents=True)
    _run(
        "mount",
        "-t",
        "overlay",
        "overlay",
        "-o",
        f"lowerdir={lower},upperdir={trial / 'upper'},workdir={trial / 'work'}",
        merged,
    )
    try:
        yield merged
    finally:
        _run("umount", "--recursive", "--lazy", merged)


def install(tree: Path, models: Sequence[Path]) -> None:
    """Install this checkout into a tree, and these models where the service looks for them."""
    wheel = tree / "wheel"
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheel, REPOSITORY)
    _run("chroot", tree, "sh", "-c", "/opt/edgevoice/bin/pip install -q --no-index --no-deps /wheel/*.whl")
    shutil.rmtree(wheel)
    for model in models:
        shutil.copytree(model, tree / "var/lib/edgevoice/models" / model.name)


class Machine:
    """A booted tree. Its network has nothing but a loopback of its own."""

    def __init__(self, tree: Path, bind: Sequence[str] = ()) -> None:
        """
        Args:
            bind: folders of this machine that it sees, as ``HERE:THERE``.

        Raises:
            CannotRunError: it does not boot.
        """
        self._log = (tree.parent / "boot.log").open("wb")
        self._process = subprocess.Popen(
            [
                "systemd-nspawn",
                "--quiet",
                # There is no machined here that it could be registered with, and no unit to make for it.
                "--register=no",
                "--keep-unit",
                "--private-network",
                "--boot",
                f"--directory={tree}",
                *(f"--bind={folder}" for folder in bind),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + BOOT
        state = ""
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.leader is not None:
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.2)
        self.stop()
        said = (tree.parent / "boot.log").read_text("utf-8", "replace")
        raise CannotRunError(f"the system in the folder did not boot ({state or 'no systemd'}):\n{said[-2000:]}")

    @property
    def leader(self) -> int | None:
        """The process that is number 1 inside."""
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            return int(children[0]) if children else None
        return None

    def run(self, *command: str, check: bool = True, timeout: float = 120.0) -> "subprocess.CompletedProcess[str]":
        """Run a command inside, as root.

        Raises:
            AssertionError: it failed, and ``check`` was asked for.
        """
        into = ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        clean = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        done = subprocess.run(
            [*into, "--root", "--wd", *clean, "LANG=C.UTF-8", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def outside(self, pid: int) -> int:
        """The number that a process of the inside has on this machine."""
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                for line in status.read_text().splitlines():
                    words = line.split()
                    if words[0] == "NSpid:" and len(words) == 3 and int(words[2]) == pid:
                        return int(words[1])
        raise AssertionError(f"no process {pid} runs inside")

    def stop(self) -> None:
        """Shut it down; what does not obey is killed."""
        if self._process.poll() is None and self.leader is not None:
            self.run("systemctl", "poweroff", check=False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._log.close()


def main() -> int:
    """Say why the tests cannot be run here; silent where they can."""
    try:
        check()
        with layered() as tree:
            Machine(tree).stop()
    except (CannotRunError, RuntimeError) as error:
        print(f"no system can be booted in a folder here: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
