"""The settings that could have been chosen instead, and what luck gets: daily profit of each, table by table.

Everything here is without caps, with time exits and stress 1, so that like is compared with like: the strategy itself,
its relatives (other horizons and thresholds), random entries of equal turnover, and the random walk's signal.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bqx.research.backtest.outcomes import Outcomes, taken
from bqx.research.backtest.profit import Book
from bqx.research.backtest.signal import SignalRule, signals
from bqx.research.backtest.sizing import Sizing

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
Key = tuple[int, float]
THRESHOLDS = (1.0, 1.25, 1.5, 2.0)
"""Multiples of the round trip that the expected return must exceed."""
SEEDS = 200


@dataclass
class Family:
    """Sums over tables that are added one after the other, rows by trade day (`days`, (d,)).

    relatives : daily profit by (horizon, threshold), horizon 0 for all together. twins : by the same keys, what luck
    made with the entries of each. strategy, walk : closed trades of each table, the strategy's and those of the random
    walk's signal; horizons : of the tables. random : daily profit of each
    seed, with the turnover of the strategy (seeds, d).
    """

    days: I8
    rule: SignalRule
    sizing: Sizing
    seed: int = 0
    seeds: int = SEEDS
    relatives: dict[Key, F8] = field(default_factory=dict)
    twins: dict[Key, F8] = field(default_factory=dict)
    strategy: list[Book] = field(default_factory=list)
    horizons: list[int] = field(default_factory=list)
    walk: list[Book] = field(default_factory=list)
    random: F8 = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.zeros((self.seeds, len(self.days)))

    def add(self, o: Outcomes) -> None:
        """Take one pair and horizon in."""
        t = o.table
        weight = self.sizing.weights(t.sigma, t.horizon)
        s = signals(t.f4, t.sigma, o.spread_bps, t.horizon, self.rule)
        cost = s.hurdle_bps - self.rule.margin_bps
        for threshold in THRESHOLDS:
            side = np.where(np.abs(s.expected_bps) > threshold * cost, np.sign(s.expected_bps), 0.0)
            side = np.where(np.isfinite(s.expected_bps) & np.isfinite(cost), side, 0.0).astype(np.int8)
            rows = taken(o, side)
            made = self._daily(o, rows, side, weight)
            for key in ((t.horizon, threshold), (0, threshold)):
                self.relatives[key] = self.relatives.get(key, 0.0) + made
                self.twins[key] = self.twins.get(key, 0.0) + self._twin(o, rows, weight, key)
        rows = taken(o, s.side)
        self.strategy.append(self._book(o, rows, s.side, weight))
        self.horizons.append(t.horizon)
        walk = np.sign(np.where(np.isfinite(t.walk), t.walk, 0.0)).astype(np.int8)
        self.walk.append(self._book(o, rows[walk[rows] != 0], walk, weight))
        self._luck(o, rows, weight)

    def _luck(self, o: Outcomes, rows: I8, weight: F8) -> None:
        rng = np.random.default_rng([self.seed, *o.table.pair.encode(), o.table.horizon])
        for k in range(self.seeds):
            self.random[k] += self._by_luck(o, rows, weight, rng)

    def _twin(self, o: Outcomes, rows: I8, weight: F8, key: Key) -> F8:
        mine = [key[0], round(100 * key[1])]
        return self._by_luck(
            o, rows, weight, np.random.default_rng([self.seed, *o.table.pair.encode(), o.table.horizon, *mine])
        )

    def _by_luck(self, o: Outcomes, rows: I8, weight: F8, rng: np.random.Generator) -> F8:
        """Entries and sizes with their spacing, all shifted by a random time, on random sides: profit a day."""
        made = np.zeros(len(self.days))
        free = np.flatnonzero(o.ready & o.fills)
        if not len(rows) or not len(free):
            return made
        place = np.searchsorted(free, rows)
        at = free[(place + int(rng.integers(len(free)))) % len(free)]
        side = np.where(rng.random(len(rows)) < 0.5, 1, -1)
        net = side * o.gross_bps[at] - o.cost_bps[at]
        net -= np.where(side > 0, o.long_financing[at], o.short_financing[at])
        np.add.at(made, self._row(o.day[at]), weight[rows] * net)
        return made

    def _row(self, day: I8) -> I8:
        return np.minimum(np.searchsorted(self.days, day), len(self.days) - 1).astype(np.int64)

    def _daily(self, o: Outcomes, rows: I8, side: NDArray[np.int8], weight: F8) -> F8:
        made = weight[rows] * o.net_bps(side)[rows]
        return np.asarray(np.bincount(self._row(o.day[rows]), made, minlength=len(self.days)), np.float64)

    def _book(self, o: Outcomes, rows: I8, side: NDArray[np.int8], weight: F8) -> Book:
        financing = np.where(side > 0, o.long_financing, o.short_financing)[rows]
        gross = side[rows] * o.gross_bps[rows]
        return Book(weight[rows], gross, o.cost_bps[rows], financing, self._row(o.day[rows]))

    def matrix(self) -> tuple[list[Key], F8]:
        """Settings and their daily profit (days, settings); all horizons together only when there are several."""
        several = len({h for h, _ in self.relatives if h}) > 1
        keys = [k for k in sorted(self.relatives) if k[0] or several]
        return keys, np.stack([self.relatives[k] for k in keys], axis=1)

    def matrix_of_twins(self) -> F8:
        """What luck made with the entries of each setting of `matrix`, in its order."""
        return np.stack([self.twins[k] for k in self.matrix()[0]], axis=1)
