"""Kernels that look at one row only, and functions of numbers: the same live and in batch."""

from __future__ import annotations

from bqx.features.live.tape import BY_ROW

BY_ROW |= {
    "levels.levels",
    "logs.logarithm",
    "mathfun.log_ratio",
    "mathfun.turn",
    "momentum.momentum",
    "moments.over",
    "moments.standard",
    "oscillators.ratio",
}
