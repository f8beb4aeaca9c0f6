"""Transfer entropy of one series to another, given the other's past and what drives all (Schreiber 2000)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bqx.market.sim_math import uniform_at
from bqx.research.causality.knn import NEIGHBOURS, Neighbours
from bqx.research.causality.ordinal import DELAYS, screen
from bqx.research.causality.surrogates import Sequential, shifts

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
SCREEN_DRAWS, SCREEN_P = 99, 0.1
BLOCK = 50


@dataclass(frozen=True, slots=True)
class Screen:
    """Ordinal TE at the delay where it stands out most; p is the least of the delays' and so only a filter."""

    delay: int
    te: float
    p: float


def ordinal_screen(target: I8, source: I8, rows: I8, seed: int, stream: int) -> Screen:
    """Of the patterns of both series; rows are those with a pattern at the step before and at all delays."""
    turned = np.concatenate([[0], shifts(len(rows), SCREEN_DRAWS, seed, stream)])
    best, score = Screen(1, 0.0, 1.0), -np.inf
    for delay in range(1, DELAYS + 1):
        te = screen(target, source, rows, delay, turned)
        null = te[1:]
        z = float((te[0] - null.mean()) / max(null.std(), 1e-300))
        if z > score:
            p = float((1 + (null >= te[0]).sum()) / (1 + len(null)))
            best, score = Screen(delay, float(te[0] - null.mean()), p), z
    return best


def block_sample(rows: I8, size: int, seed: int) -> I8:
    """`size` of the rows at most, as whole blocks of 50 evenly spread from a random beginning, in order."""
    if len(rows) <= size:
        return rows
    blocks, wanted = len(rows) // BLOCK, max(size // BLOCK, 1)
    begin = uniform_at(seed, 77, 0)
    chosen = ((np.arange(wanted) + begin) * blocks / wanted).astype(np.int64)
    return np.asarray(rows[(chosen[:, None] * BLOCK + np.arange(BLOCK)[None, :]).ravel()])


@dataclass(frozen=True, slots=True)
class Transfer:
    """te : effective, surrogates' mean taken off (nats). raw : as estimated. error : standard error of raw.

    p : price of the delays' choice included. drawn, reached : surrogates, and how many were as large. sign : of the
    correlation of the target with the source given the past; TE itself has none.
    """

    te: float
    raw: float
    error: float
    p: float
    delay: int
    own: int
    depth: int
    rows: int
    drawn: int
    reached: int
    sign: int


class Question:
    """One source and target, ready to be asked; `target` (n,), `past` (n, k), `common` (n, c), `source` (n, l).

    All columns are given mean 0 and variance 1. The source enters as what is left of it after a linear fit on past and
    common, which changes no I(target; source | past, common) but makes shifted copies true to the null: a shift would
    otherwise also break the bond between the source and what all share.
    """

    def __init__(self, target: F8, past: F8, common: F8, source: F8, when: I8, k: int = NEIGHBOURS,
                 theiler: int = 1) -> None:  # fmt: skip
        z = _standard(np.concatenate([past, common], axis=1))
        rest = np.concatenate([np.ones((len(z), 1)), z], axis=1)
        left = source - rest @ np.linalg.lstsq(rest, source, rcond=None)[0]
        y = _standard(target[:, None])
        free = y[:, 0] - rest @ np.linalg.lstsq(rest, y[:, 0], rcond=None)[0]
        self.source = _standard(left)
        products = free @ self.source
        self.sign = 1 if products[np.argmax(np.abs(products))] > 0 else -1
        self.neighbours = Neighbours(y, z, when, k, theiler)

    def truth(self) -> F8:
        return self.neighbours.local(self.source)

    def surrogate(self, shift: int) -> float:
        return self.neighbours.estimate(np.roll(self.source, -shift, axis=0))


def _standard(x: F8) -> F8:
    spread = x.std(axis=0)
    return np.asarray((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def ask(
    question: Question, state: Sequential | None, until: int, seed: int, stream: int
) -> tuple[Transfer, Sequential]:
    """The answer after `until` surrogates at most, and the state to go on from; delay and embedding are filled in by
    the caller."""
    local = question.truth()
    n = len(local)
    raw = float(local.mean())
    state = state or Sequential(raw)
    turned = shifts(n, until, seed, stream)
    state.draw(lambda b: question.surrogate(int(turned[b])), until)
    answer = Transfer(
        raw - state.bias, raw, float(local.std() / np.sqrt(n)), min(DELAYS * state.p, 1.0), 1, 1, 1, n,
        len(state.values), state.reached, question.sign,
    )  # fmt: skip
    return answer, state


def described(answer: Transfer, delay: int, own: int, depth: int) -> Transfer:
    return replace(answer, delay=delay, own=own, depth=depth)
