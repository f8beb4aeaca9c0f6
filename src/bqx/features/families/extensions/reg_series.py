"""Arrays of least-squares parabolas over windows, each worked out once; (n, pairs), NaN for NULL."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.parabola_terms import parabola_terms
from bqx.features.streams import Domain, Streams
from bqx.features.support import Policy, needed

F8 = NDArray[np.float64]
Part = Literal["level", "linear", "quadratic", "residual", "r2", "rmse", "t2", "deviation"]
PARTS: tuple[Part, ...] = ("level", "linear", "quadratic", "residual", "r2", "rmse", "t2", "deviation")
"""What :func:`parabola_terms` gives, in its order."""

LONGEST_SEG = 240
LAGS = {15: 2, 30: 3, 45: 3, 60: 3, 75: 3, 90: 3, 240: 4, 630: 6}
"""Newey and West's lag, the whole part of 4 (W / 100)^(2/9), by window."""


def policy(bars: int) -> Policy:
    return "SEG" if bars <= LONGEST_SEG else "XGAP"


class Parabolas:
    """Parabolas of one panel and domain."""

    def __init__(self, streams: Streams, domain: Domain) -> None:
        self._streams, self._stream = streams, streams.stream(domain)
        self._known: dict[int, dict[Part, F8]] = {}

    def part(self, name: Part, window: int) -> F8:
        if window not in self._known:
            s, across = self._stream, policy(window) == "XGAP"
            levels = (self._streams.segment, s.ends)
            age = self._streams.panel.grid.seg_age
            found = parabola_terms(s.close, age, window, needed(window), LAGS[window], across, levels)
            self._known[window] = dict(zip(PARTS, found, strict=True))
        return self._known[window][name]
