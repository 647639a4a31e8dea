"""``edgevoice wake train``: what is checked before the work begins."""

from pathlib import Path

import pytest

from edgevoice.__main__ import main


def test_a_phrase_that_cannot_be_one_ends_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wake", "train", "  "]) == 9
    assert "the wake phrase: it is empty" in capsys.readouterr().err


def test_a_file_that_is_there_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "word.tflite").write_bytes(b"precious")
    assert main(["wake", "train", "hey computer", "--output", str(tmp_path / "word.tflite")]) == 10
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "word.tflite").read_bytes() == b"precious"
    assert main(["wake", "train", "hey computer", "--output", str(tmp_path / "word.onnx")]) == 10
    assert ".tflite" in capsys.readouterr().err


def test_doubts_come_before_the_work_and_bad_folders_end_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "ok.tflite")
    assert main(["wake", "train", "ok", "--output", output, "--negatives", str(tmp_path / "none")]) == 3
    told = capsys.readouterr().err
    assert "warning: 'ok' is short" in told and "there is no such folder" in told


@pytest.mark.parametrize("given", [["--minutes", "0"], ["--seed", "-1"], ["--minutes", "many"]])
def test_options_are_checked(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["wake", "train", "hey computer", *given])
    assert given[0] in capsys.readouterr().err
