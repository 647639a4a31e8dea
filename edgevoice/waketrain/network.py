"""A small network on windows of features, learnt with numpy alone: seconds, and the same for the same seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgevoice.audio.pcm import Float32
from edgevoice.engines.wake.embedding import VECTORS
from edgevoice.waketrain.features import Int64, gather

HIDDEN = (64, 32)
BATCH = 512
RATE = 1e-3
"""Of the first step; it falls along a cosine (Loshchilov and Hutter 2017)."""
DECAY = 2e-3
"""Of the weights in a step, times the rate, as AdamW has it."""
DROPPED = 0.3
"""Share of the rectified values that are left out in a step."""
NOISE = 0.4
"""Standard deviation of what is added to features whose own is 1."""
_MOMENTS = (0.9, 0.999)


@dataclass(frozen=True)
class Network:
    """Fully connected layers with rectifiers between them."""

    weights: tuple[Float32, ...]
    """By layer [inputs, outputs]."""
    biases: tuple[Float32, ...]

    def __call__(self, windows: Float32) -> Float32:
        """Windows [n, 1536] -> their logits [n]."""
        values = windows
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ weight + bias, 0)
        result: Float32 = (values @ self.weights[-1] + self.biases[-1])[:, 0]
        return result


def mean(networks: Sequence[Network]) -> Network:
    """One network whose logit is the mean of those of several: what they agree on is mostly true."""
    layers = len(networks[0].weights)
    share = np.float32(1 / len(networks))
    first = np.concatenate([each.weights[0] for each in networks], axis=1)
    inner = [_beside([each.weights[layer] for each in networks]) for layer in range(1, layers - 1)]
    last = np.concatenate([each.weights[-1] for each in networks]) * share
    biases = [np.concatenate([each.biases[layer] for each in networks]) for layer in range(layers - 1)]
    summed: Float32 = sum((each.biases[-1] for each in networks), np.zeros(1, np.float32)) * share
    return Network((first, *inner, last), (*biases, summed))


def _beside(blocks: Sequence[Float32]) -> Float32:
    """A matrix with these along its diagonal: no network sees what another has computed."""
    whole = np.zeros(np.sum([block.shape for block in blocks], axis=0), np.float32)
    row = column = 0
    for block in blocks:
        height, width = block.shape
        whole[row : row + height, column : column + width] = block
        row, column = row + height, column + width
    return whole


def fit(
    rows: Float32,
    last: Int64,
    wanted: Float32,
    importance: Float32,
    *,
    epochs: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Network:
    """Learn to tell windows apart; logistic loss, Adam (Kingma and Ba 2015) with decoupled decay.

    Args:
        rows: vectors [m, 96] of all recordings behind one another.
        last: [n], the row that each window ends with; 15 rows of its recording lie before it.
        wanted: [n], 1 for the phrase, else 0.
        importance: [n], weight in the loss.
    """
    middle = np.tile(rows.mean(axis=0, dtype=np.float64).astype(np.float32), VECTORS)
    spread = np.tile(rows.std(axis=0, dtype=np.float64).astype(np.float32), VECTORS) + np.float32(1e-3)
    draw = np.random.default_rng(seed)
    sizes = (len(middle), *HIDDEN, 1)
    params = [
        draw.normal(0, np.sqrt(2 / before), (before, after)).astype(np.float32) for before, after in pairwise(sizes)
    ]
    layers = len(params)
    params += [np.zeros(size, np.float32) for size in sizes[1:]]
    first, second = [np.zeros_like(each) for each in params], [np.zeros_like(each) for each in params]
    batch = min(BATCH, len(last))
    total, step = epochs * (len(last) // batch), 0
    for _ in range(epochs):
        order = draw.permutation(len(last))
        for at in range(0, len(last) - batch + 1, batch):
            step += 1
            chosen = order[at : at + batch]
            values = (gather(rows, last[chosen]) - middle) / spread
            values += draw.standard_normal(values.shape, dtype=np.float32) * np.float32(NOISE)
            slopes = _slopes(params, layers, values, wanted[chosen], importance[chosen], draw)
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / total)) + 1e-6
            for number, slope in enumerate(slopes):
                first[number] = _MOMENTS[0] * first[number] + (1 - _MOMENTS[0]) * slope
                second[number] = _MOMENTS[1] * second[number] + (1 - _MOMENTS[1]) * slope * slope
                scale = np.sqrt(second[number] / (1 - _MOMENTS[1] ** step)) + 1e-8
                change = first[number] / (1 - _MOMENTS[0] ** step) / scale
                if number < layers:
                    change = change + DECAY * params[number]
                params[number] -= np.float32(rate) * change.astype(np.float32)
            progress(step, total)
    # The file takes features as they are: what normalises them goes into the first layer.
    bias = params[layers] - (middle / spread) @ params[0]
    return Network(
        (params[0] / spread[:, None], *params[1:layers]),
        (bias.astype(np.float32), *params[layers + 1 :]),
    )


def _slopes(
    params: list[Float32],
    layers: int,
    values: Float32,
    wanted: Float32,
    importance: Float32,
    draw: np.random.Generator,
) -> list[Float32]:
    """Of the mean loss of a batch, by parameter."""
    seen, kept = [values], []
    for number in range(layers):
        values = values @ params[number] + params[layers + number]
        if number < layers - 1:
            keep = draw.random(values.shape, dtype=np.float32) > DROPPED
            kept.append((keep & (values > 0)).astype(np.float32) / np.float32(1 - DROPPED))
            values = values * kept[-1]
        seen.append(values)
    share = 1 / (1 + np.exp(-np.clip(values[:, 0], -30, 30)))
    slope = ((share - wanted) * importance / len(wanted))[:, None].astype(np.float32)
    slopes: list[Float32] = [np.zeros(0, np.float32)] * len(params)
    for number in reversed(range(layers)):
        slopes[number] = seen[number].T @ slope
        slopes[layers + number] = slope.sum(axis=0)
        if number:
            slope = (slope @ params[number].T) * kept[number - 1]
    return slopes
