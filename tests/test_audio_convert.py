import itertools

import numpy as np
import pytest

from edgevoice.audio.convert import SILENCE_DBFS, Converter, dbfs, measure, resample, to_int16
from edgevoice.audio.pcm import Int16


def sine(hertz: float, rate: int, seconds: float, amplitude: float = 0.5) -> Int16:
    time = np.arange(round(rate * seconds)) / rate
    return np.round(np.sin(2 * np.pi * hertz * time) * amplitude * 32767).astype(np.int16)


def pitch(samples: Int16, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate / len(samples))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_arrives_with_its_pitch_and_length(rate: int) -> None:
    result = resample(sine(1000, rate, 1.0), rate, 16_000)
    assert abs(len(result) - 16_000) <= 1
    assert pitch(result, 16_000) == pytest.approx(1000, abs=1)
    assert measure(result).peak == pytest.approx(dbfs(0.5), abs=0.3)


def test_what_does_not_fit_into_the_target_rate_does_not_fold_back() -> None:
    result = resample(sine(11_000, 48_000, 1.0), 48_000, 16_000)
    assert measure(result[1_000:-1_000]).rms < -80


def test_pieces_of_any_length_give_the_same_samples_as_the_whole() -> None:
    samples = sine(440, 44_100, 0.5)
    whole = resample(samples, 44_100, 16_000)
    converter = Converter(44_100)
    cuts = [0, 1, 400, 401, 5_000, 13_131, len(samples)]
    pieces = [converter.push(samples[a:b]) for a, b in itertools.pairwise(cuts)]
    assert np.array_equal(np.concatenate([*pieces, converter.finish()]), whole)


def test_a_finished_or_reset_converter_begins_a_new_stream() -> None:
    samples = sine(440, 48_000, 0.1)
    converter = Converter(48_000)
    first = np.concatenate([converter.push(samples), converter.finish()])
    converter.push(samples[:777])
    converter.reset()
    assert np.array_equal(np.concatenate([converter.push(samples), converter.finish()]), first)


def test_digital_silence_stays_silent() -> None:
    assert not resample(np.zeros(4_410, np.int16), 44_100, 16_000).any()


def test_a_channel_is_picked_and_all_are_mixed() -> None:
    frames = np.array([[100, 300], [-200, 400], [32767, 32767], [-32768, -32768]], np.int16)
    assert Converter(16_000, 2, 0).push(frames).tolist() == [100, -200, 32767, -32768]
    assert Converter(16_000, 2, 1).push(frames.reshape(-1)).tolist() == [300, 400, 32767, -32768]
    assert Converter(16_000, 2, "mix").push(frames).tolist() == [200, 100, 32767, -32768]


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="channel"):
        Converter(16_000, 2, 2)


def test_every_int16_survives_the_way_through_float() -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_int16(samples.astype(np.float32) / np.float32(32768)), samples)


def test_too_loud_is_clipped_and_does_not_wrap() -> None:
    assert to_int16(np.array([1.5, -1.5, 1.0], np.float32)).tolist() == [32767, -32768, 32767]


def test_levels() -> None:
    level = measure(sine(1000, 16_000, 1.0, amplitude=0.1) + np.int16(3277))
    assert level.rms == pytest.approx(-23.0, abs=0.1)
    assert level.offset == pytest.approx(0.1, abs=0.001)
    assert level.peak == pytest.approx(dbfs(0.2), abs=0.1)
    assert not level.clipped
    assert not level.silent
    assert measure(np.array([0, 32767, -32768], np.int16)).clipped == 2
    assert measure(np.zeros(10, np.int16)).silent
    assert measure(np.zeros(0, np.int16)).rms == SILENCE_DBFS
