"""More kernels that look at one row only, and those that only functions call which `live/overrides*` replace."""

from __future__ import annotations

from bqx.features.live.tape import BY_ROW

BY_ROW |= {
    "bands.outside",
    "bands.place_between",
    "bands.settle",
    "cusum.log_square",
    "flow.bulk_side",
    "flow.log_one_plus",
    "group_correlation.groups_of",
    "group_moments.group_moments",
    "group_moments.member_lists",
    "effective_spread.spreads_of",
    "hidden_markov.arrange",
    "legs.leg",
    "legs.nearest",
    "legs.proximity",
    "legs.share",
    "market_model.factor",
    "members.member_mean",
    "members.parity",
    "members.parity_of_levels",
    "panel_ranks.breadth",
    "panel_ranks.panel_measures",
    "peaks.on_grid",
}

BY_ROW |= {
    "hidden_markov_fit.fit_chain",
    "hourly_line.residuals",
    "jit.kernel",
    "johansen.relation",
    "linear.jacobi",
    "pairwise.correlation_of",
    "splice.splice",
    "splice.stretches",
}
"""Estimates are made by the original families from the past; relations and legs over closures have steppers."""
