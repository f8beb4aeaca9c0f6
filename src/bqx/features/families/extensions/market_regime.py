"""market_regime: whether money seeks risk, and how much pairs move as one; 2 columns, an extension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Dataset
from bqx.features.families.cross_sectional import DATASET as PANEL
from bqx.features.families.cross_sectional_series import Panel
from bqx.features.families.extensions.currency_index_support import NAMES, Holders, strength_members
from bqx.features.families.extensions.market_regime_reference import reference
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.loops import strengths
from bqx.features.streams import PRICE, Streams
from bqx.features.support import All, Lag

F8 = NDArray[np.float64]

W = 60
RISKY, SAFE = ("aud", "cad", "nzd"), ("chf", "jpy")
SHARE = PANEL.by_name["xs_pc1_share_rate"]
MOVED = All(tuple(Holders(Lag(PRICE, W, "SEG"), c) for c in (*RISKY, *SAFE)))

COLUMNS = (
    Column("mr_risk_on", "bps", f"mean of the changes of strength of {', '.join(RISKY)} over {W} bars less that of "
           f"{', '.join(SAFE)}; ln S = mean over the 7 pairs of the currency of +-ln mid", MOVED, "SEG"),
    Column("mr_systemic", "0–1", SHARE.formula, SHARE.support, SHARE.policy, bounds=SHARE.bounds, tags=SHARE.tags,
           why_tagged=SHARE.why_tagged, alias_of="cross_sectional_dual.xs_pc1_share_rate"),
)  # fmt: skip


def _risk(streams: Streams) -> F8:
    pairs, shape = streams.panel.pairs, streams.panel.shape
    moves = strengths(lag_inside(streams.rate_close, streams.panel.grid.seg_age, W), *strength_members(pairs))

    def mean(names: Sequence[str]) -> F8:
        total = np.zeros(shape[0])
        for name in names:
            total = total + moves[:, NAMES.index(name)]
        return total / len(names)

    return np.repeat((mean(RISKY) - mean(SAFE))[:, None], shape[1], axis=1)


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    found: dict[str, F8] = {}
    if "mr_risk_on" in names:
        found["mr_risk_on"] = _risk(streams)
    if "mr_systemic" in names:
        panel = Panel(streams)
        found["mr_systemic"] = panel.lanes.back(panel.pc1_share("rate"))
    return {name: found[name] for name in names}


DATASET = Dataset(
    family="market_regime",
    domain="dual",
    columns=COLUMNS,
    compute=_compute,
    reference=reference,
    stage=EXTENSION,
    counted=False,
    summary="Strength of risky currencies against safe ones, and the share of the first component.",
    uses=frozenset({"panel"}),
)
