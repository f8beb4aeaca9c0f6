"""Forecasters behind one contract; `forecaster(name)` makes one, `checks` holds what any must pass."""

from __future__ import annotations

from bqx.research.estimators.contract import Forecaster
from bqx.research.estimators.registry import estimator_class, estimators, forecaster

__all__ = ["Forecaster", "estimator_class", "estimators", "forecaster"]
