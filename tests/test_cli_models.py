"""The command ``edgevoice models``, as a user types it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import modelsamples as samples
import pytest

from edgevoice import modelcatalog
from edgevoice.__main__ import main
from edgevoice.cli.progress import ProgressLine

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def edgevoice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command with a store and a catalog of its own; gives exit code, stdout and stderr."""
    samples.write_files(tmp_path / "origin")
    source = {"path": {"folder": "origin"}}
    models = {"silero-vad": samples.entry(source), "other": samples.entry(source)}
    catalog = samples.write_catalog(tmp_path / "catalog.yaml", models)
    monkeypatch.setattr(modelcatalog, "find_catalog", lambda: catalog)
    monkeypatch.setenv("EDGEVOICE_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["models", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_list_shows_state_size_licence_and_where_it_comes_from(edgevoice: Run) -> None:
    edgevoice("pull", "other")
    code, out, _ = edgevoice("list")
    assert code == 0
    assert "1 of 2 models are installed" in out
    first, second = out.split("\n\n")[1:3]
    assert first.split()[:6] == ["silero-vad", "vad", "available", "0.1", "MB", "CC0-1.0"]
    assert "by Nobody; https://example.org/sample" in first
    assert second.split()[2] == "installed"
    assert "installed from path origin" in second


def test_json_is_printed_where_asked(edgevoice: Run, tmp_path: Path) -> None:
    def answer(*arguments: str) -> Any:
        code, out, _ = edgevoice(*arguments, "--json")
        return code, json.loads(out)

    assert answer("pull", "other")[1]["pulled"] == ["other"]
    states = {entry["name"]: entry["state"] for entry in answer("list")[1]["models"]}
    assert states == {"silero-vad": "available", "other": "installed"}
    assert answer("verify")[1] == {"root": str(tmp_path / "store"), "good": ["other"], "damage": []}
    os.truncate(next((tmp_path / "store").glob("other@*/model.bin")), 5)
    code, result = answer("verify")
    assert (code, result["damage"][0]["model"]) == (4, "other")
    assert answer("remove", "other")[1]["removed"] == ["other"]


def test_a_pull_tells_its_steps_and_the_second_has_nothing_to_do(edgevoice: Run, tmp_path: Path) -> None:
    code, out, _ = edgevoice("pull", "other")
    assert (code, out.startswith(f"other: installed in {tmp_path}/store/other@")) == (0, True)
    code, out, err = edgevoice("pull", "other")
    assert (code, err) == (0, "")
    assert out == f"1 models are installed and up to date in {tmp_path}/store\n"


def test_damage_is_named_with_the_remedy(edgevoice: Run, tmp_path: Path) -> None:
    edgevoice("pull", "other", "silero-vad")
    path = next((tmp_path / "store").glob("other@*/model.bin"))
    path.write_bytes(bytes(102_400))
    code, out, err = edgevoice("verify", "--quiet")
    assert code == 4
    assert out == "silero-vad: good\n"
    assert f"edgevoice: error: {path}: the file is damaged: its SHA-256 is" in err
    assert "repair it with: edgevoice models pull other" in err
    assert edgevoice("pull", "other")[0] == 0
    assert edgevoice("verify")[0] == 0


def test_what_cannot_be_done_is_an_error(edgevoice: Run, tmp_path: Path) -> None:
    code, _, err = edgevoice("pull", "othr")
    assert (code, "did you mean 'other'?" in err) == (4, True)
    shutil.rmtree(tmp_path / "origin")
    code, _, err = edgevoice("pull", "other")
    assert code == 4
    assert "origin/model.bin: it cannot be read: No such file or directory" in err
    assert edgevoice("verify", "other")[0] == 4
    assert edgevoice("remove", "other")[1] == "other: was not installed\n"


def test_a_bundle_for_a_board_without_a_network(
    edgevoice: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "board.yaml"
    config.write_text("wake: {microwakeword: {models: [other, ./own.json]}}\nasr: {whisper: {model: ./own}}\n", "utf-8")
    code, said, _ = edgevoice("pull", "--all-for", str(config), "--into", str(tmp_path / "stick"))
    assert code == 0
    assert "EDGEVOICE_MODELS" in said
    shutil.rmtree(tmp_path / "origin")  # The board has no network: what it needs is there, or it is not.
    (tmp_path / "stick").rename(tmp_path / "board")
    monkeypatch.setenv("EDGEVOICE_MODELS", str(tmp_path / "board"))
    assert edgevoice("verify")[:2] == (0, "silero-vad: good\nother: good\n")
    assert edgevoice("pull", "--all-for", str(config))[0] == 0


class Terminal:
    """A terminal, as far as a progress bar knows one."""

    def __init__(self, *, tty: bool) -> None:
        self.text = ""
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(("tty", "quiet", "bar"), [(True, False, True), (True, True, False), (False, False, False)])
def test_a_bar_is_drawn_only_on_a_terminal(tty: bool, quiet: bool, bar: bool) -> None:
    terminal = Terminal(tty=tty)
    with ProgressLine(terminal, quiet=quiet) as progress:
        progress.step("fetching")
        progress.advance(500_000, 1_000_000)
        progress.advance(1_000_000, 1_000_000)
    assert ("[########################] 1.0 of 1.0 MB" in terminal.text) is bar
    assert terminal.text.endswith("\n")
    if not bar:
        assert terminal.text == "fetching\n"
