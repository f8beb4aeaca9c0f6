"""Parameters chosen on inner folds of a training window, with every trial in the ledger."""

from __future__ import annotations

from bqx.research.tuning.result import params_of
from bqx.research.tuning.run import tune

__all__ = ["params_of", "tune"]
