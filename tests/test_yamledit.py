"""One value is changed in somebody's file, and nothing else."""

from pathlib import Path

import pytest

from edgevoice.errors import ConfigError, OutputError
from edgevoice.yamledit import change

KEYS = ("detection", "thresholds", "hey_lamp")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "edgevoice.yaml"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "detection:\n  thresholds:\n    hey_lamp: 0.7\n"),
        ("# mine\n", "# mine\ndetection:\n  thresholds:\n    hey_lamp: 0.7\n"),
        (
            "wake:\n  engine: x # why\n\n# end",
            "wake:\n  engine: x # why\n\n# end\n\ndetection:\n  thresholds:\n    hey_lamp: 0.7\n",
        ),
        ("detection:\n", "detection: {thresholds: {hey_lamp: 0.7}}\n"),
        ("detection:   # soon\n\nvad: {}\n", "detection: {thresholds: {hey_lamp: 0.7}}   # soon\n\nvad: {}\n"),
        ("detection: ~\n", "detection: {thresholds: {hey_lamp: 0.7}}\n"),
        ("detection: {}\n", "detection: {thresholds: {hey_lamp: 0.7}}\n"),
        ("detection: {gate: true, }\n", "detection: {gate: true,thresholds: {hey_lamp: 0.7} }\n"),
        ("detection: {gate: true}\n", "detection: {gate: true, thresholds: {hey_lamp: 0.7}}\n"),
        (
            "detection:\n    # patient\n    patience: 3\n",
            "detection:\n    thresholds:\n      hey_lamp: 0.7\n    # patient\n    patience: 3\n",
        ),
        ("detection:\n  thresholds:\n  patience: 3\n", "detection:\n  thresholds: {hey_lamp: 0.7}\n  patience: 3\n"),
        (
            "detection:\n  thresholds:\n    alexa: 0.9  # loud\n  patience: 3\n",
            "detection:\n  thresholds:\n    hey_lamp: 0.7\n    alexa: 0.9  # loud\n  patience: 3\n",
        ),
        (
            "detection:\r\n  thresholds:\r\n    'hey_lamp': 0.55 # loud\r\n",
            "detection:\r\n  thresholds:\r\n    'hey_lamp': 0.7 # loud\r\n",
        ),
        (
            "\ufeffdetection: {thresholds: {alexa: 0.9, hey_lamp: .5}}\nwake: {engine: openwakeword}\n",
            "\ufeffdetection: {thresholds: {alexa: 0.9, hey_lamp: 0.7}}\nwake: {engine: openwakeword}\n",
        ),
        (
            "detection: {thresholds: {\n  # all\n  alexa: 0.9\n  }}\n",
            "detection: {thresholds: {\n  # all\n  alexa: 0.9, hey_lamp: 0.7\n  }}\n",
        ),
    ],
)
def test_one_value(file: Path, before: str, after: str) -> None:
    file.write_bytes(before.encode())
    made = change(file, KEYS, 0.7)
    assert made.after == after
    made.write()
    assert file.read_bytes().decode() == after
    assert change(file, KEYS, 0.7).diff() == ""


@pytest.mark.parametrize(
    "text",
    [
        "x: &a {alexa: 0.9}\ndetection:\n  thresholds: *a\n",  # the other place would change, too
        "detection: 3\n",
        "detection:\n  thresholds: [1, 2]\n",
        "- detection\n",
        "detection: {thresholds: {alexa: 0.9 # loud }\n }}\n",
    ],
)
def test_what_is_not_understood_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"write it in yourself: detection: \{thresholds: \{hey_lamp: 0.7\}\}"):
        change(file, KEYS, 0.7)


@pytest.mark.parametrize("content", [b"detection: {", b"\xff\xfe", b"detection: 1\ndetection: 2\n"])
def test_what_is_no_yaml_is_told(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"edgevoice\.yaml"):
        change(file, KEYS, 0.7)


def test_the_difference_is_shown(file: Path) -> None:
    file.write_text("# a\ndetection:\n  thresholds:\n    hey_lamp: 0.5\n")
    assert change(file, KEYS, 0.7).diff().splitlines()[3:] == [
        " detection:",
        "   thresholds:",
        "-    hey_lamp: 0.5",
        "+    hey_lamp: 0.7",
    ]


def test_rights_links_and_new_folders_are_kept(tmp_path: Path) -> None:
    real, link, new = tmp_path / "dotfiles.yaml", tmp_path / "edgevoice.yaml", tmp_path / "a/b/edgevoice.yaml"
    real.write_text("detection:\n")
    real.chmod(0o640)
    link.symlink_to(real)
    change(link, KEYS, 0.7).write()
    assert link.is_symlink()
    assert "hey_lamp" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640
    change(new, KEYS, 0.7).write()
    assert "hey_lamp" in new.read_text()


def test_what_somebody_else_has_changed_meanwhile_is_left(file: Path) -> None:
    file.write_text("detection:\n")
    made = change(file, KEYS, 0.7)
    file.write_text("detection:\n  patience: 3\n")
    with pytest.raises(ConfigError, match="changed meanwhile"):
        made.write()
    assert file.read_text() == "detection:\n  patience: 3\n"


def test_a_full_disk_leaves_what_was_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("detection:\n")
    made = change(file, KEYS, 0.7)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        made.write()
    assert file.read_text() == "detection:\n"
    assert list(file.parent.iterdir()) == [file]
