"""Damaged model files, read as the daemon reads them: what comes of each, in a process that may crash.

    python -m tools.fuzz --each 200                       # of every file of every kind of model that is installed
    python -m tools.fuzz --each 1000 --only silero-vad

The models lie outside of the store, whose hashes would refuse them before anything reads them. An outcome is ``works``
(what was damaged does not matter, or only to what is understood), ``refused`` (an EdgeVoiceError, in one line), or a
finding: ``defect`` (another exception), ``crash`` or ``hang``. A JSON object tells how often each came; the exit code
is 1 when anything but a crash of a library was found, which only the hashes prevent.
"""

import argparse
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import traceback
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec
import numpy as np

from edgevoice.errors import EdgeVoiceError

Outcome = Literal["works", "refused", "defect", "crash", "hang"]
PATIENCE: Final = 60.0
"""Seconds for one model to be loaded and used: far beyond what any takes."""
ADDRESS_SPACE: Final = 6 << 30
"""Bytes that loading may ask for; a size in a damaged file may be anything."""
SAID: Final = 24_000
"""Samples that are listened to."""
REPLACEMENTS: Final[tuple[Any, ...]] = (None, -1, 0, 10**30, 0.5, True, "", "x", [], {}, [[]], {"x": 1})
"""What a value of a JSON file is replaced with."""


@dataclass(frozen=True)
class Subject:
    """A model, and how an engine is told to read it."""

    task: str
    engine: str
    model: str
    """In the catalog."""
    options: Mapping[str, Any]
    """``{}`` stands for the folder that is read."""


SUBJECTS: Final = (
    Subject("wake", "microwakeword", "okay_nabu", {"models": ["{}/okay_nabu.json"]}),
    Subject("wake", "openwakeword", "oww-okay_nabu", {"models": ["{}/okay_nabu.tflite"]}),
    Subject("wake", "openwakeword", "openwakeword-features", {"model": "{}", "models": ["oww-okay_nabu"]}),
    Subject("vad", "silero", "silero-vad", {"model": "{}"}),
    Subject("asr", "whisper", "whisper-tiny.en-int8", {"model": "{}"}),
    Subject("asr", "vosk", "vosk-ko", {"model": "{}"}),
    Subject("tts", "hibari", "hibari-heart", {"voice": "{}/hibari.onnx"}),
    Subject("tts", "piper", "piper-en_US-joe-medium", {"model": "{}"}),
)


@dataclass(frozen=True)
class Result:
    outcome: Outcome
    told: str = ""
    """The message, or what was raised."""


def damaged(data: bytes, random: np.random.Generator, *, text: bool) -> tuple[str, bytes | None]:
    """What was done to a file, and what is left of it; None: it is not there."""
    kinds = ["flip", "head", "cut", "zeros", "noise", "empty", "missing", "other"] + ["keys"] * (12 if text else 0)
    kind = kinds[random.integers(len(kinds))]
    made = bytearray(data)
    match kind:
        case "flip" | "head":
            reach = len(made) if kind == "flip" else min(512, len(made))
            for at in random.integers(0, reach, random.integers(1, 9)):
                made[at] ^= 1 << random.integers(8)
        case "cut":
            del made[random.integers(1, len(made)) :]
        case "zeros" | "noise":
            at, size = int(random.integers(len(made))), int(random.integers(1, 4096))
            made[at : at + size] = bytes(size) if kind == "zeros" else random.bytes(size)
        case "empty":
            made = bytearray()
        case "missing":
            return kind, None
        case "other":
            made = bytearray(random.bytes(5000) if text else b'{"kind": "something else"}\n')
        case _:
            content = json.loads(data)
            _spoil(content, random)
            made = bytearray(json.dumps(content).encode())
    return kind, bytes(made)


def _spoil(content: Any, random: np.random.Generator) -> None:
    """Take a value out of JSON, or put another one in its place."""
    while True:
        keys = list(content) if isinstance(content, dict) else range(len(content))
        key = keys[random.integers(len(keys))]
        inner = content[key]
        if isinstance(inner, dict | list) and inner and random.random() < 0.7:
            content = inner
        elif random.random() < 0.4:
            del content[key]
            return
        else:
            content[key] = REPLACEMENTS[random.integers(len(REPLACEMENTS))]
            return


@contextlib.contextmanager
def copied(folder: Path) -> Iterator[Path]:
    """A folder in which the files of a model can be exchanged one by one."""
    with tempfile.TemporaryDirectory(prefix="edgevoice-fuzz-") as name:
        copy = Path(name)
        for path in files(folder):
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
        yield copy


def files(folder: Path) -> list[Path]:
    """Those of the model, without what the store notes about it."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not path.name.startswith(("edgevoice-", "README")))


class Reader:
    """A process that loads models and uses them; another one after it has crashed or hung."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self._answers: int = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def read(self, subject: Subject, folder: Path) -> Result:
        """Load the model in the folder and use it."""
        process = self.process or self._start()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and so does what it writes to
            process.stdin.write(json.dumps([*_order(subject, folder)]) + "\n")
            process.stdin.flush()
        if not select.select([self._answers], [], [], PATIENCE)[0]:
            self._end()
            return Result("hang", f"nothing came of it in {PATIENCE:g} s")
        answer = os.read(self._answers, 1 << 20)
        if not answer:
            process.wait()
            self._end()
            return Result("crash", f"it ended with {process.returncode}")
        return msgspec.json.decode(answer, type=Result)

    def _start(self) -> subprocess.Popen[str]:
        self._answers, answers = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.fuzz", "--answer", str(answers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            pass_fds=[answers],
            cwd=Path(__file__).parent.parent,
        )
        os.close(answers)
        return self.process

    def _end(self) -> None:
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        os.close(self._answers)
        self.process = None


def _order(subject: Subject, folder: Path) -> Iterator[Any]:
    def told(value: Any) -> Any:
        return [told(each) for each in value] if isinstance(value, list) else value.replace("{}", str(folder))

    yield from (subject.task, subject.engine, {key: told(value) for key, value in subject.options.items()})


def answer(number: int) -> None:
    """In the process that may crash: do what standard input says, and write what came of it to a file."""
    import resource

    from edgevoice.engines import registry
    from edgevoice.modelstore import ModelStore

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    store = ModelStore()
    for line in sys.stdin:
        task, engine, options = json.loads(line)
        try:
            made = registry.load(
                task, engine, msgspec.convert(options, registry.options_type(task, engine), strict=False), store
            )
            use(task, made)
            made.close()
        except EdgeVoiceError as error:
            one = "\n" not in str(error) and error.cause and error.place
            result = Result("refused" if one else "defect", str(error))
        except BaseException as error:  # noqa: BLE001 - it is what is looked for
            last = traceback.extract_tb(error.__traceback__)[-1]
            result = Result("defect", f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})")
        else:
            result = Result("works")
        os.write(number, msgspec.json.encode(result))


def use(task: str, engine: Any) -> None:
    """As much as the daemon does at the start and in a turn."""
    from edgevoice.audio.pcm import Audio
    from edgevoice.engines.protocols import AsrHint
    from edgevoice.think.grammar import Grammar

    heard = Audio(np.random.default_rng(0).normal(0.0, 3000.0, SAID).astype(np.int16))
    match task:
        case "tts":
            for _ in engine.synthesize("One."):
                pass
        case "asr":
            with tempfile.TemporaryDirectory() as folder:
                pack = Path(folder) / "pack.yaml"
                pack.write_text("intents: {Light: {data: [{sentences: ['turn (on|off) the light']}]}}", "utf-8")
                automaton = Grammar.load([pack]).automaton
            for hint in (None, AsrHint((), automaton)):
                session = engine.open(hint)
                session.feed(heard)
                session.finish()
                session.close()
        case _:
            session = engine.open()
            session.feed(heard)
            session.close()


def search(subject: Subject, folder: Path, each: int, seed: int) -> Iterator[tuple[str, str, Result]]:
    """Each file so often: its name, what was done to it, and what came of that."""
    with copied(folder) as copy, Reader() as reader:
        whole = reader.read(subject, copy)
        if whole.outcome != "works":
            raise AssertionError(f"{subject.model} does not work as it is: {whole.told}")
        for path in files(folder):
            name, data = path.relative_to(folder).as_posix(), path.read_bytes()
            target = copy / name
            random = np.random.default_rng([seed, zlib.crc32(f"{subject.model}/{name}".encode())])
            for _ in range(each):
                kind, made = damaged(data, random, text=path.suffix == ".json")
                target.unlink()
                if made is not None:
                    target.write_bytes(made)
                else:
                    target.symlink_to(copy / "nothing")
                yield name, kind, reader.read(subject, copy)
            target.unlink()
            target.symlink_to(path)


def main() -> int:
    parser = argparse.ArgumentParser(description="damaged model files: what comes of each")
    parser.add_argument("--each", type=int, default=50, help="so many times for each file")
    parser.add_argument("--only", nargs="+", choices=[subject.model for subject in SUBJECTS], metavar="MODEL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--answer", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.answer is not None:
        answer(args.answer)
        return 0

    from edgevoice.modelstore import ModelStore

    store, found = ModelStore(), False
    for subject in SUBJECTS:
        if args.only and subject.model not in args.only:
            continue
        counts: Counter[str] = Counter()
        findings: dict[str, int] = {}
        for name, kind, result in search(subject, store.path(subject.model), args.each, args.seed):
            counts[result.outcome] += 1
            if result.outcome not in ("works", "refused"):
                what = f"{name}, {kind}: {result.outcome}: {result.told}"
                findings[what] = findings.get(what, 0) + 1
                found = found or result.outcome != "crash"
        print(json.dumps({"model": subject.model, **counts, "findings": findings}, ensure_ascii=False), flush=True)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
