"""Every field of what is written as JSON stands in the documentation."""

import importlib
import inspect
import re
from pathlib import Path

import msgspec
import pytest

DOCS = Path(__file__).parent.parent / "docs"
REPORTS = [
    ("bench.md", "edgevoice.bench.schema"),
    ("tune.md", "edgevoice.tune.report"),
    ("tune.md", "edgevoice.tune.search"),
    ("tune.md", "edgevoice.tune.points"),
    *(
        ("evaluation.md", f"edgevoice.evaluate.{name}")
        for name in ("report", "wake_report", "asr_report", "tts_report", "vad_report", "score", "record")
    ),
]


@pytest.mark.parametrize(("page", "module"), REPORTS, ids=lambda each: each.rpartition(".")[2] or each)
def test_every_field_is_explained(page: str, module: str) -> None:
    code = re.findall(r"`([^`\n]+)`", (DOCS / page).read_text(encoding="utf-8"))
    words = set(re.findall(r"\w+", " ".join(code)))
    structs = [
        each
        for _, each in inspect.getmembers(importlib.import_module(module), inspect.isclass)
        if issubclass(each, msgspec.Struct) and each.__module__ == module
    ]
    assert structs
    missing = [
        f"{each.__name__}.{name}"
        for each in structs
        for name in each.__struct_fields__
        # Intervals are said of all at once to stand beside their figure, under its name and ``_interval``.
        if name not in words and name.removesuffix("_interval") not in words
    ]
    assert missing == []
