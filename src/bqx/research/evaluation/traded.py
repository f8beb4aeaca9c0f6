"""What the backtest of a run says, for the facts that stand on every page; "not run" where there is none."""

from __future__ import annotations

import json
from typing import Any

from bqx.base.errors import EvaluationError
from bqx.research.training.folder import Run

NAME = "backtest.json"
NOT_RUN = "not run"
_PLACES = {
    "net_sharpe": ("sharpe", "ratio"),
    "net_sharpe_low": ("sharpe", "low"),
    "net_sharpe_high": ("sharpe", "high"),
    "deflated_sharpe": ("deflated", "dsr"),
    "pbo": ("pbo", "pbo"),
    "turnover": ("summary", "turnover"),
    "cost": ("summary", "costs_bps_of_notional"),
    "spread": ("spread", "source"),
}


def traded(run: Run) -> dict[str, float | str]:
    """Figures by name, a number or, in words, why there is none. EvaluationError for the file of another run."""
    path = run.folder / NAME
    if not path.is_file():
        return dict.fromkeys(_PLACES, NOT_RUN)
    try:
        data = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise EvaluationError(
            f"{NAME} cannot be read: {error}", where=str(path), fix="run the backtest again"
        ) from error
    if not isinstance(data, dict) or data.get("run_hash") != run.hash:
        raise EvaluationError(f"{NAME} is not of run {run.name}", where=str(path), fix="run the backtest again")
    return {name: _found(data, *place) for name, place in _PLACES.items()}


def _found(data: dict[str, Any], part: str, name: str) -> float | str:
    """A figure of the file; a part that could not be had is null there, its reason under `missing`."""
    group = data.get(part)
    value = group.get(name) if isinstance(group, dict) else None
    if value is None:
        return str(data.get("missing", {}).get(part, "not in the backtest"))
    return value if isinstance(value, str) else float(value)
