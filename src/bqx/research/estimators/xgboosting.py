"""Gradient-boosted trees by XGBoost, with the parameters and defaults of `boosting`."""

from __future__ import annotations

from typing import ClassVar

from bqx.research.estimators.boosting import Boosting
from bqx.research.estimators.engine import Engine
from bqx.research.estimators.xgboost_engine import Xgb


class XgBoosting(Boosting):
    """As :class:`Boosting`, by another library: second-order splits, leaves shrunk by a penalty of 1."""

    name: ClassVar[str] = "xgboost"
    engine: ClassVar[Engine] = Xgb()
