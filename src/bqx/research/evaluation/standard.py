"""The facts that stand on every page of results; what was not measured says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqx.base.errors import EvaluationError
from bqx.base.provenance import Number, computed
from bqx.base.version import __version__
from bqx.research.dataset import FOLDER as DATASETS
from bqx.research.dataset import MANIFEST
from bqx.research.evaluation.traded import traded
from bqx.research.leakage.record import recorded, status
from bqx.research.training.folder import Run
from bqx.research.trials import LEDGER_NAME, Trials

if TYPE_CHECKING:
    from bqx.research.evaluation.target import TargetFound

NAMES = {"y3": "innovation of the momentum, y3_h_h", "y4": "return in units of volatility, y4_h"}


def standard(root: Path, run: Run, primary: TargetFound, span: tuple[str, str]) -> dict[str, Any]:
    """Facts of a run beside its primary result: what was forecast, how well, on what, after how many trials."""
    pooled, cells = primary.pooled, primary.cells
    manifest = _read(root / DATASETS / str(run.head["dataset"]) / MANIFEST)
    signs = sum(c.found.n_rows for c in cells) or 1
    ledger = (root / LEDGER_NAME).is_file()
    data_hash = str(run.head["dataset_hash"])
    return {
        "target": NAMES[primary.target],
        "horizons": list(run.horizons),
        "window": "equal to the horizon",
        "benchmark": "random walk, which forecasts 0",
        "skill": pooled.walk.skill,
        "low": pooled.walk.low,
        "high": pooled.walk.high,
        "noise_95": pooled.noise.high,
        "dm_p": pooled.walk.p,
        "best_q": min((c.q_bh for c in cells), default=1.0),
        "hit_rate": pooled.as_dict()["hit_rate"],
        "break_even": sum(c.break_even * c.found.n_rows for c in cells) / signs if cells else None,
        **traded(run),
        "assumed_cost": manifest.get("cost", "as in the forecast table"),
        "n_rows": pooled.n_rows,
        "n_effective": pooled.n_effective,
        "trials": Trials(root).count(dataset=data_hash) if ledger else 0,
        "tested": list(span),
        "data": [manifest["first"], manifest["last"]] if manifest else None,
        "leakage": status(recorded(root / DATASETS / str(run.head["dataset"]), data_hash)),
        "catalogue": run.head["catalogue_version"],
        "lag_profile": run.head["lag_profile"],
        "dataset": f"{run.head['dataset']} ({data_hash})",
        "run": f"{run.name} ({run.hash})",
        "code": f"trained by {run.head['code_version']}, judged by {__version__}",
        "simulated": run.simulated,
        "verdict": pooled.verdict,
    }


def shown(facts: dict[str, Any]) -> list[tuple[str, Number | str]]:
    """The same for people: every field of the reporting standard, in its order."""

    def per_cent(key: str, how: str) -> Number:
        value = facts[key]
        return computed(None if value is None else 100 * value, "%", how, digits=2, reason="no forecast has a sign")

    def trade(key: str) -> str:
        value = facts[key]
        return value if isinstance(value, str) else f"{value:.3f}"

    interval = f"{100 * facts['low']:.2f} to {100 * facts['high']:.2f} %"
    sharpe, cost = trade("net_sharpe"), facts["assumed_cost"]
    if not isinstance(facts["net_sharpe"], str):
        sharpe += f" ({trade('net_sharpe_low')} to {trade('net_sharpe_high')})"
    if not isinstance(facts["cost"], str):
        cost = f"{trade('cost')} bps of notional paid, spreads: {facts['spread']}"
    data = f"{facts['data'][0][:16]} to {facts['data'][1][:16]}" if facts["data"] else "the dataset is not here"
    return [
        ("verdict", facts["verdict"]),
        ("target", facts["target"]),
        ("horizon, bars", ", ".join(map(str, facts["horizons"]))),
        ("window", facts["window"]),
        ("benchmark", facts["benchmark"]),
        ("skill", per_cent("skill", "1 - MSE / MSE of the random walk, all pairs and horizons")),
        ("95 % interval", interval),
        ("pure noise gets up to", per_cent("noise_95", "95 % quantile, signs of the truth flipped in blocks")),
        ("Diebold-Mariano p", f"{facts['dm_p']:.3g}"),
        ("best q of a pair and horizon", f"{facts['best_q']:.3g}"),
        ("hit rate", per_cent("hit_rate", "right signs / rows with signs")),
        ("break-even hit rate", per_cent("break_even", "1/2 + cost / (2 E|r|), mean over cells")),
        ("net Sharpe", sharpe),
        ("deflated Sharpe", trade("deflated_sharpe")),
        ("PBO", trade("pbo")),
        ("turnover", trade("turnover")),
        ("cost", cost),
        ("rows", computed(facts["n_rows"], "", "test rows with a truth, all pairs and horizons")),
        ("rows, effective", computed(facts["n_effective"], "", "overlap and shared currencies paid for", digits=0)),
        ("trials on this dataset", computed(facts["trials"], "", "rows of research.sqlite")),
        ("test window", f"{facts['tested'][0]} to {facts['tested'][1]}"),
        ("data window", data),
        ("leakage tests", facts["leakage"]),
        ("catalogue", str(facts["catalogue"])),
        ("lag profile", str(facts["lag_profile"])),
        ("dataset", facts["dataset"]),
        ("run", facts["run"]),
        ("code", facts["code"]),
    ]


def _read(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no file."""
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise EvaluationError(f"{path.name} cannot be read: {error}", where=str(path)) from error
    if not isinstance(data, dict):
        raise EvaluationError(f"{path.name} is not a JSON object", where=str(path))
    return data
