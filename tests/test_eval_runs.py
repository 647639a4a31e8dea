"""Whole runs of the evaluation, with engines that read scripts."""

from pathlib import Path

import pytest
import soundfile
from fakes import FakeAsr, FakeVad, perform

from edgevoice.config import Config
from edgevoice.config import load as load_config
from edgevoice.evaluate import intents
from edgevoice.evaluate.intents import Done, Settings, Talk
from edgevoice.evaluate.listening import Ears
from edgevoice.evaluate.manifest import Item
from edgevoice.evaluate.work import Local
from edgevoice.flow.worker import Worker
from edgevoice.parts import load_skills


def fakes(config: Config) -> Ears:
    return Ears(config, FakeVad(), FakeAsr(), load_skills(config, Worker("think")))


def write(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    soundfile.write(path, perform(script).samples, 16_000)
    return path


@pytest.fixture
def jobs(tmp_path: Path) -> list[intents.Job]:
    on = write(tmp_path, "on.wav", "..ooookkkk..........")
    off = write(tmp_path, "off.wav", "..ffffbbbb..........")
    talk = write(tmp_path, "talk.wav", "..xxxxxx............ttttt..........")
    items = [
        Item("on.wav", on, "LightOn", {"area": "kitchen"}, 1),
        Item("off.wav", off, "LightOff", {"area": "kitchen"}, 2),
    ]
    return [*intents.conditions(items, [], [])[0], Talk(talk, "talk.wav")]


def settings() -> Settings:
    return Settings(load_config(None, environ={}), fakes)


def results(jobs: list[intents.Job], workers: int) -> list[Done]:
    return [done for _, done in sorted(intents.run(settings(), jobs, Local(workers)), key=lambda pair: pair[0])]


def test_commands_and_talk(jobs: list[intents.Job]) -> None:
    on, off, talk = results(jobs, 1)
    right, wrong = on.predictions[0], off.predictions[0]
    assert (right.intent, right.slots, right.strict) == ("LightOn", {"area": "kitchen"}, True)
    assert (wrong.intent, wrong.slots, wrong.correct) == ("LightOff", {"area": "bedroom"}, False)
    assert right.end == "silence"
    assert not right.cut_off
    assert right.latency_ms is not None
    assert right.latency_ms > 500  # of simulated time: the silence that is waited for
    assert [each.intent is None for each in talk.utterances] == [True, False]
    assert talk.utterances[0].acceptance == 0.0


def test_what_is_taken_for_noise_counts_as_refused(tmp_path: Path) -> None:
    """The daemon goes on listening after it; the talk behind it is another utterance."""
    path = write(tmp_path, "talk.wav", "..xxxxxx............ttttt..........")

    def hard_of_hearing(config: Config) -> Ears:
        asr = FakeAsr(refused=["colourless green ideas"])
        return Ears(config, FakeVad(), asr, load_skills(config, Worker("think")))

    (talk,) = (
        done
        for _, done in intents.run(
            Settings(load_config(None, environ={}), hard_of_hearing), [Talk(path, "talk.wav")], Local(1)
        )
    )
    assert [each.intent is None for each in talk.utterances] == [True, False]


def test_any_number_of_workers_gives_the_same(jobs: list[intents.Job]) -> None:
    def essence(found: list[Done]) -> list[object]:
        return [
            *((one.audio, one.intent, one.slots, one.text) for done in found for one in done.predictions),
            *((one.start, one.end, one.intent) for done in found for one in done.utterances),
        ]

    assert essence(results(jobs, 1)) == essence(results(jobs, 2))
