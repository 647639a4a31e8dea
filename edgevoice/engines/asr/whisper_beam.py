"""Beam search for the sentences of a grammar that fit the audio best.

A token's score is the mean of two log-probabilities: among all tokens (all that matter, see ``whisper_shortlist``), and
among those that the grammar allows here. The first alone prefers short sentences (every word costs, whatever it is),
the second alone believes the grammar in everything. The bonus for every word makes up for what is left of the
preference: nearly all errors in noise were words left out. docs/speech-to-intent.md has the measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgevoice.audio.pcm import Float32
from edgevoice.engines.asr.token_automaton import State, TokenAutomaton
from edgevoice.engines.asr.whisper_decode import log_sum, repetition
from edgevoice.engines.asr.whisper_net import Decoding
from edgevoice.engines.asr.whisper_shortlist import Shortlist

_FULL = 0.5
"""Weight of the log-probability among all tokens in a token's score."""
_WORD_BONUS = 0.6
"""Added for every word of the grammar, natural logarithm. From 0.3 to 0.9 accuracy hardly changes. Not for words
that are skipped, nor in free texts: nothing there makes a word cheap, and it would reward going on and on."""
_BEHIND = 5.0
"""A beam whose score is so much worse than the best one's is given up: a likelihood of 1 to 150. With 6 it takes a
tenth longer and is right as often; with 4 a recording that lacked the first word was misread."""
_AFTER = 3.0
"""The same against the best finished text: what goes on behind it is mostly made up, word by word, and only ends when
it is given up. With 2, 3 and 5 as many are right; with 3 it takes a tenth less time than with 5."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A finished text."""

    tokens: tuple[int, ...]
    score: float
    """Sum of the tokens' scores, the end included."""
    more: bool
    """Whether the grammar allows more words behind it."""
    free: bool
    """Whether it ends in a free text."""


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
    parent: int = 0
    """Its place among the beams of the step before."""
    complete: State | None = None
    """Behind a mark after a complete sentence: the state before it."""


@dataclass(slots=True)
class _Step:
    """One token more."""

    score: float
    beam: _Beam
    parent: int
    token: int


def search(
    decoding: Decoding,
    logits: Float32,
    automaton: TokenAutomaton,
    shortlist: Shortlist,
    *,
    width: int,
    limit: int,
) -> Found:
    """The texts that the automaton accepts.

    Args:
        decoding: its prefix is shared by all beams.
        logits: of the first token, shape [vocabulary].
        shortlist: gets the tokens that the automaton asks for.
        width: beams.
        limit: tokens of a text at most.
    """
    speller = automaton.speller
    finished: list[Scored] = []
    best = unfinished = -np.inf
    beams = [_Beam((), "", automaton.start, 0.0)]
    rows, listed = logits[None], None
    for _ in range(limit):
        steps: list[_Step] = []
        view = shortlist.everything if listed is None else listed.view
        end = view.place[-1]
        for at, beam in enumerate(beams):
            row = rows[at]
            allowed = automaton.allowed(beam.state)
            places = view.place[allowed]
            common = row[: len(view.mask)] + view.mask
            total = log_sum(np.append(common, row[places[places >= len(common)]]))
            among = np.append(row[places], row[end])
            complete = beam.state.accepting
            inside = log_sum(among if complete else among[:-1]) if complete or len(allowed) else total
            scores = beam.score + _FULL * (among - total) + (1 - _FULL) * (among - inside)
            for each in np.argsort(-scores[:-1])[: 2 * width]:
                token = int(allowed[each])
                score = float(scores[each])
                mark = token in speller.final_marks or (complete and token in speller.marks)
                if not mark and automaton.begins_word(beam.state, token):
                    score += _WORD_BONUS
                steps.append(_Step(score, beam, at, token))
            if complete:
                state = beam.complete or beam.state
                finished.append(Scored(beam.tokens, float(scores[-1]), state.more, state.free))
                best = max(best, finished[-1].score)
            elif beam.tokens and beam.complete is None:
                # Its score if the grammar did allow the end: else that would be compared with what it does allow, and
                # the less likely that is, the better a text would be that ends there.
                inside = log_sum(among)
                short = beam.score + _FULL * (among[-1] - total) + (1 - _FULL) * (among[-1] - inside)
                unfinished = max(unfinished, float(short))
        beams = _select(steps, automaton, width, best)
        if not beams:
            break
        # In a free text any word may follow.
        listed = None if any(beam.state.free for beam in beams) else shortlist
        for beam in beams:
            if listed is not None:
                listed.include(automaton.allowed(beam.state))
        rows = decoding.step_beams([beam.tokens[-1] for beam in beams], [beam.parent for beam in beams], listed)
    return Found(sorted(finished, key=lambda text: -text.score), unfinished)


def _select(steps: list[_Step], automaton: TokenAutomaton, width: int, best: float) -> list[_Beam]:
    """The best beams. Those that spell the same words, and can go on in the same ways, become one: it keeps the better
    spelling and the probability of both."""
    steps.sort(key=lambda step: -step.score)
    bound = max(best - _AFTER, (steps[0].score if steps else best) - _BEHIND)
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
            marks = step.token in (*automaton.speller.marks, *automaton.speller.final_marks)
            beams[id(state), letters] = _Beam(
                tokens,
                letters,
                state,
                step.score,
                step.parent,
                beam.state if marks and beam.state.accepting else None,
            )
    return list(beams.values())
