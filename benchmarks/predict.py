"""Core time of one forecast: a row of one pair through all horizons and heads, as a request takes it.

    python -m benchmarks.predict

Writes `benchmarks/results/predict.json`. Rows and labels are noise, which changes the numbers and not the time.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from benchmarks.machine import RESULTS, provenance
from bqx.research.artefact import HEADS, Recipe, TrainingRows
from bqx.research.artefact.artefact import Artefact
from bqx.research.artefact.fit import NEEDED, fit_model
from bqx.research.targets import HORIZONS

ROWS, COLUMNS, CALLS = 600, 250, 200


def model() -> Artefact:
    """Of the default estimator with all its heads, trained on noise."""
    rng = np.random.default_rng(1)
    at = np.arange(ROWS, dtype=np.int64) * max(HORIZONS)
    y: dict[str, dict[int, Any]] = {n: {h: rng.normal(size=ROWS) for h in HORIZONS} for n in ("y3", "y4")}
    X = rng.standard_normal((ROWS, COLUMNS), dtype=np.float32)
    names = tuple(f"c{k}" for k in range(COLUMNS))
    rows = TrainingRows("eurusd", names, X, at, at, np.exp(rng.normal(size=ROWS)), y["y3"], y["y4"])
    return fit_model(rows, Recipe("boosting", heads=HEADS), dict.fromkeys(NEEDED, "noise"))


def measure(made: Artefact, calls: int = CALLS) -> dict[str, Any]:
    """Milliseconds of processor time a call, all threads together; the first ten calls are not counted."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((calls + 10, COLUMNS), dtype=np.float32)
    minute, sigma = np.array([29_000_000]), np.array([1.0])
    took = []
    for k in range(calls + 10):
        began = time.process_time()
        made.predict(X[k : k + 1], minute=minute, sigma=sigma)
        took.append(1e3 * (time.process_time() - began))
    low, middle, high = np.percentile(took[10:], (5, 50, 99))
    return {"calls": calls, "core_ms": {"p5": round(low, 3), "p50": round(middle, 3), "p99": round(high, 3)}}


if __name__ == "__main__":
    result = {**provenance(), "columns": COLUMNS, "horizons": len(HORIZONS), "heads": list(HEADS), **measure(model())}
    (RESULTS / "predict.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result["core_ms"]))
