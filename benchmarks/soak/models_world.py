"""The whole pipeline on a simulated market, from bars to gates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.soak.selection_world import noise_project
from bqx.base.errors import QuarantinedError
from bqx.market import simulated
from bqx.market.calendar import Calendar, month_span
from bqx.market.simulated import Flavour
from bqx.research.artefact import Signer, make_key, trust
from bqx.research.backtest.run import backtest
from bqx.research.backtest.settings import Settings as Trading
from bqx.research.dataset import Dataset
from bqx.research.dataset_make import make_dataset
from bqx.research.evaluation.evaluate import evaluate
from bqx.research.leakage.record import record
from bqx.research.leakage.suite import run_suite
from bqx.research.registry.evidence import Evidence
from bqx.research.registry.gates import RESEARCH_GATES, judge
from bqx.research.registry.promote import add_run
from bqx.research.registry.store import Registry
from bqx.research.selection.options import Options
from bqx.research.selection.run import run_selection
from bqx.research.training.order import make_order
from bqx.research.training.run import train
from bqx.research.training.settings import Settings

REAL = ("returns_raw_rate", "returns_std_rate", "returns_std_bqx", "technical_rate", "time_dual")
"""Datasets built from the bars; the others hold noise that looks like features."""
RETESTED = ("returns_std_rate",)
"""Datasets the leakage tests compute again."""


@dataclass(frozen=True)
class Plan:
    """weeks of history, pairs, the options of the selection; cost : round trip in bps.

    columns : feature datasets whose unlagged columns are trained on in place of a selection. kappa : of the planted
    market, None for its own.
    """

    weeks: int = 16
    pairs: tuple[str, ...] = ("eurusd", "usdjpy")
    horizons: tuple[int, ...] = (30, 60, 75)
    estimator: str = "ridge"
    cost: float = 0.1
    options: Options = field(default_factory=lambda: Options(halves=20, folds=2, rounds=20))
    columns: tuple[str, ...] = ()
    kappa: float | None = None
    draws: int = 2000
    seeds: int = 200


@contextmanager
def market(kappa: float | None) -> Iterator[None]:
    """The planted market with another strength; skill goes with its square (docs/simulated-market.md)."""
    own = simulated.KAPPA
    if kappa is not None:
        simulated.KAPPA = kappa
        simulated._seen.clear()  # paths walked with another strength
    try:
        yield
    finally:
        if kappa is not None:
            simulated.KAPPA = own
            simulated._seen.clear()


def whole(root: Path, seed: int, flavour: Flavour, plan: Plan) -> dict[str, Any]:
    """What the gates say of each model of one world; `promotable` are models whose six research gates have passed.

    A quarantined run has no models; it says why.
    """
    calendar = Calendar.load()
    start = calendar.week_start(month_span("2024_02")[0])
    end = calendar.at_ordinal(calendar.ordinal(start) + plan.weeks * 7200 - 1) + 1
    with market(plan.kappa):
        project = noise_project(root, plan.pairs, start, end, seed=seed, real=REAL, flavour=flavour)
    private, public = make_key()
    trust(root, public, "this soak")
    make_dataset(project, "d", cost=plan.cost)
    dataset = Dataset.open(project, "d")
    leaks = run_suite(dataset, plan.pairs[0], seed=seed, homes=RETESTED)
    record(dataset.folder, dataset.hash, plan.pairs[0], leaks)
    settings = Settings(estimator=plan.estimator, horizons=plan.horizons, seed=seed)
    if plan.columns:
        names = [c.name for c in dataset.candidates if c.lag == 0 and c.name.partition(".")[0] in plan.columns]
        order = make_order(dataset, settings, columns=names)
    else:
        run_selection(dataset, "s", options=plan.options, compare=False)
        order = make_order(dataset, settings, selection="s")
    run = train(order, "r", signer=Signer(private))
    out: dict[str, Any] = {"seed": seed, "flavour": flavour, "state": run.state}
    out["leakage"] = [r.test for r in leaks if not r.ok]
    if run.state == "quarantined":
        return {**out, "too_good": run.head["result"]["too_good"], "promotable": [], "gates": {}}
    try:
        found = evaluate(root, run, calendar=calendar, draws=plan.draws, seed=seed)
    except QuarantinedError as why:
        return {**out, "too_good": [why.what], "promotable": [], "gates": {}}
    trading = Trading(cost_bps=plan.cost, seeds=plan.seeds, seed=seed)
    traded = backtest(project, run, trading)
    add_run(Registry(root), run)
    pooled = found.pooled.pooled.walk
    return {
        **out,
        "skill": [pooled.skill, pooled.low, pooled.high],
        "verdict": found.verdict,
        "trades": traded["summary"]["trades"],
        "net_bps": traded["expectancy"][0]["mean"],
        "dsr": None if traded["deflated"] is None else traded["deflated"]["dsr"],
        "pbo": None if traded["pbo"] is None else {k: traded["pbo"][k] for k in ("pbo", "of_settings")},
        **risen(root),
    }


def risen(root: Path) -> dict[str, Any]:
    """Models that could be approved, and what every gate says of each."""
    registry = Registry(root)
    gates = {m.pair: judge(Evidence(registry, m)) for m in registry.models()}
    return {
        "promotable": [p for p, gs in gates.items() if all(g.passed for g in gs if g.name in RESEARCH_GATES)],
        "gates": {p: {g.name: f"{g.verdict}: {g.reason}" for g in gs} for p, gs in gates.items()},
    }
