"""One reader for the configuration, the catalog and packs: its limits, its scalars, its problems."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from edgevoice import config, yamlfile
from edgevoice.errors import ConfigError, EdgeVoiceError, GrammarError
from edgevoice.modelcatalog import read_catalog
from edgevoice.problems import Problems, Source, Value
from edgevoice.suggest import closest, did_you_mean
from edgevoice.think.grammar import Grammar

_BOMB = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 20)}]\n" for before, name in itertools.pairwise("abcdefghi")
)

READERS: dict[str, tuple[Callable[[Path], object], type[EdgeVoiceError]]] = {
    "config": (lambda path: config.load(path, environ={}), ConfigError),
    "catalog": (read_catalog, ConfigError),
    "pack": (lambda path: Grammar.load([path]), GrammarError),
}


def parsed(text: str) -> Value:
    return yamlfile.parse(Source("a.yaml", text), ConfigError)


def plain(text: str) -> object:
    problems = Problems()
    value = yamlfile.plain(parsed(text), problems)
    problems.raise_any(ConfigError, "problems")
    return value


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "a.yaml:1:31: nested deeper than 30"),
        ("- " * 50_000, "a.yaml:1:61: nested deeper than 30"),
        ("a: &a [*a]\n", "nested deeper than 30 (aliases followed)"),
        (_BOMB, "more than 2000000 values (aliases followed)"),
        ("a: \x07\n", "a.yaml: a character that YAML does not allow, U+0007"),
        ("a: 1\nb: !!python/name:os.system x\n", "a.yaml:2:4: the tag !!python/name:os.system is not"),
        ("a: [1\n", "a.yaml:2:1: it is no YAML"),
    ],
)
def test_hostile_texts_are_refused_with_their_place(tmp_path: Path, reader: str, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    read, error = READERS[reader]
    with pytest.raises(error) as caught:
        read(path)
    assert message in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_too_large(tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "MAX_FILE_BYTES", 2**20)
    path = tmp_path / "a.yaml"
    path.write_text("#" * 2**20 + "\n")
    read, error = READERS[reader]
    with pytest.raises(error, match="the file is larger than 1 MB"):
        read(path)


def test_values_of_the_environment_have_the_limits_too() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(Path("/dev/null"), environ={"EDGEVOICE_ASR__ENGINE": "[" * 100})
    assert str(caught.value) == "environment EDGEVOICE_ASR__ENGINE: nested deeper than 30"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[on, off, yes, no, y, n]", ["on", "off", "yes", "no", "y", "n"]),
        ("[true, False, TRUE, 'true']", [True, False, True, "true"]),
        ("[1, -2, 1.5, .5, 1e3, 1e-05, '1']", [1, -2, 1.5, 0.5, 1000.0, 1e-05, "1"]),
        ("[12:30, 0x10, 1_000, 2026-01-01]", ["12:30", "0x10", "1_000", "2026-01-01"]),
        ("[~, null, 'null', '']", [None, None, "null", ""]),
        ("{1: a, on: b}", {"1": "a", "on": "b"}),
        ("", None),
    ],
)
def test_scalars(text: str, value: object) -> None:
    assert repr(plain(text)) == repr(value)


def test_a_name_that_stands_twice_is_never_dropped_silently() -> None:
    with pytest.raises(ConfigError) as caught:
        plain("a:\n  b: 1\n  b: 2\n")
    assert str(caught.value) == "a.yaml:3:3: 'b' stands twice; the first is in line 2\n      b: 2\n      ^"


def test_line_ends_and_a_mark_of_the_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n")
    assert yamlfile.plain(yamlfile.read(path, ConfigError), Problems()) == {"a": 1, "b": "x\ny\n"}


@pytest.mark.parametrize(
    ("below", "above", "both"),
    [
        ("{a: {b: 1, c: 2}}", "{a: {c: 3, d: 4}}", {"a": {"b": 1, "c": 3, "d": 4}}),
        ("{a: {b: 1}}", "{a: 2}", {"a": 2}),
        ("{a: 2}", "{a: {b: 1}}", {"a": {"b": 1}}),
        ("{a: {b: 1}}", "{a: }", {"a": None}),
        ("", "{a: 1}", {"a": 1}),
    ],
)
def test_a_value_over_another(below: str, above: str, both: object) -> None:
    assert yamlfile.plain(parsed(above).over(parsed(below)), Problems()) == both


def test_each_mistake_of_a_configuration_has_a_pointer(tmp_path: Path) -> None:
    path = tmp_path / "edgevoice.yaml"
    path.write_text("endpoint:\n  silense: 1\n  pause: x\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path, environ={})
    assert str(caught.value).replace(f"{tmp_path}/", "") == (
        "2 mistakes in the configuration\n"
        "edgevoice.yaml:2: endpoint.silense: unknown key; did you mean 'silence'?\n"
        "      silense: 1\n"
        "      ^\n"
        "edgevoice.yaml:3: endpoint.pause: expected `float`, got `str` ('x' is written)\n"
        "      pause: x\n"
        "             ^"
    )


def test_suggestions() -> None:
    assert closest("Kichen", ["kitchen", "hall"]) == "kitchen"
    assert closest("cellar", ["kitchen", "hall"]) is None
    assert did_you_mean("kichen", ["kitchen", "hall"]) == "did you mean 'kitchen'?"
    assert did_you_mean(["cellar", "hal"], ["kitchen", "hall"]) == "did you mean 'hall'?"
    assert did_you_mean("x", ["kitchen", "hall"]) == "there are: hall, kitchen"
    assert did_you_mean("x", map(str, range(20))).endswith("19, ...")
    assert did_you_mean("x", []) == ""
