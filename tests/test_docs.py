"""The documentation says what is true: its commands parse, its YAML is valid, its links lead somewhere."""

import ast
import contextlib
import importlib.util
import io
import os
import re
import shlex
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import test_contract
import yaml
from fakes import perform

from edgevoice import config
from edgevoice.__main__ import COMMANDS, parser
from edgevoice.audio.pcm import Audio
from edgevoice.daemon import FORCED
from edgevoice.engines import registry
from edgevoice.errors import EdgeVoiceError
from edgevoice.events import Event
from edgevoice.modelstore import ModelStore
from edgevoice.think.actions import parse_action
from edgevoice.think.grammar import Grammar, default_pack
from edgevoice.think.match import Match
from tools import write_docs

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
PACK_KEYS = {"intents", "lists", "expansion_rules", "responses", "skip_words", "language"}


def name(value: object) -> str:
    """For the names of tests: a page by its name, a line whole, a block by its first line."""
    return value.name if isinstance(value, Path) else str(value).partition("\n")[0]


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of these languages."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [text for _, language, text in found if language in languages]


def typed(page: Path) -> Iterator[str]:
    """The lines of a page that somebody would type."""
    for block in blocks(page, "sh"):
        yield from block.splitlines()
    for block in blocks(page, "console"):
        yield from (line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from (span for span in re.findall(r"`([^`\n]+)`", text) if span.startswith("edgevoice "))


COMMAND_LINES = [
    (page, line) for page in PAGES for line in typed(page) if re.match(r"(\.venv/bin/|sudo )?edgevoice ", line)
]


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES, ids=name)
def test_every_command_line_parses(page: Path, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    end = next((at for at, word in enumerate(words) if word in ("|", "<", ">", "&", "&&", "2>&1")), len(words))
    arguments = [word for word in words[:end] if word != "..."]
    if re.fullmatch(r"[a-z]+( [a-z]+)?", " ".join(arguments)):  # the command is spoken of, not typed
        arguments.append("--help")
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
            parser().parse_args(arguments)
    except SystemExit as stop:
        assert stop.code == 0, f"{page.name}: {line}\n{complaint.getvalue()}"


def test_command_lines_are_found() -> None:
    assert len(COMMAND_LINES) > 20
    assert {line.split()[1] for _, line in COMMAND_LINES} >= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    lines = [*typed(page), *re.findall(r"`(make [^`\n]+)`", page.read_text("utf-8"))]
    for line in lines:
        if line.startswith("make "):
            named = [word for word in shlex.split(line, comments=True)[1:] if "=" not in word]
            assert set(named) <= targets, f"{page.name}: {line}"


YAML_BLOCKS = [(page, block) for page in PAGES for block in blocks(page, "yaml")]


@pytest.mark.parametrize(("page", "block"), YAML_BLOCKS, ids=name)
def test_every_yaml_example_is_valid(page: Path, block: str, tmp_path: Path) -> None:
    content = yaml.safe_load(block)
    path = tmp_path / "example.yaml"
    path.write_text(block, "utf-8")
    if set(content) == {"action"}:
        parse_action(content["action"], page.name)
    elif ("intents" in content and "packs" not in content["intents"]) or "lists" in content:
        assert set(content) <= PACK_KEYS
        grammar = Grammar.load([default_pack(), path])
        for intent in grammar.intents.values():
            if intent.action is not None:
                parse_action(intent.action, intent.action_place)
    elif "context" in content:
        assert Grammar.load([default_pack(), path]).phrases(1)
    elif all(isinstance(entry, dict) and "task" in entry for entry in content.values()):
        known = yaml.safe_load((ROOT / "models/catalog.yaml").read_text("utf-8"))["models"]
        keys = {key for entry in known.values() for key in entry}
        assert all(set(entry) <= keys for entry in content.values())
    else:
        config.load(path, environ={})


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(path), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """The names by which GitHub knows a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", write_docs.PARTS)
def test_generated_parts_are_up_to_date(page: str) -> None:
    on_disk = (write_docs.DOCS / page).read_text("utf-8")
    assert on_disk == write_docs.renewed(page), "run: .venv/bin/python -m tools.write_docs"


def test_every_event_is_described() -> None:
    names = {event.__name__.lower() for event in typing.get_args(Event)}
    described = set(re.findall(r"^### `(\w+)`$", (ROOT / "docs/events.md").read_text("utf-8"), re.MULTILINE))
    assert described == names
    assert "|  |" not in write_docs.event_reference()  # every field says what it means


def test_the_json_lines_shown_are_events() -> None:
    (example,) = blocks(ROOT / "docs/events.md", "json")
    for line in example.splitlines():
        event = msgspec.json.decode(line, type=Event)
        assert round(event.at / 16_000, 3) == msgspec.json.decode(line)["seconds"]


README = ROOT / "README.md"


def test_every_exit_code_is_told() -> None:
    (told,) = re.findall(r"Exit codes: (.*?)\.\n", README.read_text("utf-8"), re.DOTALL)
    codes = {int(part.split()[0]) for part in told.split(";")}
    kinds = [EdgeVoiceError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert codes == {kind.exit_code for kind in kinds} | {0, 2, FORCED, 130}


def test_the_first_own_command_is_understood(tmp_path: Path) -> None:
    pack = tmp_path / "mine.yaml"
    pack.write_text(blocks(README, "yaml")[0], "utf-8")
    (line,) = (line for line in typed(README) if line.startswith("edgevoice intent --pack"))
    found = Grammar.load([default_pack(), pack]).match(shlex.split(line)[-1])
    assert isinstance(found, Match)
    assert found.intent.name == "Uptime"


@pytest.fixture
def loudness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The README's engine, added as the README says."""
    code, line = blocks(README, "python")
    (tmp_path / "loudness.py").write_text(code, "utf-8")
    ((key, module),) = ast.literal_eval("{" + line + "}").items()
    spec = importlib.util.spec_from_file_location(module, tmp_path / "loudness.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    monkeypatch.setitem(sys.modules, module, made)
    monkeypatch.setitem(registry.ENGINES, key, module)
    return "loudness"


def test_the_example_of_an_engine_obeys_the_contract(loudness: str, store: ModelStore) -> None:
    def load(task: str, engine: str) -> Any:
        return registry.load(task, engine, None, store)

    def spoken(engine: str) -> Audio:
        return perform("..WWWW..ooookkkk......")

    test_contract.test_vad(loudness, load, spoken)
    test_contract.test_every_option_is_documented_and_has_a_default("vad", loudness)
    loaded = config.load(Path(os.devnull), overrides=["vad.loudness.level=-35"], environ={})
    assert getattr(loaded.vad.options["loudness"], "level", None) == -35.0
