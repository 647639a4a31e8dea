"""The installer of the service, on folders and a systemctl of the test. tests/system tries the real ones."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgevoice.__main__ import main
from edgevoice.errors import ConfigError, ModelError, OutputError, ServiceError
from edgevoice.service import files, install, places, reach
from edgevoice.service.changes import Change, Changes
from edgevoice.service.install import Wishes
from edgevoice.service.state import ask

PROGRAM = Path("/opt/voice/bin/edgevoice")
NOBODY = reach.Reader(None, frozenset())


class Systemd:
    """Answers as systemctl does, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.enabled = False
        self.shown = "LoadState=loaded\nActiveState=inactive\n"

    def __call__(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        words = [word for word in command if word != "--user"]
        code, out = 0, ""
        if "is-enabled" in words:
            code = 0 if self.enabled else 1
        elif "show" in words:
            out = "252\n" if "--value" in words else self.shown
        else:
            self.told.append(" ".join(words))
            self.enabled = self.enabled or "enable" in words
        return subprocess.CompletedProcess(command, code, out, "")


@pytest.fixture
def systemd() -> Systemd:
    return Systemd()


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> places.Places:
    """A system in a folder, seen as root, whose user edgevoice exists."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(install, "_user_exists", lambda: True)
    monkeypatch.setattr(install, "check_program", lambda program: None)
    found = places.system(tmp_path)
    found.models.mkdir(parents=True)
    return found


def changes(systemd: Systemd, *, dry_run: bool = False) -> Changes:
    return Changes(lambda change: None, dry_run=dry_run, run=systemd)


def test_installing_twice_changes_nothing_more(where: places.Places, systemd: Systemd) -> None:
    first, second = changes(systemd), changes(systemd)
    install.install(where, PROGRAM, Wishes(board="pi-3", allow=["network"], start=False), first)
    assert f"ExecStart={PROGRAM} run\n" in where.unit.read_text()
    assert sorted(path.name for path in where.dropins.iterdir()) == ["10-board-pi-3.conf", "20-allow-network.conf"]
    assert systemd.told[-2:] == ["systemctl daemon-reload", "systemctl enable --quiet edgevoice.service"]
    install.install(where, PROGRAM, Wishes(board="pi-3", start=False), second)
    assert second.made == []


def test_a_dry_run_says_the_same_and_does_nothing(where: places.Places, systemd: Systemd) -> None:
    dry, real = changes(systemd, dry_run=True), changes(systemd)
    install.install(where, PROGRAM, Wishes(board=None, start=False), dry)
    assert systemd.told == []
    assert not where.unit.exists()
    install.install(where, PROGRAM, Wishes(board=None, start=False), real)
    assert [(change.kind, change.what) for change in dry.made] == [(change.kind, change.what) for change in real.made]


def test_an_upgrade_replaces_the_unit_and_keeps_the_configuration(where: places.Places, systemd: Systemd) -> None:
    install.install(where, PROGRAM, Wishes(board="pi-3", allow=["network"], start=False), changes(systemd))
    where.config.write_text("output: {volume: 50}\n")
    again = changes(systemd)
    install.install(where, Path("/srv/new/edgevoice"), Wishes(board="pi-4", start=False), again)
    assert {change.what.rpartition("/")[2] for change in again.made if change.kind != "run"} == {
        "edgevoice.service",
        "10-board-pi-3.conf",
        "10-board-pi-4.conf",
    }
    assert where.config.read_text() == "output: {volume: 50}\n"
    assert (where.dropins / "20-allow-network.conf").exists()


def test_it_is_not_started_without_models_or_with_mistakes(where: places.Places, systemd: Systemd) -> None:
    wishes = Wishes(board=None)
    missing = install.install(where, PROGRAM, wishes, changes(systemd))
    assert isinstance(missing.problem, ModelError)
    assert f"EDGEVOICE_MODELS={where.models} edgevoice models pull" in missing.problem.remedy
    where.config.write_text("wake: {enginee: no}\n")
    mistaken = install.install(where, PROGRAM, wishes, changes(systemd))
    assert isinstance(mistaken.problem, ConfigError)
    assert not [line for line in systemd.told if "restart" in line]


def test_removing_leaves_the_configuration_and_what_others_wrote(
    where: places.Places, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.install(where, PROGRAM, Wishes(board="pi-5", allow=["network"], start=False), changes(systemd))
    own = where.dropins / "override.conf"
    own.write_text("[Service]\n")
    assert install.uninstall(where, changes(systemd)) == [where.config.parent, where.dropins]
    assert "userdel edgevoice" in systemd.told
    left = [path for path in where.root.rglob("*") if path.is_file()]
    assert sorted(left) == sorted([where.config, own])
    monkeypatch.setattr(install, "_user_exists", lambda: False)
    again = changes(systemd)
    install.uninstall(where, again)
    assert again.made == []


def test_what_systemctl_refuses_is_told(where: places.Places) -> None:
    def refuses(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        if "enable" in command:
            return subprocess.CompletedProcess(command, 1, "", "Unit is\nmasked.")
        return subprocess.CompletedProcess(command, 1 if "is-enabled" in command else 0, "252\n", "")

    with pytest.raises(ServiceError, match=r"Unit is masked\.$"):
        install.install(
            where, PROGRAM, Wishes(board=None, start=False), Changes(lambda _: None, dry_run=False, run=refuses)
        )


def test_it_takes_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["service", "install", "--dry-run"]) == 13
    assert "sudo" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "why"), [("home", "no home folders"), ("root", "no home folders"), ("srv", "")])
def test_home_folders_are_out_of_reach(tmp_path: Path, name: str, why: str) -> None:
    program = tmp_path / name / "venv" / "edgevoice"
    program.parent.mkdir(parents=True)
    program.touch()
    link = tmp_path / "edgevoice"
    link.symlink_to(program)
    for path in (program, link):
        found = [obstacle.why for obstacle in reach.obstacles([path], NOBODY, tmp_path)]
        assert [why in text for text in found] == ([True] if why else [])


def test_what_is_closed_to_others_is_out_of_reach(tmp_path: Path) -> None:
    folder = tmp_path / "srv" / "voice"
    folder.mkdir(parents=True)
    file = folder / "model"
    file.touch()
    folder.chmod(0o750)
    (obstacle,) = reach.obstacles([file], NOBODY, tmp_path)
    assert str(folder) in obstacle.why
    group = folder.stat().st_gid
    assert not list(reach.obstacles([file], reach.Reader(1, frozenset({group})), tmp_path))
    file.chmod(0o200)
    assert list(reach.obstacles([file], reach.Reader(1, frozenset({group})), tmp_path))


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        ("Raspberry Pi Zero 2 W Rev 1.0", "pi-zero-2"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "pi-3"),
        ("Raspberry Pi 400 Rev 1.0", "pi-4"),
        ("Raspberry Pi 5 Model B Rev 1.0", "pi-5"),
        ("NVIDIA Jetson Nano Developer Kit", "jetson"),
        ("Pine64 Quartz64", None),
        (None, None),
    ],
)
def test_boards_are_known_by_their_device_tree(tmp_path: Path, model: str | None, profile: str | None) -> None:
    if model is not None:
        (tmp_path / "proc/device-tree").mkdir(parents=True)
        (tmp_path / "proc/device-tree/model").write_text(model + "\0")
    assert files.board(tmp_path) == profile


def test_every_profile_is_shipped() -> None:
    assert set(files.BOARDS.values()) == set(files.names("boards"))


@pytest.mark.parametrize("shipped", ["edgevoice.service", "edgevoice-user.service"])
def test_units_start_the_program_and_nothing_of_another_place(shipped: str) -> None:
    unit = files.unit(shipped, PROGRAM, Path("/srv/models"))
    assert re.findall(r"^Exec\w+=(\S+)", unit, re.MULTILINE) == [str(PROGRAM)] * 2
    service = unit[unit.index("[Service]") : unit.index("[Install]")]
    assert "Environment=EDGEVOICE_MODELS=/srv/models\n" in service
    with pytest.raises(ServiceError, match="a space"):
        files.unit(shipped, Path("/opt/my voice/edgevoice"), None)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, systemd: Systemd) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        changes(systemd).write(tmp_path / "file" / "unit", "")


def test_each_change_is_told_once(tmp_path: Path, systemd: Systemd) -> None:
    told: list[Change] = []
    doing = Changes(told.append, dry_run=False, run=systemd)
    assert doing.write(tmp_path / "unit", "a")
    assert not doing.write(tmp_path / "unit", "a")
    assert doing.remove(tmp_path / "unit")
    assert not doing.remove(tmp_path / "unit")
    assert told == [Change("write", str(tmp_path / "unit"), True), Change("remove", str(tmp_path / "unit"), True)]


def test_the_state_is_what_systemd_shows(where: places.Places, systemd: Systemd) -> None:
    systemd.shown = (
        "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nResult=success\nMainPID=42\n"
        "StatusText=Listening=yes\nNRestarts=3\nMemoryCurrent=250000000\nExecMainStartTimestamp=@1700000000\n"
    )
    state = ask(where, systemd)
    assert state is not None
    assert (state.pid, state.restarts, state.memory_mb, state.since) == (42, 3, 250.0, 1_700_000_000)
    assert state.says == "Listening=yes"
    systemd.shown = "LoadState=not-found\n"
    assert ask(where, systemd) is None
