"""What live copies of families have in place of functions that shift rows in numpy, or look fits up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.live.copies import override
from bqx.features.live.steppers.lags import Earlier
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


@override("spread_series._Series.lagged")
def lagged(self: Any, x: F8, bars: int) -> F8:
    out = earlier(x, bars)
    out[self.age < bars] = np.nan
    return out
