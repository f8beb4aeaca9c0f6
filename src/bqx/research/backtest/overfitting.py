"""The probability of backtest overfitting: is the best setting of one half of time above the median in the other?

Combinatorially symmetric cross-validation of Bailey, Borwein, Lopez de Prado and Zhu (2017).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError

F8 = NDArray[np.float64]
BLOCKS = 16


@dataclass(frozen=True, slots=True)
class Overfitting:
    """pbo : share of splits whose in-sample best lies at or below the out-of-sample median. loss : share in which it
    loses out of sample. slope : of out-of-sample on in-sample ratios of the best; negative is degradation."""

    pbo: float
    loss: float
    slope: float
    splits: int
    blocks: int
    settings: int
    periods: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def blocks_for(periods: int) -> int:
    """16, or for short records the largest even number of blocks with two periods each."""
    return min(BLOCKS, periods // 2 // 2 * 2)


def overfitting(profit: F8, blocks: int | None = None, *, luck: int = 0) -> Overfitting:
    """PBO of settings by their Sharpe ratios; `profit` (periods, settings), the same periods for all.

    luck : the last so many columns are ranked with the settings but never chosen as the best.

    The oldest periods that do not fill `blocks` equal blocks are left out. Settings with equal ratios share a rank;
    one that never trades has ratio 0. CheckError below two settings or four blocks of two periods.
    """
    s = blocks_for(len(profit)) if blocks is None else blocks
    t, n = profit.shape
    if n - luck < 1 or n < 2 or s < 4 or s % 2 or t < 2 * s:
        raise CheckError(
            f"PBO of {n} settings over {t} periods in {s} blocks",
            fix="it needs two settings or more, and an even number of blocks, at least 4, of two periods or more",
        )
    size = t // s
    x = profit[t - size * s :].reshape(s, size, n)
    sums, squares = x.sum(axis=1), (x**2).sum(axis=1)
    inside = np.zeros((math.comb(s, s // 2), s))
    for k, chosen in enumerate(combinations(range(s), s // 2)):
        inside[k, list(chosen)] = 1.0
    half = size * s // 2
    first = _ratios(inside @ sums, inside @ squares, half)
    second = _ratios((1.0 - inside) @ sums, (1.0 - inside) @ squares, half)
    rows = np.arange(len(inside))
    best = first[:, : n - luck].argmax(axis=1)
    got = second[rows, best]
    below, equal = (second < got[:, None]).sum(axis=1), (second == got[:, None]).sum(axis=1)
    rank = below + 0.5 * (equal + 1)
    chosen_in = first[rows, best]
    e = chosen_in - chosen_in.mean()
    slope = float(e @ got) / float(e @ e) if float(e @ e) > 0.0 else 0.0
    pbo = float((rank <= 0.5 * (n + 1)).mean())
    return Overfitting(pbo, float((got < 0.0).mean()), slope, len(inside), s, n - luck, size * s)


def _ratios(sums: F8, squares: F8, n: int) -> F8:
    """Mean over deviation (n - 1), 0 where nothing varies; rounding of a constant is nothing."""
    mean = sums / n
    variance = np.maximum(squares / n - mean**2, 0.0) * (n / (n - 1))
    alive = variance > 1e-12 * np.maximum(squares / n, 1e-300)
    return np.where(alive, mean / np.sqrt(np.where(alive, variance, 1.0)), 0.0)
