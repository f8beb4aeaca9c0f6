"""Forecasts as JSON answers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bqx.market.calendar import Calendar, datetime_of
from bqx.research.backtest.signal import Signal
from bqx.serve.api.freshness import Asked, age_in_bars
from bqx.serve.api.invocations import QUANTILES
from bqx.serve.api.predictor import Made


def answer(
    made: Made,
    question: Asked,
    calendar: Calendar,
    request_id: str,
    began: float,
    *,
    source: str,
    simulated: bool,
    values: bool = False,
) -> dict[str, Any]:
    """`schemas.PredictOut` as a dictionary. began : `time.perf_counter()` of the request."""  # fmt: skip
    row, model = made.row, made.model
    best = made.best
    features: dict[str, Any] = {"used": len(row.values), "null": int(np.isnan(row.values).sum()), "values": None}
    if values:
        features["values"] = {c.name: number(float(v)) for c, v in zip(model.columns, row.values, strict=True)}
    return {
        "request_id": request_id,
        "pair": model.pair,
        "asked_at": _time(question.seconds),
        "signal": signal_dict(made.signals[best], made.said.horizons[best]),
        "horizons": [_horizon(made, k) for k in range(len(made.said.horizons))],
        "data": {
            "bar": datetime_of(row.minute).isoformat(),
            "newest_bar": datetime_of(row.last_bar).isoformat(),
            "age_bars": age_in_bars(calendar, question, row.last_bar),
            "age_seconds": round(question.seconds - 60.0 * (row.last_bar + 1), 3),
            "sigma_bps": row.sigma,
            "cost_bps": number(row.cost),
            "bars_left": row.left,
            "source": source,
            "simulated": simulated,
        },
        "features": features,
        "model": {
            "version": model.located.version,
            "digest": model.digest,
            "catalogue_version": model.artefact.manifest["catalogue_version"],
            "promoted": model.located.promoted,
            "simulated": model.artefact.simulated,
            "note": model.located.why,
        },
        "latency_ms": round(1000 * (time.perf_counter() - began), 3),
    }


def _horizon(made: Made, k: int) -> dict[str, Any]:
    said = made.said
    return {
        "bars": said.horizons[k],
        "expected_move_bps": number(said.move[0, k]),
        "interval_80_bps": interval(said.lo80[0, k], said.hi80[0, k]),
        "interval_90_bps": interval(said.lo90[0, k], said.hi90[0, k]),
        "quantiles_bps": {q: number(said.quantiles[0, k, j]) for j, q in enumerate(QUANTILES)},
        "probability_up": number(said.p_up[0, k]),
        "innovation_sigma": number(said.innovation[0, k]),
        "signal": signal_dict(made.signals[k], said.horizons[k]),
    }


def signal_dict(found: Signal, horizon: int) -> dict[str, Any]:
    return {"action": found.action, "strength": number(found.strength), "horizon": horizon, "reason": found.reason}


def number(value: float) -> float | None:
    """For JSON: NaN is null."""
    return float(value) if np.isfinite(value) else None


def interval(low: float, high: float) -> list[float] | None:
    """Null when an end is."""
    return [float(low), float(high)] if np.isfinite(low) and np.isfinite(high) else None


def _time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
