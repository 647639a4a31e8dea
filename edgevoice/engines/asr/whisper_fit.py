"""How well a sentence that was found fits the audio, among everything that Whisper might have written.

The search looks at few tokens; what would have fitted better may be any other. So the sentence is read once more, all
of it in one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgevoice.audio.pcm import Float32
from edgevoice.engines.asr.token_automaton import State, TokenAutomaton
from edgevoice.engines.asr.whisper_shortlist import View


@dataclass(frozen=True, slots=True)
class Fit:
    """All values are natural logarithms."""

    tokens: int
    full: float
    """Sum of the tokens' log-probabilities among all tokens, the end's included."""
    regret: float
    """Sum of the differences between a token's log-probability and that of the likeliest token in its place; marks at
    the end of a sentence are not counted."""
    worst: float
    """The smallest of these differences."""
    end: float
    """Log-probability that nothing more was said: of the end, of a mark, or of the first word once more, which is what
    Whisper writes when it sees little silence behind a command."""


def fit(rows: Float32, tokens: Sequence[int], automaton: TokenAutomaton, view: View) -> Fit:
    """
    Args:
        rows: logits of each of the tokens and of what follows them, shape [tokens + 1, vocabulary].
        tokens: a sentence that the automaton accepts.
        view: of rows of all tokens.
    """
    speller = automaton.speller
    scores = rows[:, : len(view.mask)]
    text = scores + view.mask
    high = text.max(axis=1)
    total = high + np.log(np.exp(text - high[:, None]).sum(axis=1))
    end = len(view.mask) - 1
    again = speller.beginning.get(speller.letters[tokens[0]], [])
    stops = [end, *speller.stops, *again]
    full = float(scores[-1, end] - total[-1])
    regret = worst = 0.0
    state: State = automaton.start
    complete: int | None = None
    """Where the sentence was complete, if only a mark follows."""
    for at, token in enumerate(tokens):
        full += float(scores[at, token] - total[at])
        if token in speller.final_marks or (state.accepting and token in speller.marks):
            complete = at if complete is None else complete
        else:
            complete = None
            difference = float(scores[at, token] - high[at])
            regret += difference
            worst = min(worst, difference)
        state = automaton.next(state, token)
    row = len(tokens) if complete is None else complete
    stopping = scores[row, stops]
    peak = float(stopping.max())
    ending = peak + float(np.log(np.exp(stopping - peak).sum())) - float(total[row])
    return Fit(len(tokens), full, regret, worst, ending)
