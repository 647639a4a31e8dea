"""Bytes that were damaged, in everything that is read: nothing but clear errors."""

import asyncio
import contextlib
import io
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevoice.audio.pcm import RATE
from edgevoice.audio.wavefile import open_file
from edgevoice.config import load
from edgevoice.errors import EdgeVoiceError
from edgevoice.modelstore import ModelStore
from edgevoice.think.grammar import Grammar
from tools import fuzz


def sound() -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes(np.arange(400, dtype=np.int16).tobytes())
    return made.getvalue()


def listen(path: Path) -> None:
    async def read() -> None:
        source = open_file(path)
        async with contextlib.aclosing(source.blocks()) as blocks:
            async for _ in blocks:
                pass
        await source.close()

    asyncio.run(read())


def configure(path: Path) -> None:
    load(path, environ={})


def compile_pack(path: Path) -> None:
    Grammar.load([path])


CONFIG = b"""wake: {microwakeword: {models: [alexa]}}
detection: {patience: 3, thresholds: {alexa: 0.9}}
endpoint: {silence: 0.8, minimum: 0.2}
intents: {packs: [], default_pack: true}
assistant: {apology: "Sorry.", earcons: false}
"""
PACK = b"""intents:
  Light:
    data:
      - sentences: ["turn (on|off) [the] {name} <how>", "set {name} to {level} percent"]
        slots: {domain: light}
    response: "{name} is on."
lists:
  name: {values: [lamp, {in: big light, out: light.big}]}
  level: {range: {from: 0, to: 100, step: 10}}
expansion_rules: {how: "[very] (bright|dark)"}
skip_words: [please]
"""
GRAMMAR = b"""context:
  expressions:
    Order: ["[make, brew] (me) @politeness $size:size coffee"]
  slots: {size: [small, large]}
  macros: {politeness: [please, "pretty please"]}
"""

READERS: dict[str, tuple[bytes, str, Callable[[Path], None]]] = {
    "sound": (sound(), "x.wav", listen),
    "configuration": (CONFIG, "edgevoice.yaml", configure),
    "intents": (PACK, "pack.yaml", compile_pack),
    "a grammar of Rhino": (GRAMMAR, "coffee.rhino.yaml", compile_pack),
}

damage = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 4000), st.integers(0, 255)),
        st.tuples(
            st.just("insert"), st.integers(0, 4000), st.sampled_from(list(b"{}[]()<>|:,'\"\\\n\t $@#&*!%-0\x00\xff"))
        ),
        st.tuples(st.just("cut"), st.integers(0, 4000), st.integers(1, 40)),
        st.tuples(st.just("double"), st.integers(0, 4000), st.integers(1, 40)),
    ),
    min_size=1,
    max_size=6,
)


def damaged(data: bytes, acts: list[tuple[str, int, int]]) -> bytes:
    made = bytearray(data)
    for act, place, value in acts:
        at = place % (len(made) + 1)
        match act:
            case "set":
                made[at : at + 1] = bytes([value])
            case "insert":
                made[at:at] = bytes([value])
            case "cut":
                del made[at : at + value]
            case _:
                made[at:at] = made[at : at + value]
    return bytes(made)


@pytest.mark.parametrize("what", READERS)
@settings(
    max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(acts=damage)
def test_damaged_bytes_give_clear_errors(what: str, acts: list[tuple[str, int, int]], tmp_path: Path) -> None:
    whole, name, read = READERS[what]
    path = tmp_path / name
    path.write_bytes(whole)
    read(path)
    path.write_bytes(damaged(whole, acts))
    try:
        read(path)
    except EdgeVoiceError as error:
        assert error.cause
        assert str(path) in str(error) or error.place


@pytest.mark.parametrize("model", ["okay_nabu", "oww-okay_nabu", "silero-vad"])
def test_damaged_models_give_clear_errors(model: str, store: ModelStore) -> None:
    """A few of what ``python -m tools.fuzz`` tries, in a process that may crash."""
    (subject,) = (subject for subject in fuzz.SUBJECTS if subject.model == model)
    found = list(fuzz.search(subject, store.path(model), each=8, seed=1))
    assert [(name, kind, result.told) for name, kind, result in found if result.outcome in ("defect", "hang")] == []
    assert "refused" in {result.outcome for _, _, result in found}


def test_what_the_search_tells_of_a_reader(tmp_path: Path, store: ModelStore) -> None:
    """A crash, and an exception that is no clear error, are told from what is refused."""
    (word,) = (subject for subject in fuzz.SUBJECTS if subject.model == "okay_nabu")
    with fuzz.Reader() as reader:
        assert reader.read(word, store.path("okay_nabu")).outcome == "works"
        refused = reader.read(word, tmp_path)
        assert (refused.outcome, "no such file" in refused.told) == ("refused", True)
        unknown = reader.read(fuzz.Subject("wake", "microwakeword", "", {"no_such_option": "x"}), tmp_path)
        assert (unknown.outcome, unknown.told[:15]) == ("defect", "ValidationError")
        assert reader.process is not None
        reader.process.kill()
        reader.process.wait()
        assert reader.read(word, store.path("okay_nabu")) == fuzz.Result("crash", "it ended with -9")
        assert reader.read(word, store.path("okay_nabu")).outcome == "works"
