"""Arrays the compare columns are made of, each worked out once; (n, pairs), NaN for NULL.

X is the one-minute change of the rate stream, Z the level M of the bqx stream.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.bollinger import DATASETS as BOLLINGER
from bqx.features.families.extensions.pairing import correlation, lagged, line_on
from bqx.features.families.extensions.parabolic_series import Shapes
from bqx.features.families.momentum_series import Momentum
from bqx.features.families.regime_vol import DATASETS as REGIME_VOL
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.moments import centre, over, shape
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
DOMAINS: tuple[Domain, Domain] = ("rate", "bqx")

BEFORE = 15
"""Bars of the change that M is held against: those M looks back."""
RANKED = 1440
FAR = 2.0
"""Standardised residual beyond which the domains are decoupled."""


class Comparison:
    """Both domains of one panel."""

    def __init__(self, streams: Streams) -> None:
        self.streams, self.age = streams, streams.panel.grid.seg_age
        self.x, self.z = streams.rate_change, streams.bqx_close
        self.shapes = {domain: Shapes(streams, domain) for domain in DOMAINS}
        self._lines: dict[tuple[int, bool], tuple[F8, F8, F8]] = {}

    @cached_property
    def change(self) -> F8:
        return lag_inside(self.streams.rate_close, self.age, BEFORE)

    def line(self, w: int, part: int, *, reverse: bool = False) -> F8:
        """Slope (0), R^2 (1) or last residual (2) of M on the change, or in `reverse`."""
        if (w, reverse) not in self._lines:
            pair = (self.z, self.change) if reverse else (self.change, self.z)
            self._lines[w, reverse] = line_on(*pair, self.age, w)
        return self._lines[w, reverse][part]

    def coupling(self) -> F8:
        return self.line(15, 1) - self.line(60, 1)

    def decoupling(self) -> F8:
        away = self.line(30, 2)
        return np.where(np.isnan(away), np.nan, np.abs(away) > FAR)

    def shape(self, of: Callable[[Shapes, int], F8]) -> F8:
        """Rate less bqx of a normalised term of 60 bars."""
        return of(self.shapes["rate"], 60) - of(self.shapes["bqx"], 60)

    def deviation(self, x: F8, w: int) -> F8:
        return centre(x, self.age, w, needed(w), 1)[2]

    def var_ratio(self, w: int) -> F8:
        return logarithm(over(self.deviation(self.z, w), self.deviation(self.x, w)))

    @cached_property
    def _moments(self) -> tuple[F8, F8]:
        """Skewness and kurtosis of M less those of the changes."""
        m, d = (shape(x, self.age, 60, needed(60), True, False) for x in (self.z, self.x))
        return m[2] - d[2], m[3] - d[3]

    def moment(self, part: int) -> F8:
        return self._moments[part]

    def cross(self, k: int) -> F8:
        return correlation(lagged(self.x, self.age, k), self.z, self.age, 60)

    def vol_diff(self) -> F8:
        m, d = (percentile_rank(self.deviation(x, 30).astype(np.float32), RANKED, needed(RANKED)) for x in
                (self.z, self.x))  # fmt: skip
        return m - d

    def acceleration(self) -> F8:
        rate, bqx = (Momentum(self.streams, domain, 30).acceleration() for domain in DOMAINS)
        return bqx - rate

    @cached_property
    def _bands(self) -> list[dict[str, F8]]:
        names = [f"bb_{kind}_20" for kind in ("width", "percent_b", "slope", "squeeze", "breach")]
        return [dict(home.compute(self.streams, names)) for home in BOLLINGER]

    def band(self, kind: str) -> F8:
        """bqx less rate."""
        rate, bqx = (found[f"bb_{kind}_20"] for found in self._bands)
        return bqx - rate

    def width_ratio(self) -> F8:
        rate, bqx = (found["bb_width_20"] for found in self._bands)
        return logarithm(over(bqx, rate))

    def mismatch(self) -> F8:
        rate, bqx = (home.compute(self.streams, ["vol_state_60"])["vol_state_60"] for home in REGIME_VOL)
        away = bqx - rate
        return np.where(np.isnan(away), np.nan, away != 0.0)
