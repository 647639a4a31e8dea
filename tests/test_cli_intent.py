import argparse
import json
from pathlib import Path

import pytest

from edgevoice.cli import intent
from edgevoice.errors import GrammarError


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    intent.add_arguments(parser)
    return intent.run(parser.parse_args(argv))


def test_a_match_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("turn on the kitchen light please") == 0
    out = capsys.readouterr().out
    assert "intent  LightOn" in out
    assert "slot    area = 'kitchen'" in out
    assert "lights.yaml:6: <switch> on <lights_of>" in out
    assert "kitchen  value of 'area' -> area" in out
    assert "please   skipped" in out


def test_no_match_says_why_and_what_came_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--set", "intents.by_sound=false", "turn", "on", "the", "kichen", "light") == 1
    out = capsys.readouterr().out
    assert "no intent for 'turn on the kichen light': 'kichen' instead of 'kitchen'" in out
    assert "closest 'turn on the kitchen light' (LightOn, " in out


def test_what_sounds_like_a_sentence_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("turn", "on", "the", "kichen", "light") == 0
    out = capsys.readouterr().out
    assert "sure    " in out and "%, by sound" in out
    assert "kitchen  value of 'area' -> area, heard as 'kichen'" in out


def test_what_could_be_either_has_no_distance(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("turn", "the", "kitchen", "light") == 1
    out = capsys.readouterr().out
    assert "it sounds as much like 'turn o" in out
    assert "distance" not in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", "set the volume to 30%") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["matched"] is True
    assert found["intent"] == {"name": "VolumeSet", "slots": {"level": 30}}
    assert found["spec"]["action"] == {"builtin": "volume", "set": "{level}"}
    assert found["explanation"]["steps"][-1] == {
        "word": "percent",
        "kind": "number",
        "source": "level",
        "slot": "level",
        "heard": None,
    }
    assert run("--json", "the quick brown fox jumps") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["matched"], found["closest"], found["why"]) == (False, None, "nothing comes close")


def test_packs_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("intents: {Coffee: {data: [{sentences: [make coffee]}]}}\n")
    assert run("make coffee", "--pack", str(own)) == 0
    assert run("what time is it", "--pack", str(own)) == 0
    assert run("what time is it", "--pack", str(own), "--no-default") == 1
    with pytest.raises(GrammarError):
        run("hello", "--pack", str(tmp_path / "no.yaml"))


def test_nothing_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("?!") == 1
    assert capsys.readouterr().out == "no intent for '': there are no words in it\n"
