"""What live copies of families have in place of functions that shift rows in numpy, or look fits up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.families import bollinger
from bqx.features.live.copies import override
from bqx.features.live.steppers.lags import Earlier
from bqx.features.live.streams import LiveStreams
from bqx.features.live.tape import active

F8 = NDArray[np.float64]


def earlier(x: F8, lag: int) -> F8:
    """The value `lag` rows ago, NaN where there is none."""
    out: F8 = active().call("earlier", (x, lag), {}, Earlier)
    return out


@override("volume_series._Volumes.before", "correlation_series.Correlations._before")
def before(self: Any, x: F8) -> F8:
    out = earlier(x, 1)
    out[self.age == 0] = np.nan
    return out


@override("cross_sectional_series._before")
def row_before(x: F8) -> F8:
    return earlier(x, 1)


@override("pairing.lagged")
def lagged_in(x: F8, age: NDArray[np.int32], bars: int) -> F8:
    if bars == 0:
        return x
    out = earlier(x, bars)
    out[age < bars] = np.nan
    return out


@override("spread_series._Series.lagged")
def lagged(self: Any, x: F8, bars: int) -> F8:
    out = earlier(x, bars)
    out[self.age < bars] = np.nan
    return out


@override("ohlc._gap_factors")
def gap_factors(streams: LiveStreams) -> F8:
    """The segment has had a price once its rate stream has a reference."""
    panel = streams.panel
    out = np.full(panel.shape, np.nan)
    numbers = panel.grid.seg_id.tolist()
    for j, pair in enumerate(panel.pairs):
        factors = streams.anchors.gap_factors(pair)
        out[:, j] = [factors.get(number, np.nan) for number in numbers]
    return np.where(np.isnan(streams._reference), np.nan, out)


@override("bollinger._slope")
def slope(rate: bool, middle: F8, change: F8) -> F8:
    if not rate:
        return change
    then = earlier(middle, bollinger.LAG)
    change /= 1e-4 * then
    return change
