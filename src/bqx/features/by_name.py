"""Lanes of a panel in the order of their pairs' names, so that a project's order of pairs moves no bit."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.groups import canonical

F8 = NDArray[np.float64]


class ByName:
    """names : the pairs in order."""

    def __init__(self, pairs: tuple[str, ...]) -> None:
        self._order = canonical(pairs)
        self.names = tuple(pairs[k] for k in self._order)

    @cached_property
    def _sorted(self) -> bool:
        return bool((self._order == np.arange(len(self._order))).all())

    def sort(self, x: F8 | NDArray[np.int32]) -> F8:
        """Columns of (n, pairs) from the panel's order into that of names."""
        y = x if self._sorted else x[:, self._order]
        return np.ascontiguousarray(y, dtype=np.float64)

    def back(self, x: F8) -> F8:
        """The other way."""
        if self._sorted:
            return x
        out = np.empty(x.shape)
        out[:, self._order] = x
        return out
