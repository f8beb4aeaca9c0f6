"""The series of the volume family: how its columns are computed.

v is the tick volume (quotes counted; spot FX has no consolidated traded volume), 0 in a minute that carries its price;
u = ln(1 + v). Weighted means and correlations are over the bars where both series are valid.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.bands import balance
from bqx.features.kernels.deviation import standardised
from bqx.features.kernels.flow import bulk_side, log_one_plus, signed_volume
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.line import slopes
from bqx.features.kernels.minute_of_week import weekly_scores
from bqx.features.kernels.moments import TINY, centre, standard
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.products import correlations
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.kernels.weighted import weighted_mean
from bqx.features.streams import Streams
from bqx.features.support import needed
from bqx.market.calendar import WEEK

F8 = NDArray[np.float64]
Centre = tuple[F8, F8, F8]

LONG = 240
"""Bars of the scores and deviations that others are measured with."""
SPIKE = 2.0
EDGE = 1.0 + 1e-9
"""Volumes are whole numbers: twice the mean is often met exactly, and is no spike."""


class _Volumes:
    """Arrays (n, pairs), NaN for NULL, of one panel."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.age = streams.panel.grid.seg_age
        self.v = streams.panel.volume
        self._means: dict[int, Centre] = {}

    @cached_property
    def u(self) -> F8:
        return log_one_plus(self.v)

    def centre_v(self, w: int) -> Centre:
        """shift, excess (mean = shift + excess) and sample deviation of v."""
        if w not in self._means:
            self._means[w] = centre(self.v, self.age, w, needed(w), 1)
        return self._means[w]

    def mean_v(self, w: int) -> F8:
        shift, excess, _ = self.centre_v(w)
        return shift + excess

    def weighted(self, x: F8, w: int) -> F8:
        return weighted_mean(x, self.v, self.age, w, needed(w))

    def share(self, x: F8, w: int, least: float = 0.0) -> F8:
        """Weighted mean of values in [least, 1]."""
        return np.minimum(np.maximum(self.weighted(x, w), least), 1.0)

    def before(self, x: F8) -> F8:
        """The value one bar before in the segment."""
        out = np.full(x.shape, np.nan)
        out[1:] = x[:-1]
        out[self.age == 0] = np.nan
        return out

    def correlation(self, a: F8, b: F8, w: int) -> F8:
        null = np.isnan(a) | np.isnan(b)
        out = np.empty(a.shape)
        a, b = np.where(null, np.nan, a), np.where(null, np.nan, b)
        correlations(a, b, self.age, w, needed(w), out)
        return out

    def z(self, x: F8, w: int) -> F8:
        return standardised(x, self.age, w, needed(w))


class RateVolumes(_Volumes):
    """volume_rate."""

    def vol_ratio(self, w: int) -> F8:
        return ratio(self.v, self.before(self.mean_v(w)))

    def vol_z(self, w: int) -> F8:
        shift, excess, deviation = (self.before(x) for x in centre(self.u, self.age, w, needed(w), 1))
        return standard(self.u, shift, excess, deviation)

    def vol_tod_z(self, _: int) -> F8:
        grid = self.streams.panel.grid
        return weekly_scores(self.u, grid.week, grid.minute_of_week, WEEK)

    def vol_spike_count(self, w: int) -> F8:
        times = self.vol_ratio(w)
        flag = np.where(np.isnan(times), np.nan, times > SPIKE * EDGE)
        return np.rint(w * balance(flag, self.age, w, needed(w)))

    def vol_slope(self, w: int) -> F8:
        return slopes(self.u, self.age, w, needed(w))

    def vol_cum(self, w: int) -> F8:
        return log_one_plus(w * self.mean_v(w))

    def vwap_dev(self, w: int) -> F8:
        s = self.streams
        typical = (s.rate_high + s.rate_low + s.rate_close) / 3.0
        away = s.rate_close - self.weighted(typical, w)
        return np.where(np.abs(away) <= TINY, 0.0, away)

    def vw_return(self, w: int) -> F8:
        return self.weighted(self.streams.rate_change, w)

    def vol_absret_corr(self, w: int) -> F8:
        return self.correlation(self.u, np.abs(self.streams.rate_change), w)

    def obv_slope(self, w: int) -> F8:
        balance_ = signed_volume(self.streams.rate_change, self.v, self.age)
        rise = slopes(balance_, self.age, w, needed(w))
        size = ratio(np.abs(rise), self.mean_v(w))
        return np.where(rise < 0.0, -size, size)

    def vol_cv(self, w: int) -> F8:
        return ratio(self.centre_v(w)[2], self.mean_v(w))

    def vol_pctile(self, w: int) -> F8:
        """Windows of the segment: rows of the segment before it are out of reach from its bar w on."""
        rank = percentile_rank(self.v, w, needed(w))
        rank[self.age < w - 1] = np.nan
        return rank

    def amihud(self, w: int) -> F8:
        """Mean over the bars with volume, of a window with enough valid ones."""
        each = ratio(np.abs(self.streams.rate_change), self.v)
        shift, excess, _ = centre(each, self.age, w, 1, 0)
        return np.where(np.isnan(self.mean_v(w)), np.nan, shift + excess)


class BqxVolumes(_Volumes):
    """volume_bqx."""

    @cached_property
    def m(self) -> F8:
        return self.streams.bqx_close

    @cached_property
    def dm(self) -> F8:
        return self.streams.bqx_change

    @cached_property
    def size(self) -> F8:
        return np.abs(self.dm)

    def _flag(self, x: F8, above: float) -> F8:
        return np.where(np.isnan(x), np.nan, x > above)

    def vw_bqx(self, w: int) -> F8:
        return self.weighted(self.m, w)

    def bqx_vol_corr(self, w: int) -> F8:
        return self.correlation(self.m, self.u, w)

    def absbqx_vol_corr(self, w: int) -> F8:
        return self.correlation(self.size, self.u, w)

    def vol_mom_div(self, w: int) -> F8:
        return self.z(self.u, w) - self.z(np.abs(self.m), w)

    @cached_property
    def _rises(self) -> F8:
        return self._flag(self.dm, TINY)

    def up_vol_share(self, w: int) -> F8:
        return self.share(self._rises, w)

    @cached_property
    def _side(self) -> F8:
        deviation = centre(self.dm, self.age, LONG, needed(LONG), 1)[2]
        return bulk_side(self.dm, deviation)

    def bvc_imbalance(self, w: int) -> F8:
        return self.share(self._side, w, -1.0)

    def bqx_per_vol(self, w: int) -> F8:
        return ratio(np.abs(lag_inside(self.m, self.age, w)), w * self.mean_v(w))

    def volz_x_bqxvolz(self, w: int) -> F8:
        shift, excess, _ = centre(self.u, self.age, w, needed(w), 1)
        deviation = centre(self.dm, self.age, w, needed(w), 1)[2]
        return self.z(shift + excess, LONG) * self.z(deviation, LONG)

    @cached_property
    def _before(self) -> tuple[F8, F8]:
        return self.before(self.u), self.before(self.size)

    def vol_bqx_lead(self, w: int) -> F8:
        u, size = self._before
        return self.correlation(u, self.size, w) - self.correlation(self.u, size, w)

    @cached_property
    def _score(self) -> F8:
        return self.z(self.m, LONG)

    @cached_property
    def _surges(self) -> F8:
        return self._flag(self._score, 1.0)

    @cached_property
    def _drops(self) -> F8:
        return self._flag(-self._score, 1.0)

    def vol_share_surge(self, w: int) -> F8:
        return self.share(self._surges, w)

    def vol_share_drop(self, w: int) -> F8:
        return self.share(self._drops, w)

    def vw_dbqx(self, w: int) -> F8:
        return self.weighted(self.dm, w)
