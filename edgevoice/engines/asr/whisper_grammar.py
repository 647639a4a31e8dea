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
from edgevoice.engines.asr.whisper_decode import MORE_CONTEXT, Rules, log_sum, said_twice, token_limit
from edgevoice.engines.asr.whisper_fit import Fit, fit
from edgevoice.engines.asr.whisper_mel import HOP, log_mel
from edgevoice.engines.asr.whisper_net import WhisperNet
from edgevoice.engines.asr.whisper_shortlist import Shortlist
from edgevoice.engines.asr.whisper_tokens import Tokens
from edgevoice.engines.protocols import Ending, Reading
from edgevoice.engines.registry import require

_PROMPT = 100
"""Tokens of the prompt at most: more of them cost time at every command and help no further."""
_WORDS = 1000
"""Words of the grammar at most whose tokens count everywhere: it is among them that Whisper mostly has to choose. Those
of longer lists count where they may be said."""
_NEGLIGIBLE = 1e-4
"""Readings less likely than this are left out."""

_UNFINISHED = 2.0
"""Logarithm of how much better than the best sentence an unfinished one has to fit until it is believed. In noise a
complete order is often behind by less; one that stops in the middle is ahead by 5 and more, unless it would be complete
there as well."""

_REFUSED, _SURE = 0.2, 0.7
"""Between these confidences it is in doubt whether it is a command. Outside a second reading hardly ever decides it."""
_FASTER = 1.07
"""So many times as fast, and as high, is what is read a second time: different enough that other mistakes are made, and
nobody yet who speaks too fast."""


@dataclass(frozen=True, slots=True)
class Read:
    readings: Sequence[Reading]
    confidence: float
    """Probability that the audio holds a sentence of the grammar at all, 0..1."""
    ending: Ending | None


@dataclass(frozen=True, slots=True)
class Searched:
    found: Found
    fit: Fit | None
    """Of the best text; None when there is none."""
    no_speech: float
    """Log-probability that there is no speech."""


class GrammarReader:
    """Reads commands. Keeps what it made for the grammar of the last time, so the first reading costs most.

    Args:
        prompt: whether Whisper is told the grammar's phrases.
    """

    def __init__(self, net: WhisperNet, tokens: Tokens, rules: Rules, *, prompt: bool) -> None:
        self._net = net
        self._tokens = tokens
        self._rules = rules
        self._with_prompt = prompt
        self._speller = Speller(tokens, rules.suppress)
        self._marks = [*self._speller.stops, *self._speller.marks, *self._speller.final_marks]
        self._automaton: Automaton | None = None
        self._opening: Sequence[int] = ()
        """What stands before the place where Whisper says whether there is speech."""

    def prepare(self, automaton: Automaton) -> TokenAutomaton:
        """Spell a grammar's first words, and choose its prompt."""
        if automaton is not self._automaton:
            self._follower = TokenAutomaton(automaton, self._speller)
            self._follower.allowed(self._follower.start)
            always = {*self._marks, *self._speller.tokens(automaton.nets, _WORDS)}
            self._shortlist = Shortlist(self._net.rows, always, self._rules.suppress, self._rules.end)
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

    def read(
        self, samples: Float32, automaton: Automaton, *, context: float, width: int, doubt_below: float = 0.0
    ) -> Read:
        """The sentence of the grammar that the audio holds.

        Args:
            samples: at most 30 s.
            context: seconds of audio and silence that Whisper sees; it always sees all audio.
            width: beams.
            doubt_below: probability of the best reading below which the audio is read again, a little faster.
        """
        searched = self.search(samples, automaton, context=context, width=width)
        first = self._judge(searched, samples)
        if not _in_doubt(first, doubt_below) or searched.found.texts[0].free:
            return first  # of a free text there is always doubt, and a second reading does not make it less
        faster = require("soxr").resample(samples, _FASTER * RATE, RATE).astype(np.float32)
        context -= (len(samples) - len(faster)) / RATE
        second = self._judge(self.search(faster, automaton, context=context, width=width), faster)
        return _mean(first, second) if second.readings else first

    def _judge(self, searched: Searched, samples: Float32) -> Read:
        found = searched.found
        if searched.fit is None:
            return Read((), 0.0, "unfinished" if found.unfinished > -math.inf else None)
        readings = _readings(found.texts, self._follower)
        words = len(readings[0].text.split())
        sure = confidence(searched.fit, searched.no_speech, words, sound(samples))
        return Read(readings, sure, _ending(found))

    def search(self, samples: Float32, automaton: Automaton, *, context: float, width: int) -> Searched:
        """What ``read`` judges by."""
        follower = self.prepare(automaton)
        for seconds in (context, context + MORE_CONTEXT, math.inf):
            searched = self._search(follower, samples, seconds, width)
            texts = searched.found.texts
            # A free text may repeat itself, until it sees more silence behind the audio.
            if not texts or not said_twice(texts[0].tokens):
                break
        return searched

    def _search(self, follower: TokenAutomaton, samples: Float32, context: float, width: int) -> Searched:
        longest = self._net.audio_positions * 2 * HOP
        length = int(min(max(len(samples), context * RATE), longest))
        heard = np.zeros(length - length % (2 * HOP), np.float32)
        heard[: len(samples)] = samples[: len(heard)]
        decoding = self._net.open(self._net.encode(log_mel(heard, self._net.mels)))
        opening = [*self._opening, *self._rules.prefix[1:]]
        silence, first = decoding.begin(opening, [len(self._opening) - 1, -1])
        no_speech = float(silence[self._rules.no_speech]) - log_sum(silence)
        decoding.share()
        left = self._net.text_positions - len(opening) - 1
        limit = min(self._rules.limit, token_limit(len(samples)), left)
        found = search(decoding, first, follower, self._shortlist, width=width, limit=limit)
        if not found.texts:
            return Searched(found, None, no_speech)
        best = found.texts[0].tokens
        rows = [first, *decoding.again(best)]
        return Searched(found, fit(rows, best, follower, self._shortlist.everything), no_speech)


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


def _in_doubt(read: Read, doubt_below: float) -> bool:
    """Whether it is no command, or which one it is."""
    if not read.readings or not doubt_below or read.confidence < _REFUSED:
        return False
    return read.confidence < _SURE or read.readings[0].probability < doubt_below


def _mean(first: Read, second: Read) -> Read:
    """How the sentence stands is told by the one that is surer of it."""
    one, two = ({reading.text: reading.probability for reading in each.readings} for each in (first, second))
    readings = [Reading(text, (one.get(text, 0.0) + two.get(text, 0.0)) / 2) for text in {**one, **two}]
    readings.sort(key=lambda reading: -reading.probability)
    best = readings[0].text
    surer = first if one.get(best, 0.0) >= two.get(best, 0.0) else second
    return Read(readings, (first.confidence + second.confidence) / 2, surer.ending)


def _ending(found: Found) -> Ending:
    if found.unfinished > found.texts[0].score + _UNFINISHED:
        return "unfinished"
    return "open" if found.texts[0].more else "closed"
