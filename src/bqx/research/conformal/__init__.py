"""Intervals that cover what they say: conformalised quantiles, by session and volatility, kept true under drift."""

from __future__ import annotations

from bqx.research.conformal.cells import Cells
from bqx.research.conformal.cqr import NOMINAL, Conformal
from bqx.research.conformal.walk import Walker

__all__ = ["NOMINAL", "Cells", "Conformal", "Walker"]
