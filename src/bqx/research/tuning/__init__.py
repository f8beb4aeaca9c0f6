"""Parameters chosen on inner folds of a training window, with every trial in the ledger."""

from __future__ import annotations

from bqx.research.tuning.result import load_params
from bqx.research.tuning.run import tune

__all__ = ["load_params", "tune"]
