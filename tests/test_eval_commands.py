"""``edgevoice eval`` as it is typed, with the real engines, on a few seconds of sound."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edgevoice.__main__ import main
from edgevoice.modelstore import ModelStore

pytest.importorskip("jiwer", reason="the extra 'bench' is not installed")

MODELS = {"wake": ["alexa"], "vad": ["silero-vad"], "asr": ["whisper-tiny.en-int8"]}
OPTIONS = {"wake": ["--model", "alexa"], "vad": [], "asr": []}
LINES: dict[str, list[dict[str, Any]]] = {
    "wake": [{"audio": "a.wav", "phrase": "Alexa"}, {"audio": "b.wav"}],
    "vad": [{"audio": "a.wav", "speech": [[0.5, 1.0]]}, {"audio": "b.wav", "speech": []}],
    "asr": [{"audio": "a.wav", "text": "one two three"}, {"audio": "b.wav", "text": "four"}],
}
FIGURES = {
    "wake": {"snr_db", "n", "miss_rate", "false_alarms_per_hour", "hours", "detections", "words", "clips"},
    "vad": {"snr_db", "n", "frame_error", "missed_speech", "false_speech", "start_lag_ms", "end_lag_ms", "roc_auc"},
    "asr": {"snr_db", "n", "wer", "cer", "words", "characters", "latency_ms", "rtf", "predictions"},
}


@pytest.mark.parametrize("kind", ["wake", "vad", "asr"])
def test_a_run(
    kind: str, tmp_path: Path, store: ModelStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in MODELS[kind]:
        store.path(model)
    monkeypatch.setenv("EDGEVOICE_CONFIG", str(tmp_path / "empty.yaml"))
    (tmp_path / "empty.yaml").write_text("")
    random = np.random.default_rng(5)
    for name, seconds in (("a", 1.5), ("b", 1.0), ("noise", 4.0)):
        sound = 0.05 * random.standard_normal(int(16_000 * seconds))
        soundfile.write(tmp_path / f"{name}.wav", sound, 16_000)
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out.json"
    manifest.write_text("\n".join(map(json.dumps, LINES[kind])))
    noise = ["--noise", str(tmp_path / "noise.wav"), "--snr", "10", "--seeds", "2"]
    arguments = ["eval", kind, "--manifest", str(manifest), *OPTIONS[kind], *noise, "--json", str(out)]
    assert main(arguments) == 0
    written = json.loads(out.read_text())
    assert (written["kind"], written["format"], written["partial"]) == (kind, 1, False)
    clean, noisy = written["conditions"]
    assert (clean["snr_db"], clean["noise"]) == (None, None)
    assert (noisy["snr_db"], noisy["noise"]) == (10, noise[1])
    assert FIGURES[kind] <= clean.keys()
    each_n = [each["n"] for each in written["conditions"]]
    assert each_n == ([1, 2] if kind == "wake" else [2, 4])
    if kind == "wake":
        assert clean["miss_rate"] == 1.0
        assert clean["hours"] == pytest.approx(1.0 / 3600)
        assert noisy["hours"] == pytest.approx(2.0 / 3600)
    table = capsys.readouterr().out
    assert "clean" in table
    assert "10 dB" in table


def test_a_voice(tmp_path: Path, store: ModelStore, capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("hibari-heart", "whisper-tiny.en-int8"):
        store.path(model)
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out.json"
    manifest.write_text('{"text": "The kitchen light is on."}\n{"text": "What time is it?"}\n')
    overrides = ["--config", "/dev/null", "--set", "tts.engine=hibari"]
    assert main(["eval", "tts", "--manifest", str(manifest), *overrides, "--json", str(out)]) == 0
    (found,) = json.loads(out.read_text())["conditions"]
    assert (found["n"], found["words"]["said"], found["problems"]) == (2, 9, 0)
    assert found["wer"] < 0.3
    assert found["first_audio_ms"]["p50"] > 0
    assert "WER" in capsys.readouterr().out
