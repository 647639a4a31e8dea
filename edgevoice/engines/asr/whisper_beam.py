"""Beam search for the sentences of a grammar that fit the audio best.

A token's score is the mean of two log-probabilities: among all tokens, and among those that the grammar allows here.
The first alone prefers short sentences (every word costs, whatever it is), the second alone believes the grammar in
everything. The bonus for every word makes up for what is left of the preference: nearly all errors in noise were words
left out. docs/speech-to-intent.md has the measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgevoice.audio.pcm import Float32
from edgevoice.engines.asr.token_automaton import State, TokenAutomaton
from edgevoice.engines.asr.whisper_decode import repetition
from edgevoice.engines.asr.whisper_net import Decoding

_FULL = 0.5
"""Weight of the log-probability among all tokens in a token's score."""
_WORD_BONUS = 0.6
"""Added for every word of the grammar, natural logarithm. From 0.3 to 0.9 accuracy hardly changes. Not for words
that are skipped, nor in free texts: nothing there makes a word cheap, and it would reward going on and on."""
_BEHIND = 5.0
"""A beam whose score is so much worse than the best one's, or than the best finished text's, is given up: a likelihood
of 1 to 150. With 6 it takes a tenth longer and is right as often; with 4 a recording that lacked the first word was
misread."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A finished text and how it fits. All values are natural logarithms."""

    tokens: tuple[int, ...]
    score: float
    """Sum of the tokens' scores, the end included."""
    full: float
    """Sum of their log-probabilities among all tokens."""
    regret: float
    """Sum of the differences between a token's log-probability and that of the likeliest token in its place; marks at
    the end of a sentence are not counted."""
    worst: float
    """The smallest of these differences."""
    end: float
    """Log-probability that nothing more was said: of the end, of a mark, or of the first word once more, which is what
    Whisper writes when it sees little silence behind a command."""
    more: bool
    """Whether the grammar allows more words behind it."""


@dataclass(frozen=True, slots=True)
class Found:
    texts: Sequence[Scored]
    """Complete sentences, the best first."""
    unfinished: float
    """The best score of a text that ends where the grammar does not allow it; minus infinity when there is none."""


@dataclass(slots=True)
class _Beam:
    tokens: tuple[int, ...]
    letters: str
    """The text without case, spaces and marks."""
    state: State
    score: float
    full: float
    regret: float
    worst: float
    parent: int = 0
    """Its place among the beams of the step before."""
    end: float | None = None
    """Behind a mark after a complete sentence: the log-probability of ending before it."""
    complete: State | None = None
    """Behind a mark after a complete sentence: the state before it."""


@dataclass(slots=True)
class _Step:
    """One token more."""

    score: float
    beam: _Beam
    parent: int
    token: int
    full: float
    regret: float
    """Of this token."""
    end: float | None


def search(
    decoding: Decoding,
    logits: Float32,
    automaton: TokenAutomaton,
    *,
    end: int,
    suppress: Sequence[int],
    width: int,
    limit: int,
) -> Found:
    """The texts that the automaton accepts.

    Args:
        decoding: its prefix is shared by all beams.
        logits: of the first token, shape [vocabulary].
        end: the token that ends a text; those after it are no text.
        suppress: tokens that are no text either, unless the automaton asks for them.
        width: beams.
        limit: tokens of a text at most.
    """
    speller = automaton.speller
    mask = np.zeros(end + 1, np.float32)
    mask[list(suppress)] = -np.inf
    stops = [end, *speller.stops]
    finished: list[Scored] = []
    best = unfinished = -np.inf
    beams = [_Beam((), "", automaton.start, 0.0, 0.0, 0.0, 0.0)]
    rows = logits[None]
    for _ in range(limit):
        steps: list[_Step] = []
        for at, beam in enumerate(beams):
            row = rows[at, : end + 1]
            high, total = _log_sum(row + mask)
            allowed = automaton.allowed(beam.state)
            among = np.append(row[allowed], row[end])
            complete = beam.state.accepting
            inside = _log_sum(among if complete else among[:-1])[1] if complete or len(allowed) else total
            scores = beam.score + _FULL * (among - total) + (1 - _FULL) * (among - inside)
            ending = None
            if complete:
                again = speller.beginning.get(speller.letters[beam.tokens[0]], []) if beam.tokens else []
                ending = _log_sum(row[[*stops, *again]])[1] - total
            for each in np.argsort(-scores[:-1])[: 2 * width]:
                token = int(allowed[each])
                score = float(scores[each])
                if token in speller.final_marks or (complete and token in speller.marks):
                    steps.append(_Step(score, beam, at, token, float(among[each] - total), 0.0, ending))
                else:
                    bonus = _WORD_BONUS if automaton.begins_word(beam.state, token) else 0.0
                    regret = float(among[each]) - high
                    steps.append(_Step(score + bonus, beam, at, token, float(among[each] - total), regret, None))
            if ending is not None:
                full = beam.full + float(among[-1] - total)
                more = (beam.complete or beam.state).more
                ending = ending if beam.end is None else beam.end
                finished.append(Scored(beam.tokens, float(scores[-1]), full, beam.regret, beam.worst, ending, more))
                best = max(best, finished[-1].score)
            elif beam.tokens and beam.complete is None:
                # Its score if the grammar did allow the end: else that would be compared with what it does allow, and
                # the less likely that is, the better a text would be that ends there.
                inside = _log_sum(among)[1]
                short = beam.score + _FULL * (among[-1] - total) + (1 - _FULL) * (among[-1] - inside)
                unfinished = max(unfinished, float(short))
        beams = _select(steps, automaton, width, best)
        if not beams:
            break
        rows = decoding.step_beams([beam.tokens[-1] for beam in beams], [beam.parent for beam in beams])
    return Found(sorted(finished, key=lambda text: -text.score), unfinished)


def _select(steps: list[_Step], automaton: TokenAutomaton, width: int, best: float) -> list[_Beam]:
    """The best beams. Those that spell the same words, and can go on in the same ways, become one: it keeps the better
    spelling and the probability of both."""
    steps.sort(key=lambda step: -step.score)
    bound = max(best, steps[0].score if steps else best) - _BEHIND
    beams: dict[tuple[int, str], _Beam] = {}
    for step in steps:
        if step.score < bound:
            break
        beam = step.beam
        state = automaton.next(beam.state, step.token)
        letters = beam.letters + automaton.speller.letters[step.token]
        same = beams.get((id(state), letters))
        if same is not None:
            same.score = float(np.logaddexp(same.score, step.score))
        elif len(beams) < width:
            tokens = (*beam.tokens, step.token)
            if state.free and repetition(tokens):  # as a free text does when there is little silence behind it
                continue
            full = beam.full + step.full
            marks = step.token in (*automaton.speller.marks, *automaton.speller.final_marks)
            beams[id(state), letters] = _Beam(
                tokens,
                letters,
                state,
                step.score,
                full,
                beam.regret + step.regret,
                min(beam.worst, step.regret),
                step.parent,
                step.end,
                beam.state if marks and beam.state.accepting else None,
            )
    return list(beams.values())


def _log_sum(logits: Float32) -> tuple[float, float]:
    """The highest value, and the logarithm of the sum of exponentials."""
    high = float(logits.max())
    return high, high + float(np.log(np.exp(logits - high).sum()))
