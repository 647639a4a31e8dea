"""The configuration: strict, with places and suggestions."""

from pathlib import Path

import pytest

from edgevoice.config import Config, document, load, model_names
from edgevoice.errors import ConfigError


def from_text(tmp_path: Path, text: str, environ: dict[str, str] | None = None, *overrides: str) -> Config:
    path = tmp_path / "edgevoice.yaml"
    path.write_text(text, "utf-8")
    return load(path, environ=environ or {}, overrides=overrides)


def complaint(tmp_path: Path, text: str, environ: dict[str, str] | None = None, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        from_text(tmp_path, text, environ, *overrides)
    return str(caught.value).replace(str(tmp_path) + "/", "")


def test_everything_has_a_default(tmp_path: Path) -> None:
    config = from_text(tmp_path, "")
    assert config.asr.engine == "whisper"
    assert model_names(config)[:2] == ["okay_nabu", "hey_jarvis"]
    assert {"silero-vad", "whisper-tiny.en-int8"} <= set(model_names(config))


def test_values_reach_their_place(tmp_path: Path) -> None:
    config = from_text(
        tmp_path,
        """
        wake:
          microwakeword: {models: [alexa]}
        detection: {thresholds: {alexa: 0.7}, refractory: 2}
        asr: {engine: vosk}
        """,
    )
    assert config.detection.thresholds == {"alexa": 0.7}
    assert config.detection.refractory == 2.0
    assert config.asr.engine == "vosk"
    assert "alexa" in model_names(config)
    assert "whisper-tiny.en-int8" not in model_names(config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("endpoint: {silense: 1}", "edgevoice.yaml:1: endpoint.silense: unknown key; did you mean 'silence'?"),
        ("\nendpont: {}", "edgevoice.yaml:2: endpont: unknown key; did you mean 'endpoint'?"),
        ("a: 1\nendpoint:\n  silence: soon", "edgevoice.yaml:3: endpoint.silence: expected `float`, got `str` ('soon'"),
        ("endpoint:\n  silence: 99", "edgevoice.yaml:2: endpoint.silence: expected `float` <= 10.0 ('99' is written)"),
        (
            "asr: {engine: wisper}",
            "edgevoice.yaml:1: asr.engine: unknown engine 'wisper'; choose one of: whisper, vosk",
        ),
        ("asr: {wisper: {}}", "edgevoice.yaml:1: asr.wisper: unknown key; did you mean 'whisper'?"),
        ("asr: 5", "edgevoice.yaml:1: asr: a mapping of keys to values is expected"),
        ("- 1", "edgevoice.yaml:1: a mapping of keys to values is expected"),
        ("endpoint: {silence: 1\n", "edgevoice.yaml:2:1: it is no YAML"),
        ("assistant: {earcons: on}", "'on' is written); write true or false"),
        ("intents: {packs: [a, 5]}", "edgevoice.yaml:1: intents.packs[1]: expected `str`, got `int`"),
        ("detection: {thresholds: {alexa: 2}}", "detection.thresholds"),
        (
            "detection: {thresholds: {a: 1, alexa: 2}}",
            "edgevoice.yaml:1: detection.thresholds.alexa: expected `float` <= 1.0 ('2' is written)",
        ),
        ("detection: {thresholds: [2]}", "edgevoice.yaml:1: detection.thresholds: expected `object`, got `array`"),
        ("detection: {patience: 0}", "edgevoice.yaml:1: detection.patience: expected `int` >= 1"),
        ("endpoint: {}\nendpoint: {}", "edgevoice.yaml:2: endpoint: the key stands twice, first at edgevoice.yaml:1"),
        ("endpoint: {threshold: 0.3, release: 0.4}", "endpoint.release: 0.4 is above endpoint.threshold (0.3)"),
    ],
)
def test_a_mistake_names_place_cause_and_remedy(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in complaint(tmp_path, text)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    message = complaint(tmp_path, "endpoint:\n  silense: 1\n  pause: x\nasr: {engine: none}\n")
    assert "3 mistakes" in message
    assert "edgevoice.yaml:2" in message
    assert "edgevoice.yaml:3" in message
    assert "edgevoice.yaml:4" in message


def test_precedence(tmp_path: Path) -> None:
    text = "endpoint: {silence: 1.0, pause: 0.3}"
    environ = {"EDGEVOICE_ENDPOINT__SILENCE": "0.7", "EDGEVOICE_MODELS": "/somewhere", "EDGEVOICE_TEXT": "what time"}
    config = from_text(tmp_path, text, environ)
    assert (config.endpoint.silence, config.endpoint.pause) == (0.7, 0.3)
    assert from_text(tmp_path, text, environ, "endpoint.silence=0.9").endpoint.silence == 0.9


def test_mistakes_outside_the_file_name_their_origin(tmp_path: Path) -> None:
    message = complaint(tmp_path, "", {"EDGEVOICE_ENDPOINT__SILENSE": "1"})
    assert message.startswith("environment EDGEVOICE_ENDPOINT__SILENSE: endpoint.silense: unknown key")
    message = complaint(tmp_path, "", {"EDGEVOICE_OUTPUT_VOLUME": "50"})
    assert message.startswith("environment EDGEVOICE_OUTPUT_VOLUME: it is no key") and "two underscores" in message
    message = complaint(tmp_path, "", None, "endpoint.silence=x")
    assert message.startswith("option --set endpoint.silence: endpoint.silence: expected `float`")
    assert "no key=value" in complaint(tmp_path, "", None, "endpoint")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml", environ={})


def test_the_documented_file_is_valid_and_holds_the_defaults(tmp_path: Path) -> None:
    defaults = from_text(tmp_path, "")
    assert from_text(tmp_path, document()) == defaults


def test_the_documented_file_tells_the_range_of_every_value() -> None:
    text = document().replace("\n    # ", " ").replace("\n  # ", " ")  # comments go over several lines
    for line in (
        "half as loud. [0 .. 100]",
        "the mean of all. [0 .. 63, mix]",
        "the device's own. [4000 .. 192000]",
        "a frame is speech. [between 0.0 and 1.0]",
        "what the model's author recommends. [1 .. 1000]",
        "gives the same audio. [at least 0]",
    ):
        assert line in text


def test_packs_are_found_beside_the_file(tmp_path: Path) -> None:
    config = from_text(tmp_path, "intents: {packs: [mine.yaml, /etc/other]}")
    assert config.intents.packs == (str(tmp_path / "mine.yaml"), "/etc/other")


def test_packs_that_are_typed_are_found_where_one_is(tmp_path: Path) -> None:
    text = "intents: {packs: [mine.yaml]}"
    assert from_text(tmp_path, text, None, "intents.packs=[other.yaml]").intents.packs == ("other.yaml",)
    assert from_text(tmp_path, text, {"EDGEVOICE_INTENTS__PACKS": "[other.yaml]"}).intents.packs == ("other.yaml",)
    assert from_text(tmp_path, text, None, "intents.default_pack=false").intents.packs == (str(tmp_path / "mine.yaml"),)
