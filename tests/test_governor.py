"""Stepping down under overload and heat, and up again."""

import asyncio
from collections.abc import Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from stage import Engines, configured, reader, staged

from edgevoice import events
from edgevoice.config import lightened, load, model_names
from edgevoice.errors import ModelError
from edgevoice.events import Event
from edgevoice.governor import CALM_SECONDS, LOOK_SECONDS, MOST_CALM_SECONDS, SIGN_SECONDS, Governor, Options
from edgevoice.health.status import Machine
from edgevoice.observe import Step

EVENT: Event = events.Transcript(at=0, text="", confidence=None)
LATE = [Step("recognition", 1.2)]
HARD = [Step("recognition", 0.4)]
EASY = [Step("recognition", 0.1)]
OVERRUN = events.Overrun(at=0, lost=100, where="wake word")


class Rig:
    """A governor whose time and machine the test makes."""

    def __init__(self, model: str | None = None) -> None:
        self.options = Options(model=model)
        self.machine = Machine()
        self.now = 0.0
        self.steps: list[tuple[float, int]] = []
        self.why = ""
        self.governor = Governor(lambda: self.options, self._step_to, lambda: self.machine, lambda: self.now)

    async def _step_to(self, level: int, why: str) -> None:
        self.steps.append((self.now, level))
        self.why = why

    @property
    def level(self) -> int:
        return self.steps[-1][1] if self.steps else 0

    def turn(self, *spent: list[Step]) -> None:
        for steps in spent:
            self.governor.observe(EVENT, steps)

    def wait(self, seconds: float) -> None:
        """Time goes by, with the looks that fall into it."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.now += LOOK_SECONDS
            asyncio.run(self.governor.look())


def test_two_late_commands_are_a_step_down_and_one_is_none() -> None:
    rig = Rig()
    rig.turn(LATE)
    rig.wait(LOOK_SECONDS)
    assert rig.level == 0
    rig.turn(EASY, LATE)
    rig.wait(LOOK_SECONDS)
    assert rig.level == 1
    assert rig.why == (
        "a command was recognised 1.2 s late and a command was recognised 1.2 s late; with fewer looks and beams"
    )


def test_late_commands_far_apart_are_none() -> None:
    rig = Rig()
    for _ in range(4):
        rig.turn(LATE)
        rig.wait(SIGN_SECONDS + LOOK_SECONDS)
    assert rig.level == 0


def test_lost_sound_is_a_sign() -> None:
    rig = Rig()
    rig.governor.observe(OVERRUN, [])
    rig.turn(LATE)
    rig.wait(LOOK_SECONDS)
    assert rig.level == 1
    assert rig.why.startswith("sound was lost (wake word) and a command")


def test_a_second_step_needs_a_model_and_signs_of_its_own() -> None:
    for model, lowest in ((None, 1), ("smaller", 2)):
        rig = Rig(model)
        rig.turn(LATE, LATE)
        rig.wait(2 * LOOK_SECONDS)
        assert rig.level == 1
        rig.turn(LATE, LATE)
        rig.wait(2 * LOOK_SECONDS)
        assert rig.level == lowest
        rig.turn(LATE, LATE)
        rig.wait(2 * LOOK_SECONDS)
        assert rig.level == lowest


def test_a_board_that_slows_itself_down() -> None:
    rig = Rig("smaller")
    rig.machine = Machine(temperature_c=84.3, throttled=("throttled",))
    rig.wait(LOOK_SECONDS)
    assert rig.level == 0  # a peak
    rig.wait(LOOK_SECONDS)
    assert rig.level == 1
    assert rig.why == "the board slows itself down (throttled, 84 °C); with fewer looks and beams"
    rig.wait(LOOK_SECONDS)
    assert rig.level == 1
    rig.wait(LOOK_SECONDS)
    assert rig.level == 2
    rig.wait(1000.0)
    assert [level for _, level in rig.steps] == [1, 2]  # for as long as it is hot
    rig.machine = Machine(temperature_c=60.0, throttled=())
    rig.wait(CALM_SECONDS)
    assert rig.level == 1
    assert rig.why == "nothing was late for 60 s; still with fewer looks and beams"
    rig.wait(CALM_SECONDS)
    assert rig.level == 0
    assert rig.why == "nothing was late for 60 s"


def test_peaks_of_heat_are_no_reason() -> None:
    rig = Rig()
    for _ in range(10):
        rig.machine = Machine(throttled=("throttled",))
        rig.wait(LOOK_SECONDS)
        rig.machine = Machine(throttled=())
        rig.wait(LOOK_SECONDS)
    assert rig.level == 0


def test_it_steps_up_only_when_the_work_is_easy() -> None:
    rig = Rig()
    rig.turn(LATE, LATE)
    rig.wait(LOOK_SECONDS)
    for _ in range(10):
        rig.turn(HARD)  # in time, but at full service it would be late
        rig.wait(CALM_SECONDS / 2)
    assert rig.level == 1
    for _ in range(10):
        rig.turn(EASY)
        rig.wait(CALM_SECONDS / 5)
    assert rig.level == 0


def test_steps_up_in_vain_become_rare() -> None:
    rig = Rig()
    for _ in range(12 * 60):  # an hour in which every command at full service is late
        if rig.level == 0:
            rig.turn(LATE, LATE)
        rig.wait(LOOK_SECONDS)
    ups = [at for at, level in rig.steps if level == 0]
    gaps = [after - before for before, after in pairwise(ups)]
    assert gaps[0] == pytest.approx(2 * CALM_SECONDS, abs=3 * LOOK_SECONDS)
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(MOST_CALM_SECONDS, abs=3 * LOOK_SECONDS)
    assert len(ups) <= 8


def test_a_step_up_that_held_is_forgotten() -> None:
    rig = Rig()
    for _ in range(3):
        rig.turn(LATE, LATE)
        rig.wait(CALM_SECONDS * 8 + SIGN_SECONDS * 2)
    assert [level for _, level in rig.steps] == [1, 0] * 3
    assert all(
        up - down == pytest.approx(CALM_SECONDS, abs=2 * LOOK_SECONDS)
        for (down, _), (up, _) in zip(rig.steps[::2], rig.steps[1::2], strict=True)
    )


def test_what_was_late_at_the_lowest_level_is_over_after_a_minute() -> None:
    rig = Rig()
    for _ in range(5):
        rig.turn(LATE, LATE)
        rig.wait(LOOK_SECONDS)
    rig.wait(CALM_SECONDS + LOOK_SECONDS)
    assert rig.level == 0
    rig.turn(LATE)
    rig.wait(LOOK_SECONDS)
    assert rig.level == 0  # what was late before the step up no longer counts


def test_the_configuration_decides_at_once() -> None:
    rig = Rig("smaller")
    rig.turn(LATE, LATE)
    rig.wait(LOOK_SECONDS)
    rig.turn(LATE, LATE)
    rig.wait(LOOK_SECONDS)
    rig.options = Options()
    rig.wait(LOOK_SECONDS)
    assert (rig.level, rig.why) == (1, "the configuration has changed")
    rig.options = Options(step_down=False)
    rig.wait(LOOK_SECONDS)
    assert rig.level == 0
    rig.turn(LATE, LATE)
    rig.wait(LOOK_SECONDS)
    assert rig.level == 0


# In the assistant.


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(monkeypatch)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


SMALLER = "overload.model=/models/smaller"
COMMAND = "...WWWW......ooookkkk" + "." * 80


def test_what_each_level_changes_in_the_assistant(engines: Engines) -> None:
    async def go() -> None:
        async with staged(SMALLER) as stage:
            full = engines.made["asr"]
            await stage.play(COMMAND)
            engines.loaded.clear()

            await stage.assistant.step_to(1, "late")
            assert engines.loaded == []
            await stage.play(COMMAND)
            assert full.hasty == [False, False, True]  # the first one warms it up

            await stage.assistant.step_to(2, "later")
            assert engines.loaded == ["asr"]
            assert stage.assistant.config.asr.chosen.model == "/models/smaller"  # type: ignore[attr-defined]
            await stage.play(COMMAND)
            smaller = engines.made["asr"]
            assert smaller is not full
            assert smaller.hasty == [False, True]
            assert engines.open.count("asr") == 1

            await stage.assistant.step_to(0, "calm")
            await stage.play(COMMAND)
            assert engines.made["asr"].hasty == [False, False]
            assert stage.assistant.config.asr.chosen.model == "whisper-tiny.en-int8"  # type: ignore[attr-defined]
            assert [(event["level"], event["why"]) for event in stage.of("Degraded")] == [
                (1, "late"),
                (2, "later"),
                (0, "calm"),
            ]
            assert [event["outcome"] for event in stage.of("TurnEnded")] == ["answered"] * 4
            assert len(stage.of("Wake")) == 4
        assert engines.open == []

    run(go())


def test_a_turn_ends_as_it_began(engines: Engines) -> None:
    async def go() -> None:
        async with staged() as stage:
            await stage.play(COMMAND[:18])
            step = asyncio.create_task(stage.assistant.step_to(1, "late"))
            await stage.play(COMMAND[18:])
            await step
            assert engines.made["asr"].hasty == [False, False]
            kinds = stage.kinds()
            assert kinds.index("TurnEnded") < kinds.index("Degraded")

    run(go())


def test_a_reload_keeps_the_level_and_a_level_keeps_the_reload(engines: Engines) -> None:
    async def go() -> None:
        async with staged(SMALLER) as stage:
            await stage.assistant.step_to(2, "late")
            await stage.assistant.reload(reader(SMALLER, "endpoint.silence=1.1"))
            assert stage.assistant.config.asr.chosen.model == "/models/smaller"  # type: ignore[attr-defined]
            await stage.assistant.step_to(0, "calm")
            assert stage.assistant.config.endpoint.silence == 1.1

            both = [stage.assistant.step_to(2, "late"), stage.assistant.reload(reader(SMALLER, "endpoint.silence=1.2"))]
            await asyncio.gather(*both)
            assert stage.assistant.config.asr.chosen.model == "/models/smaller"  # type: ignore[attr-defined]
            assert stage.assistant.config.endpoint.silence == 1.2

    run(go())


def test_a_smaller_model_that_cannot_be_loaded(engines: Engines) -> None:
    async def go() -> None:
        async with staged(SMALLER) as stage:
            await stage.assistant.step_to(1, "late")
            engines.failing["asr"] = ModelError("it is damaged", place="/models/smaller")
            await stage.assistant.step_to(2, "later")
            assert [event["level"] for event in stage.of("Degraded")] == [1]
            assert "it is damaged" in stage.of("Fault")[0]["message"]
            await stage.play(COMMAND)
            assert stage.of("TurnEnded")[0]["outcome"] == "answered"
            assert engines.open.count("asr") == 1

    run(go())


def test_the_smaller_model_is_one_of_those_that_are_needed() -> None:
    config = configured("overload.model=whisper-small")
    assert "whisper-small" in model_names(config)
    assert lightened(config, 1) is config
    assert lightened(config, 2).asr.chosen.model == "whisper-small"  # type: ignore[attr-defined]
    assert lightened(load(Path("/dev/null"), environ={}), 2).asr.chosen.model == "whisper-tiny.en-int8"  # type: ignore[attr-defined]
