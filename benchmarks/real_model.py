"""python -m benchmarks.real_model: the real EURUSD file from bars to gates; the page says what it can show."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from benchmarks.machine import RESULTS, ROOT, provenance
from benchmarks.real import FILE
from bqx.base.atomic import write_text
from bqx.build.project import Project
from bqx.build.run import build
from bqx.cli.main import main as bqx
from bqx.research.artefact import Signer, make_key, trust
from bqx.research.backtest.report import backtest_report
from bqx.research.backtest.run import backtest
from bqx.research.backtest.settings import Settings as Trading
from bqx.research.dataset import Dataset
from bqx.research.dataset_make import make_dataset
from bqx.research.evaluation.evaluate import evaluate
from bqx.research.evaluation.report import evaluation_report
from bqx.research.leakage.record import record
from bqx.research.leakage.suite import run_suite
from bqx.research.registry.evidence import Evidence
from bqx.research.registry.gates import judge
from bqx.research.registry.promote import add_run
from bqx.research.registry.store import Registry
from bqx.research.selection.options import Options
from bqx.research.selection.run import run_selection
from bqx.research.training.order import make_order
from bqx.research.training.run import train
from bqx.research.training.settings import Settings

T = TypeVar("T")
PAGE = ROOT / "docs" / "model-eurusd.md"


def measure(folder: Path, file: Path = FILE, page: Path | None = None) -> dict[str, Any]:
    """Import, build, dataset, leakage tests, selection, boosted trees, evaluation, backtest, gates. ok : all steps ran,
    no leakage test failed, and no model is promotable without its evidence."""
    seconds: dict[str, float] = {}
    root = folder / "eurusd"
    bqx(["init", str(root), "--pairs", "eurusd"])
    bqx(["-C", str(root), "bars", "import", str(file)])
    project = Project.open(root)
    step = _stopwatch(seconds)
    step("build", lambda: build(project))
    step("dataset", lambda: make_dataset(project, "d"))
    dataset = Dataset.open(project, "d")
    leaks = step("leakage tests", lambda: run_suite(dataset, "eurusd"))
    record(dataset.folder, dataset.hash, "eurusd", leaks)
    step(
        "selection", lambda: run_selection(dataset, "s", options=Options(), compare=False, workers=os.cpu_count() or 1)
    )
    private, public = make_key()
    trust(root, public, "this run")
    order = make_order(dataset, Settings(), selection="s")
    run = step("training", lambda: train(order, "boosting", signer=Signer(private)))
    found = step("evaluation", lambda: evaluate(root, run, calendar=project.calendar))
    traded = step("backtest", lambda: backtest(project, run, Trading()))
    registry = Registry(root)
    (model,) = add_run(registry, run)
    gates = judge(Evidence(registry, model))
    if page is not None:
        parts = [evaluation_report(found), backtest_report(traded)]
        write_text(page, "\n".join(p.markdown() for p in parts))
    project.close()
    return {
        **provenance(),
        "verdict": found.verdict,
        "reach": found.reach.as_dict(),
        "words": found.reach.words,
        "splits": dataset.splits.text,
        "folds": len(run.folds),
        "trades": traded["summary"]["trades"],
        "net_bps": traded["expectancy"][0]["mean"],
        "backtest": traded["verdict"],
        "spread": traded["spread"]["source"],
        "leakage": {r.test: r.ok for r in leaks},
        "leakage_details": {r.test: r.detail for r in leaks if not r.ok},
        "gates": {g.name: f"{g.verdict}: {g.reason}" for g in gates},
        "seconds": {k: round(v, 1) for k, v in seconds.items()},
        "ok": all(r.ok for r in leaks) and not all(g.passed for g in gates),
    }


def _stopwatch(seconds: dict[str, float]) -> Callable[[str, Callable[[], T]], T]:
    """Runs a step and keeps its wall time."""

    def step(name: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        out = work()
        seconds[name] = time.perf_counter() - began
        print(f"{name}: {seconds[name]:.1f} s", flush=True)
        return out

    return step


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bqx-real-") as folder:
        found = measure(Path(folder), page=PAGE)
    write_text(RESULTS / "real-model.json", json.dumps(found, indent=1) + "\n")
    print(found["verdict"])
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
