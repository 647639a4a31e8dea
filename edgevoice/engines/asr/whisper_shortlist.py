"""Logits of few tokens instead of all: those that the grammar asks for, and the commonest ones.

Of a decoding step of Whisper tiny, the product with the whole embedding is more than half. What a grammar's sentence
is judged by needs few of its rows: the tokens that may follow, and those on which Whisper would spend its probability
otherwise, to know the sum of all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import Float32

COMMON = 2048
"""Tokens that are always there. Byte pair encoding numbers tokens by how common they are (Sennrich et al., 2016)."""
_MOST = 16_384
"""Tokens at most, 25 MB for a width of 384: then those that were added are forgotten."""


@dataclass(frozen=True, slots=True)
class View:
    """How to read a row of logits."""

    place: NDArray[np.int64]
    """By token; -1 for what is not there."""
    mask: Float32
    """By place, of those tokens that always count: added to a row it leaves those of text. What lies behind it in a row
    counts where the grammar asks for it: so it does not matter what was asked for before."""


class Shortlist:
    """Some tokens, and their rows of the embedding.

    Args:
        rows: gives tokens' rows of the embedding, [tokens, width].
        always: tokens that are in it, beside the commonest.
        suppress: tokens that count only where the grammar asks for them.
        end: the token that ends a text; those after it are no text.
    """

    def __init__(
        self, rows: Callable[[NDArray[np.int64]], Float32], always: Iterable[int], suppress: Iterable[int], end: int
    ) -> None:
        self._rows = rows
        self._mask = np.zeros(end + 1, np.float32)
        self._mask[list(suppress)] = -np.inf
        self._common = np.array(sorted({*range(min(COMMON, end)), *always, end}))
        self._common_mask = self._mask[self._common]
        self.everything = View(np.arange(end + 1), self._mask)
        """Of a row of all tokens' logits."""
        self._clear()

    def _clear(self) -> None:
        self.tokens = self._common
        """By place."""
        self.weights = self._rows(self._common)
        """By place, [tokens, width]."""
        self.view = self._view()

    def _view(self) -> View:
        place = np.full(len(self._mask), -1)
        place[self.tokens] = np.arange(len(self.tokens))
        return View(place, self._common_mask)

    def include(self, tokens: NDArray[np.int64]) -> None:
        """Add those that are missing."""
        if (self.view.place[tokens] >= 0).all():
            return
        if len(self.tokens) + len(tokens) > _MOST:
            self._clear()
        missing = np.unique(tokens[self.view.place[tokens] < 0])
        self.tokens = np.concatenate([self.tokens, missing])
        self.weights = np.concatenate([self.weights, self._rows(missing)])
        self.view = self._view()
