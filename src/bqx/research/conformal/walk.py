"""Conformal intervals kept true as time goes on (Gibbs, Candes 2021), learning from a label only once it is known."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import UsageError
from bqx.research.conformal.cqr import ENDS, LEAST_CELL, NOMINAL, Conformal, ends, rank, scores

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class _Scores:
    """The latest `size` scores of one cell, in order of time and in order of size."""

    def __init__(self, values: list[float], size: int) -> None:
        self.size = size
        self.line = deque(values[-size:])
        self.ordered = sorted(self.line)

    def add(self, value: float) -> None:
        self.line.append(value)
        insort(self.ordered, value)
        if len(self.line) > self.size:
            del self.ordered[bisect_left(self.ordered, self.line.popleft())]


@dataclass(frozen=True, slots=True)
class _Open:
    """A forecast whose label is not known yet."""

    position: int
    cell: int
    home: int
    score: F8
    missed: NDArray[np.bool_]


class Walker:
    """Issues intervals row by row and learns from each h bars later; batch and live are the same steps.

    In the row's cell (all rows, where that has too few) alpha moves by gamma (target - missed), and the score enters
    the calibration scores while the oldest leaves. An alpha beyond all scores takes the widest, never infinity.
    """

    def __init__(self, start: Conformal) -> None:
        self.horizon, self.gamma = start.horizon, start.gamma
        self.cells = start.cells
        self.alpha = start.alpha.copy()
        self._wait: deque[_Open] = deque()
        self._held: dict[tuple[int, int], _Scores] = {}
        for cell in range(-1, start.cells.count):
            mine = start.score if cell < 0 else start.score[start.cell == cell]
            for k in range(len(NOMINAL)):
                self._held[cell, k] = _Scores(mine[:, k].tolist(), max(len(mine), LEAST_CELL))
        self._last = -1

    def issue(self, position: int, cell: int, quantiles: F8) -> F8:
        """lo80, hi80, lo90, hi90 (4,) for quantiles (5,) at a bar's position; positions rise."""
        if position <= self._last:
            raise UsageError(f"intervals are issued in order of time: {position} after {self._last}")
        self._last = position
        issued: F8 = ends(quantiles[None], self._added(self._home(cell))[None])[0]
        return issued

    def expect(self, position: int, cell: int, quantiles: F8, issued: F8, y: float) -> None:
        """Hand in the truth of a forecast; it is used by :meth:`settle` no earlier than h bars after `position`."""
        if np.isfinite(y):
            missed = np.array([not issued[2 * k] <= y <= issued[2 * k + 1] for k in range(len(ENDS))])
            score = scores(quantiles[None], np.array([y]))[0]
            self._wait.append(_Open(position, cell, self._home(cell), score, missed))

    def settle(self, position: int) -> None:
        """Learn from every forecast whose label is known at `position`."""
        while self._wait and self._wait[0].position + self.horizon <= position:
            self._learn(self._wait.popleft())

    def run(self, position: I8, cell: I8, quantiles: F8, y: F8) -> F8:
        """Intervals (n, 4) of rows in order of time, each made with what was known at its bar."""
        out = np.full((len(position), 2 * len(NOMINAL)), np.nan)
        for t, (at, c) in enumerate(zip(position.tolist(), cell.tolist(), strict=True)):
            self.settle(at)
            if np.isfinite(quantiles[t]).all():
                out[t] = self.issue(at, c, quantiles[t])
                self.expect(at, c, quantiles[t], out[t], float(y[t]))
        return out

    def _home(self, cell: int) -> int:
        return cell if cell >= 0 and len(self._held[cell, 0].ordered) >= LEAST_CELL else -1

    def _added(self, home: int) -> F8:
        held = [self._held[home, k].ordered for k in range(len(NOMINAL))]
        return np.array([line[rank(len(line), self.alpha[k, home])] for k, line in enumerate(held)])

    def _learn(self, known: _Open) -> None:
        for k, nominal in enumerate(NOMINAL):
            moved = self.alpha[k, known.home] + self.gamma * (1.0 - nominal - float(known.missed[k]))
            self.alpha[k, known.home] = min(max(moved, -self.gamma), 1.0 + self.gamma)
            self._held[-1, k].add(float(known.score[k]))
            if known.cell >= 0:
                self._held[known.cell, k].add(float(known.score[k]))
