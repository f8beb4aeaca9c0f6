"""Kernels that look at one row only, and functions of numbers: the same live and in batch."""

from __future__ import annotations

from bqx.features.live.tape import BY_ROW

BY_ROW |= {
    "bands.outside",
    "bands.place_between",
    "bands.settle",
    "clocks.decay",
    "clocks.since_last",
    "clocks.soon",
    "clocks.to_next",
    "cusum.log_square",
    "effective_spread.spreads_of",
    "flow.bulk_side",
    "flow.log_one_plus",
    "group_correlation.groups_of",
    "group_moments.group_moments",
    "group_moments.member_lists",
    "hidden_markov.arrange",
    "legs.leg",
    "legs.nearest",
    "legs.proximity",
    "legs.share",
    "levels.levels",
    "logs.logarithm",
    "loops.exponential",
    "loops.loops",
    "loops.share_below",
    "loops.strengths",
    "market_model.factor",
    "mathfun.log_ratio",
    "mathfun.turn",
    "members.member_mean",
    "members.parity",
    "members.parity_of_levels",
    "moments.over",
    "moments.standard",
    "momentum.momentum",
    "oscillators.ratio",
    "panel_ranks.breadth",
    "panel_ranks.panel_measures",
    "peaks.on_grid",
    "softmax.first_weight",
    "wavelets.reach",
}

BY_ROW |= {
    "garch.fit_garch",
    "hidden_markov_fit.fit_chain",
    "hourly_line.residuals",
    "jit.kernel",
    "johansen.relation",
    "linear.jacobi",
    "pairwise.correlation_of",
    "splice.splice",
    "splice.stretches",
}
"""Only functions that `live/overrides*` replace call these: estimates are made by the original families from the past;
relations and legs over closures have steppers of their own."""
