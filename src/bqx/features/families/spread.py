"""spread: what it costs to trade, from quotes, and what prices alone say of it; 20 auxiliary columns.

s = 10^4 (ask - bid) / mid at the close of the bar. M and |M| are those of the bqx stream, W as named.
"""

from __future__ import annotations

import numpy as np

from bqx.features.declare import Column, Dataset
from bqx.features.families.spread_reference import reference
from bqx.features.families.spread_series import compute
from bqx.features.states import state_support
from bqx.features.streams import PRICE, WINDOWS, momentum_support
from bqx.features.support import All, Fresh, Lag, Profile, Quote, Support, Window
from bqx.market.calendar import WEEK

POSITIVE = (0.0, np.inf)
ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})

SPREAD = All((Quote(), PRICE))
BAR = All((Fresh(), PRICE))
M = momentum_support(WINDOWS[0])
NEIGHBOURS = Lag(BAR, 1, "SEG")

LOCKED = "a locked market, bid = ask, has spread 0"
SAME = "a spread that stands still, or ends where it began, gives exactly 0"
FLAT = "NULL where the spread deviates by at most 0.005 bps: so many ticks, and no other, over a mid that moves"
NONE_SEEN = "0 where prices show no spread: a covariance of the wrong sign, or a root below 0.002 bps"


def _now(*others: Support) -> All:
    """A value of the quoted spread's past that is told only while there is a quote."""
    return All((SPREAD, *others))


def _hour(before: bool = False) -> Window:
    return Window(SPREAD, 60, "SEG", before)


COLUMNS = (
    Column("spread_bps", "bps", "s = 10^4 (ask - bid) / mid of the closes", SPREAD, "NONE", tags=ZERO_OK,
           why_tagged=LOCKED, summary="Negative where venues cross."),
    Column("spread_mean_60", "bps", "mean of s, 60 bars", _now(_hour()), "SEG", tags=ZERO_OK, why_tagged=LOCKED),
    Column("spread_std_60", "bps", "sample sd of s, 60 bars", _now(_hour()), "SEG", bounds=POSITIVE, tags=ZERO_OK,
           why_tagged=SAME),
    Column("spread_slope_60", "bps/bar", "least-squares slope of s, 60 bars", _now(_hour()), "SEG", tags=ZERO_OK,
           why_tagged=SAME),
    Column("spread_max_60", "bps", "largest s of 60 bars", _now(_hour()), "SEG", tags=ZERO_OK, why_tagged=LOCKED),
    Column("spread_range_60", "bps", "largest less smallest s of 60 bars", _now(_hour()), "SEG", bounds=POSITIVE,
           tags=ZERO_OK, why_tagged=SAME),
    Column("spread_z_60", "sd", "(s - mean) / sample sd of s over the 60 bars before t", _now(_hour(True)), "SEG",
           tags=UNDEFINED, why_tagged=FLAT),
    Column("spread_tod_z", "sd", "(s - mean) / sample sd of s at this minute of the week, +-2, in the 8 weeks before, "
           "at least 4 of them with 3 values or more", All((SPREAD, Profile(SPREAD))), "XGAP", tags=UNDEFINED,
           why_tagged=FLAT, source="Andersen & Bollerslev 1997"),
    Column("spread_pctile_240", "0–1", "percentile rank of s among 240 bars", _now(Window(SPREAD, 240, "SEG")), "SEG",
           bounds=(0.5 / 240, 1.0 - 0.5 / 240)),
    Column("spread_spike_count_60", "count", "of the last 60 bars, how many had s > 2 mean of s over the 60 bars "
           "before, scaled to 60 where bars are missing", _now(Window(_now(_hour(True)), 60, "SEG")), "SEG", "i2",
           (0.0, 60.0), ZERO_OK, "an hour without a spike"),
    Column("spread_chg_5", "bps", "s(t) - s(t-5)", Lag(SPREAD, 5, "SEG"), "SEG", tags=ZERO_OK, why_tagged=SAME),
    Column("roll_spread_60", "bps", "2 sqrt(-cov(dy(t), dy(t-1))) over 60 bars, 0 where cov >= 0",
           All((PRICE, Window(Lag(PRICE, 1, "SEG"), 60, "SEG"))), "SEG", bounds=POSITIVE, tags=ZERO_OK,
           why_tagged=NONE_SEEN, source="Roll 1984",
           summary="Of trade prices the effective spread; of mids what transient noise is left in them."),
    Column("cs_spread_60", "bps", "two-bar high-low spread, negatives set to 0, mean of 60 bars",
           All((PRICE, Window(NEIGHBOURS, 60, "SEG"))), "SEG", bounds=(0.0, 2e4), tags=ZERO_OK,
           why_tagged="0 where every pair of bars ranges wider than its bars do", source="Corwin & Schultz 2012",
           summary="Of trade prices the effective spread; of mids what remains of the estimator's bias."),
    Column("ar_spread_60", "bps", "sqrt(max(0, 4 mean of (c1 - m1)(c1 - m))) over 60 bars, m = (h + l)/2, c1 and m1 of "
           "the bar before", All((PRICE, Window(NEIGHBOURS, 60, "SEG"))), "SEG", bounds=POSITIVE, tags=ZERO_OK,
           why_tagged=NONE_SEEN, source="Abdi & Ranaldo 2017",
           summary="Of trade prices the effective spread; of mids what transient noise is left in them."),
    Column("realized_spread_5", "bps", "2 d (p(t-5) - mid(t)) / mid(t-5), d = sign of the last change of mid up to "
           "t-5, p = ask if d > 0 else bid", Lag(SPREAD, 5, "SEG"), "SEG", tags=UNDEFINED,
           why_tagged="NULL until the mid has moved in the segment", source="Lee & Ready 1991; Huang & Stoll 1996",
           summary="What a quote earned that filled an order in the direction of the last tick; bars have no trades."),
    *(Column(f"bqx_to_spread_{w}", "–", f"|M_{w}| / s", _now(momentum_support(w)), "SEG", bounds=POSITIVE,
             tags=ZERO_OK | UNDEFINED, why_tagged="0 where the price is the mean of those before; NULL where s is not "
             "above 0") for w in (15, 60)),
    *(Column(f"spread_bqx_corr_{w}", "−1–1", f"correlation of s and |M_15|, {w} bars",
             _now(Window(_now(M), w, "SEG")), "SEG", bounds=(-1.0, 1.0), tags=UNDEFINED, why_tagged=FLAT)
      for w in (60, 240)),
    Column("spread_regime", "code", f"0 low, 1 middle, 2 high by the percentile rank of s in {WEEK} bars: low from "
           "< 0.33 until > 0.40, high from > 0.67 until < 0.60", state_support(_now(Window(SPREAD, WEEK, "XGAP"))),
           "XGAP", "i2", (0.0, 2.0), ZERO_OK, "0 is the low state"),
)  # fmt: skip

DATASET = Dataset(
    family="spread",
    domain="bqx",
    columns=COLUMNS,
    compute=compute,
    reference=reference,
    stage="1.8.2",
    summary="Quoted spread against its own past, against |M|, and as prices alone show it.",
    counted=False,
    uses=frozenset({"quotes"}),
)
