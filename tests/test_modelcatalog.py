from pathlib import Path
from typing import Any

import modelsamples as samples
import pytest

from edgevoice.errors import ConfigError, ModelError
from edgevoice.modelcatalog import BuildSource, is_inside, read_catalog

HASH = "ab" * 32


def test_the_shipped_catalog_is_whole() -> None:
    catalog = read_catalog()
    names = {model.name for model in catalog}
    assert {"okay_nabu", "silero-vad", "whisper-tiny.en-int8", "hibari-heart", "vosk-ko"} <= names
    for model in catalog:
        assert model.licence and model.author and model.size > 0
        first = model.sources[0]
        if isinstance(first, BuildSource):
            assert first.source in names


def test_a_change_of_what_is_installed_changes_the_identity(tmp_path: Path) -> None:
    def identity(**changes: Any) -> str:
        build = {"from": "base", "with": "edgevoice.export.x:f", "revision": 1, "size": 1, **changes}
        base = samples.entry({"path": {"folder": "."}}, files={"a": changes.pop("data", b"a")})
        build.pop("data", None)
        return samples.catalog(tmp_path, base=base, built=samples.entry({"build": build}, files=None)).identity("built")

    plain = identity()
    assert identity() == plain
    assert identity(revision=2) != plain
    assert identity(data=b"b") != plain
    assert identity(size=2) == plain


GOOD = f"""\
format: 1
models:
  sample:
    task: vad
    description: A sample
    licence: MIT
    author: Nobody
    origin: https://example.org/
    files:
      a.bin: {{size: 1, sha256: {HASH}}}
    sources:
      - path: {{folder: here}}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "cause"),
    [
        ("format: 1", "format: 2", 1, "format"),
        ("task: vad", "task: nose", 4, "nose"),
        ("licence: MIT", "license: MIT", 6, "did you mean 'licence'"),
        ("    licence: MIT\n", "", 4, "licence: the key is missing"),
        (f", sha256: {HASH}", "", 10, "sha256: the key is missing"),
        (HASH, "abc", 10, "sha256"),
        ("size: 1,", "size: -1,", 10, "size"),
        ("a.bin:", "../a.bin:", 10, "not a plain path"),
        ("a.bin:", "/a.bin:", 10, "not a plain path"),
        ("path: {folder: here}", "ftp: {folder: here}", 12, "exactly one of"),
        ("path: {folder: here}", "path: {folder: here, folders: x}", 12, "unknown key"),
        ("path: {folder: here}", "url: {base: ftp://example.org/}", 12, "base"),
        ("path: {folder: here}", "url: {}", 12, "every file needs an address"),
        ("path: {folder: here}", "path: {folder: here, members: {b.bin: x}}", 12, "'b.bin' is not one of"),
        ("path: {folder: here}", "path: {folder: here, members: {a.bin: ../../x}}", 12, "not a plain path"),
        ("path: {folder: here}", "wheel: {package: x, version: '1.0', size: 1, folder: /etc}", 12, "not a plain path"),
        ("path: {folder: here}", "wheel: {package: --pre, version: '1.0', size: 1}", 12, "package"),
        ("path: {folder: here}", "wheel: {package: x, version: '1 --pre', size: 1}", 12, "version"),
        ("path: {folder: here}", "build: {from: y, with: 'edgevoice.x:f', size: 1}", 4, "there is no model 'y'"),
        ("path: {folder: here}", "build: {from: sample, with: 'edgevoice.x:f', size: 1}", 4, "from itself"),
        ("path: {folder: here}", "build: {from: sample, with: 'os:system', size: 1}", 12, "with"),
        (f"    files:\n      a.bin: {{size: 1, sha256: {HASH}}}\n", "", 10, "'files'"),
        ("  sample:", "  sam/ple:", 4, "name"),
        ("    author: Nobody", "    author: Nobody\n    author: Other", 8, "twice"),
        ("    author: Nobody", "    author: [", 9, "no YAML"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, old: str, new: str, line: int, cause: str) -> None:
    path = tmp_path / "catalog.yaml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_catalog(path)
    assert cause in str(caught.value)
    assert f"{path}:{line}:" in str(caught.value)


def test_a_catalog_that_is_not_there_or_empty(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_catalog(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").touch()
    with pytest.raises(ConfigError, match="empty"):
        read_catalog(tmp_path / "empty.yaml")


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(ModelError, match="did you mean 'okay_nabu'"):
        read_catalog()["okay_nabo"]
    with pytest.raises(ModelError, match="did you mean 'whisper-tiny"):
        read_catalog()["Whisper"]


@pytest.mark.parametrize("path", ["", "/a", "../a", "a/../b", "./a", "a//b", "a\\b", "a/", "a\0b"])
def test_paths_that_leave_or_are_not_plain(path: str) -> None:
    assert not is_inside(path)
    assert is_inside("a/b.c")
