"""Conformal intervals kept true as time goes on (Gibbs, Candes 2021), learning from a label only once it is known."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import UsageError
from bqx.research.conformal.cqr import LEAST_CELL, NOMINAL, Conformal, ends, rank, scores

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
LEAST_WINDOW = 250
"""Scores a cell keeps at least, once it has them; a cell that began with more keeps as many as it began with."""


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
    """A forecast whose label is not known yet; `home` is the cell whose scores made its interval, -1 all rows."""

    cell: int
    home: int
    quantiles: F8
    issued: F8


class Walker:
    """Issues intervals row by row and learns from each h bars later; batch and live are the same steps.

    In the row's cell (all rows, where that has too few) alpha moves by gamma (target - missed), and the score enters
    the calibration scores while the oldest leaves. An alpha beyond all scores takes the widest, never infinity.
    """

    def __init__(self, start: Conformal) -> None:
        self.horizon, self.gamma = start.horizon, start.gamma
        self.cells = start.cells
        self.alpha = start.alpha.copy()
        self._open: dict[int, _Open] = {}
        self._held: dict[tuple[int, int], _Scores] = {}
        for cell in range(-1, start.cells.count):
            mine = start.score if cell < 0 else start.score[start.cell == cell]
            for k in range(len(NOMINAL)):
                self._held[cell, k] = _Scores(mine[:, k].tolist(), max(len(mine), LEAST_WINDOW))
        self._last = -1

    def issue(self, position: int, cell: int, quantiles: F8) -> F8:
        """lo80, hi80, lo90, hi90 (4,) for quantiles (5,) at a bar's position; positions rise."""
        if position <= self._last:
            raise UsageError(f"intervals are issued in order of time: {position} after {self._last}")
        self._last = position
        home = cell if cell >= 0 and len(self._held[cell, 0].ordered) >= LEAST_CELL else -1
        held = [self._held[home, k].ordered for k in range(len(NOMINAL))]
        added = np.array([line[rank(len(line), self.alpha[k, home])] for k, line in enumerate(held)])
        issued: F8 = ends(quantiles[None], added[None])[0]
        self._open[position] = _Open(cell, home, quantiles, issued)
        return issued

    def learn(self, now: int, position: int, y: float) -> None:
        """The truth of the forecast made at `position`, at bar `now`, h bars later or more; NaN drops the forecast.

        UsageError when it cannot be known yet, or when no forecast of that bar waits for its truth.
        """
        if now < position + self.horizon:
            raise UsageError(f"the label of bar {position} is known at {position + self.horizon}, not at {now}")
        if position not in self._open:
            raise UsageError(f"no forecast made at bar {position} waits for its truth")
        made = self._open.pop(position)
        if not np.isfinite(y):
            return
        score = scores(made.quantiles[None], np.array([y]))[0]
        for k, nominal in enumerate(NOMINAL):
            missed = not made.issued[2 * k] <= y <= made.issued[2 * k + 1]
            moved = self.alpha[k, made.home] + self.gamma * (1.0 - nominal - missed)
            self.alpha[k, made.home] = min(max(moved, -self.gamma), 1.0 + self.gamma)
            for cell in {-1, made.cell}:
                self._held[cell, k].add(float(score[k]))

    def run(self, position: I8, cell: I8, quantiles: F8, y: F8) -> F8:
        """Intervals (n, 4) of rows in order of time, each made with what was known at its bar; NaN for NULL ones."""
        out = np.full((len(position), 2 * len(NOMINAL)), np.nan)
        due = 0
        for t, now in enumerate(position.tolist()):
            while position[due] + self.horizon <= now:
                if int(position[due]) in self._open:
                    self.learn(now, int(position[due]), float(y[due]))
                due += 1
            if np.isfinite(quantiles[t]).all():
                out[t] = self.issue(now, int(cell[t]), quantiles[t])
        return out
