"""Logits of few tokens, against those of all."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.audio.pcm import Float32
from edgevoice.engines.asr import whisper_shortlist
from edgevoice.engines.asr.whisper_mel import log_mel
from edgevoice.engines.asr.whisper_net import WhisperNet
from edgevoice.engines.asr.whisper_shortlist import Shortlist
from edgevoice.modelstore import ModelStore

END = 50_256
PROMPT = [50_257, 50_362, 314, 765]


def rows(tokens: NDArray[np.int64]) -> Float32:
    return tokens[:, None].astype(np.float32)


@pytest.fixture(scope="module")
def net(store: ModelStore) -> WhisperNet:
    return WhisperNet(store.path("whisper-tiny.en-int8"), 1)


def test_they_are_those_of_the_whole_matrix(net: WhisperNet) -> None:
    listed = Shortlist(net.rows, [40_000], [], END)
    listed.include(np.array([6891, 50_000, 11]))
    sound = np.random.default_rng(1).standard_normal(32_000).astype(np.float32) * 0.1
    cross = net.encode(log_mel(sound, net.mels))
    few, all_ = net.open(cross), net.open(cross)

    np.testing.assert_array_equal(few.begin(PROMPT, [0, -1]), all_.begin(PROMPT, [0, -1]))
    for each in (few, all_):
        each.share()
    short = few.step_beams([11, 257], [0, 0], listed)
    full = all_.step_beams([11, 257], [0, 0])
    assert short.shape == (2, len(listed.tokens))
    # The full product rounds what goes into it to 8 bits.
    np.testing.assert_allclose(short, full[:, listed.tokens], atol=0.3)
    assert np.corrcoef(short[1], full[1, listed.tokens])[0, 1] > 0.999

    rows = all_.again([11, 6891, 257])
    after = net.open(cross)
    after.begin(PROMPT, [-1])
    assert rows.shape == (3, full.shape[1])
    np.testing.assert_allclose(rows[2], after.begin([11, 6891, 257], [-1])[0], atol=0.3)


def test_what_is_missing_is_added_once(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Shortlist(rows, [40_000], [7, 40_001], END)
    assert {0, 2047, 40_000, END} <= set(listed.tokens.tolist())
    assert listed.view.place[40_001] == -1
    size = len(listed.tokens)
    listed.include(np.array([40_001, 12, 30_000, 40_001]))
    listed.include(np.array([30_000]))
    assert len(listed.tokens) == size + 2
    for token in (7, 12, 30_000, 40_000, 40_001, END):
        place = listed.view.place[token]
        assert listed.tokens[place] == token
        assert listed.weights[place] == token
    assert len(listed.view.mask) == size  # what is added never counts by itself
    assert [float(listed.view.mask[listed.view.place[token]]) for token in (7, 12, 40_000)] == [-np.inf, 0, 0]


def test_it_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper_shortlist, "_MOST", 2100)
    listed = Shortlist(rows, [], [], END)
    listed.include(np.arange(10_000, 10_040))
    listed.include(np.array([10_001, *range(20_000, 20_040)]))
    assert listed.view.place[10_002] == -1
    assert (listed.view.place[[10_001, 20_000, 20_039, 0, END]] >= 0).all()
    assert len(listed.tokens) == 2048 + 1 + 41
