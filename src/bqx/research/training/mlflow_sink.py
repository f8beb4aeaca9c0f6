"""A run in an MLflow tracking server, for those who keep their experiments there. bqx reads nothing back from it."""

from __future__ import annotations

import json
import math
from typing import Any

from bqx.base.errors import TrainingError, Unsupported
from bqx.base.redaction import redact
from bqx.research.training.folder import Run

EXPERIMENT = "bqx"


def log_run(run: Run, uri: str) -> str:
    """Log settings, state and figures of a finished run; the id MLflow gave it.

    Logging the same run again goes on with the same record. A quarantined run that nobody signed is logged without
    figures. Raises Unsupported without MLflow, TrainingError when the server cannot be used.
    """
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError as error:
        raise Unsupported("this needs MLflow", fix="pip install mlflow-skinny, or leave --mlflow out") from error
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(EXPERIMENT)
        home = found.experiment_id if found else client.create_experiment(EXPERIMENT)
        old = client.search_runs([home], filter_string=f"tags.`bqx.run_hash` = '{run.hash}'", max_results=1)
        record = old[0] if old else client.create_run(home, tags={"bqx.run_hash": run.hash}, run_name=run.name)
        key = str(record.info.run_id)
        if not old:
            for name, text in params(run).items():
                client.log_param(key, name, text)
        for name, value in figures(run).items():
            client.log_metric(key, name, value)
        client.set_tag(key, "bqx.state", run.state)
        client.set_tag(key, "bqx.simulated", str(run.simulated))
        client.set_terminated(key, "FAILED" if run.state in ("short", "training") else "FINISHED")
    except (MlflowException, OSError) as error:
        raise TrainingError(
            f"the run is done, but MLflow did not take it: {redact(str(error))[:300]}",
            where=redact(uri),
            fix="see to the server, then run the same command again: nothing is trained twice",
        ) from error
    return key


def params(run: Run) -> dict[str, str]:
    """All that decides the forecasts, as text of at most 500 characters, MLflow's least limit."""
    skipped = {"state", "result", "name", "format"}
    return {k: (v if isinstance(v, str) else json.dumps(v, sort_keys=True))[:500]
            for k, v in run.head.items() if k not in skipped}  # fmt: skip


def figures(run: Run) -> dict[str, float]:
    """Pooled skill with its interval and the skill of each pair and horizon; nothing of a closed run."""
    result: dict[str, Any] = run.head["result"]
    if run.closed:
        return {}
    out: dict[str, Any] = {}
    for target, found in result.get("pooled", {}).items():
        if found is not None:
            out |= {f"{target}.pooled.{k}": found[k] for k in ("skill", "low", "high", "p", "n_effective")}
    for s in result.get("scores", []):
        out |= {
            f"{s['target']}.{s['pair']}.{s['horizon']}.{k}": s[k] for k in ("skill", "hit_rate", "mae", "effective")
        }
    return {k: float(v) for k, v in out.items() if v is not None and math.isfinite(v)}
