"""Reading a command out of audio: Whisper held to the sentences of a grammar.

Encoder, prompt and beam search, then the sums over all spellings of a sentence, and how far the result is to be
believed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgevoice.audio.pcm import RATE, Float32
from edgevoice.automaton import Automaton
from edgevoice.engines.asr import vocabulary
from edgevoice.engines.asr.token_automaton import Speller, TokenAutomaton
from edgevoice.engines.asr.whisper_beam import Found, Scored, search
from edgevoice.engines.asr.whisper_confidence import confidence, sound
from edgevoice.engines.asr.whisper_decode import MORE_CONTEXT, Rules, said_twice, token_limit
from edgevoice.engines.asr.whisper_mel import HOP, log_mel
from edgevoice.engines.asr.whisper_net import WhisperNet
from edgevoice.engines.asr.whisper_tokens import Tokens
from edgevoice.engines.protocols import Ending, Reading

_PROMPT = 100
"""Tokens of the prompt at most: more of them cost time at every command and help no further."""

_NEGLIGIBLE = 1e-4
"""Readings less likely than this are left out."""


@dataclass(frozen=True, slots=True)
class Read:
    readings: Sequence[Reading]
    confidence: float
    """Probability that the audio holds a sentence of the grammar at all, 0..1."""
    ending: Ending | None


class GrammarReader:
    """Reads commands. Keeps what it made for the grammar of the last time, so the first reading costs most.

    Args:
        width: beams.
        prompt: whether Whisper is told the grammar's phrases.
    """

    def __init__(self, net: WhisperNet, tokens: Tokens, rules: Rules, *, width: int, prompt: bool) -> None:
        self._net = net
        self._tokens = tokens
        self._rules = rules
        self._width = width
        self._with_prompt = prompt
        self._speller = Speller(tokens, rules.suppress)
        self._automaton: Automaton | None = None
        self._opening: Sequence[int] = ()
        """What stands before the place where Whisper says whether there is speech."""

    def prepare(self, automaton: Automaton) -> TokenAutomaton:
        """Spell a grammar's first words, and choose its prompt."""
        if automaton is not self._automaton:
            self._follower = TokenAutomaton(automaton, self._speller)
            self._follower.allowed(self._follower.start)
            prompt = self._prompt(automaton) if self._with_prompt else []
            self._opening = [*prompt, *self._rules.prefix[:1]]
            self._automaton = automaton
        return self._follower

    def _prompt(self, automaton: Automaton) -> Sequence[int]:
        prompt = [self._tokens.previous]
        for phrase in vocabulary.phrases(automaton):
            more = self._tokens.encode(f", {phrase}" if len(prompt) > 1 else f" {phrase}")
            if len(prompt) + len(more) > _PROMPT:
                break
            prompt += more
        return prompt if len(prompt) > 1 else []

    def read(self, samples: Float32, automaton: Automaton, *, context: float) -> Read:
        """The sentence of the grammar that the audio holds.

        Args:
            samples: at most 30 s.
            context: seconds of audio and silence that Whisper sees; it always sees all audio.
        """
        found, no_speech = self.search(samples, automaton, context=context)
        if not found.texts:
            return Read((), 0.0, "unfinished" if found.unfinished > -math.inf else None)
        readings = _readings(found.texts, self._follower)
        words = len(readings[0].text.split())
        sure = confidence(found.texts[0], no_speech, words, sound(samples))
        return Read(readings, sure, _ending(found))

    def search(self, samples: Float32, automaton: Automaton, *, context: float) -> tuple[Found, float]:
        """What ``read`` judges by: the sentences, and the log-probability that there is no speech."""
        follower = self.prepare(automaton)
        for seconds in (context, context + MORE_CONTEXT, math.inf):
            found, no_speech = self._search(follower, samples, seconds)
            # A free text may repeat itself, until it sees more silence behind the audio.
            if not found.texts or not said_twice(found.texts[0].tokens):
                break
        return found, no_speech

    def _search(self, follower: TokenAutomaton, samples: Float32, context: float) -> tuple[Found, float]:
        longest = self._net.audio_positions * 2 * HOP
        length = int(min(max(len(samples), context * RATE), longest))
        heard = np.zeros(length - length % (2 * HOP), np.float32)
        heard[: len(samples)] = samples[: len(heard)]
        decoding = self._net.open(self._net.encode(log_mel(heard, self._net.mels)))
        silence = decoding.step(self._opening)
        high = silence.max()
        no_speech = float(silence[self._rules.no_speech] - high - np.log(np.exp(silence - high).sum()))
        logits = decoding.step(self._rules.prefix[1:])
        decoding.share()
        left = self._net.text_positions - len(self._opening) - len(self._rules.prefix)
        limit = min(self._rules.limit, token_limit(len(samples)), left)
        found = search(
            decoding,
            logits,
            follower,
            end=self._rules.end,
            suppress=self._rules.suppress,
            width=self._width,
            limit=limit,
        )
        return found, no_speech


def _readings(texts: Sequence[Scored], follower: TokenAutomaton) -> list[Reading]:
    """Sentences with the probabilities of all their spellings summed up. What may be read in several ways counts for
    each of them."""
    best = texts[0].score
    weights: dict[str, float] = {}
    for text in texts:
        weight = math.exp(text.score - best)
        if weight < _NEGLIGIBLE:
            break
        for words in follower.sentences(text.tokens):
            sentence = " ".join(words)
            weights[sentence] = weights.get(sentence, 0.0) + weight
    total = sum(weights.values())
    ordered = sorted(weights.items(), key=lambda item: -item[1])
    return [Reading(sentence, weight / total) for sentence, weight in ordered if weight >= _NEGLIGIBLE * total]


def _ending(found: Found) -> Ending:
    if found.unfinished > found.texts[0].score:
        return "unfinished"
    return "open" if found.texts[0].more else "closed"
