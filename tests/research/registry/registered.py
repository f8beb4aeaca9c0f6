"""A project folder with a run whose models are signed and registered; evidence is made by the real evaluation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecast_tables import forecast_run
from model_rows import FACTS, invented_rows

from bqx.market.calendar import Calendar
from bqx.research.artefact import Recipe, Signer, fit_model, make_key, trust
from bqx.research.candidates import catalogue_version
from bqx.research.evaluation.evaluate import evaluate
from bqx.research.leakage.record import record
from bqx.research.leakage.result import LeakResult
from bqx.research.registry.gates import OPERATIONS, SERVICE
from bqx.research.registry.model import Model
from bqx.research.registry.promote import add_run
from bqx.research.registry.store import ALL_MODELS, Registry
from bqx.research.training.folder import Run

PAIRS = ("eurusd", "usdjpy")


@dataclass
class World:
    """`good` has a planted skill, its backtest is written by hand, for it is another room's business to make one."""

    root: Path
    registry: Registry
    signer: Signer

    def run(self, name: str, *, evaluated: bool = True, **words: Any) -> Run:
        run = forecast_run(self.root, name, pairs=PAIRS, horizons=(15, 60), **words)
        facts = {
            **FACTS,
            "run": name,
            "run_hash": run.hash,
            "dataset": "made",
            "catalogue_version": catalogue_version(),
        }
        for k, pair in enumerate(PAIRS):
            seed = run.head["seed"] + k
            fit_model(invented_rows(pair, seed=seed), Recipe("ridge"), facts).save(run.artefact(pair), self.signer)
        if evaluated and run.state == "done":
            evaluate(self.root, run, calendar=Calendar.load(), draws=200)
        return run

    def models(self, run: Run) -> dict[str, Model]:
        return {m.pair: m for m in add_run(self.registry, run)}

    def leakage(self, bad: str = "") -> None:
        results = [LeakResult(f"L{k}", "made", 1000, int(f"L{k}" == bad), "found by hand") for k in range(1, 15)]
        (self.root / "datasets" / "made").mkdir(parents=True, exist_ok=True)
        record(self.root / "datasets" / "made", "0" * 32, "eurusd", results)

    def hand_in(self, but: str = "", bad: str = "") -> None:
        """All evidence of GATE7 and GATE8, except `but`; `bad` is of a failure."""
        for gate, kinds in (("GATE7", SERVICE), ("GATE8", OPERATIONS)):
            for kind in kinds:
                if kind != but:
                    self.registry.record(gate, ALL_MODELS, ok=kind != bad, figures={"seen": 1}, source=kind)


def backtest(run: Run, **changes: Any) -> dict[str, Any]:
    """What `bqx backtest` writes, as far as gates look at it."""
    data = {
        "run_hash": run.hash,
        "expectancy": [{"stress": 1.0, "mean": 0.9, "low90": 0.4, "high90": 1.4},
                       {"stress": 1.5, "mean": 0.5, "low90": 0.1, "high90": 0.9}],
        "spread": {"source": "quotes"},
        "deflated": {"dsr": 0.99, "trials": 40},
        "pbo": {"pbo": 0.1},
        "missing": {},
        "concentration": 0.2,
        **changes,
    }  # fmt: skip
    (run.folder / "backtest.json").write_text(json.dumps(data))
    return data


def make_world(root: Path) -> World:
    private, public = make_key()
    registry = Registry(root)
    trust(root, public, "the tests")
    return World(root, registry, Signer(private))
