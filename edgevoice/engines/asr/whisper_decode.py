"""Audio to tokens: how much context the encoder sees, greedy decoding, loops, and what is no speech.

Whisper was trained on windows of 30 s. Encoding little more than the audio itself costs a fraction, but free decoding
then sometimes writes everything twice or repeats itself without end. Therefore the first attempt sees a short context,
and only when its text repeats, or has more tokens than anybody can say in that time, a second one sees some seconds
more, and only when that is no better a third one the full 30 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.engines.asr.whisper_mel import HOP, log_mel
from edgevoice.engines.asr.whisper_net import Decoding, WhisperNet
from edgevoice.engines.asr.whisper_tokens import Tokens

_NEVER = np.float32(-np.inf)
MORE_CONTEXT = 4.0
"""What the second attempt sees more. Of 204 real clips of one or two words, tiny.en at 12 s leaves 22 suspect, 16 s
then 5, which need the full 30 s; with that step between, the slowest twentieth takes 0.24 instead of 0.42 s (one x86
core) and the texts are no worse. To begin at 10 or 8 s gains nothing: 34 or 70 clips are decoded again."""
_TOKENS_BASE = 16
_TOKENS_PER_SECOND = 10
"""Fast speech has about 5 tokens in a second; a text of twice as many is not what was said."""
_LOOP_TIMES = 3
_LOOP_SPAN = 10
"""Tokens that a loop covers at least."""
_TWICE_SPAN = 4
"""Tokens that stand there twice at least, for a text to be suspect: people repeat shorter runs on purpose."""


@dataclass(frozen=True, slots=True)
class Decoded:
    tokens: Sequence[int]
    """Text tokens, without the end."""
    log_probability: float
    """Mean over the tokens that were chosen, the end included; 0 when none was."""
    no_speech: float
    """Probability that the audio holds no speech, by the model's own token for it."""
    suspect: bool
    """The text repeated itself (three times and more are cut off), or would not end."""


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


def decode(
    net: WhisperNet, rule: Rules, samples: Float32, *, context: float, forced: Sequence[int] = (), retry: bool = True
) -> Decoded:
    """The text of at most 30 s of audio.

    Args:
        samples: 16 kHz, in [-1, 1).
        context: seconds of audio and silence that the first attempt sees; it always sees all audio.
        forced: tokens the text begins with.
        retry: whether a suspect text is tried again with more context.
    """
    longest = net.audio_positions * 2 * HOP
    samples = samples[:longest]
    length = min(max(len(samples), int(context * RATE)), longest)
    result = _attempt(net, rule, samples, length, forced)
    for more in (min(length + int(MORE_CONTEXT * RATE), longest), longest):
        if result.suspect and retry and more > length:
            length = more
            result = _attempt(net, rule, samples, length, forced)
    return result


def _attempt(net: WhisperNet, rule: Rules, samples: Float32, length: int, forced: Sequence[int]) -> Decoded:
    length -= length % (2 * HOP)  # the graph wants an even number of frames
    heard = np.zeros(length, np.float32)
    heard[: len(samples)] = samples[:length]
    decoding = net.open(net.encode(log_mel(heard, net.mels)))
    limit = min(rule.limit, token_limit(len(samples)))
    return _greedy(decoding, rule, min(limit, net.text_positions - len(rule.prefix) - 1), forced)


def token_limit(length: int) -> int:
    """The most tokens that a text of so many samples can have."""
    return int(_TOKENS_BASE + _TOKENS_PER_SECOND * length / RATE)


def _greedy(decoding: Decoding, rule: Rules, limit: int, forced: Sequence[int]) -> Decoded:
    silence = decoding.step(rule.prefix[:1])
    no_speech = float(np.exp(silence[rule.no_speech] - log_sum(silence)))
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
        total += float(scores[best] - log_sum(scores))
        chosen += 1
        if best == rule.end:
            return Decoded(tokens, total / chosen, no_speech, said_twice(tokens))
        tokens.append(best)
        repeated = repetition(tokens)
        if repeated or len(tokens) >= limit:
            return Decoded(tokens[: max(len(tokens) - repeated, len(forced))], total / chosen, no_speech, True)
        logits = decoding.step([best])


def log_sum(logits: Float32) -> float:
    """Logarithm of the sum of exponentials."""
    highest = logits.max()
    return float(highest + np.log(np.exp(logits - highest).sum()))


def repetition(tokens: Sequence[int]) -> int:
    """How many tokens at the end only repeat the ones before them, when that is no way to speak; else 0.

    A run of tokens must stand there several times in a row: people do say "no, no, no", but hardly the same eight
    words three times.
    """
    for period in range(1, len(tokens) // _LOOP_TIMES + 1):
        times = max(_LOOP_TIMES, -(-_LOOP_SPAN // period))
        repeated = period * (times - 1)
        if repeated + period <= len(tokens) and tokens[-repeated:] == tokens[-repeated - period : -period]:
            return repeated
    return 0


def said_twice(tokens: Sequence[int]) -> bool:
    """Whether the text ends with the same run of tokens twice, or is nothing but that.

    One other token, a full stop or a comma, may stand after each of the two. With little silence after the audio,
    Whisper likes to write a short command or a last sentence twice.
    """
    for end in (len(tokens), len(tokens) - 1):
        for mark in (0, 1):
            for period in range(1, (end - mark) // 2 + 1):
                first, second = end - 2 * period - mark, end - period
                if (first == 0 or period >= _TWICE_SPAN) and tokens[first : first + period] == tokens[second:end]:
                    return True
    return False
