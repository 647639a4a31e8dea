"""The installer of bundles: what it refuses, what it leaves when it fails, and that it removes all that it brought."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bundles import PYTHON, change, make_bundle

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted([*(ROOT / "tools").rglob("*.sh"), ROOT / ".ci/run"])


@dataclass
class Board:
    """A machine to install on: folders in a temporary one, and stand-ins for commands that say what machine it is."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("commands", "usr/local/bin"):
            (self.root / name).mkdir(parents=True)
        self.pretend("systemctl", "echo 252")
        self.pretend("id", "echo 0")  # Root, whoever runs the tests: the folders are theirs.
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("EDGEVOICE_", "PYTHON"))}
        self.environment = {
            **outside,
            "PATH": f"{self.root / 'commands'}:{os.environ['PATH']}",
            "CALLS": str(self.root / "calls"),
        }

    @property
    def prefix(self) -> Path:
        return self.root / "opt/edgevoice"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/edgevoice"

    @property
    def command(self) -> Path:
        return self.root / "usr/local/bin/edgevoice"

    def pretend(self, command: str, says: str) -> None:
        path = self.root / "commands" / command
        path.write_text(f"#!/bin/sh\n{says}\n")
        path.chmod(0o755)

    def line(self, bundle: Path, *options: str) -> list[str]:
        places = ["--prefix", self.prefix, "--state", self.state, "--bin", self.command.parent]
        return [str(word) for word in (bundle / "install.sh", *places, *options)]

    def install(self, bundle: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(*self.line(bundle, *options), **environment)

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env={**self.environment, **environment}, capture_output=True, text=True, check=False
        )

    def says(self) -> str:
        """The version that is installed and works."""
        return self.run(self.command, "--version").stdout.strip()

    def calls(self) -> list[str]:
        """How the installed programs were called, without --version; forgotten by this."""
        path = self.root / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return found

    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.prefix / "releases").glob("*"))

    def files(self) -> list[str]:
        """What is there but for the stand-ins."""
        found = [path.relative_to(self.root).as_posix() for path in self.root.rglob("*")]
        return sorted(path for path in found if not path.startswith(("commands", "calls")))


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "first", "1.0")


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "second", "2.0")


@pytest.fixture
def copy(first: Path, tmp_path: Path) -> Path:
    """Of a bundle, to damage."""
    return Path(shutil.copytree(first, tmp_path / "copy"))


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Refused in words that say this, and without a word of the shell's."""
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("edgevoice: error: ")
    assert "install.sh:" not in done.stderr
    for word in words:
        assert word in done.stderr


# Whole turns


def test_it_installs_upgrades_and_leaves_nothing_behind(board: Board, second: Path, tmp_path: Path) -> None:
    first = make_bundle(tmp_path / "real", "1.0", real_pip=True)
    before = board.files()
    done = board.install(first)
    assert (done.returncode, done.stderr) == (0, "")
    assert board.says() == "edgevoice 1.0"
    pull = f"models pull --quiet --keep-outdated --into {board.state}/models one@catalog two@catalog"
    assert board.calls() == [f"1.0 {pull}", "1.0 service install", "1.0 models prune"]
    assert board.run(board.command, "where").stdout.strip() == f"{board.state}/models"
    assert board.run(board.command, "where", EDGEVOICE_MODELS="/mine").stdout.strip() == "/mine"
    board.calls()

    kept = board.state / "muted.json"
    kept.write_text("true")
    old = board.releases()
    done = board.run(second / "install.sh", "--prefix", board.prefix)  # The other places are known from before.
    assert (done.returncode, done.stderr) == (0, "")
    assert board.says() == "edgevoice 2.0"
    assert len(board.releases()) == 1 and board.releases() != old
    assert kept.read_text() == "true"
    # What the old release uses goes last.
    assert board.calls() == [f"2.0 {pull}", "2.0 service install", "2.0 models prune"]

    done = board.run(board.prefix / "uninstall.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert board.calls() == ["2.0 service uninstall"]
    left = [path for path in board.files() if path not in before]
    assert left == ["opt", "var", "var/lib"]  # Folders of the system; on a real one they were there.


def test_the_same_bundle_again_repairs(board: Board, first: Path) -> None:
    board.install(first)
    for module in (board.prefix / "releases").rglob("edgevoice.py"):
        module.write_text("damaged(")
    assert board.says() == ""
    assert board.install(first).returncode == 0
    assert board.says() == "edgevoice 1.0"
    assert board.install(first).returncode == 0
    assert len(board.releases()) == 1


def test_without_a_service_it_takes_no_root(board: Board, first: Path) -> None:
    board.pretend("id", "echo 1000")
    refused(board.install(first), "this takes root", "--no-service")
    assert not board.prefix.exists()
    assert board.install(first, "--no-service").returncode == 0
    assert [call.split()[1:3] for call in board.calls()] == [["models", "pull"], ["models", "prune"]]
    assert board.run(board.prefix / "uninstall.sh").returncode == 0
    assert not board.prefix.exists() and not board.state.exists()


def test_an_upgrade_goes_without_a_service_as_before(board: Board, first: Path, second: Path) -> None:
    board.install(first, "--no-service")
    assert board.run(second / "install.sh", "--prefix", board.prefix).returncode == 0
    assert board.run(board.prefix / "uninstall.sh").returncode == 0
    assert [call.split()[:2] for call in board.calls()] == [["1.0", "models"]] * 2 + [["2.0", "models"]] * 2


def test_without_systemd_there_is_no_service(board: Board, first: Path) -> None:
    board.pretend("systemctl", "exit 1")
    done = board.install(first)
    assert done.returncode == 0
    assert "systemd does not run here" in done.stdout
    assert [call.split()[1] for call in board.calls()] == ["models", "models"]


def test_removing_a_service_takes_root(board: Board, first: Path) -> None:
    board.install(first)
    board.pretend("id", "echo 1000")
    refused(board.run(board.prefix / "uninstall.sh"), "this takes root")
    assert board.says() == "edgevoice 1.0"


# What does not fit


def test_check_changes_nothing(board: Board, first: Path) -> None:
    before = board.files()
    done = board.install(first, "--check")
    assert done.returncode == 0
    assert f"({PYTHON}) can run it" in done.stdout
    assert board.files() == before


def test_a_damaged_file_is_named(board: Board, copy: Path) -> None:
    wheel = next((copy / "wheels").glob("edgevoice*"))
    data = bytearray(wheel.read_bytes())
    data[100] ^= 1
    wheel.write_bytes(data)
    refused(board.install(copy), "damaged", wheel.name, "copy the archive")
    assert not board.prefix.exists()


@pytest.mark.parametrize("name", ["BUNDLE", "SHA256SUMS", f"wheels-{PYTHON}.txt"])
def test_a_file_that_is_missing_is_named(board: Board, copy: Path, name: str) -> None:
    (copy / name).unlink()
    refused(board.install(copy), name)
    assert not board.prefix.exists()


def test_another_processor(board: Board, first: Path) -> None:
    board.pretend("uname", "echo riscv64")
    refused(board.install(first), "riscv64", "make bundle ARCH=riscv64")


def test_another_python(board: Board, copy: Path) -> None:
    change(copy, "pythons", "3.98 3.99")
    refused(board.install(copy), "Python 3.98 3.99", f"python3 is {PYTHON}", "--python")
    refused(board.install(copy, "--python", "python9.9"), "there is no python9.9")


def test_the_second_best_python_is_found(board: Board, copy: Path) -> None:
    change(copy, "pythons", f"3.99 {PYTHON}")
    board.pretend("python3", "echo 3.5")
    board.pretend(f"python{PYTHON}", f'exec {shutil.which("python3")} "$@"')
    done = board.install(copy, "--check")
    assert f"commands/python{PYTHON} " in done.stdout, done.stderr


def test_an_older_c_library(board: Board, copy: Path) -> None:
    change(copy, "glibc", "2.100")
    refused(board.install(copy), "glibc 2.", "2.100 or newer")


def test_a_python_of_32_bits(board: Board, first: Path) -> None:
    board.pretend("python3", f"case $2 in *maxsize*) exit 1 ;; *) echo {PYTHON} ;; esac")
    refused(board.install(first), "32 bits", "64-bit Raspberry Pi OS")


def test_a_full_disk(board: Board, copy: Path) -> None:
    change(copy, "kilobytes", "999999999999")
    refused(board.install(copy), "MB left", "make room")


def test_a_place_that_cannot_be_written(board: Board, first: Path) -> None:
    (board.root / "opt").write_text("a file where a folder should be")
    refused(board.install(first), str(board.prefix), "cannot be written", "sudo")


@pytest.mark.parametrize("place", ["prefix", "state"])
def test_a_place_with_something_else_in_it(board: Board, first: Path, place: str) -> None:
    folder: Path = getattr(board, place)
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    refused(board.install(first), "there is something else in it", "thesis.txt", f"--{place}")
    assert (folder / "thesis.txt").exists()


def test_home_folders_are_not_seen_by_the_service(board: Board, first: Path) -> None:
    refused(board.install(first, "--prefix", "/home/me/edgevoice"), "/home/me/edgevoice", "home folders")


def test_a_command_from_elsewhere_is_left_alone(board: Board, first: Path) -> None:
    board.command.write_text("mine")
    refused(board.install(first), str(board.command), "--bin")
    assert board.command.read_text() == "mine"


def test_a_path_with_a_space(board: Board, first: Path) -> None:
    refused(board.install(first, "--prefix", f"{board.root}/my voice"), "space")


def test_a_system_without_alsa_is_told_so(board: Board, first: Path) -> None:
    board.pretend("ldconfig", "echo libc.so.6")
    done = board.install(first)
    assert done.returncode == 0
    assert "libasound.so.2 is missing" in done.stdout


# Cut short


@pytest.mark.parametrize("failing", ["proof", "models"])
def test_an_upgrade_that_fails_leaves_what_was_there(
    board: Board, first: Path, second: Path, tmp_path: Path, failing: str
) -> None:
    board.install(first)
    there = board.files()
    bundle = Path(shutil.copytree(second, tmp_path / "failing"))
    if failing == "proof":
        change(bundle, "proof", "a_module_that_is_not_there")
        refused(board.install(bundle), "does not run here", "a_module_that_is_not_there")
    else:
        words = f"models pull --quiet --keep-outdated --into {board.state}/models one@catalog two@catalog"
        assert board.install(bundle, FAIL=words).returncode == 1
    assert board.says() == "edgevoice 1.0"
    assert [path for path in board.files() if "__pycache__" not in path] == [p for p in there if "__pycache__" not in p]


def test_an_upgrade_that_is_killed_leaves_what_was_there_and_can_be_done_again(
    board: Board, first: Path, second: Path, tmp_path: Path
) -> None:
    board.install(first)
    bundle = Path(shutil.copytree(second, tmp_path / "waiting"))
    change(bundle, "proof", "waiting")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    process = subprocess.Popen(
        board.line(bundle),
        env={**board.environment, "GATE": str(gate)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    gate.open().close()  # Opens when the packages are installed and about to be tried.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert board.says() == "edgevoice 1.0"
    assert len(board.releases()) == 2

    assert board.install(second).returncode == 0
    assert board.says() == "edgevoice 2.0"
    assert len(board.releases()) == 1


def test_one_at_a_time(board: Board, first: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(first, tmp_path / "waiting"))
    change(bundle, "proof", "waiting")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    process = subprocess.Popen(
        board.line(bundle), env={**board.environment, "GATE": str(gate)}, stdout=subprocess.DEVNULL
    )
    gate.open().close()
    refused(board.install(first), "another installation is going on")
    gate.open("w").close()
    assert process.wait() == 0
    assert board.says() == "edgevoice 1.0"


def test_a_service_that_fails_is_told(board: Board, first: Path) -> None:
    refused(board.install(first, FAIL="service install"), "its service is not", "edgevoice service install")
    assert board.says() == "edgevoice 1.0"
    done = board.run(board.prefix / "uninstall.sh", FAIL="service uninstall")
    refused(done, "the service could not be removed; nothing else was")
    assert board.says() == "edgevoice 1.0"


# Removing


def test_what_is_not_installed_cannot_be_removed(board: Board, first: Path) -> None:
    refused(board.run(first / "install.sh", "--uninstall", "--prefix", board.prefix), "not installed there", "--prefix")


def test_a_command_that_was_replaced_stays(board: Board, first: Path) -> None:
    board.install(first)
    board.command.unlink()
    board.command.write_text("mine")
    assert board.run(board.prefix / "uninstall.sh").returncode == 0
    assert board.command.read_text() == "mine"


# The scripts themselves


def test_unknown_words_are_refused(board: Board, first: Path) -> None:
    done = board.install(first, "--perfix", "/opt")
    assert (done.returncode, "--perfix: there is no such option" in done.stderr) == (1, True)
    refused(board.run(first / "install.sh", "--prefix"), "--prefix: what is missing")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_are_sound(script: Path) -> None:
    checker = shutil.which("shellcheck")
    if checker is None and "CI" not in os.environ:
        pytest.skip("shellcheck is missing: apt-get install shellcheck")
    assert checker is not None
    done = subprocess.run([checker, "-x", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
