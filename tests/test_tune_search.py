"""The search: its winner keeps every budget and nothing is better; what is impossible is refused, and only that."""

import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tunings import World, WorldMeasurer

from edgevoice.errors import ConfigError, EngineError, OutputError
from edgevoice.tune.budgets import Budgets
from edgevoice.tune.combine import Combination
from edgevoice.tune.points import Point, Prefer, dominates, excess, front, layers, order, percentile
from edgevoice.tune.search import Found, Search, rounds
from edgevoice.tune.state import Ledger, Record
from edgevoice.tune.trial import Failed, Outcome, Piece, Trial

PREFER: tuple[Prefer, ...] = ("accuracy", "latency", "memory", "cpu")


def search(
    world: World,
    budgets: Budgets,
    *,
    prefer: Prefer = "accuracy",
    measurer: WorldMeasurer | None = None,
    **given: object,
) -> Found:
    ledger = Ledger(measurer or WorldMeasurer(world), **given)  # type: ignore[arg-type]
    ledger.restore()
    return Search(ledger, world.space, budgets, world.inputs, prefer).run()


def everything(world: World) -> list[Point]:
    """The points of all combinations, measured in full and without a search."""
    ledger = Ledger(WorldMeasurer(world))
    space, inputs = world.space, world.inputs

    def full(trials: object, count: int) -> list[Record]:
        found = [ledger.measure(trial, range(count)) for trial in trials]  # type: ignore[attr-defined]
        return [record for record in found if not record.failure]

    return [
        Combination(hear, speak, idle).point()
        for hear in full(space.hear, inputs.recordings)
        for speak in full(space.speak, inputs.sentences)
        for idle in full(space.idle, 1)
    ]


figures = st.floats(1.0, 1000.0).map(lambda value: round(value, 1))
worlds = st.builds(
    World,
    recordings=st.integers(1, 30),
    sentences=st.integers(1, 3),
    latency=st.fixed_dictionaries(dict.fromkeys("abc", figures)),
    wrong=st.fixed_dictionaries({name: st.integers(0, 12) for name in "abc"}),
    memory=st.fixed_dictionaries(dict.fromkeys("abc", figures)),
    voices=st.fixed_dictionaries(dict.fromkeys("xy", figures)),
    idle=st.fixed_dictionaries({512: figures, 1024: figures}),
    broken=st.frozensets(st.sampled_from("abx"), max_size=2),
)
budget_sets = st.builds(
    Budgets,
    latency_ms=st.none() | st.floats(100, 2000),
    memory_mb=st.none() | st.floats(100, 1200),
    cpu_percent=st.none() | st.floats(0.5, 1000),
    accuracy=st.none() | st.floats(0.3, 1.0),
)


@given(worlds, budget_sets, st.sampled_from(PREFER))
@settings(max_examples=80, deadline=None)
def test_winner_keeps_the_budgets_and_is_not_dominated(world: World, budgets: Budgets, prefer: Prefer) -> None:
    found = search(world, budgets, prefer=prefer)
    possible = [point for point in everything(world) if not excess(point, budgets)]
    assert (found.winner is not None) == bool(possible)  # refused only when nothing at all would do
    if found.winner is not None:
        point = found.winner.point
        assert not excess(point, budgets)
        assert found.confirmed is not None
        assert not excess(found.confirmed, budgets)
        assert not any(dominates(other.point, point) for other in found.candidates)
        assert order(point, prefer) == min(order(each.point, prefer) for each in found.candidates if not each.exceeds)
    else:
        assert found.nearest is not None
        assert found.nearest.exceeds
        least = min(sum(each.exceeds.values()) for each in found.candidates)
        assert sum(found.nearest.exceeds.values()) == least


@given(worlds, budget_sets, st.integers(0, 200))
@settings(max_examples=80, deadline=None)
def test_a_resumed_search_ends_as_one_that_was_not_interrupted(world: World, budgets: Budgets, at: int) -> None:
    def stop(count: int) -> None:
        if count >= at:
            raise KeyboardInterrupt

    whole = WorldMeasurer(world)
    expected = search(world, budgets, measurer=whole)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.json"
        first = WorldMeasurer(world, stop)
        try:
            search(world, budgets, measurer=first, path=path)
        except KeyboardInterrupt:
            assert first.open == 0  # its process was ended
        second = WorldMeasurer(world)
        assert search(world, budgets, measurer=second, path=path) == expected
        assert len(first.asked) + len(second.asked) == len(whole.asked)
        assert not set(first.asked) & set(second.asked)  # nothing was measured twice


def test_a_race_goes_on_where_it_was(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(14)]
    world = World(
        recordings=40,
        latency={name: 100.0 + 37 * at % 90 for at, name in enumerate(names)},
        wrong={name: 5 * at % 13 for at, name in enumerate(names)},
        memory=dict.fromkeys(names, 100.0),
        beams=(1, 3),
    )
    whole = WorldMeasurer(world)
    expected = search(world, Budgets(), measurer=whole)
    for at in range(20, len(whole.asked), 35):  # in every round

        def stop(count: int, at: int = at) -> None:
            if count >= at:
                raise KeyboardInterrupt

        path = tmp_path / f"{at}.json"
        with pytest.raises(KeyboardInterrupt):
            search(world, Budgets(), measurer=WorldMeasurer(world, stop), path=path)
        assert search(world, Budgets(), path=path) == expected


def test_other_budgets_are_answered_from_what_was_measured(tmp_path: Path) -> None:
    world, path = World(), tmp_path / "state.json"
    first = search(world, Budgets(), path=path)
    again = WorldMeasurer(world)
    found = search(world, Budgets(memory_mb=1000.0), measurer=again, path=path)
    assert found.winner == first.winner
    assert again.asked == []


def test_memory_is_known_after_loading() -> None:
    world = World(beams=(1,))
    measurer = WorldMeasurer(world)
    found = search(world, Budgets(memory_mb=250.0), measurer=measurer)
    assert found.winner is not None
    assert "small" in found.winner.label
    assert not [trial for trial, _ in measurer.asked if ("asr.model", "large") in trial.settings]
    assert any("memory" in dropped.why for dropped in found.dropped)


def test_a_trial_stops_at_the_recording_that_breaks_a_budget() -> None:
    world = World(recordings=30, wrong={"small": 30, "large": 0}, beams=(1,))
    measurer = WorldMeasurer(world)
    search(world, Budgets(accuracy=0.9), measurer=measurer)
    assert sum(("asr.model", "small") in trial.settings for trial, _ in measurer.asked) == 4  # three may be wrong


def test_more_beams_than_too_slow_ones_are_not_tried() -> None:
    world = World(latency={"small": 200.0, "large": 5000.0})
    measurer = WorldMeasurer(world)
    found = search(world, Budgets(latency_ms=600.0), measurer=measurer)
    tried = {dict(trial.settings)["beams"] for trial in measurer.loads if ("asr.model", "large") in trial.settings}
    assert tried == {1}
    assert any("too slow already" in dropped.why for dropped in found.dropped)


def test_the_race_measures_less_than_everything() -> None:
    names = [f"m{number}" for number in range(20)]
    world = World(
        recordings=40,
        latency={name: 100.0 + 20 * at for at, name in enumerate(names)},
        wrong={name: at // 2 for at, name in enumerate(names)},
        memory=dict.fromkeys(names, 100.0),
    )
    measurer = WorldMeasurer(world)
    found = search(world, Budgets(), measurer=measurer)
    assert found.winner is not None
    assert "m0" in found.winner.label
    heard = [number for trial, number in measurer.asked if trial.part == "hear"]
    assert len(heard) < 0.4 * 60 * 40


def test_the_block_that_reacts_soonest_within_the_budget_is_taken() -> None:
    found = search(World(), Budgets(cpu_percent=2.5))
    assert found.winner is not None
    assert ("input.block", 1024) in found.winner.settings
    found = search(World(), Budgets())
    assert found.winner is not None
    assert ("input.block", 512) in found.winner.settings


def test_an_impossible_idle_budget_is_refused_at_once() -> None:
    measurer = WorldMeasurer(World())
    found = search(World(), Budgets(cpu_percent=0.1), measurer=measurer)
    assert found.winner is None
    assert found.nearest is not None
    assert list(found.nearest.exceeds) == ["cpu_percent"]
    assert ("input.block", 1024) in found.nearest.settings


def test_what_does_not_work_is_left_out() -> None:
    found = search(World(broken=frozenset({"small", "quick"})), Budgets())
    assert found.winner is not None
    assert "large" in found.winner.label
    assert "rich" in found.winner.label
    assert {dropped.why for dropped in found.dropped if "small" in dropped.label} == {"it is broken"}
    with pytest.raises(EngineError, match=r"no recogniser works here: .*small.*it is broken"):
        search(World(broken=frozenset({"small", "large"})), Budgets())
    with pytest.raises(EngineError, match="no voice works here"):
        search(World(broken=frozenset({"quick", "rich"})), Budgets())


def test_a_winner_that_fails_as_a_whole_makes_room_for_the_next() -> None:
    class Fat(WorldMeasurer):
        """Its large model takes more memory when everything is loaded than in parts."""

        def measure(self, trial: Trial, inputs: Sequence[int]) -> Generator[Piece, None, None]:
            for piece in super().measure(trial, inputs):
                if isinstance(piece, Outcome) and trial.part == "whole" and ("asr.model", "large") in trial.settings:
                    yield msgspec.structs.replace(piece, peak_mb=9999.0)
                else:
                    yield piece

    world = World(beams=(1,))
    found = search(world, Budgets(memory_mb=600.0), measurer=Fat(world))
    assert found.winner is not None
    assert "small" in found.winner.label
    assert found.unconfirmed
    assert all("large" in candidate.label and point.memory_mb > 600 for candidate, point in found.unconfirmed)


def test_parts_that_take_a_little_too_much_are_measured_as_a_whole() -> None:
    class Thrifty(WorldMeasurer):
        """As a whole it takes less than its parts together."""

        def measure(self, trial: Trial, inputs: Sequence[int]) -> Generator[Piece, None, None]:
            for piece in super().measure(trial, inputs):
                if trial.part == "whole" and not isinstance(piece, Failed):
                    yield msgspec.structs.replace(piece, peak_mb=1.0)
                else:
                    yield piece

    world = World(beams=(1,))
    small = min(point.memory_mb for point in everything(world))
    assert search(world, Budgets(memory_mb=small / 1.05)).winner is None  # which is so large as a whole, too
    found = search(world, Budgets(memory_mb=small / 1.05), measurer=Thrifty(world))
    assert found.winner is not None
    assert found.confirmed is not None
    assert found.confirmed.memory_mb == 1.0
    assert search(world, Budgets(memory_mb=small / 1.2), measurer=Thrifty(world)).winner is None


def test_the_time_limit_ends_it_with_what_is_there(tmp_path: Path) -> None:
    world, path = World(), tmp_path / "state.json"
    measurer = WorldMeasurer(world)
    found = search(world, Budgets(), measurer=measurer, path=path, expired=lambda: len(measurer.asked) >= 15)
    assert not found.complete
    assert found.winner is None
    assert len(measurer.asked) == 15
    assert search(world, Budgets(), path=path) == search(world, Budgets())


def test_notes_stay_with_the_figures(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    first = Ledger(WorldMeasurer(World()), path=path)
    first.note("it was hot")
    first.note("it was hot")
    again = Ledger(WorldMeasurer(World()), path=path)
    again.restore()
    assert again.notes == ["it was hot"]
    assert again.measured == 0


def test_state_of_other_conditions_is_refused(tmp_path: Path) -> None:
    world, path = World(), tmp_path / "state.json"
    search(world, Budgets(), path=path, key={"machine": "a board", "onnxruntime": "1.20"})
    with pytest.raises(ConfigError, match=r"onnxruntime is '1.21' and was '1.20'"):
        search(world, Budgets(), path=path, key={"machine": "a board", "onnxruntime": "1.21"})
    for content in (b"{", b"\xff", b'{"format": 9, "key": {}, "records": []}'):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="fresh"):
            search(world, Budgets(), path=path)


def test_a_state_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        search(World(), Budgets(), path=tmp_path / "no" / "state.json")


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=12))
def test_front_and_layers(raw: list[tuple[int, int, int]]) -> None:
    points = [
        Point(latency_ms=float(a), memory_mb=float(b), cpu_percent=float(c), accuracy=None, wer=None) for a, b, c in raw
    ]
    best = front(points, lambda each: each)
    assert not any(dominates(one, other) for one in best for other in best)
    assert all(any(each == one or dominates(one, each) for one in best) for each in points)
    found = layers(points)
    for point, layer in zip(points, found, strict=True):
        above = [other for other, number in zip(points, found, strict=True) if dominates(other, point)]
        assert (layer == 0) == (not above)
    for prefer in PREFER:
        assert all(
            order(one, prefer) < order(other, prefer) for one in points for other in points if dominates(one, other)
        )


def test_percentile_is_kept_by_exactly_nineteen_of_twenty() -> None:
    assert percentile([]) is None
    assert percentile([*[1.0] * 19, 9.0]) == 1.0
    assert percentile([*[1.0] * 18, 9.0, 9.0]) == 9.0
    assert percentile([3.0]) == 3.0


def test_rounds_end_with_everything() -> None:
    assert rounds(3) == [3]
    assert rounds(4) == [4]
    assert rounds(50) == [4, 12, 36, 50]
