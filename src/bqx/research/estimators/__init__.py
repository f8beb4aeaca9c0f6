"""Forecasters behind one contract: `Ridge`, `Boosting`; `forecaster(name)` makes one."""

from __future__ import annotations

from bqx.research.estimators.contract import Forecaster, forecaster

__all__ = ["Forecaster", "forecaster"]
