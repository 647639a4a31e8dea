"""Audio to tokens: how much context the encoder sees, greedy decoding, loops, and what is no speech.

Whisper was trained on windows of 30 s. Encoding only the audio's own length costs a fraction, but free decoding then
sometimes repeats itself without end. Therefore the first attempt sees the audio and a little silence, and only when its
text loops, or its tokens are more than anybody can say in that time, a second attempt sees the full 30 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.engines.asr.whisper_mel import HOP, log_mel
from edgevoice.engines.asr.whisper_net import Decoding, WhisperNet
from edgevoice.engines.asr.whisper_tokens import Tokens

_NEVER = np.float32(-np.inf)
_TOKENS_BASE = 16
_TOKENS_PER_SECOND = 10
"""Fast speech has about 5 tokens in a second; a text of twice as many is not what was said."""


@dataclass(frozen=True, slots=True)
class Decoded:
    tokens: Sequence[int]
    """Text tokens, without the end."""
    log_probability: float
    """Mean over the tokens that were chosen, the end included; 0 when none was."""
    no_speech: float
    """Probability that the audio holds no speech, by the model's own token for it."""
    looped: bool
    """The text repeated itself, or would not end, and was cut where the repetition begins."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be written."""

    prefix: Sequence[int]
    suppress: Sequence[int]
    suppress_first: Sequence[int]
    end: int
    no_speech: int
    limit: int
    """Text tokens at most."""


def rules(tokens: Tokens, language: str | None, suppress: bool, limit: int) -> Rules:
    symbols = tokens.suppress if suppress else ()
    return Rules(tokens.prefix(language), symbols, tokens.suppress_first, tokens.end, tokens.no_speech, limit)


def decode(net: WhisperNet, rule: Rules, samples: Float32, *, padding: float, forced: Sequence[int] = ()) -> Decoded:
    """The text of at most 30 s of audio.

    Args:
        samples: 16 kHz, in [-1, 1).
        padding: seconds of silence after the audio in the first attempt; with 30 or more it is the only one.
        forced: tokens the text begins with.
    """
    longest = net.audio_positions * 2 * HOP
    samples = samples[:longest]
    length = min(len(samples) + int(padding * RATE), longest)
    first = _attempt(net, rule, samples, length, forced)
    if not first.looped or length == longest:
        return first
    return _attempt(net, rule, samples, longest, forced)


def _attempt(net: WhisperNet, rule: Rules, samples: Float32, length: int, forced: Sequence[int]) -> Decoded:
    length -= length % (2 * HOP)
    heard = np.zeros(length, np.float32)
    heard[: len(samples)] = samples[:length]
    decoding = net.open(net.encode(log_mel(heard, net.mels)))
    limit = min(rule.limit, int(_TOKENS_BASE + _TOKENS_PER_SECOND * len(samples) / RATE))
    return _greedy(decoding, rule, min(limit, net.text_positions - len(rule.prefix) - 1), forced)


def _greedy(decoding: Decoding, rule: Rules, limit: int, forced: Sequence[int]) -> Decoded:
    silence = decoding.step(rule.prefix[:1])
    no_speech = float(np.exp(silence[rule.no_speech] - _log_sum(silence)))
    logits = decoding.step([*rule.prefix[1:], *forced])
    mask = np.zeros(rule.end + 1, np.float32)
    mask[list(rule.suppress)] = _NEVER
    tokens = list(forced)
    total, chosen = 0.0, 0
    while True:
        # Nothing behind the end token is text: languages, tasks, timestamps, and rows that only pad the matrix.
        scores = logits[: rule.end + 1] + mask
        if not tokens:
            scores[list(rule.suppress_first)] = _NEVER
        best = int(scores.argmax())
        total += float(scores[best] - _log_sum(scores))
        chosen += 1
        if best == rule.end:
            return Decoded(tokens, total / chosen, no_speech, False)
        tokens.append(best)
        repeated = repetition(tokens)
        if repeated or len(tokens) >= limit:
            return Decoded(tokens[: len(tokens) - repeated], total / chosen, no_speech, True)
        logits = decoding.step([best])


def _log_sum(logits: Float32) -> float:
    """Logarithm of the sum of exponentials."""
    highest = logits.max()
    return float(highest + np.log(np.exp(logits - highest).sum()))


def repetition(tokens: Sequence[int]) -> int:
    """How many tokens at the end only repeat the ones before them, when that is no way to speak; else 0.

    A run of ``period`` tokens must stand there several times in a row: people do say "no, no, no", but hardly the same
    eight words three times.
    """
    count = len(tokens)
    for period in range(1, count // 2 + 1):
        times = max(_SMALLEST_TIMES, -(-_SMALLEST_SPAN // period))
        if period * times > count:
            continue
        if all(tokens[-at] == tokens[-at - period] for at in range(1, period * (times - 1) + 1)):
            return period * (times - 1)
    return 0


_SMALLEST_TIMES = 3
_SMALLEST_SPAN = 10
"""Tokens that a repetition covers at least."""
