"""currency_index: the strength of the 8 currencies and of the two that a pair holds; 16 columns, an extension.

ln S_c is the mean over the 7 pairs that hold c, each turned so that it rises with c; the sum of the 8 is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Dataset
from bqx.features.families.correlation_series import Correlations
from bqx.features.families.extensions.currency_index_reference import reference
from bqx.features.families.extensions.currency_index_support import NAMES, Holders, sides, strength_members, triangles
from bqx.features.kernels.lags import lag_inside
from bqx.features.kernels.levels import BPS
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.loops import exponential, share_below, strengths
from bqx.features.kernels.members import parity
from bqx.features.panel_support import Jointly, Recent
from bqx.features.streams import PRICE, Streams
from bqx.features.support import All, Baseline, Lag

F8 = NDArray[np.float64]

W = 60
"""Bars of the change that currencies are ranked by, and of correlations."""
LEVEL, UNDEFINED = frozenset({"level"}), frozenset({"may_be_undefined"})


def _columns() -> Iterator[Column]:
    index = Baseline(PRICE)
    positive, infinite = (0.0, np.inf), (-np.inf, np.inf)
    strength = "mean over the 7 pairs with c of +-ln(close / B_p)"
    for c in NAMES:
        yield Column(f"{c}_index", "pts", f"100 S, ln S = {strength}, c = {c}", Holders(index, c), "NONE", "f8",
                     positive, LEVEL)  # fmt: skip
    for side in ("base", "quote"):
        yield Column(f"{side}_index", "pts", f"100 S, ln S = {strength}, c the pair's {side} currency",
                     Holders(index, side), "NONE", "f8", positive, LEVEL)  # fmt: skip
    yield Column("differential", "bps", "10^4 (ln S_base - ln S_quote)", Holders(index, "both"), "NONE", "f8", infinite,
                 LEVEL)  # fmt: skip
    moved = Holders(Lag(PRICE, W, "SEG"), "all")
    for side in ("base", "quote"):
        yield Column(f"{side}_pctile", "0–1", f"(rank - 1/2) / 8 of the {side} currency among the 8 by ln S(t) - ln "
                     f"S(t-{W})", moved, "SEG", bounds=(0.5 / 8, 7.5 / 8))  # fmt: skip
    legs = Holders(PRICE, "both")
    yield Column("pair_divergence", "bps", "10^4 (ln mid - 7/8 (ln S_base - ln S_quote)) of mids without baselines, "
                 "which is 3/4 of the mean parity residual of the pair's 6 triangles", legs, "NONE",
                 bounds=infinite)  # fmt: skip
    recent = Recent(PRICE)
    both = All((Jointly(recent, W, "base"), Jointly(recent, W, "quote")))
    yield Column("related_corr_60", "−1–1", "mean of corr_base_60 and corr_quote_60 of correlation_rate", both, "SEG",
                 bounds=(-1.0, 1.0), tags=UNDEFINED, why_tagged="NULL where a pair's quotes stand still")  # fmt: skip
    yield Column("triangular_consistency", "bps", "- sample sd of the parity residuals ln mid - ln first - ln second "
                 "of the pair's 6 triangles", legs, "NONE", bounds=(-np.inf, 0.0))  # fmt: skip


def _indices(streams: Streams) -> F8:
    """ln S of the 8 currencies since the baseline. Shape (n, 8)."""
    panel, anchors = streams.panel, streams.anchors
    known = panel.grid.minute[:, None] >= anchors.minutes(panel.pairs)[None, :]
    ratio = np.where(known, panel.close * (1.0 / anchors.mids(panel.pairs)), np.nan)
    return strengths(logarithm(ratio), *strength_members(panel.pairs))


def _of_indices(streams: Streams, names: Sequence[str]) -> dict[str, F8]:
    pairs = streams.panel.pairs
    base, quote = sides(pairs)
    level = _indices(streams)
    points = 100.0 * exponential(level)
    shape = streams.panel.shape
    found = {f"{c}_index": np.broadcast_to(points[:, k : k + 1], shape) for k, c in enumerate(NAMES)}
    found |= {"base_index": points[:, base], "quote_index": points[:, quote]}
    found["differential"] = BPS * (level[:, base] - level[:, quote])
    return found


def _of_ranks(streams: Streams) -> dict[str, F8]:
    pairs = streams.panel.pairs
    base, quote = sides(pairs)
    change = lag_inside(streams.rate_close, streams.panel.grid.seg_age, W)
    rank = share_below(strengths(change, *strength_members(pairs)))
    return {"base_pctile": rank[:, base], "quote_pctile": rank[:, quote]}


def _of_triangles(streams: Streams) -> dict[str, F8]:
    """From the six residuals, added in the order of the third currencies' names."""
    close = streams.panel.close
    lanes, signs = triangles(streams.panel.pairs)
    six = [parity(close, lanes[:, i : i + 1].copy(), signs[:, i : i + 1].copy()) for i in range(6)]
    total = six[0]
    for one in six[1:]:
        total = total + one
    mean = total / 6.0
    squares = np.zeros(close.shape)
    for one in six:
        squares += (one - mean) * (one - mean)
    return {"pair_divergence": 0.75 * mean, "triangular_consistency": -np.sqrt(squares / 5.0)}


def _of_correlations(streams: Streams) -> dict[str, F8]:
    series = Correlations(streams, "rate")
    return {"related_corr_60": series.lanes.back(0.5 * (series.corr("base", W) + series.corr("quote", W)))}


def _compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    found = _of_indices(streams, names) if any(n.endswith(("index", "differential")) for n in names) else {}
    if any(n.endswith("pctile") for n in names):
        found |= _of_ranks(streams)
    if "related_corr_60" in names:
        found |= _of_correlations(streams)
    if "pair_divergence" in names or "triangular_consistency" in names:
        found |= _of_triangles(streams)
    return {name: found[name] for name in names}


DATASET = Dataset(
    family="currency_index",
    domain="dual",
    columns=tuple(_columns()),
    compute=_compute,
    reference=reference,
    stage=EXTENSION,
    counted=False,
    summary="Strength of the 8 currencies from all pairs that hold them, and how a pair stands to its two.",
    uses=frozenset({"panel", "baseline"}),
)
