"""The newest minute's values and, for lags, those of the minutes before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveError, LiveStateError
from bqx.features.declare import Dataset
from bqx.research.candidates import LAG_PROFILES

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

DEPTH = max(lag for lags in LAG_PROFILES.values() for lag in lags) + 1
"""Rows that are kept of datasets with lags."""


class Newest:
    """minute : of the newest row, -1 before there is one. Values as the store gives them to a model: float32, NaN for
    NULL. Lags never reach across a closure."""

    def __init__(self, homes: Sequence[Dataset], pairs: Sequence[str]) -> None:
        self.pairs, self.minute, self.age = tuple(pairs), -1, 0
        self._columns = {home.name: {c.name: k for k, c in enumerate(home.columns)} for home in homes}
        self._now = {h.name: np.full((len(h.columns), len(pairs)), np.nan, dtype=np.float32) for h in homes}
        self._rings = {
            h.name: np.full((DEPTH, len(h.columns), len(pairs)), np.nan, dtype=np.float32) for h in homes if h.laggable
        }
        self._at = 0

    def take(self, minutes: NDArray[np.int64], ages: NDArray[np.int32], values: Mapping[str, F8]) -> None:
        """Rows that follow one another: (columns, rows, pairs) a dataset; datasets left out have no values yet."""
        rows = len(minutes)
        for name, value in values.items():
            with np.errstate(over="ignore"):
                self._now[name][:] = value[:, -1]
                if name in self._rings:
                    for k in range(max(0, rows - DEPTH), rows):
                        self._rings[name][(self._at + k) % DEPTH] = value[:, k]
        self._at += rows
        self.minute, self.age = int(minutes[-1]), int(ages[-1])

    def values(self) -> Mapping[str, F4]:
        """All columns of each dataset in their declared order, (columns, pairs), not copied."""
        return self._now

    def column(self, name: str) -> F4:
        """`dataset.column` or `dataset.column.lagK` of all pairs, (pairs,)."""
        home, _, rest = name.partition(".")
        column, _, lag = rest.partition(".lag")
        place = self._columns.get(home, {}).get(column)
        if place is None or (lag and (home not in self._rings or not lag.isdecimal() or int(lag) >= DEPTH)):
            raise LiveError(f"live has no value named {name!r}", fix="names are those of `bqx features list`")
        if not lag:
            now: F4 = self._now[home][place]
            return now
        if int(lag) > self.age:
            return np.full(len(self.pairs), np.nan, dtype=np.float32)
        found: F4 = self._rings[home][(self._at - 1 - int(lag)) % DEPTH, place]
        return found

    def matrix(self, names: Sequence[str]) -> F4:
        """The named candidates of all pairs, (pairs, names)."""
        return np.stack([self.column(name) for name in names], axis=1)

    def state(self) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {f"now {name}": value.copy() for name, value in self._now.items()}
        found |= {f"ring {name}": value.copy() for name, value in self._rings.items()}
        return found | {"place": np.array([self._at, self.minute, self.age], dtype=np.int64)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        mine = self.state()
        if {k: v.shape for k, v in mine.items()} != {k: v.shape for k, v in state.items()}:
            raise LiveStateError("the state's newest values are of other datasets or pairs")
        for name in self._now:
            self._now[name][...] = state[f"now {name}"]
        for name in self._rings:
            self._rings[name][...] = state[f"ring {name}"]
        self._at, self.minute, self.age = (int(v) for v in state["place"])
