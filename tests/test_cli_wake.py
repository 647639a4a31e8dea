"""``edgevoice wake train``: what is checked before the work begins."""

from pathlib import Path

import pytest

from edgevoice.__main__ import main
from edgevoice.modelstore import ModelStore
from edgevoice.waketrain import train, voices


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


def test_what_is_wrong_with_a_word_is_said_in_the_end(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = train.Made(
        phrase="hey computer",
        threshold=0.9,
        patience=2,
        thresholds={"0.5": 0.9},
        missed={"0.5": 0.97},
        warnings=["it will hardly wake"],
        measured={},
        det=[],
        recipe={"voices": ["tones"]},
        seed=0,
        versions={},
    )
    store.path("openwakeword-features")  # the command loads them, and fetches nothing by itself
    monkeypatch.setattr(voices, "at_hand", lambda store: [])
    monkeypatch.setattr(train, "train", lambda *_, **__: made)
    assert main(["wake", "train", "hey computer", "--output", str(tmp_path / "word.tflite"), "--quiet"]) == 0
    told = capsys.readouterr()
    assert "97.0 %" in told.out
    assert "warning: 'hey computer': it will hardly wake" in told.err


@pytest.mark.parametrize("given", [["--minutes", "0"], ["--seed", "-1"], ["--minutes", "many"]])
def test_options_are_checked(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["wake", "train", "hey computer", *given])
    assert given[0] in capsys.readouterr().err
