"""Training a wake word: tiny amounts, with voices that make tones."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edgevoice.audio.pcm import RATE, Audio, Float32
from edgevoice.engines.wake import wordfile
from edgevoice.engines.wake.embedding import Front
from edgevoice.errors import AudioError, ConfigError, OutputError, TextError
from edgevoice.modelstore import ModelStore
from edgevoice.waketrain import material, network, phrase, recordings, tflite, voices
from edgevoice.waketrain.curve import curve, peaks, share, shortcomings
from edgevoice.waketrain.material import KINDS, Amounts, Task, Workshop
from edgevoice.waketrain.near import confusable, edits, near
from edgevoice.waketrain.train import train
from edgevoice.waketrain.voices import Voice
from edgevoice.waketrain.work import Work, tidy

TINY = Amounts(phrase=27, talk=3, near=3, words=3, noise=1)
SMALL = Amounts(phrase=3, talk=3, near=3, words=3, noise=1)
LEXICON = {"table": "tAbl", "mingle": "mINgl", "banjo": "banjo", "bongo": "bANgo", "window": "wIndo"}


def tones(text: str, draw: np.random.Generator) -> Float32:
    """Every letter a tone of its own."""
    times = np.arange(RATE // 20) / RATE
    pitch = draw.uniform(0.9, 1.1)
    parts = [np.sin(2 * np.pi * pitch * (200 + 60 * (ord(letter) % 32)) * times) for letter in text if letter.isalpha()]
    return np.concatenate(parts).astype(np.float32)


_hoarse = [np.random.default_rng(0)]


def hoarse(text: str, draw: np.random.Generator) -> Float32:
    """As a voice that leaves something to a chance of its own."""
    said = tones(text, draw)
    return said + np.float32(0.05) * _hoarse[0].normal(size=len(said)).astype(np.float32)


def begin(seed: int) -> None:
    _hoarse[0] = np.random.default_rng(seed)


VOICES = [Voice("tones", 1.0, hoarse, begin)]


class Bar:
    """A progress that stops the work after so many pieces."""

    def __init__(self, stop: int | None = None) -> None:
        self._left = stop

    def step(self, text: str) -> None:
        pass

    def advance(self, done: int, total: int, text: str = "") -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt


@pytest.fixture(scope="module", autouse=True)
def few_words() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(material, "lexicon", lambda: LEXICON)
        yield


@pytest.fixture(scope="module")
def front(store: ModelStore) -> Front:
    return Front(store.path("openwakeword-features"))


@pytest.fixture(scope="module")
def whole(front: Front, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word that was trained without a stop."""
    output = tmp_path_factory.mktemp("whole") / "bingo.tflite"
    train(Task(("bingo",), 3, TINY), VOICES, front, output, Bar(), cache=output.with_name("cache"))
    return output


def test_a_word_is_a_file_that_the_engine_reads(whole: Path, front: Front) -> None:
    word = wordfile.read(whole)
    card = json.loads(whole.with_suffix(".json").read_text())
    assert (word.info.name, word.info.phrase, word.info.patience) == ("bingo", "bingo", card["patience"])
    assert word.info.threshold == card["thresholds"]["0.5"]
    assert {"100", "10", "5", "1", "0.5", "0.1"} == set(card["thresholds"]) == set(card["missed"])
    assert "too few" in card["warnings"][0]
    assert word.info.loose == card["thresholds"]["100"]
    assert card["recipe"]["voices"] == ["tones"] and card["seed"] == 3 and card["versions"]["edgevoice"]
    assert 0 <= word.score(front.before) <= 1


def pieces(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.npz"))


def test_stopped_and_gone_on_gives_the_same_bytes(whole: Path, front: Front, tmp_path: Path) -> None:
    output, cache = tmp_path / "bingo.tflite", tmp_path / "cache"
    task = Task(("bingo",), 3, TINY)
    for stop in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            train(task, VOICES, front, output, Bar(stop), cache=cache)
        assert not output.exists()
    kept = pieces(cache)
    assert len(kept) > 2
    kept[0].write_bytes(kept[0].read_bytes()[:100])  # as after a power cut without a sync
    train(task, VOICES, front, output, Bar(), cache=cache)
    assert output.read_bytes() == whole.read_bytes()
    assert output.with_suffix(".json").read_bytes() == whole.with_suffix(".json").read_bytes()


def test_voices_repeat_themselves_in_every_piece(store: ModelStore) -> None:
    for voice in voices.at_hand(store):
        said = []
        for _ in range(2):
            voice.begin(5)
            said.append(voice.speak("hello", np.random.default_rng(1)))
            voice.speak("and more", np.random.default_rng(2))
        assert np.array_equal(said[0], said[1]), voice.name


def test_another_seed_gives_another_word_and_takes_no_piece_of_the_first(
    whole: Path, front: Front, tmp_path: Path
) -> None:
    output, cache = tmp_path / "bingo.tflite", tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        train(Task(("bingo",), 3, TINY), VOICES, front, output, Bar(3), cache=cache)
    train(Task(("bingo",), 4, TINY), VOICES, front, output, Bar(), cache=cache)
    assert output.read_bytes() != whole.read_bytes()


def test_another_word_takes_what_is_the_same_for_all(front: Front, tmp_path: Path) -> None:
    cache = tmp_path / "shared"
    train(Task(("bingo",), 3, SMALL), VOICES, front, tmp_path / "bingo.tflite", Bar(), cache=cache)
    before = {path: path.stat().st_mtime_ns for path in pieces(cache)}
    train(Task(("bongo",), 3, SMALL), VOICES, front, tmp_path / "bongo.tflite", Bar(), cache=cache)
    more = [path for path in pieces(cache) if path not in before]
    assert {path.name.split("-")[0] for path in more} == {"phrase", "near"}
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    train(Task(("bongo",), 3, SMALL), VOICES, front, tmp_path / "alone.tflite", Bar(), cache=tmp_path / "own")
    assert (tmp_path / "alone.tflite").read_bytes() == (tmp_path / "bongo.tflite").read_bytes()


def test_recordings_without_the_phrase_do_not_hold_it(front: Front, tmp_path: Path) -> None:
    """Words of chance may be the phrase, or hold it."""
    amounts = Amounts(phrase=1, talk=12, near=1, words=12, noise=1)

    def made(words: tuple[str, ...], kind: str) -> dict[str, Any]:
        with Work(tmp_path, {"words": words}) as work:
            shop = Workshop(Task(words, 3, amounts), VOICES, front, dict.fromkeys(KINDS, work))
            return {each: shop.do(each, number) for each, number in shop.plan()}[kind]

    for kind in ("words", "speech"):
        everything, rest = made(("zebra",), kind), made(("bongo",), kind)
        texts = made(("bongo",), "talk" if kind == "speech" else "words")["texts"]
        held = {number for number, text in enumerate(texts) if "bongo" in text}
        assert held and set(everything["item"]) - set(rest["item"]) == held


def test_own_recordings_count_and_nothing_of_them_is_kept(front: Front, tmp_path: Path) -> None:
    said, cache = tones("bingo", np.random.default_rng(0)), tmp_path / "cache"
    train(Task(("bingo",), 3, SMALL), VOICES, front, tmp_path / "without.tflite", Bar(), cache=cache)
    task = Task(("bingo",), 3, SMALL, own=(said,), against=(said,))
    train(task, VOICES, front, tmp_path / "bingo.tflite", Bar(), cache=cache)
    assert (tmp_path / "bingo.tflite").read_bytes() != (tmp_path / "without.tflite").read_bytes()
    assert json.loads((tmp_path / "bingo.json").read_text())["recipe"]["own"]
    assert not [path for path in pieces(tmp_path / "cache") if path.name.startswith(("own", "against"))]


def test_several_trainings_share_a_folder(tmp_path: Path) -> None:
    """The first to end throws nothing away that another uses; the last does."""
    first, second = Work(tmp_path, {}), Work(tmp_path, {})
    other = Work(tmp_path, {"name": "other"})

    def meanwhile() -> dict[str, Any]:
        second.piece("own-0000", lambda: {"rows": np.zeros(3)})
        second.remove()
        return {"rows": np.ones(3)}

    assert first.piece("own-0000", meanwhile)["rows"].sum() == 3
    assert len(pieces(tmp_path)) == 1
    (folder,) = {path.parent for path in pieces(tmp_path)}
    os.utime(folder, (0, 0))
    tidy(tmp_path)
    assert folder.exists()
    first.remove()
    assert not folder.exists()
    other.close()


def test_many_may_write_the_same_piece(tmp_path: Path) -> None:
    """Each of them gets it, and it is whole."""
    works = [Work(tmp_path, {}) for _ in range(8)]
    together = threading.Barrier(len(works))

    def make() -> dict[str, Any]:
        together.wait(10)
        return {"rows": np.ones(100_000)}

    with ThreadPoolExecutor(len(works)) as threads:
        made = list(threads.map(lambda work: work.piece("phrase-0000", make)["rows"].sum(), works))
    assert made == [100_000] * len(works)
    assert works[0].piece("phrase-0000", lambda: {})["rows"].sum() == 100_000
    assert [path.name for path in pieces(tmp_path)] == ["phrase-0000.npz"]
    assert not list(tmp_path.rglob("*.part"))
    for work in works:
        work.close()


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    with Work(tmp_path / "cache", {}) as work:
        work.piece("talk-0000", lambda: {"rows": np.ones(3)})
        shutil.rmtree(tmp_path / "cache")
        work.piece("talk-0001", lambda: {"rows": np.ones(3)})
    assert len(pieces(tmp_path)) == 1


def test_pieces_that_nobody_uses_are_thrown_away(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with Work(tmp_path, {"name": name}) as work:
            work.piece("talk-0000", lambda: {"texts": np.array(["a"])})
    old, new = sorted(tmp_path.iterdir())
    os.utime(old, (0, 0))
    tidy(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_a_work_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="it cannot be used"):
        Work(tmp_path / "file" / "work", {})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" ,. ", "empty"),
        ("привет компьютер", "English letters alone"),
        ("hello 42", "English letters alone"),
        (" ".join(["word"] * 60), "60 words"),
        ("supercalifragilisticexpialidocious", "takes longer to say"),
        ("hey xqzt", "no vowel"),
    ],
)
def test_what_can_be_no_wake_word(text: str, why: str) -> None:
    with pytest.raises(TextError, match=why):
        phrase.parse(text)


def test_doubtful_phrases_are_warned_about() -> None:
    assert phrase.parse("Hey, Computer!") == ["hey", "computer"]
    assert phrase.doubts(["hey", "computer"]) == []
    assert "is short" in phrase.doubts(["ok"])[0]
    assert any("said all the time" in each for each in phrase.doubts(["right", "now", "please"]))


_SOUNDS = {
    "computer": "kəmpjuTəɹ",
    "table": "tAbəl",
    "competitor": "kəmpɛTəTəɹ",
    "compute": "kəmpjut",
    "biocomputer": "bIəkəmpjuTəɹ",
}


def test_near_words_are_near_and_never_the_phrase() -> None:
    found = near("computer", _SOUNDS)
    assert not {"computer", "biocomputer", "table"} & set(found) and "competitor" in found
    assert "competitor" in near("komputer", _SOUNDS)  # in no lexicon: by rule
    assert edits("abcd", "abxd") == 1
    draw = np.random.default_rng(0)
    made = {confusable(("view", "glass"), (["few"], ["class"]), draw) for _ in range(200)}
    assert "view glass" not in made and {"few glass", "view class", "few class", "view"} <= made


def write(path: Path, samples: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="PCM_16")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    said = tones("computer", np.random.default_rng(0)) * 0.3
    write(tmp_path / "own" / "good.wav", said)
    write(tmp_path / "own" / "silent.wav", np.zeros(RATE))
    write(tmp_path / "own" / "clipped.wav", np.clip(said * 30, -1, 1))
    write(tmp_path / "own" / "long.wav", np.resize(said, 5 * RATE))
    write(tmp_path / "own" / "other.wav", np.concatenate([said, said]))
    (tmp_path / "own" / "broken.wav").write_bytes(b"RIFFnothing")
    yield tmp_path / "own"


def test_bad_recordings_are_told_apart(folder: Path) -> None:
    def recognise(audio: Audio) -> str:
        return " Banana split." if audio.seconds > 1.1 else "Computer?"

    good, wrong = recordings.positives(folder, ["computer"], recognise)
    assert len(good) == 1
    named = {Path(each.split(":")[0]).name: each for each in wrong}
    assert set(named) == {"silent.wav", "clipped.wav", "long.wav", "other.wav", "broken.wav"}
    assert "silent" in named["silent.wav"] and "clipped" in named["clipped.wav"]
    assert "5.0 s of sound" in named["long.wav"] and "sounds like 'Banana split.'" in named["other.wav"]


def test_broken_negatives_are_left_out(folder: Path) -> None:
    good, wrong = recordings.negatives(folder)
    assert len(good) == 5 and len(wrong) == 1 and "broken.wav" in wrong[0]
    for path in folder.glob("*"):
        if path.name != "broken.wav":
            path.unlink()
    with pytest.raises(AudioError, match=r"broken\.wav"):
        recordings.negatives(folder)


def test_folders_without_recordings_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        recordings.negatives(tmp_path / "none")
    with pytest.raises(ConfigError, match="no recording in it"):
        recordings.negatives(tmp_path)


def test_the_file_gives_what_the_network_gives(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(3, 2, (600, 96)).astype(np.float32)
    last = np.arange(15, 600)
    wanted = (rows[last, 0] > 3).astype(np.float32)
    made = network.fit(rows, last, wanted, np.ones_like(wanted), epochs=40, seed=1)
    logits = made(np.stack([rows[at - 15 : at + 1].reshape(-1) for at in last]))
    assert ((logits > 0) == (wanted > 0)).mean() > 0.9
    (tmp_path / "word.tflite").write_bytes(tflite.dense(made.weights, made.biases))
    score = wordfile.read(tmp_path / "word.tflite").score
    for at in (20, 100, 300):
        assert score(rows[at - 15 : at + 1]) == pytest.approx(share(float(logits[at - 15])), abs=1e-4)


def test_the_mean_of_networks_is_one() -> None:
    draw = np.random.default_rng(0)

    def some() -> network.Network:
        sizes = ((1536, 8), (8, 4), (4, 1))
        weights, biases = ([draw.normal(size=each).astype(np.float32) for each in of] for of in (sizes, (8, 4, 1)))
        return network.Network(tuple(weights), tuple(biases))

    several, windows = [some() for _ in range(3)], draw.normal(size=(20, 1536)).astype(np.float32)
    wanted = np.mean([each(windows) for each in several], axis=0)
    assert network.mean(several)(windows) == pytest.approx(wanted, rel=1e-3, abs=1e-2)


def test_a_false_alarm_counts_once() -> None:
    logits = np.full(100, -5, np.float32)
    logits[[20, 21, 22, 60]] = [1, 3, 2, 4]
    assert peaks(logits)[:2] == [4, 3] and peaks(logits)[2] == -5


def test_thresholds_rise_as_fewer_false_alarms_are_allowed() -> None:
    draw = np.random.default_rng(0)
    points, thresholds, missed = curve(draw.normal(6, 2, 200).tolist(), draw.normal(-3, 2, 500).tolist(), 45_000)
    found = [thresholds[rate] for rate in ("100", "10", "5", "1", "0.5", "0.1")]
    assert found == sorted(found) and found[0] < found[-1]
    assert [missed[rate] for rate in ("100", "10", "5", "1", "0.5", "0.1")] == sorted(missed.values())
    assert missed["0.1"] > missed["100"]
    rates = [point.false_alarms_per_hour for point in points]
    assert rates == sorted(rates, reverse=True)


def test_what_is_wrong_with_a_word_is_told() -> None:
    good = {"100": 0.07, "10": 0.2, "5": 0.3, "1": 0.5, "0.5": 0.6, "0.1": 0.9}
    bad = good | {"100": 0.6, "0.5": 1.0}
    assert shortcomings(good, 900) == []
    assert "24 recordings of the phrase, too few" in shortcomings(good, 24)[0]
    assert all(each.endswith("train it without --minutes, or with more of them") for each in shortcomings(bad, 24))
    (told,) = shortcomings(bad, 900)
    assert "60 % of it is missed even at 100 false alarms per hour" in told and "--positives" in told
    (told,) = shortcomings(good | {"0.5": 0.97}, 900)
    assert "97 % of it is missed where the score alone decides" in told and "recogniser" in told
