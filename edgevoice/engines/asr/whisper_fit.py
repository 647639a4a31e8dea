"""How well a sentence that was found fits the audio, among everything that Whisper might have written.

The search looks at few tokens; what would have fitted better may be any other. So the sentence is read once more, all
of it in one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgevoice.audio.pcm import Float32
from edgevoice.engines.asr.token_automaton import TokenAutomaton
from edgevoice.engines.asr.whisper_decode import log_sum
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


def fit(rows: Sequence[Float32], tokens: Sequence[int], automaton: TokenAutomaton, view: View) -> Fit:
    """
    Args:
        rows: logits of each of the tokens and of what follows them, each of shape [vocabulary].
        tokens: a sentence that the automaton accepts.
        view: of rows of all tokens.
    """
    speller = automaton.speller
    end = len(view.mask) - 1
    highest, totals = [], []
    for row in rows:
        text = row[: end + 1] + view.mask
        highest.append(float(text.max()))
        totals.append(log_sum(text))
    full = float(rows[-1][end]) - totals[-1]
    regret = worst = 0.0
    state = automaton.start
    complete: int | None = None
    """Where the sentence was complete, if only marks follow."""
    for at, token in enumerate(tokens):
        full += float(rows[at][token]) - totals[at]
        if token in speller.final_marks or (state.accepting and token in speller.marks):
            complete = at if complete is None else complete
        else:
            complete = None
            difference = float(rows[at][token]) - highest[at]
            regret += difference
            worst = min(worst, difference)
        state = automaton.next(state, token)
    last = len(tokens) if complete is None else complete
    again = speller.beginning.get(speller.letters[tokens[0]], [])
    ending = log_sum(rows[last][[end, *speller.stops, *again]]) - totals[last]
    return Fit(len(tokens), full, regret, worst, ending)
