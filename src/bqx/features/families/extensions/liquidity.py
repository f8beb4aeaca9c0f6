"""liquidity: what it costs to trade now, against the day before, the hour of the week and volatility; 3 columns, an
extension.

Depth, fill rates and crowding need an order book and are not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Dataset
from bqx.features.families.extensions.liquidity_reference import reference
from bqx.features.families.spread_series import compute as spreads
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.squares import root_sum_of_squares
from bqx.features.streams import PRICE, Streams
from bqx.features.support import All, Profile, Quote, Window, needed

F8 = NDArray[np.float64]

W, DAY = 60, 240
SHOCK = 3.0
SPREAD = All((Quote(), PRICE))
ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})

COLUMNS = (
    Column("lq_spread_pct", "0–1", "percentile rank of s among 240 bars, s = 10^4 (ask - bid) / mid",
           All((SPREAD, Window(SPREAD, DAY, "SEG"))), "SEG", bounds=(0.5 / DAY, 1.0 - 0.5 / DAY),
           alias_of="spread_bqx.spread_pctile_240"),
    Column("lq_shock", "flag", "1 if spread_tod_z of spread_bqx > 3", All((SPREAD, Profile(SPREAD))), "XGAP", "i2",
           (0.0, 1.0), ZERO_OK | UNDEFINED, "a flag; NULL where the spread of that minute does not vary"),
    Column("lq_cost", "√min", "s / 2 / sqrt(mean of dy^2 over 60 bars)", All((SPREAD, Window(PRICE, W, "SEG"))), "SEG",
           tags=ZERO_OK | UNDEFINED, why_tagged="0 in a locked market; NULL where quotes stand still",
           summary="Minutes' square root of volatility that half a spread costs."),
)  # fmt: skip


def _cost(streams: Streams) -> F8:
    panel, age = streams.panel, streams.panel.grid.seg_age
    (spread,) = spreads(streams, ["spread_bps"]).values()
    root = root_sum_of_squares(streams.rate_change, age, W, needed(W), False) / np.sqrt(float(W))
    return np.where(np.isnan(panel.close), np.nan, ratio(0.5 * spread, root))


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    found: dict[str, F8] = {}
    if "lq_spread_pct" in names:
        found["lq_spread_pct"] = spreads(streams, ["spread_pctile_240"])["spread_pctile_240"]
    if "lq_shock" in names:
        z = spreads(streams, ["spread_tod_z"])["spread_tod_z"]
        found["lq_shock"] = np.where(np.isnan(z), np.nan, z > SHOCK)
    if "lq_cost" in names:
        found["lq_cost"] = _cost(streams)
    return {name: found[name] for name in names}


DATASET = Dataset(
    family="liquidity",
    domain="rate",
    columns=COLUMNS,
    compute=_compute,
    reference=reference,
    stage=EXTENSION,
    counted=False,
    summary="The quoted spread as a cost: its rank, its shocks, and in units of volatility.",
    uses=frozenset({"quotes"}),
)
