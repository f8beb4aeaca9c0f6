"""Is an advanced estimator admitted? Its run against runs of ridge and boosting on the same test rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.atomic import write_text
from bqx.base.errors import EstimatorError, UsageError
from bqx.research.estimators.admission import BASELINES, Admission, compare
from bqx.research.loss_bins import binned
from bqx.research.training.folder import Run

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
SAME = ("dataset_hash", "pairs", "horizons", "folds", "every", "mask", "scope")
"""What the three runs must share; parameters, seed and spacing of training rows may differ."""
EVIDENCE = "admission.json"


def admit_run(candidate: Run, baselines: Sequence[Run]) -> dict[str, Any]:
    """Compare squared errors of f3 and f4 over all pairs, horizons and folds; write `admission.json` beside the run.

    Losses are added up in bins of the longest label. UsageError unless the baselines are one run of ridge and one of
    boosting, of the same data, all finished; EstimatorError for a run that is quarantined.
    """
    runs = {candidate.head["estimator"]: candidate, **{r.head["estimator"]: r for r in baselines}}
    if candidate.head["estimator"] in BASELINES or set(runs) != {candidate.head["estimator"], *BASELINES}:
        raise UsageError(
            f"estimators {', '.join(r.head['estimator'] for r in (candidate, *baselines))} are compared",
            fix=f"give the candidate's run, then one of {' and one of '.join(BASELINES)}",
        )
    for run in runs.values():
        if run.closed or run.state not in ("done", "quarantined"):
            raise EstimatorError(f"run {run.name} is {run.state}", fix="`bqx runs show` says why")
        if odd := [k for k in SAME if run.head[k] != candidate.head[k]]:
            raise UsageError(f"runs {candidate.name} and {run.name} differ in {odd[0]}", fix="train both alike")
    found = _compared(candidate, runs)
    data = {
        **found.as_dict(),
        "run_hash": candidate.hash,
        "runs": {name: {"run": run.name, "hash": run.hash} for name, run in runs.items()},
        "simulated": candidate.simulated,
    }
    write_text(candidate.folder / EVIDENCE, json.dumps(data, indent=1, allow_nan=False) + "\n")
    return data


def _compared(candidate: Run, runs: dict[str, Run]) -> Admission:
    width = max(candidate.horizons)
    parts: dict[str, list[tuple[I8, F8]]] = {name: [] for name in runs}
    keys = candidate.tables()
    for pair, horizon in keys:
        tables = {name: run.forecasts(pair, horizon) for name, run in runs.items()}
        first = tables[candidate.head["estimator"]]
        for name, table in tables.items():
            if not table["position"].equals(first["position"]) or not table["y4"].equals(first["y4"]):
                raise UsageError(f"run {runs[name].name} has other test rows of {pair} at {horizon} bars")
            known = table.drop_nulls(["y3", "y4"])
            if known["f3"].null_count():
                raise UsageError(f"run {runs[name].name} has no point forecasts of {pair} at {horizon} bars")
            both = [known.select(y, f).to_numpy().T for y, f in (("y3", "f3"), ("y4", "f4"))]
            loss = np.mean([(y - f) ** 2 / (y**2).mean() for y, f in both], axis=0)
            parts[name].append((known["position"].to_numpy(), loss))
    if not keys:
        raise UsageError(f"run {candidate.name} has no forecasts")
    spots = np.concatenate([at for at, _ in parts[candidate.head["estimator"]]])
    start, end = int(spots.min()), int(spots.max()) + 1
    series = {name: binned(p, start, end, width) for name, p in parts.items()}
    filled = series[candidate.head["estimator"]] > 0.0
    losses = {name: s[filled] for name, s in series.items()}
    return compare(candidate.head["estimator"], losses, 1, rows=len(spots), folds=len(candidate.folds))
