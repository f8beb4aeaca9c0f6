"""Is an estimate larger than what the source, turned against time, gives: as many surrogates as the answer needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bqx.market.sim_math import uniform_at
from bqx.research.causality.tail import FEWEST, SHARE, tail_p

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
ENOUGH = 10
"""Surrogates at or above the truth after which a question is answered (Besag and Clifford 1991)."""
FIRST, MOST = 200, 1000


def shifts(n: int, count: int, seed: int, stream: int, least: int = 16) -> I8:
    """Circular shifts in [least, n - least), from counter-based numbers: one depends on its place alone."""
    room = n - 2 * least
    return np.array([least + int(uniform_at(seed, stream, b) * room) for b in range(count)], dtype=np.int64)


@dataclass
class Sequential:
    """Surrogates of one question, drawn until `ENOUGH` reach the truth or the allowance ends; can be gone on with."""

    truth: float
    values: list[float] = field(default_factory=list)

    @property
    def reached(self) -> int:
        return sum(v >= self.truth for v in self.values)

    @property
    def settled(self) -> bool:
        return self.reached >= ENOUGH

    def draw(self, surrogate: Callable[[int], float], until: int) -> None:
        """`surrogate(b)` for b = 0, 1, ... up to `until` in all, stopping once settled."""
        reached = self.reached
        while len(self.values) < until and reached < ENOUGH:
            self.values.append(surrogate(len(self.values)))
            reached += self.values[-1] >= self.truth

    @property
    def p(self) -> float:
        """h / b when h surrogates settled it after b draws; else (1 + reached) / (1 + b), or the fitted tail."""
        reached, drawn = self.reached, len(self.values)
        if reached >= ENOUGH:
            return reached / drawn
        if SHARE * drawn < FEWEST:
            return (1.0 + reached) / (1.0 + drawn)
        return tail_p(self.truth, np.array(self.values))

    @property
    def bias(self) -> float:
        """Mean of the surrogates, to be taken off the truth (Marschinski and Kantz 2002)."""
        return float(np.mean(self.values)) if self.values else 0.0
