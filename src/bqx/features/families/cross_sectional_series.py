"""The series of the cross_sectional family: how its columns are computed.

Lanes are worked on in the order of their names. A pair whose price is carried for more than two minutes is not among
the panel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.by_name import ByName
from bqx.features.families.cross_sectional_pc1 import changes, loadings
from bqx.features.groups import LEAST
from bqx.features.kernels.deviation import standardised
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.market_model import factor, slopes_across
from bqx.features.kernels.moments import TINY, centre
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.panel_correlation import panel_correlation
from bqx.features.kernels.panel_ranks import (
    BOTTOM,
    GAP,
    RANK,
    SCORE,
    SPREAD,
    TOP,
    breadth,
    panel_measures,
    rank_agreement,
)
from bqx.features.kernels.squares import root_sum_of_squares
from bqx.features.panel_support import STALE
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]

W, LONG, DAY = 60, 240, 1440
EVERY = 15
"""Bars between two refreshes of the first component's share, and the lag of rank stability."""
MEASURE = {"rank": RANK, "z": SCORE, "gap": GAP, "disp": SPREAD, "top3": TOP, "bot3": BOTTOM}
DOMAIN_OF: dict[str, Domain] = {"ret15": "rate", "ret60": "rate", "m15": "bqx", "m60": "bqx"}
KEPT_BY: dict[Domain, str] = {"rate": "ret60", "bqx": "m60"}


def _before(x: F8) -> F8:
    """The row before, NaN in the first one."""
    out = np.full(x.shape, np.nan)
    out[1:] = x[:-1]
    return out


class Panel:
    """Arrays (n, pairs) of one panel, NaN for NULL; lanes in the order of names."""

    def __init__(self, streams: Streams) -> None:
        self.streams, self.age = streams, streams.panel.grid.seg_age
        self.lanes = ByName(streams.panel.pairs)
        self._kept: dict[object, tuple[F8, ...]] = {}

    def _once(self, key: object, make: Callable[[], tuple[F8, ...]]) -> tuple[F8, ...]:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    @cached_property
    def _stale(self) -> NDArray[np.bool_]:
        return np.asarray(self.lanes.sort(self.streams.panel.fill_run) > STALE)

    def variable(self, name: str) -> F8:
        """What is compared across pairs; rounding of equal prices is 0."""
        return self._once(name, lambda: (self._variable(name),))[0]

    def _variable(self, name: str) -> F8:
        s = self.streams
        if name in ("ret15", "ret60"):
            x = lag_inside(self.lanes.sort(s.rate_close), self.age, int(name[3:]))
        elif name in ("m15", "m60"):
            x = self.lanes.sort(s.oriented(int(name[1:])))
        elif name == "rv60":
            x = root_sum_of_squares(self.lanes.sort(s.rate_change), self.age, W, needed(W), False)
        else:
            x = self._relative_volume()
        x = np.where(np.abs(x) <= TINY, 0.0, x)
        return np.where(self._stale, np.nan, x)

    def _relative_volume(self) -> F8:
        v = self.lanes.sort(self.streams.panel.volume)
        shift, excess, _ = centre(v, self.age, W, needed(W), 1)
        before = _before(shift + excess)
        before[self.age == 0] = np.nan
        return ratio(v, before)

    def measure(self, kind: str, name: str) -> F8:
        """rank, z, gap, disp, top3 or bot3 of a variable."""
        found = self._once(("measures", name), lambda: panel_measures(self.variable(name), self._ranked(name), LEAST))
        return found[MEASURE[kind]]

    def _ranked(self, name: str) -> NDArray[np.float32]:
        """Values that differ by rounding only are equal."""
        return self.variable(name).astype(np.float32)

    def load(self, domain: Domain) -> F8:
        return self._once(("load", domain), lambda: (self.lanes.sort(loadings(self.streams, domain)),))[0]

    def breadth(self, name: str) -> F8:
        return breadth(self.variable(name), self.load(DOMAIN_OF[name]), LEAST)

    def _change(self, domain: Domain) -> F8:
        return self._once(("change", domain), lambda: (changes(self.streams, domain, self.lanes),))[0]

    def _together(self, domain: Domain) -> tuple[F8, ...]:
        def make() -> tuple[F8, ...]:
            return panel_correlation(self._change(domain), self.age, LONG, needed(LONG), LEAST, EVERY)

        return self._once(("together", domain), make)

    def _wide(self, x: F8) -> F8:
        return np.broadcast_to(x[:, None], (len(x), len(self.lanes.names)))

    def avg_corr(self, domain: Domain) -> F8:
        return self._wide(self._together(domain)[0])

    def pc1_share(self, domain: Domain) -> F8:
        return self._wide(self._together(domain)[1])

    def pc1_load(self, domain: Domain) -> F8:
        return self.load(domain)

    def rank_stab(self, domain: Domain) -> F8:
        return self._wide(rank_agreement(self._ranked(KEPT_BY[domain]), self.age, EVERY, LEAST))

    def idio_z(self, domain: Domain) -> F8:
        """Score of what the first component, by a slope known the bar before, leaves of dy."""
        dy = self._change(domain)
        f = factor(dy, self.load(domain), LEAST)
        dy = np.where(np.isnan(f), np.nan, dy)
        # the bars before, in the sums of this bar's segment
        slope = slopes_across(_before(dy), _before(f), self.age, DAY, needed(DAY))
        return standardised(dy - slope * f, self.age, LONG, needed(LONG))
